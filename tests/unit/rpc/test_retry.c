/* Retries by service config: what is tried again, how often, when, and when not. */
#include "fixture.h"

#include <stdatomic.h>
#include <string.h>

#include <sky/core/time.h>

/* The server fails calls before they reach a handler. */
typedef struct Trouble {
  atomic_int attempts, failing; /* made; still to fail */
  _Atomic SkyCode code;
  _Atomic int64_t retry_after_ms; /* -1: says nothing */
  atomic_int said_attempt;        /* grpc-previous-rpc-attempts of the last one */
} Trouble;

static Trouble trouble;

static SkyStatus fail_some(void *self, SkyCall *call, const ProtobufCMessage *request) {
  SkyStr previous;
  atomic_fetch_add(&trouble.attempts, 1);
  if (sky_call_metadata(call, "grpc-previous-rpc-attempts", &previous))
    atomic_store(&trouble.said_attempt, previous.data[0] - '0');
  if (atomic_fetch_sub(&trouble.failing, 1) <= 0)
    return SKY_OK;
  SkyStatus status = sky_status_new(trouble.code, "trouble");
  return trouble.retry_after_ms >= 0 ? sky_status_with_retry_after_ms(status, trouble.retry_after_ms) : status;
}

static const SkyServiceDescriptor *services[2];

static void start(int failing, SkyServiceConfig config) {
  services[0] = echo_service_binding(&service).service;
  config.services = services;
  trouble.code = SKY_CODE_UNAVAILABLE;
  trouble.retry_after_ms = -1;
  trouble.failing = failing;
  start_server(NULL, (SkyServerOptions){0});
  ck_assert_ptr_null(sky_server_intercept(server, (SkyServerInterceptor){.begin = fail_some}));
  start_client((SkyClientOptions){.config = &config});
}

static const SkyServiceConfig quick = {.retry = {.initial_backoff_ms = 1, .max_backoff_ms = 2}};

static int64_t now_ms(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) / SKY_NS_PER_MS;
}

START_TEST(an_idempotent_method_is_tried_again) {
  start(2, quick);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  ck_assert_int_eq(atomic_load(&trouble.attempts), 3);
  ck_assert_int_eq(atomic_load(&trouble.said_attempt), 2);
}
END_TEST

START_TEST(another_method_is_not) {
  start(2, quick);
  assert_code(call_method(ECHO_WORKER, NULL, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&trouble.attempts), 1);
}
END_TEST

START_TEST(attempts_are_counted) {
  SkyServiceConfig config = quick;
  config.retry.max_attempts = 3;
  start(100, config);
  assert_code(call_method(ECHO_INLINE, NULL, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&trouble.attempts), 3);
}
END_TEST

START_TEST(one_attempt_means_no_retries) {
  SkyServiceConfig config = quick;
  config.retry.max_attempts = 1;
  start(1, config);
  assert_code(call_method(ECHO_INLINE, NULL, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&trouble.attempts), 1);
}
END_TEST

START_TEST(only_the_codes_that_were_named_are_tried_again) {
  const SkyCode codes[] = {SKY_CODE_ABORTED, SKY_CODE_RESOURCE_EXHAUSTED};
  SkyServiceConfig config = quick;
  config.retry.codes = codes;
  config.retry.code_count = 2;
  start(1, config);
  assert_code(call_method(ECHO_INLINE, NULL, "x", NULL), SKY_CODE_UNAVAILABLE);
  trouble.code = SKY_CODE_ABORTED;
  atomic_store(&trouble.failing, 1);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  ck_assert_int_eq(atomic_load(&trouble.attempts), 3);
}
END_TEST

START_TEST(the_server_tells_when_to_come_back) {
  start(1, quick);
  trouble.retry_after_ms = 250;
  const int64_t begun_ms = now_ms();
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  ck_assert_int_ge(now_ms() - begun_ms, 249);
  ck_assert_int_eq(atomic_load(&trouble.attempts), 2);
}
END_TEST

START_TEST(the_deadline_ends_the_retries) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 400);
  start(1, quick);
  trouble.retry_after_ms = 10000;
  SkyStatus status = call_method(ECHO_INLINE, &context, "x", NULL);
  ck_assert_ptr_nonnull(status);
  sky_status_free(status);
  ck_assert_int_le(atomic_load(&trouble.attempts), 1);
}
END_TEST

/* Failures take a token each; from the half of the tokens on nothing is tried again. */
START_TEST(the_budget_ends_a_storm_of_retries) {
  SkyServiceConfig config = quick;
  config.throttling.max_tokens = 10;
  start(1000, config);
  for (int i = 0; i < 30; i++)
    assert_code(call_method(ECHO_INLINE, NULL, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_int_ge(atomic_load(&trouble.attempts), 30 + 3);
  ck_assert_int_le(atomic_load(&trouble.attempts), 30 + 5);
}
END_TEST

START_TEST(without_policies_there_is_only_round_robin) {
  const SkyServiceConfig none = {0};
  SkyBuf json;
  start(0, quick);
  sky_buf_init(&json, 1 << 16);
  ck_assert_ptr_null(sky_service_config_write(&none, &json));
  sky_buf_append_byte(&json, 0);
  ck_assert_str_eq((const char *)json.data, "{\"loadBalancingConfig\":[{\"round_robin\":{}}]}");
  sky_buf_finish(&json);
}
END_TEST

START_TEST(the_config_is_written_as_grpc_reads_it) {
  const SkyCode codes[] = {SKY_CODE_UNAVAILABLE, SKY_CODE_ABORTED};
  SkyServiceConfig config = {
      .services = services,
      .retry = {.max_attempts = 3, .initial_backoff_ms = 20, .max_backoff_ms = 1500, .codes = codes, .code_count = 2},
      .throttling = {.max_tokens = 50, .tokens_per_success = 0.25},
      .health_service = "a \"b\""};
  SkyBuf json;
  start(0, quick);
  sky_buf_init(&json, 1 << 16);
  ck_assert_ptr_null(sky_service_config_write(&config, &json));
  sky_buf_append_byte(&json, 0);
  ck_assert_str_eq((const char *)json.data,
                   "{\"loadBalancingConfig\":[{\"round_robin\":{}}],\"methodConfig\":[{\"name\":["
                   "{\"service\":\"sky.test.v1.EchoService\",\"method\":\"Inline\"},"
                   "{\"service\":\"sky.test.v1.EchoService\",\"method\":\"Defer\"}],"
                   "\"retryPolicy\":{\"maxAttempts\":3,\"initialBackoff\":\"0.020s\",\"maxBackoff\":\"1.500s\","
                   "\"backoffMultiplier\":2.000,\"retryableStatusCodes\":[\"UNAVAILABLE\",\"ABORTED\"]}}],"
                   "\"retryThrottling\":{\"maxTokens\":50,\"tokenRatio\":0.250},"
                   "\"healthCheckConfig\":{\"serviceName\":\"a \\\"b\\\"\"}}");
  sky_buf_finish(&json);
}
END_TEST

START_TEST(a_config_that_cannot_be_is_refused) {
  const SkyCode ok[] = {SKY_CODE_OK};
  const SkyServiceConfig configs[] = {{.services = services, .retry = {.initial_backoff_ms = -1}},
                                      {.services = services, .retry = {.codes = ok, .code_count = 1}},
                                      {.services = services, .throttling = {.max_tokens = 1001}},
                                      {.hedging = {.max_attempts = 6}},
                                      {.hedging = {.max_attempts = 2, .delay_ms = -1}},
                                      {.hedging = {.max_attempts = 2, .codes = ok, .code_count = 1}},
                                      {.hedging = {.max_attempts = 2, .codes = ok}}};
  start(0, quick);
  for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
    SkyClient *wrong = NULL;
    const SkyClientOptions options = {.target = address, .config = &configs[i]};
    assert_code(sky_client_create(rpc, &options, &wrong), SKY_CODE_INVALID_ARGUMENT);
  }
}
END_TEST

/* ---- health ---- */

START_TEST(only_servers_that_say_they_serve_are_called) {
  const SkyServiceConfig config = {.health_service = "sky.test.v1.EchoService"};
  const SkyCallOptions impatient = {.connect_wait_ms = -1};
  SkyContext context = sky_context_background();
  context.call_options = &impatient;
  start_server(NULL, (SkyServerOptions){0});
  ck_assert_ptr_null(sky_server_start(server));
  snprintf(address, sizeof(address), "127.0.0.1:%d", sky_server_port(server));
  ck_assert_ptr_null(sky_client_create(rpc, &(SkyClientOptions){.target = address, .config = &config}, &client));
  assert_code(call_method(ECHO_WORKER, &context, "x", NULL), SKY_CODE_UNAVAILABLE);
  sky_server_set_serving(server, true);
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(client));
  ck_assert_ptr_null(call_method(ECHO_WORKER, &context, "x", NULL));
  sky_server_set_serving(server, false);
  SKY_CHECK_EVENTUALLY(!sky_client_is_ready(client));
  assert_code(call_method(ECHO_WORKER, &context, "x", NULL), SKY_CODE_UNAVAILABLE);
  echo_service_synchronize(&service);
  ck_assert_uint_eq(service.handled, 1);
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/retry", NULL, teardown, an_idempotent_method_is_tried_again, another_method_is_not,
                    attempts_are_counted, one_attempt_means_no_retries, only_the_codes_that_were_named_are_tried_again,
                    the_server_tells_when_to_come_back, the_deadline_ends_the_retries,
                    the_budget_ends_a_storm_of_retries, without_policies_there_is_only_round_robin,
                    the_config_is_written_as_grpc_reads_it, a_config_that_cannot_be_is_refused,
                    only_servers_that_say_they_serve_are_called)
