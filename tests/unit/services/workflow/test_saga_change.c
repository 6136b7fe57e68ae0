#include "saga_fixture.h"

START_TEST(before_the_drone_new_terms_are_simply_the_order) {
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_DRONE; step++) {
    setup();
    run_to(step);
    ask_change(true);
    ck_assert(effect.apply_change && effect.persist);
    ck_assert_int_eq(saga.change, SAGA_CHANGE_NONE);
  }
}
END_TEST

START_TEST(while_all_drones_are_busy_new_terms_are_simply_the_order) {
  run_to(SAGA_DRONE);
  send((SagaEvent){.kind = SAGA_EVENT_TROUBLE, .code = "NO_DRONE_AVAILABLE", .definite = true});
  ask_change(true);
  ck_assert(effect.apply_change);
}
END_TEST

START_TEST(once_a_drone_may_know_the_old_terms_the_change_waits_for_the_end) {
  run_to(SAGA_DRONE);
  ask_change(true);
  ck_assert(effect.persist && !effect.apply_change);
  ok();
  ok();
  ck_assert_int_eq(saga.state, SAGA_COMPLETED);
  expect(SAGA_DO_CHANGE, SAGA_DELIVERY);
}
END_TEST

START_TEST(a_completed_saga_changes_delivery_then_drone) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  expect(SAGA_DO_CHANGE, SAGA_DELIVERY);
  ck_assert(effect.persist);
  ok();
  expect(SAGA_DO_CHANGE_DRONE, SAGA_DRONE);
  ok();
  expect(SAGA_DO_REST, SAGA_NO_STEP);
  ck_assert(effect.apply_change && effect.persist);
  ck_assert(saga_can_change(&saga));
}
END_TEST

START_TEST(without_new_orders_the_drone_is_not_asked) {
  run_to(SAGA_STEP_END);
  ask_change(false);
  ok();
  expect(SAGA_DO_REST, SAGA_NO_STEP);
  ck_assert(effect.apply_change);
}
END_TEST

START_TEST(refused_by_the_delivery_nothing_changes) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  refuse(SAGA_ALREADY_PICKED_UP);
  expect(SAGA_DO_REST, SAGA_NO_STEP);
  ck_assert(effect.drop_change && !effect.apply_change);
  ck_assert_int_eq(saga.state, SAGA_COMPLETED);
  ck_assert_str_eq(saga.reason.code, SAGA_ALREADY_PICKED_UP);
}
END_TEST

START_TEST(refused_by_the_drone_the_delivery_gets_its_old_terms_back) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  ok();
  refuse(SAGA_NO_DRONE_IN_WINDOW);
  expect(SAGA_DO_REVERT, SAGA_DELIVERY);
  ck_assert(effect.persist);
  trouble();
  timer();
  expect(SAGA_DO_REVERT, SAGA_DELIVERY);
  ok();
  expect(SAGA_DO_REST, SAGA_NO_STEP);
  ck_assert(effect.drop_change);
  ck_assert_str_eq(saga.reason.code, SAGA_NO_DRONE_IN_WINDOW);
}
END_TEST

START_TEST(out_of_time_after_a_lost_answer_the_drone_is_reverted_too) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  ok();
  while (saga.change == SAGA_CHANGE_DELIVERY_DONE) {
    trouble();
    if (effect.action == SAGA_DO_WAIT)
      timer();
  }
  expect(SAGA_DO_REVERT_DRONE, SAGA_DRONE);
  ok();
  expect(SAGA_DO_REVERT, SAGA_DELIVERY);
  ok();
  ck_assert(effect.drop_change);
}
END_TEST

START_TEST(too_late_to_revert_the_new_terms_stand) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  ok();
  refuse(SAGA_NO_DRONE_IN_WINDOW);
  refuse(SAGA_ALREADY_PICKED_UP);
  expect(SAGA_DO_REST, SAGA_NO_STEP);
  ck_assert(effect.apply_change);
}
END_TEST

START_TEST(one_change_at_a_time) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  ck_assert(!saga_can_change(&saga));
}
END_TEST

START_TEST(a_saga_that_comes_to_nothing_drops_its_change) {
  run_to(SAGA_DRONE);
  ask_change(true);
  refuse("ASSIGNMENT_CONFLICT");
  ok();
  ck_assert_int_eq(saga.state, SAGA_REJECTED);
  ck_assert(effect.drop_change);
  ask_change(true);
  ck_assert(effect.drop_change);
}
END_TEST

START_TEST(a_cancel_ends_a_change) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  cancel();
  expect(SAGA_DO_NOTHING, SAGA_NO_STEP);
  saga.step = SAGA_DELIVERY;
  trouble();
  expect(SAGA_DO_UNDO, SAGA_DELIVERY);
  ok();
  ok();
  ok();
  ck_assert_int_eq(saga.state, SAGA_CANCELLED);
  ck_assert(effect.drop_change);
}
END_TEST

START_TEST(resumed_a_change_goes_on) {
  run_to(SAGA_STEP_END);
  ask_change(true);
  ok();
  send((SagaEvent){.kind = SAGA_EVENT_RESUME});
  expect(SAGA_DO_CHANGE_DRONE, SAGA_DRONE);
  refuse(SAGA_NO_DRONE_IN_WINDOW);
  expect(SAGA_DO_REVERT_DRONE, SAGA_DRONE);
}
END_TEST

SKY_CHECK_MAIN_WITH("workflow/saga-change", setup, NULL, before_the_drone_new_terms_are_simply_the_order,
                    while_all_drones_are_busy_new_terms_are_simply_the_order,
                    once_a_drone_may_know_the_old_terms_the_change_waits_for_the_end,
                    a_completed_saga_changes_delivery_then_drone, without_new_orders_the_drone_is_not_asked,
                    refused_by_the_delivery_nothing_changes, refused_by_the_drone_the_delivery_gets_its_old_terms_back,
                    out_of_time_after_a_lost_answer_the_drone_is_reverted_too, too_late_to_revert_the_new_terms_stand,
                    one_change_at_a_time, a_saga_that_comes_to_nothing_drops_its_change, a_cancel_ends_a_change,
                    resumed_a_change_goes_on)
