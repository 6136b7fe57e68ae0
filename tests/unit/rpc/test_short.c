/* Handlers that are mostly short: the I/O thread runs them itself, and one that takes long for once harms nobody. */
#include "fixture.h"

#include <sky/core/time.h>

enum { SHORT_US = 2000 }; /* what is short even under sanitizers */

static void setup_with_short(void) {
  start_server(&(SkyRpcOptions){.short_handler_us = SHORT_US}, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
}

static SkyStatus call_worker(const char *text) {
  return call_method(ECHO_WORKER, NULL, text, NULL);
}

static bool runs_on(EchoMethod method, const char *thread) {
  ck_assert_ptr_null(call_method(method, NULL, "x", NULL));
  return echo_service_ran_on(&service, thread);
}

static void call_async(EchoMethod method, const SkyContext *context, const char *text, Outcome *outcome) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  request.text = (char *)text;
  *outcome = (Outcome){0};
  sky_client_call_async(client, &echo_methods[method], context, &request.base, call_done, outcome);
}

static void warm_up(EchoMethod method) {
  SKY_CHECK_EVENTUALLY(runs_on(method, "sky-io"));
}

/* A call that blocks on the I/O thread. On a busy machine one may go to a worker, while there is no spare. */
static void block_the_io_thread(Outcome *blocked) {
  for (;;) {
    warm_up(ECHO_WORKER);
    call_async(ECHO_WORKER, NULL, "block", blocked);
    SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 1);
    if (echo_service_ran_on(&service, "sky-io"))
      return;
    echo_service_release(&service);
    SKY_CHECK_EVENTUALLY(is_done(blocked));
    echo_service_block_again(&service);
  }
}

START_TEST(a_handler_is_on_a_worker_until_it_is_known_to_be_short) {
  ck_assert(runs_on(ECHO_WORKER, "sky-worker"));
  warm_up(ECHO_WORKER);
}
END_TEST

START_TEST(none_is_short_when_the_user_says_so) {
  teardown();
  start_server(&(SkyRpcOptions){.short_handler_us = -1}, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  for (int i = 0; i < 100; i++)
    ck_assert(runs_on(ECHO_WORKER, "sky-worker"));
}
END_TEST

START_TEST(one_that_blocks_for_once_holds_nothing_up) {
  Outcome blocked;
  block_the_io_thread(&blocked);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  ck_assert_ptr_null(call_worker("x"));
  ck_assert(echo_service_ran_on(&service, "sky-worker")); /* there is no second spare */
  ck_assert(!is_done(&blocked));
  echo_service_release(&service);
  SKY_CHECK_EVENTUALLY(is_done(&blocked));
  ck_assert_int_eq(blocked.code, SKY_CODE_OK);
}
END_TEST

START_TEST(one_that_has_blocked_is_on_a_worker_for_a_while) {
  Outcome blocked;
  block_the_io_thread(&blocked);
  const int64_t long_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + 8 * 4 * SHORT_US * 1000;
  SKY_CHECK_EVENTUALLY(sky_clock_monotonic_ns(sky_clock_system_borrow()) > long_ns);
  echo_service_release(&service);
  SKY_CHECK_EVENTUALLY(is_done(&blocked));
  ck_assert(runs_on(ECHO_WORKER, "sky-worker"));
  warm_up(ECHO_WORKER);
}
END_TEST

static size_t done_of(Outcome *outcomes, size_t count) {
  size_t done = 0;
  for (size_t i = 0; i < count; i++)
    done += is_done(&outcomes[i]);
  return done;
}

START_TEST(short_ones_do_not_wait_behind_those_that_block) {
  enum { SHORT_ONES = 10 };
  Outcome blocked, behind, quick[SHORT_ONES];
  teardown();
  start_server(&(SkyRpcOptions){.workers = 1, .short_handler_us = SHORT_US}, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  warm_up(ECHO_RULED);
  call_async(ECHO_WORKER, NULL, "block", &blocked);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 1);
  call_async(ECHO_WORKER, NULL, "x", &behind);
  for (size_t i = 0; i < SHORT_ONES; i++)
    call_async(ECHO_RULED, NULL, "x", &quick[i]);
  SKY_CHECK_EVENTUALLY(done_of(quick, SHORT_ONES) >= SHORT_ONES / 2); /* the others, on a busy machine, find no spare */
  ck_assert(!is_done(&behind));
  echo_service_release(&service);
  SKY_CHECK_EVENTUALLY(is_done(&blocked) && is_done(&behind) && done_of(quick, SHORT_ONES) == SHORT_ONES);
}
END_TEST

START_TEST(one_that_calls_through_its_own_io_thread_gets_its_answer) {
  Outcome forwarded;
  echo_service_set_upstream(&service, client);
  warm_up(ECHO_WORKER);
  call_async(ECHO_WORKER, NULL, "forward", &forwarded);
  SkyCall *call = NULL;
  SKY_CHECK_EVENTUALLY((call = echo_service_take_any(&service)) != NULL);
  sky_call_finish(call, SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&forwarded));
  ck_assert_int_eq(forwarded.code, SKY_CODE_OK);
}
END_TEST

START_TEST(one_that_takes_long_hears_of_its_cancellation) {
  Outcome held;
  SkyCancel *cancel = sky_cancel_create();
  SkyContext context = sky_context_background();
  context.cancel = cancel;
  warm_up(ECHO_WORKER);
  call_async(ECHO_WORKER, &context, "hold", &held);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 1);
  sky_cancel_trigger(cancel);
  SKY_CHECK_EVENTUALLY(is_done(&held));
  ck_assert_int_eq(held.code, SKY_CODE_CANCELLED);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 0);
  sky_cancel_unref(cancel);
}
END_TEST

START_TEST(one_that_takes_long_hears_of_the_deadline_of_its_method) {
  Outcome held;
  warm_up(ECHO_CAPPED_WORKER);
  call_async(ECHO_CAPPED_WORKER, NULL, "hold", &held);
  SKY_CHECK_EVENTUALLY(is_done(&held));
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 0);
}
END_TEST

START_TEST(one_that_defers_hears_of_the_deadline_of_its_method) {
  Outcome deferred;
  bool here = false;
  for (size_t calls = 1; !here; calls++) {
    warm_up(ECHO_CAPPED_WORKER);
    call_async(ECHO_CAPPED_WORKER, NULL, "defer", &deferred);
    SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == calls);
    here = echo_service_ran_on(&service, "sky-io");
    SKY_CHECK_EVENTUALLY(is_done(&deferred));
    ck_assert_int_eq(deferred.code, SKY_CODE_DEADLINE_EXCEEDED);
  }
}
END_TEST

/* Some short, some that block, from several threads of the client's; every call is answered once. */
enum { CALLS = 400, BLOCK_EVERY = 50 };

START_TEST(many_of_both_kinds_are_all_answered) {
  static Outcome outcomes[CALLS];
  warm_up(ECHO_WORKER);
  echo_service_release(&service);
  const size_t before = echo_service_handled(&service);
  for (int round = 0; round < 5; round++) {
    for (int i = 0; i < CALLS; i++)
      call_async(ECHO_WORKER, NULL, i % BLOCK_EVERY == 0 ? "nap" : "x", &outcomes[i]);
    for (int i = 0; i < CALLS; i++) {
      SKY_CHECK_EVENTUALLY(is_done(&outcomes[i]));
      ck_assert_int_eq(outcomes[i].code, SKY_CODE_OK);
    }
  }
  ck_assert_uint_eq(echo_service_handled(&service) - before, 5 * CALLS);
}
END_TEST

static void *release(void *user) {
  echo_service_release(&service);
  return NULL;
}

START_TEST(a_server_is_not_destroyed_under_one_that_takes_long) {
  Outcome blocked;
  pthread_t thread;
  warm_up(ECHO_WORKER);
  call_async(ECHO_WORKER, NULL, "block", &blocked);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 1);
  pthread_create(&thread, NULL, release, NULL);
  sky_server_destroy(server);
  server = NULL;
  ck_assert_uint_eq(echo_service_running(&service), 0);
  pthread_join(thread, NULL);
  SKY_CHECK_EVENTUALLY(is_done(&blocked));
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/short", setup_with_short, teardown, a_handler_is_on_a_worker_until_it_is_known_to_be_short,
                    none_is_short_when_the_user_says_so, one_that_blocks_for_once_holds_nothing_up,
                    one_that_has_blocked_is_on_a_worker_for_a_while, short_ones_do_not_wait_behind_those_that_block,
                    one_that_calls_through_its_own_io_thread_gets_its_answer,
                    one_that_takes_long_hears_of_its_cancellation,
                    one_that_takes_long_hears_of_the_deadline_of_its_method,
                    one_that_defers_hears_of_the_deadline_of_its_method, many_of_both_kinds_are_all_answered,
                    a_server_is_not_destroyed_under_one_that_takes_long)
