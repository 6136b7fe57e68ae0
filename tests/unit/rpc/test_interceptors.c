/* The interceptors that come with the runtime, each alone, and what interceptors of any kind see of streams. */
#include "fixture.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <sky/core/log.h>
#include <sky/core/time.h>
#include <sky/rpc/interceptors/authorization.h>
#include <sky/rpc/interceptors/bulkhead.h>
#include <sky/rpc/interceptors/circuit.h>
#include <sky/rpc/interceptors/logging.h>
#include <sky/rpc/interceptors/metrics.h>
#include <sky/rpc/interceptors/shedding.h>
#include <sky/rpc/interceptors/tracing.h>
#include <sky/rpc/interceptors/validation.h>

static void start_with(SkyServerInterceptor interceptor) {
  start_server(&(SkyRpcOptions){.workers = 2}, (SkyServerOptions){0});
  ck_assert_ptr_null(sky_server_intercept(server, interceptor));
  start_client((SkyClientOptions){0});
}

static void start_plain(void) {
  start_server(&(SkyRpcOptions){.workers = 2}, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
}

static void call_async(EchoMethod method, const char *text, Outcome *outcome) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  request.text = (char *)text;
  sky_client_call_async(client, &echo_methods[method], NULL, &request.base, call_done, outcome);
}

/* ---- bulkhead ---- */

static void fill_and_overflow(SkyBulkhead *bulkhead) {
  Outcome open[2] = {0}, last = {0};
  for (int i = 0; i < 2; i++)
    call_async(ECHO_DEFER, "", &open[i]);
  SKY_CHECK_EVENTUALLY(sky_bulkhead_calls(bulkhead, &echo_methods[ECHO_DEFER]) == 2);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 2);
  SkyStatus status = call_method(ECHO_DEFER, NULL, "", NULL);
  ck_assert_int_eq(sky_status_retry_after_ms(status), 70);
  assert_code(status, SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "", NULL)); /* others have room of their own */
  for (int i = 0; i < 2; i++)
    sky_call_finish(echo_service_take_any(&service), SKY_OK);
  for (int i = 0; i < 2; i++)
    SKY_CHECK_EVENTUALLY(is_done(&open[i]));
  SKY_CHECK_EVENTUALLY(sky_bulkhead_calls(bulkhead, &echo_methods[ECHO_DEFER]) == 0);
  call_async(ECHO_DEFER, "", &last);
  SKY_CHECK_EVENTUALLY(sky_bulkhead_calls(bulkhead, &echo_methods[ECHO_DEFER]) == 1);
  SkyCall *call = NULL;
  SKY_CHECK_EVENTUALLY((call = echo_service_take_any(&service)) != NULL);
  sky_call_finish(call, SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&last));
}

static SkyBulkhead *create_bulkhead(void) {
  const SkyBulkheadLimit limits[] = {{&echo_methods[ECHO_DEFER], 2}};
  const SkyBulkheadOptions options = {.max_calls = 1, .limits = limits, .limit_count = 1, .retry_after_ms = 70};
  SkyBulkhead *bulkhead = NULL;
  ck_assert_ptr_null(sky_bulkhead_create(&options, &bulkhead));
  return bulkhead;
}

START_TEST(a_servers_bulkhead_bounds_each_method) {
  SkyBulkhead *bulkhead = create_bulkhead();
  start_with(sky_bulkhead_server(bulkhead));
  fill_and_overflow(bulkhead);
  teardown();
  sky_bulkhead_destroy(bulkhead);
}
END_TEST

START_TEST(a_clients_bulkhead_bounds_each_method) {
  SkyBulkhead *bulkhead = create_bulkhead();
  start_plain();
  ck_assert_ptr_null(sky_client_intercept(client, sky_bulkhead_client(bulkhead)));
  fill_and_overflow(bulkhead);
  teardown();
  sky_bulkhead_destroy(bulkhead);
}
END_TEST

/* ---- circuit ---- */

static SkyManualClock hands;

static SkyCircuit *create_circuit(bool per_method) {
  const SkyCircuitOptions options = {
      .policy = {.failures = 3, .open_ms = 100, .max_open_ms = 1000}, .per_method = per_method, .clock = &hands.clock};
  SkyCircuit *circuit = NULL;
  sky_manual_clock_init(&hands, 0);
  ck_assert_ptr_null(sky_circuit_create(&options, &circuit));
  return circuit;
}

static _Atomic SkyCode failure; /* of all calls; OK: none */
static atomic_int reached;

static SkyStatus fall_sick(void *self, SkyCall *call, const ProtobufCMessage *request) {
  atomic_fetch_add(&reached, 1);
  return failure != SKY_CODE_OK ? sky_status_new(failure, "sick") : SKY_OK;
}

static void start_sick(SkyCircuit *circuit) {
  failure = SKY_CODE_UNAVAILABLE;
  start_with((SkyServerInterceptor){.begin = fall_sick});
  ck_assert_ptr_null(sky_client_intercept(client, sky_circuit_client(circuit)));
  for (int i = 0; i < 3; i++)
    assert_code(call_method(ECHO_WORKER, NULL, "", NULL), SKY_CODE_UNAVAILABLE);
}

START_TEST(a_sick_peer_is_left_in_peace_and_then_tried) {
  SkyCircuit *circuit = create_circuit(false);
  start_sick(circuit);
  SkyStatus status = call_method(ECHO_WORKER, NULL, "", NULL);
  ck_assert_int_eq(sky_status_retry_after_ms(status), 100);
  assert_code(status, SKY_CODE_UNAVAILABLE);
  assert_code(call_method(ECHO_INLINE, NULL, "", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert(sky_circuit_is_open(circuit, &echo_methods[ECHO_INLINE]));
  ck_assert_int_eq(atomic_load(&reached), 3);
  sky_manual_clock_advance_ms(&hands, 100);
  failure = SKY_CODE_OK;
  ck_assert_ptr_null(call_method(ECHO_WORKER, NULL, "", NULL));
  ck_assert(!sky_circuit_is_open(circuit, &echo_methods[ECHO_INLINE]));
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "", NULL));
  teardown();
  sky_circuit_destroy(circuit);
}
END_TEST

START_TEST(a_circuit_may_be_of_one_method) {
  SkyCircuit *circuit = create_circuit(true);
  start_sick(circuit);
  failure = SKY_CODE_OK;
  assert_code(call_method(ECHO_WORKER, NULL, "", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "", NULL));
  teardown();
  sky_circuit_destroy(circuit);
}
END_TEST

START_TEST(a_peer_that_says_no_is_well) {
  SkyCircuit *circuit = create_circuit(false);
  failure = SKY_CODE_NOT_FOUND;
  start_with((SkyServerInterceptor){.begin = fall_sick});
  ck_assert_ptr_null(sky_client_intercept(client, sky_circuit_client(circuit)));
  for (int i = 0; i < 10; i++)
    assert_code(call_method(ECHO_WORKER, NULL, "", NULL), SKY_CODE_NOT_FOUND);
  ck_assert_int_eq(atomic_load(&reached), 10);
  teardown();
  sky_circuit_destroy(circuit);
}
END_TEST

/* A probe that our own validation refuses has not been sent: the circuit stays open. */
START_TEST(what_is_refused_here_says_nothing_of_the_peer) {
  SkyCircuit *circuit = create_circuit(false);
  start_sick(circuit);
  ck_assert_ptr_null(sky_client_intercept(client, sky_validation_client()));
  sky_manual_clock_advance_ms(&hands, 100);
  assert_code(call_method(ECHO_RULED, NULL, "much too long a text", NULL), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_int_eq(atomic_load(&reached), 3);
  assert_code(call_method(ECHO_WORKER, NULL, "", NULL), SKY_CODE_UNAVAILABLE); /* the probe */
  ck_assert_int_eq(atomic_load(&reached), 4);
  ck_assert(sky_circuit_is_open(circuit, &echo_methods[ECHO_RULED]));
  assert_code(call_method(ECHO_WORKER, NULL, "", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&reached), 4);
  teardown();
  sky_circuit_destroy(circuit);
}
END_TEST

/* Failures in a row stay in a row when something is refused here in between. */
START_TEST(what_is_refused_here_does_not_make_the_peer_well) {
  SkyCircuit *circuit = create_circuit(false);
  failure = SKY_CODE_UNAVAILABLE;
  start_with((SkyServerInterceptor){.begin = fall_sick});
  ck_assert_ptr_null(sky_client_intercept(client, sky_circuit_client(circuit)));
  ck_assert_ptr_null(sky_client_intercept(client, sky_validation_client()));
  for (int i = 0; i < 3; i++) {
    assert_code(call_method(ECHO_RULED, NULL, "much too long a text", NULL), SKY_CODE_INVALID_ARGUMENT);
    assert_code(call_method(ECHO_WORKER, NULL, "", NULL), SKY_CODE_UNAVAILABLE);
  }
  ck_assert(sky_circuit_is_open(circuit, &echo_methods[ECHO_WORKER]));
  teardown();
  sky_circuit_destroy(circuit);
}
END_TEST

/* ---- shedding ---- */

static int64_t tick(void *ns) {
  return atomic_fetch_add((atomic_llong *)ns, 7 * SKY_NS_PER_MS) + 7 * SKY_NS_PER_MS;
}

/* Two calls hold the workers, eight wait for them; each that begins moves the clock by 7 ms. */
START_TEST(what_waited_too_long_is_turned_away) {
  atomic_llong ns = 0;
  const SkyClock clock = {.wall_ns = tick, .monotonic_ns = tick, .self = &ns};
  const SkySheddingOptions options = {.target_ms = 5, .interval_ms = 20, .retry_after_ms = 300, .clock = &clock};
  SkyShedding *shedding = NULL;
  Outcome blocked[2] = {0}, waiting[8] = {0};
  ck_assert_ptr_null(sky_shedding_create(&options, &shedding));
  start_with(sky_shedding_server(shedding));
  for (int i = 0; i < 2; i++)
    call_async(ECHO_WORKER, "block", &blocked[i]);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 2);
  for (int i = 0; i < 8; i++)
    call_async(ECHO_WORKER, "", &waiting[i]);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 10);
  const int64_t begun_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  SKY_CHECK_EVENTUALLY(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun_ns > 30 * SKY_NS_PER_MS);
  echo_service_release(&service);
  size_t turned_away = 0;
  for (int i = 0; i < 8; i++) {
    SKY_CHECK_EVENTUALLY(is_done(&waiting[i]));
    ck_assert(waiting[i].code == SKY_CODE_OK || waiting[i].code == SKY_CODE_UNAVAILABLE);
    turned_away += waiting[i].code == SKY_CODE_UNAVAILABLE;
  }
  for (int i = 0; i < 2; i++)
    SKY_CHECK_EVENTUALLY(is_done(&blocked[i]));
  ck_assert_uint_eq(turned_away, 4); /* from 49 ms on, after an interval in which all had waited */
  ck_assert_uint_eq(sky_shedding_count(shedding), 4);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "", NULL));
  teardown();
  sky_shedding_destroy(shedding);
}
END_TEST

/* ---- authorization ---- */

static SkyStatus decide_by_method(void *user, SkyCall *call) {
  return sky_call_method(call) == user ? SKY_PERMISSION_DENIED("not you") : sky_authorize_by_contract(call, false);
}

static SkyStatus call_as(const SkyPrincipal *principal, EchoMethod method) {
  SkyContext context = sky_context_background();
  context.principal = principal;
  return call_method(method, &context, "", NULL);
}

START_TEST(the_contract_says_who_may_call) {
  const SkyAuthorization authorization = {.require_principal = true};
  const SkyPrincipal reader = {.subject = "r", .owner_id = "acme", .scopes = "echo.reader other"};
  const SkyPrincipal writer = {.subject = "w", .owner_id = "acme", .scopes = "other echo.read x"};
  start_with(sky_authorization_server(&authorization));
  assert_code(call_as(NULL, ECHO_GUARDED), SKY_CODE_UNAUTHENTICATED);
  SkyStatus status = call_as(&reader, ECHO_GUARDED);
  ck_assert_str_eq(sky_status_reason(status), "SCOPE_MISSING");
  ck_assert_str_eq(sky_status_metadata(status, "scope"), "echo.read");
  assert_code(status, SKY_CODE_PERMISSION_DENIED);
  ck_assert_ptr_null(call_as(&writer, ECHO_GUARDED));
  ck_assert_ptr_null(call_as(NULL, ECHO_WORKER)); /* no public method: another service's work */
  teardown();
}
END_TEST

START_TEST(a_function_may_say_who_may_call) {
  const SkyAuthorization authorization = {.decide = decide_by_method, .user = (void *)&echo_methods[ECHO_WORKER]};
  start_with(sky_authorization_server(&authorization));
  assert_code(call_as(NULL, ECHO_WORKER), SKY_CODE_PERMISSION_DENIED);
  ck_assert_ptr_null(call_as(NULL, ECHO_GUARDED));
  teardown();
}
END_TEST

/* ---- logging, metrics, tracing ---- */

static char logged[8192];

static void read_log(int fd) {
  const ssize_t size = pread(fd, logged, sizeof(logged) - 1, 0);
  logged[size > 0 ? size : 0] = '\0';
}

START_TEST(calls_are_logged_on_both_sides) {
  FILE *file = tmpfile();
  sky_log_init("test", SKY_DEBUG, fileno(file));
  start_with(sky_logging_server());
  ck_assert_ptr_null(sky_client_intercept(client, sky_logging_client()));
  assert_code(call_method(ECHO_WORKER, NULL, "fail", NULL), SKY_CODE_NOT_FOUND);
  SKY_CHECK_EVENTUALLY((read_log(fileno(file)), strstr(logged, "rpc.served") && strstr(logged, "rpc.called")));
  ck_assert_ptr_nonnull(strstr(logged, "sky.test.v1.EchoService/Worker: NOT_FOUND: no package here"));
  teardown();
  fclose(file);
}
END_TEST

START_TEST(calls_are_measured_on_both_sides) {
  SkyMetrics *registry = NULL;
  SkyRpcMetrics metrics;
  SkyBuf page;
  ck_assert_ptr_null(sky_metrics_create(&registry));
  sky_rpc_metrics_init(&metrics, registry);
  start_with(sky_rpc_metrics_server(&metrics));
  ck_assert_ptr_null(sky_client_intercept(client, sky_rpc_metrics_client(&metrics)));
  assert_code(call_method(ECHO_WORKER, NULL, "fail", NULL), SKY_CODE_NOT_FOUND);
  assert_code(call_method(ECHO_INLINE, NULL, "\xff", NULL), SKY_CODE_INVALID_ARGUMENT); /* no message at all */
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
  sky_buf_init(&page, 1 << 20);
  sky_metrics_write(registry, false, &page);
  sky_buf_append_byte(&page, 0);
  const char *text = (const char *)page.data;
  ck_assert_ptr_nonnull(strstr(text, "rpc_server_call_duration_seconds_count"));
  ck_assert_ptr_nonnull(strstr(text, "rpc_client_call_duration_seconds_count"));
  ck_assert_ptr_nonnull(strstr(text, "EchoService/Worker"));
  ck_assert_ptr_nonnull(strstr(text, "INVALID_ARGUMENT"));
  sky_buf_finish(&page);
  teardown();
  sky_metrics_destroy(registry);
}
END_TEST

typedef struct Spans {
  pthread_mutex_t lock;
  size_t count;
  struct {
    SkyTrace trace;
    uint8_t parent[8];
    bool has_parent, is_client;
    SkyCode code;
  } list[4];
} Spans;

static void keep_span(void *user, const SkyRpcSpan *span) {
  Spans *spans = user;
  pthread_mutex_lock(&spans->lock);
  const size_t i = spans->count++;
  spans->list[i].trace = *span->trace;
  spans->list[i].has_parent = span->parent_span_id != NULL;
  if (span->parent_span_id != NULL)
    memcpy(spans->list[i].parent, span->parent_span_id, 8);
  spans->list[i].is_client = span->is_client;
  spans->list[i].code = sky_status_code(span->status);
  ck_assert_int_ge(span->duration_ns, 0);
  ck_assert_int_gt(span->begun_unix_ns, 0);
  pthread_mutex_unlock(&spans->lock);
}

static size_t count_of(Spans *spans) {
  pthread_mutex_lock(&spans->lock);
  const size_t count = spans->count;
  pthread_mutex_unlock(&spans->lock);
  return count;
}

START_TEST(every_call_is_a_span_below_its_callers) {
  Spans spans = {.lock = PTHREAD_MUTEX_INITIALIZER};
  const SkyRpcTracing tracing = {.export_span = keep_span, .user = &spans};
  const SkyContext context = sky_context_background();
  start_with(sky_rpc_tracing_server(&tracing));
  ck_assert_ptr_null(sky_client_intercept(client, sky_rpc_tracing_client(&tracing)));
  assert_code(call_method(ECHO_WORKER, &context, "fail", NULL), SKY_CODE_NOT_FOUND);
  SKY_CHECK_EVENTUALLY(count_of(&spans) == 2);
  const size_t of_client = spans.list[0].is_client ? 0 : 1, of_server = 1 - of_client;
  ck_assert_mem_eq(spans.list[0].trace.trace_id, context.trace.trace_id, 16);
  ck_assert_mem_eq(spans.list[1].trace.trace_id, context.trace.trace_id, 16);
  ck_assert(spans.list[0].has_parent && spans.list[1].has_parent);
  ck_assert_mem_eq(spans.list[of_client].parent, context.trace.span_id, 8);
  ck_assert_mem_eq(spans.list[of_server].parent, spans.list[of_client].trace.span_id, 8);
  ck_assert_int_eq(spans.list[of_server].code, SKY_CODE_NOT_FOUND);
  ck_assert_int_eq(spans.list[of_client].code, SKY_CODE_NOT_FOUND);
  teardown();
}
END_TEST

/* ---- messages of streams, and own slots ---- */

typedef struct Seen {
  atomic_int received, sent, slots;
  int32_t refuse; /* a message with this number */
} Seen;

static SkyStatus look_at(atomic_int *count, const Seen *seen, const ProtobufCMessage *message) {
  atomic_fetch_add(count, 1);
  const int32_t number = ((const Sky__Test__V1__Echo *)(const void *)message)->number;
  return number == seen->refuse ? SKY_OUT_OF_RANGE("not %d", (int)number) : SKY_OK;
}

static SkyStatus served_begin(void *self, SkyCall *call, const ProtobufCMessage *request) {
  *sky_call_own_slot(call) = self;
  return SKY_OK;
}

static void served_end(void *self, SkyCall *call, SkyStatus *status) {
  atomic_fetch_add(&((Seen *)self)->slots, *sky_call_own_slot(call) == self);
}

static SkyStatus served_received(void *self, SkyCall *call, const ProtobufCMessage *message) {
  return look_at(&((Seen *)self)->received, self, message);
}

static SkyStatus served_sending(void *self, SkyCall *call, const ProtobufCMessage *message) {
  return look_at(&((Seen *)self)->sent, self, message);
}

static SkyStatus made_begin(void *self, SkyClientCall *call) {
  *sky_client_call_own_slot(call) = self;
  return SKY_OK;
}

static void made_end(void *self, SkyClientCall *call, const SkyError *status) {
  atomic_fetch_add(&((Seen *)self)->slots, *sky_client_call_own_slot(call) == self);
}

static SkyStatus made_sending(void *self, SkyClientCall *call, const ProtobufCMessage *message) {
  return look_at(&((Seen *)self)->sent, self, message);
}

static SkyStatus made_received(void *self, SkyClientCall *call, const ProtobufCMessage *message) {
  return look_at(&((Seen *)self)->received, self, message);
}

static void chat(int32_t first, int32_t last, Outcome *outcome) {
  SkyClientStream *stream = NULL;
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = stream_done, .user = outcome};
  ck_assert_ptr_null(sky_client_stream_open(client, &echo_methods[ECHO_CHAT], NULL, NULL, handler, &stream));
  SkyStatus status = SKY_OK;
  for (int32_t i = first; i <= last && status == SKY_OK; i++) {
    Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
    message.number = i;
    status = sky_client_stream_write(stream, &message.base);
  }
  ck_assert(status == SKY_OK || sky_status_take(&status, SKY_CODE_CANCELLED)); /* it may have been ended already */
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(is_done(outcome));
  sky_client_stream_unref(stream);
}

START_TEST(interceptors_see_every_message_of_a_stream) {
  Seen of_server[2] = {{.refuse = -1}, {.refuse = -1}}, of_client[2] = {{.refuse = -1}, {.refuse = -1}};
  Outcome outcome = {0};
  start_server(NULL, (SkyServerOptions){0});
  for (int i = 0; i < 2; i++)
    ck_assert_ptr_null(sky_server_intercept(
        server, (SkyServerInterceptor){served_begin, served_end, &of_server[i], served_received, served_sending}));
  start_client((SkyClientOptions){0});
  for (int i = 0; i < 2; i++)
    ck_assert_ptr_null(sky_client_intercept(
        client, (SkyClientInterceptor){made_begin, made_end, &of_client[i], made_sending, made_received}));
  chat(1, 5, &outcome);
  ck_assert_int_eq(outcome.code, SKY_CODE_OK);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(atomic_load(&of_client[i].sent), 5);
    ck_assert_int_eq(atomic_load(&of_server[i].received), 5);
    ck_assert_int_eq(atomic_load(&of_server[i].sent), 5);
    ck_assert_int_eq(atomic_load(&of_client[i].received), 5);
    SKY_CHECK_EVENTUALLY(atomic_load(&of_server[i].slots) == 1);
    ck_assert_int_eq(atomic_load(&of_client[i].slots), 1);
  }
  teardown();
}
END_TEST

START_TEST(a_message_that_an_interceptor_refuses_ends_the_stream) {
  Seen seen = {.refuse = 3};
  Outcome outcome = {0};
  start_with((SkyServerInterceptor){.self = &seen, .received = served_received});
  chat(1, 5, &outcome);
  ck_assert_int_eq(outcome.code, SKY_CODE_OUT_OF_RANGE);
  ck_assert_int_eq(atomic_load(&seen.received), 3);
  teardown();
}
END_TEST

START_TEST(a_client_refuses_what_it_may_not_send_or_take) {
  Seen sending = {.refuse = 7}, receiving = {.refuse = 7};
  start_plain();
  ck_assert_ptr_null(sky_client_intercept(client, (SkyClientInterceptor){.self = &sending, .sending = made_sending}));
  assert_code(call_method(ECHO_INLINE, NULL, "", NULL), SKY_CODE_OUT_OF_RANGE); /* its number is 7 */
  ck_assert_uint_eq(sky_server_stats(server).started, 0);
  sending.refuse = -1;
  ck_assert_ptr_null(
      sky_client_intercept(client, (SkyClientInterceptor){.self = &receiving, .received = made_received}));
  assert_code(call_method(ECHO_INLINE, NULL, "", NULL), SKY_CODE_OUT_OF_RANGE);
  ck_assert_uint_eq(sky_server_stats(server).started, 1);
  teardown();
}
END_TEST

/* ---- validation ---- */

START_TEST(requests_are_held_to_the_contract_before_they_are_sent) {
  start_plain();
  ck_assert_ptr_null(sky_client_intercept(client, sky_validation_client()));
  SkyStatus status = call_method(ECHO_RULED, NULL, "much too long a text", NULL);
  ck_assert_uint_eq(sky_status_violation_count(status), 1);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "text");
  assert_code(status, SKY_CODE_INVALID_ARGUMENT);
  ck_assert_uint_eq(sky_server_stats(server).started, 0);
  ck_assert_ptr_null(call_method(ECHO_RULED, NULL, "short", NULL));
  teardown();
}
END_TEST

START_TEST(a_server_validates_behind_the_other_interceptors) {
  Seen seen = {.refuse = -1};
  start_with((SkyServerInterceptor){served_begin, served_end, &seen, NULL, NULL});
  assert_code(call_method(ECHO_RULED, NULL, "much too long a text", NULL), SKY_CODE_INVALID_ARGUMENT);
  SKY_CHECK_EVENTUALLY(atomic_load(&seen.slots) == 1);
  teardown();
}
END_TEST

START_TEST(a_server_may_be_told_not_to_validate) {
  start_server(NULL, (SkyServerOptions){.no_validation = true});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(call_method(ECHO_RULED, NULL, "much too long a text", NULL));
  teardown();
}
END_TEST

SKY_CHECK_MAIN("rpc/interceptors", a_servers_bulkhead_bounds_each_method, a_clients_bulkhead_bounds_each_method,
               a_sick_peer_is_left_in_peace_and_then_tried, a_circuit_may_be_of_one_method, a_peer_that_says_no_is_well,
               what_is_refused_here_says_nothing_of_the_peer, what_is_refused_here_does_not_make_the_peer_well,
               what_waited_too_long_is_turned_away, the_contract_says_who_may_call, a_function_may_say_who_may_call,
               calls_are_logged_on_both_sides, calls_are_measured_on_both_sides, every_call_is_a_span_below_its_callers,
               interceptors_see_every_message_of_a_stream, a_message_that_an_interceptor_refuses_ends_the_stream,
               a_client_refuses_what_it_may_not_send_or_take, requests_are_held_to_the_contract_before_they_are_sent,
               a_server_validates_behind_the_other_interceptors, a_server_may_be_told_not_to_validate)
