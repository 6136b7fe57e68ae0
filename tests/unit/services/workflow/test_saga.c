#include "saga_fixture.h"

static void expect_end(SagaState state, const char *code) {
  expect(SAGA_DO_REST, SAGA_NO_STEP);
  ck_assert_int_eq(saga.state, state);
  ck_assert_str_eq(saga.reason.code, code);
  ck_assert(effect.persist);
}

START_TEST(steps_run_in_order_and_the_start_is_stored_first) {
  begin();
  ck_assert(effect.persist);
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++) {
    expect(SAGA_DO_CALL, step);
    ck_assert(step == SAGA_ACCOUNT || !effect.persist);
    ok();
    ck_assert_int_eq(saga.steps[step].state, SAGA_STEP_DONE);
    ck_assert_int_eq(saga.steps[step].attempts, 1);
  }
  expect_end(SAGA_COMPLETED, "");
}
END_TEST

START_TEST(everything_that_happened_is_news_once) {
  send_keeping_news((SagaEvent){.kind = SAGA_EVENT_BEGIN, .complete_by_ms = COMPLETE_BY});
  ck_assert(saga.news.started);
  for (int i = 0; i < 5; i++)
    send_keeping_news((SagaEvent){.kind = SAGA_EVENT_OK, .skipped = saga.step == SAGA_TRANSPORT});
  ck_assert(saga.news.completed);
  ck_assert_int_eq(saga.news.steps, 0x3e);
  ck_assert_int_eq(saga.steps[SAGA_TRANSPORT].state, SAGA_STEP_SKIPPED);
}
END_TEST

START_TEST(a_refused_account_leaves_nothing_to_undo) {
  begin();
  refuse("ACCOUNT_SUSPENDED");
  expect_end(SAGA_REJECTED, "ACCOUNT_SUSPENDED");
  ck_assert_int_eq(saga.failed_step, SAGA_ACCOUNT);
}
END_TEST

START_TEST(a_refused_step_undoes_the_others_in_reverse) {
  run_to(SAGA_DELIVERY);
  refuse("DELIVERY_CONFLICT");
  ck_assert(effect.persist);
  expect(SAGA_DO_UNDO, SAGA_DRONE);
  ok();
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  ok();
  expect_end(SAGA_REJECTED, "DELIVERY_CONFLICT");
  ck_assert_int_eq(saga.steps[SAGA_DRONE].state, SAGA_STEP_UNDONE);
}
END_TEST

START_TEST(a_package_of_somebody_else_is_not_undone) {
  run_to(SAGA_PACKAGE);
  send((SagaEvent){.kind = SAGA_EVENT_OK, .created = false});
  refuse("ASSIGNMENT_CONFLICT");
  expect_end(SAGA_REJECTED, "ASSIGNMENT_CONFLICT");
}
END_TEST

START_TEST(a_lost_answer_is_retried_and_undone_though_it_never_succeeded) {
  run_to(SAGA_DELIVERY);
  trouble();
  expect(SAGA_DO_WAIT, SAGA_DELIVERY);
  timer();
  expect(SAGA_DO_CALL, SAGA_DELIVERY);
  refuse("DELIVERY_CONFLICT");
  expect(SAGA_DO_UNDO, SAGA_DELIVERY);
}
END_TEST

START_TEST(a_definite_no_need_not_be_undone) {
  run_to(SAGA_DRONE);
  send((SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "NO_DRONE_AVAILABLE", .definite = true, .retry_after_ms = 400});
  cancel();
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
}
END_TEST

START_TEST(delays_grow_up_to_their_maximum) {
  const int64_t expected[] = {100, 200, 400, 800, 1000, 1000};
  begin();
  for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
    trouble();
    expect(SAGA_DO_WAIT, SAGA_ACCOUNT);
    ck_assert_int_eq(effect.until_ms - now_ms, expected[i]);
    timer();
  }
  ck_assert_int_eq(saga.steps[SAGA_ACCOUNT].attempts, 7);
}
END_TEST

START_TEST(a_success_resets_the_delay) {
  begin();
  trouble();
  timer();
  ok();
  trouble();
  ck_assert_int_eq(effect.until_ms - now_ms, 100);
}
END_TEST

START_TEST(a_peer_says_when_to_come_again_but_not_for_ever) {
  begin();
  send((SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "NO_DRONE_AVAILABLE", .retry_after_ms = 2000});
  ck_assert_int_ge(effect.until_ms - now_ms, 1000);
  ck_assert_int_lt(effect.until_ms - now_ms, 3000);
  timer();
  send((SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "NO_DRONE_AVAILABLE", .retry_after_ms = 86400000});
  ck_assert_int_lt(effect.until_ms - now_ms, 45000);
}
END_TEST

START_TEST(what_was_done_is_stored_before_a_wait) {
  run_to(SAGA_DRONE);
  send_keeping_news((SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "NO_DRONE_AVAILABLE", .definite = true});
  ck_assert(effect.persist);
}
END_TEST

START_TEST(out_of_time_it_fails_with_the_last_reason) {
  run_to(SAGA_DRONE);
  while (saga.state == SAGA_RUNNING) {
    send((SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "NO_DRONE_AVAILABLE", .definite = true});
    ck_assert_int_le(effect.until_ms, COMPLETE_BY);
    timer();
  }
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  ok();
  expect_end(SAGA_FAILED, "NO_DRONE_AVAILABLE");
  ck_assert_int_eq(saga.failed_step, SAGA_DRONE);
}
END_TEST

START_TEST(taken_up_too_late_it_fails_without_a_call) {
  now_ms = COMPLETE_BY;
  begin();
  expect_end(SAGA_FAILED, SAGA_TIMED_OUT);
}
END_TEST

START_TEST(without_a_drone_a_carrier_is_asked_once) {
  run_to(SAGA_DRONE);
  refuse(SAGA_NO_DRONE_IN_WINDOW);
  expect(SAGA_DO_CALL, SAGA_TRANSPORT);
  ck_assert(saga.carrier_forced);
  refuse(SAGA_NO_CARRIER);
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  ok();
  expect_end(SAGA_REJECTED, SAGA_NO_CARRIER);
  ck_assert_int_eq(saga.failed_step, SAGA_TRANSPORT);
}
END_TEST

START_TEST(with_a_carrier_no_drone_is_needed) {
  run_to(SAGA_DRONE);
  refuse(SAGA_NO_DRONE_IN_WINDOW);
  send((SagaEvent){.kind = SAGA_EVENT_OK, .booked = true});
  expect(SAGA_DO_CALL, SAGA_DELIVERY);
  refuse("DELIVERY_CONFLICT");
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  ok();
  expect(SAGA_DO_UNDO, SAGA_TRANSPORT);
  ok();
  expect_end(SAGA_REJECTED, "DELIVERY_CONFLICT");
}
END_TEST

START_TEST(an_open_circuit_costs_no_attempt) {
  begin();
  send((SagaEvent){.kind = SAGA_EVENT_BLOCKED, .until_ms = now_ms + 700});
  expect(SAGA_DO_WAIT, SAGA_ACCOUNT);
  ck_assert_int_eq(effect.until_ms, now_ms + 700);
  ck_assert(!saga.steps[SAGA_ACCOUNT].uncertain);
}
END_TEST

START_TEST(late_answers_change_nothing) {
  begin();
  const SagaEvent late = {.kind = SAGA_EVENT_REFUSED, .serial = saga.serial - 1, .code = "ACCOUNT_UNKNOWN"};
  effect = saga_step(&saga, &late, &policy, now_ms);
  expect(SAGA_DO_NOTHING, SAGA_NO_STEP);
  ck_assert_int_eq(saga.state, SAGA_RUNNING);
}
END_TEST

START_TEST(a_cancel_before_the_order_is_remembered) {
  cancel();
  ck_assert(effect.persist);
  begin();
  expect_end(SAGA_CANCELLED, SAGA_CANCELLED_BY_OWNER);
  ck_assert_int_eq(saga.steps[SAGA_ACCOUNT].attempts, 0);
}
END_TEST

START_TEST(a_cancel_during_any_step_lets_it_end_and_undoes_all) {
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++) {
    setup();
    run_to(step);
    cancel();
    expect(SAGA_DO_NOTHING, SAGA_NO_STEP);
    ck_assert(effect.persist);
    ok();
    for (SagaStep undone = step; undone >= SAGA_PACKAGE; undone--) {
      expect(SAGA_DO_UNDO, undone);
      ok();
    }
    expect_end(SAGA_CANCELLED, SAGA_CANCELLED_BY_OWNER);
  }
}
END_TEST

START_TEST(a_cancel_wins_over_a_refusal_and_over_trouble) {
  run_to(SAGA_DRONE);
  cancel();
  refuse("ASSIGNMENT_CONFLICT");
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  ok();
  expect_end(SAGA_CANCELLED, SAGA_CANCELLED_BY_OWNER);
  setup();
  run_to(SAGA_DRONE);
  cancel();
  trouble();
  expect(SAGA_DO_UNDO, SAGA_DRONE);
}
END_TEST

START_TEST(a_cancel_during_a_wait_acts_at_once) {
  run_to(SAGA_DRONE);
  trouble();
  cancel();
  ck_assert(effect.persist);
  expect(SAGA_DO_UNDO, SAGA_DRONE);
}
END_TEST

START_TEST(a_cancel_while_undoing_does_not_change_why_it_ends) {
  run_to(SAGA_DRONE);
  refuse("ASSIGNMENT_CONFLICT");
  cancel();
  expect(SAGA_DO_NOTHING, SAGA_NO_STEP);
  effect.step = SAGA_PACKAGE;
  ok();
  expect_end(SAGA_REJECTED, "ASSIGNMENT_CONFLICT");
  cancel();
  expect(SAGA_DO_NOTHING, SAGA_NO_STEP);
  ck_assert(!effect.persist);
}
END_TEST

START_TEST(a_completed_saga_is_cancelled_until_pickup) {
  run_to(SAGA_STEP_END);
  cancel();
  expect(SAGA_DO_UNDO, SAGA_DELIVERY);
  ck_assert(effect.persist);
  ok();
  expect(SAGA_DO_UNDO, SAGA_DRONE);
  ok();
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  ok();
  expect_end(SAGA_CANCELLED, SAGA_CANCELLED_BY_OWNER);
}
END_TEST

START_TEST(after_pickup_it_stays_completed_and_is_no_news) {
  run_to(SAGA_STEP_END);
  cancel();
  send_keeping_news((SagaEvent){.kind = SAGA_EVENT_REFUSED, .code = SAGA_ALREADY_PICKED_UP});
  expect_end(SAGA_COMPLETED, "");
  ck_assert(!saga.news.completed);
  ck_assert(!saga.cancel_asked);
  ck_assert_int_eq(saga.steps[SAGA_DRONE].state, SAGA_STEP_DONE);
}
END_TEST

START_TEST(a_delivery_that_flies_after_a_lost_answer_completes_the_saga) {
  run_to(SAGA_DELIVERY);
  while (saga.state == SAGA_RUNNING) {
    trouble();
    timer();
  }
  expect(SAGA_DO_UNDO, SAGA_DELIVERY);
  refuse(SAGA_ALREADY_PICKED_UP);
  expect_end(SAGA_COMPLETED, "");
}
END_TEST

START_TEST(undoing_is_tried_until_it_succeeds) {
  run_to(SAGA_DRONE);
  refuse("ASSIGNMENT_CONFLICT");
  for (int i = 0; i < 1000; i++) {
    trouble();
    expect(SAGA_DO_WAIT, SAGA_PACKAGE);
    timer();
    expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  }
  ok();
  expect_end(SAGA_REJECTED, "ASSIGNMENT_CONFLICT");
}
END_TEST

START_TEST(an_undo_that_is_refused_does_not_stop_the_others) {
  run_to(SAGA_DELIVERY);
  refuse("DELIVERY_CONFLICT");
  refuse("DELIVERY_ALREADY_PICKED_UP"); /* the drone's word, not the delivery's */
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
  send((SagaEvent){.kind = SAGA_EVENT_REFUSED, .code = "PACKAGE_UNKNOWN", .not_found = true});
  expect_end(SAGA_REJECTED, "DELIVERY_CONFLICT");
  ck_assert_str_eq(saga.steps[SAGA_PACKAGE].reason.code, "");
}
END_TEST

START_TEST(resumed_it_repeats_what_may_have_been_done) {
  run_to(SAGA_DRONE);
  send((SagaEvent){.kind = SAGA_EVENT_RESUME});
  expect(SAGA_DO_CALL, SAGA_DRONE);
  ck_assert(effect.persist);
  refuse("ASSIGNMENT_CONFLICT");
  expect(SAGA_DO_UNDO, SAGA_DELIVERY);
  ok();
  expect(SAGA_DO_UNDO, SAGA_DRONE);
}
END_TEST

START_TEST(resumed_past_its_time_it_compensates) {
  run_to(SAGA_DRONE);
  now_ms = COMPLETE_BY + 1;
  send((SagaEvent){.kind = SAGA_EVENT_RESUME});
  expect(SAGA_DO_UNDO, SAGA_DELIVERY);
  ck_assert_int_eq(saga.outcome, SAGA_FAILED);
}
END_TEST

START_TEST(resumed_while_undoing_it_goes_on_undoing) {
  run_to(SAGA_DELIVERY);
  refuse("DELIVERY_CONFLICT");
  ok();
  send((SagaEvent){.kind = SAGA_EVENT_RESUME});
  expect(SAGA_DO_UNDO, SAGA_PACKAGE);
}
END_TEST

START_TEST(long_texts_are_cut_at_a_character) {
  char text[400];
  for (size_t i = 0; i + 1 < sizeof(text); i += 2)
    memcpy(text + i, "ä", 2);
  text[sizeof(text) - 2] = '\0';
  begin();
  send((SagaEvent){.kind = SAGA_EVENT_REFUSED, .code = "X", .message = text});
  ck_assert_uint_eq(strlen(saga.reason.message), 158);
}
END_TEST

SKY_CHECK_MAIN_WITH("workflow/saga", setup, NULL, steps_run_in_order_and_the_start_is_stored_first,
                    everything_that_happened_is_news_once, a_refused_account_leaves_nothing_to_undo,
                    a_refused_step_undoes_the_others_in_reverse, a_package_of_somebody_else_is_not_undone,
                    a_lost_answer_is_retried_and_undone_though_it_never_succeeded, a_definite_no_need_not_be_undone,
                    delays_grow_up_to_their_maximum, a_success_resets_the_delay,
                    a_peer_says_when_to_come_again_but_not_for_ever, what_was_done_is_stored_before_a_wait,
                    out_of_time_it_fails_with_the_last_reason, taken_up_too_late_it_fails_without_a_call,
                    without_a_drone_a_carrier_is_asked_once, with_a_carrier_no_drone_is_needed,
                    an_open_circuit_costs_no_attempt, late_answers_change_nothing,
                    a_cancel_before_the_order_is_remembered, a_cancel_during_any_step_lets_it_end_and_undoes_all,
                    a_cancel_wins_over_a_refusal_and_over_trouble, a_cancel_during_a_wait_acts_at_once,
                    a_cancel_while_undoing_does_not_change_why_it_ends, a_completed_saga_is_cancelled_until_pickup,
                    after_pickup_it_stays_completed_and_is_no_news,
                    a_delivery_that_flies_after_a_lost_answer_completes_the_saga, undoing_is_tried_until_it_succeeds,
                    an_undo_that_is_refused_does_not_stop_the_others, resumed_it_repeats_what_may_have_been_done,
                    resumed_past_its_time_it_compensates, resumed_while_undoing_it_goes_on_undoing,
                    long_texts_are_cut_at_a_character)
