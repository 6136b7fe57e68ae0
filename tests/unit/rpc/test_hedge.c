/* Hedging: when further attempts are made, which answer counts, and what becomes of the others. */
#include "fixture.h"

#include <stdatomic.h>
#include <string.h>

#include <sky/core/time.h>
#include <sky/rpc/server_internal.h>

static const char *_Atomic pushback;   /* the header alone, when it is not NULL */
static _Atomic int64_t retry_after_ms; /* told with a failure, when it is not 0 */
static atomic_int attempts, failing;   /* of the server: seen; still to fail with UNAVAILABLE */
static atomic_int ended;               /* of the client: attempts, those that could not be begun too */

static SkyStatus fail_some(void *self, SkyCall *call, const ProtobufCMessage *request) {
  SkyStr value;
  atomic_fetch_add(&attempts, 1);
  if (sky_call_metadata(call, "x-must-be-bin", &value))
    ck_assert(value.size == 3 && memcmp(value.data, "a\0b", 3) == 0);
  if (atomic_fetch_sub(&failing, 1) <= 0)
    return SKY_OK;
  if (atomic_load(&pushback) != NULL)
    sky_metadata_list_add_own(&call->trailing_metadata, "grpc-retry-pushback-ms", sky_str(atomic_load(&pushback)));
  SkyStatus status = SKY_UNAVAILABLE("trouble");
  return atomic_load(&retry_after_ms) != 0 ? sky_status_with_retry_after_ms(status, atomic_load(&retry_after_ms))
                                           : status;
}

static void attempt_ended(void *self, SkyClientCall *call, const SkyError *status) {
  atomic_fetch_add(&ended, 1);
}

static void start_with(int fail, SkyHedgingPolicy hedging, unsigned max_tokens, SkyClientOptions options) {
  const SkyServiceConfig config = {.hedging = hedging, .throttling.max_tokens = max_tokens};
  options.config = &config;
  atomic_store(&failing, fail);
  start_server(NULL, (SkyServerOptions){0});
  ck_assert_ptr_null(sky_server_intercept(server, (SkyServerInterceptor){.begin = fail_some}));
  start_client(options);
  ck_assert_ptr_null(sky_client_intercept(client, (SkyClientInterceptor){.end = attempt_ended}));
}

static void start(int fail, SkyHedgingPolicy hedging, unsigned max_tokens) {
  start_with(fail, hedging, max_tokens, (SkyClientOptions){0});
}

static const SkyHedgingPolicy quick = {.max_attempts = 3, .delay_ms = 10};
static const SkyHedgingPolicy slow = {.max_attempts = 3, .delay_ms = 15000};

static void call_ended(void *user, const SkyClientCall *call, const SkyError *status) {
  atomic_fetch_add(&((Outcome *)user)->ends, 1);
}

static void call_deferred(const SkyContext *context, Outcome *outcome) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  sky_client_call_async(client, &echo_methods[ECHO_DEFER], context, &request.base, call_done, outcome);
}

START_TEST(the_first_answer_counts_and_the_others_are_cancelled) {
  Outcome outcome = {0};
  const SkyMetadataEntry metadata = {"x-must-be-bin", {"a\0b", 3}};
  const SkyCallOptions options = {.metadata = &metadata, .metadata_count = 1, .on_end = call_ended, .user = &outcome};
  SkyContext context = sky_context_background();
  context.call_options = &options;
  start(0, quick, 0);
  call_deferred(&context, &outcome);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 3);
  ck_assert(!is_done(&outcome));
  sky_call_finish(echo_service_take_any(&service), SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_OK);
  ck_assert_int_eq(atomic_load(&outcome.ends), 1);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 2);
  ck_assert_int_eq(atomic_load(&attempts), 3);
}
END_TEST

START_TEST(a_quick_answer_needs_one_attempt) {
  Sky__Test__V1__Echo *response = NULL;
  start(0, slow, 0);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "hello", &response));
  ck_assert_str_eq(response->text, "hello");
  ck_assert_int_eq(atomic_load(&attempts), 1);
}
END_TEST

START_TEST(a_failure_starts_the_next_attempt_at_once) {
  start(2, slow, 0);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  ck_assert_int_eq(atomic_load(&attempts), 3);
}
END_TEST

START_TEST(when_all_attempts_fail_so_does_the_call) {
  Outcome outcome = {0};
  const SkyCallOptions options = {.on_end = call_ended, .user = &outcome};
  SkyContext context = sky_context_background();
  context.call_options = &options;
  start(100, slow, 0);
  assert_code(call_method(ECHO_INLINE, &context, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&attempts), 3);
  ck_assert_int_eq(atomic_load(&outcome.ends), 1);
}
END_TEST

START_TEST(a_final_failure_ends_the_call) {
  start(0, slow, 0);
  assert_code(call_method(ECHO_INLINE, NULL, "fail", NULL), SKY_CODE_NOT_FOUND);
  ck_assert_int_eq(atomic_load(&attempts), 1);
}
END_TEST

START_TEST(what_may_not_be_made_twice_is_not_hedged) {
  start(1, (SkyHedgingPolicy){.max_attempts = 3}, 0);
  assert_code(call_method(ECHO_WORKER, NULL, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&attempts), 1);
}
END_TEST

START_TEST(the_callers_cancellation_reaches_all_attempts) {
  Outcome outcome = {0};
  SkyContext context = sky_context_background();
  context.cancel = sky_cancel_create();
  start(0, quick, 0);
  call_deferred(&context, &outcome);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 3);
  sky_cancel_trigger(context.cancel);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_CANCELLED);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 3);
  sky_cancel_unref(context.cancel);
}
END_TEST

/* A context whose call counts its ends. */
static SkyContext context_of(SkyCallOptions *options, Outcome *outcome) {
  SkyContext context = sky_context_background();
  *options = (SkyCallOptions){.on_end = call_ended, .user = outcome};
  context.call_options = options;
  return context;
}

/* ---- attempts that could not be begun ---- */

START_TEST(an_attempt_without_room_is_no_answer) {
  Outcome outcome = {0};
  SkyCallOptions options;
  const SkyContext context = context_of(&options, &outcome);
  start_with(0, quick, 0, (SkyClientOptions){.max_concurrent_calls = 1});
  call_deferred(&context, &outcome);
  SKY_CHECK_EVENTUALLY(atomic_load(&ended) == 1);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  sky_call_finish(echo_service_take_any(&service), SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_OK);
  ck_assert_int_eq(atomic_load(&outcome.ends), 1);
  ck_assert_int_eq(atomic_load(&attempts), 1);
  ck_assert_int_eq(atomic_load(&ended), 2); /* one refusal was enough */
}
END_TEST

static SkyStatus refuse_the_second(void *self, SkyClientCall *call) {
  return atomic_load(&ended) > 0 ? SKY_RESOURCE_EXHAUSTED("one is enough") : SKY_OK;
}

/* The answer is the server's failure, not our refusal. */
START_TEST(an_attempt_refused_after_a_failure_ends_the_call_with_the_failure) {
  Outcome outcome = {0};
  SkyCallOptions options;
  const SkyContext context = context_of(&options, &outcome);
  start(100, slow, 0);
  ck_assert_ptr_null(sky_client_intercept(client, (SkyClientInterceptor){.begin = refuse_the_second}));
  assert_code(call_method(ECHO_INLINE, &context, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&outcome.ends), 1);
  ck_assert_int_eq(atomic_load(&attempts), 1);
  ck_assert_int_eq(atomic_load(&ended), 2);
}
END_TEST

START_TEST(a_call_whose_first_attempt_is_refused_is_refused) {
  Outcome open = {0}, outcome = {0};
  SkyCallOptions options;
  const SkyContext context = context_of(&options, &outcome);
  start_with(0, slow, 0, (SkyClientOptions){.max_concurrent_calls = 1});
  call_deferred(NULL, &open);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  assert_code(call_method(ECHO_INLINE, &context, "x", NULL), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(atomic_load(&outcome.ends), 0);
  ck_assert_int_eq(atomic_load(&attempts), 1);
  sky_call_finish(echo_service_take_any(&service), SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&open));
}
END_TEST

/* ---- what the server says about the next attempt ---- */

START_TEST(the_server_tells_when_the_next_attempt_may_come) {
  start(1, slow, 0);
  atomic_store(&retry_after_ms, 150);
  const int64_t begun_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  ck_assert_int_ge(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun_ns, 149 * SKY_NS_PER_MS);
  ck_assert_int_eq(atomic_load(&attempts), 2);
}
END_TEST

START_TEST(the_header_tells_when_the_next_attempt_may_come) {
  start(1, slow, 0);
  atomic_store(&pushback, "150");
  const int64_t begun_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  ck_assert_int_ge(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun_ns, 149 * SKY_NS_PER_MS);
  ck_assert_int_eq(atomic_load(&attempts), 2);
}
END_TEST

START_TEST(the_header_forbids_further_attempts) {
  static const char *const texts[] = {"-1", "soon", ""};
  Outcome outcome = {0};
  SkyCallOptions options;
  const SkyContext context = context_of(&options, &outcome);
  start(100, slow, 0);
  for (int i = 0; i < 3; i++) {
    atomic_store(&pushback, texts[i]);
    assert_code(call_method(ECHO_INLINE, &context, "x", NULL), SKY_CODE_UNAVAILABLE);
    ck_assert_int_eq(atomic_load(&attempts), i + 1);
    ck_assert_int_eq(atomic_load(&outcome.ends), i + 1);
  }
}
END_TEST

START_TEST(what_comes_after_the_deadline_is_not_waited_for) {
  Outcome outcome = {0};
  SkyCallOptions options;
  SkyContext context = context_of(&options, &outcome);
  context = sky_context_with_timeout_ms(&context, 20000);
  start(1, slow, 0);
  atomic_store(&retry_after_ms, 60000);
  const int64_t begun_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  assert_code(call_method(ECHO_INLINE, &context, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_lt(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun_ns, 15 * SKY_NS_PER_S);
  ck_assert_int_eq(atomic_load(&outcome.ends), 1);
}
END_TEST

/* ---- calls that end between attempts ---- */

START_TEST(a_call_between_attempts_is_cancelled_too) {
  Outcome outcome = {0};
  SkyCallOptions options;
  SkyContext context = context_of(&options, &outcome);
  context.cancel = sky_cancel_create();
  start(1, slow, 0);
  atomic_store(&retry_after_ms, 15000);
  call_deferred(&context, &outcome);
  SKY_CHECK_EVENTUALLY(atomic_load(&ended) == 1);
  sky_cancel_trigger(context.cancel);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_CANCELLED);
  ck_assert_int_eq(atomic_load(&outcome.ends), 1);
  ck_assert_int_eq(atomic_load(&attempts), 1);
  sky_cancel_unref(context.cancel);
}
END_TEST

START_TEST(a_client_is_destroyed_with_a_call_between_attempts) {
  Outcome outcome = {0};
  start(1, slow, 0);
  atomic_store(&retry_after_ms, 15000);
  call_deferred(NULL, &outcome);
  SKY_CHECK_EVENTUALLY(atomic_load(&ended) == 1);
  const int64_t begun_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  sky_client_destroy(client);
  client = NULL;
  ck_assert(is_done(&outcome));
  ck_assert_int_lt(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun_ns, 10 * SKY_NS_PER_S);
}
END_TEST

START_TEST(the_deadline_is_that_of_the_whole_call) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 100);
  start(0, quick, 0);
  assert_code(call_method(ECHO_DEFER, &context, "", NULL), SKY_CODE_DEADLINE_EXCEEDED);
}
END_TEST

START_TEST(the_budget_bounds_the_attempts) {
  Outcome outcome = {0};
  SkyCallOptions options;
  const SkyContext context = context_of(&options, &outcome);
  start(1000, slow, 4);
  for (int i = 0; i < 20; i++)
    assert_code(call_method(ECHO_INLINE, &context, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&outcome.ends), 20);
  ck_assert_int_eq(atomic_load(&attempts), 20 + 4);
}
END_TEST

START_TEST(a_client_is_destroyed_with_hedged_calls_open) {
  Outcome outcomes[8] = {0};
  start(0, quick, 0);
  for (int i = 0; i < 8; i++)
    call_deferred(NULL, &outcomes[i]);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) >= 8);
  sky_client_destroy(client);
  client = NULL;
  for (int i = 0; i < 8; i++) {
    ck_assert(is_done(&outcomes[i]));
    ck_assert_int_eq(outcomes[i].code, SKY_CODE_CANCELLED);
  }
}
END_TEST

static void *call_many(void *failures) {
  for (int i = 0; i < 100; i++) {
    SkyArena own;
    Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
    ProtobufCMessage *response = NULL;
    sky_arena_init(&own, 1 << 20);
    request.number = i;
    SkyStatus status = sky_client_call(client, &echo_methods[ECHO_INLINE], NULL, &request.base, &own, &response);
    *(int *)failures += status != SKY_OK || ((Sky__Test__V1__Echo *)(void *)response)->number != i;
    sky_status_free(status);
    sky_arena_finish(&own);
  }
  return NULL;
}

START_TEST(many_threads_hedge_at_once) {
  pthread_t threads[8];
  int failures[8] = {0};
  start(0, (SkyHedgingPolicy){.max_attempts = 3, .delay_ms = 0}, 1000);
  for (int i = 0; i < 8; i++)
    pthread_create(&threads[i], NULL, call_many, &failures[i]);
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_int_eq(failures[i], 0);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/hedge", NULL, teardown, the_first_answer_counts_and_the_others_are_cancelled,
                    a_quick_answer_needs_one_attempt, a_failure_starts_the_next_attempt_at_once,
                    when_all_attempts_fail_so_does_the_call, a_final_failure_ends_the_call,
                    what_may_not_be_made_twice_is_not_hedged, the_callers_cancellation_reaches_all_attempts,
                    an_attempt_without_room_is_no_answer,
                    an_attempt_refused_after_a_failure_ends_the_call_with_the_failure,
                    a_call_whose_first_attempt_is_refused_is_refused, the_header_tells_when_the_next_attempt_may_come,
                    the_header_forbids_further_attempts, what_comes_after_the_deadline_is_not_waited_for,
                    the_server_tells_when_the_next_attempt_may_come, a_call_between_attempts_is_cancelled_too,
                    a_client_is_destroyed_with_a_call_between_attempts, the_deadline_is_that_of_the_whole_call,
                    the_budget_bounds_the_attempts, a_client_is_destroyed_with_hedged_calls_open,
                    many_threads_hedge_at_once)
