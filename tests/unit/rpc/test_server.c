/* Limits, interceptors, draining and destroying of a server. */
#include "fixture.h"

#include <string.h>

#include <sky/rpc/raw.h>

static void call_async(SkyClient *through, EchoMethod method, const SkyContext *context, const char *text,
                       Outcome *outcome) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  request.text = (char *)text;
  *outcome = (Outcome){0};
  sky_client_call_async(through, &echo_methods[method], context, &request.base, call_done, outcome);
}

START_TEST(a_full_queue_turns_calls_away_with_the_time_to_retry) {
  Outcome outcomes[4];
  start_server(&(SkyRpcOptions){.workers = 1, .max_queued_calls = 2}, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  call_async(client, ECHO_WORKER, NULL, "block", &outcomes[0]);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 1);
  for (int i = 1; i < 4; i++)
    call_async(client, ECHO_WORKER, NULL, "x", &outcomes[i]);
  SKY_CHECK_EVENTUALLY(is_done(&outcomes[3]));
  ck_assert_int_eq(outcomes[3].code, SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_int_gt(outcomes[3].retry_after_ms, 0);
  echo_service_release(&service);
  for (int i = 0; i < 3; i++) {
    SKY_CHECK_EVENTUALLY(is_done(&outcomes[i]));
    ck_assert_int_eq(outcomes[i].code, SKY_CODE_OK);
  }
  ck_assert_uint_eq(sky_server_stats(server).shed, 1);
  teardown();
}
END_TEST

START_TEST(a_call_whose_deadline_passed_in_the_queue_is_not_begun) {
  Outcome blocking, late;
  start_server(&(SkyRpcOptions){.workers = 1}, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  call_async(client, ECHO_WORKER, NULL, "block", &blocking);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 1);
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 100);
  call_async(client, ECHO_WORKER, &context, "late", &late);
  SKY_CHECK_EVENTUALLY(is_done(&late));
  ck_assert_int_eq(late.code, SKY_CODE_DEADLINE_EXCEEDED);
  /* The server's deadline counts from the call's arrival; one that arrives even later than this is begun, and rightly.
   */
  const int64_t passed_ns = context.deadline_ns + 200 * SKY_NS_PER_MS;
  SKY_CHECK_EVENTUALLY(sky_clock_monotonic_ns(sky_clock_system_borrow()) > passed_ns);
  echo_service_release(&service);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
  echo_service_synchronize(&service);
  ck_assert_uint_eq(service.handled_late, 0);
  teardown();
}
END_TEST

START_TEST(the_server_bounds_its_open_calls) {
  Outcome first, second;
  SkyClient *other = NULL;
  start_server(NULL, (SkyServerOptions){.max_concurrent_calls = 1});
  start_client((SkyClientOptions){.service_name = "one"});
  call_async(client, ECHO_DEFER, NULL, "", &first);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  /* A connection of its own: on the same one the second call would wait for the first one's place. */
  ck_assert_ptr_null(sky_client_create(rpc, &(SkyClientOptions){.target = address, .service_name = "two"}, &other));
  call_async(other, ECHO_INLINE, NULL, "", &second);
  SKY_CHECK_EVENTUALLY(is_done(&second));
  ck_assert_int_eq(second.code, SKY_CODE_RESOURCE_EXHAUSTED);
  sky_call_finish(service.deferred[0], SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&first));
  ck_assert_int_eq(first.code, SKY_CODE_OK);
  sky_client_destroy(other);
  teardown();
}
END_TEST

START_TEST(the_client_bounds_its_open_calls) {
  Outcome first, second;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){.max_concurrent_calls = 1});
  call_async(client, ECHO_DEFER, NULL, "", &first);
  call_async(client, ECHO_INLINE, NULL, "", &second);
  ck_assert(is_done(&second)); /* at once */
  ck_assert_int_eq(second.code, SKY_CODE_RESOURCE_EXHAUSTED);
  teardown(); /* with the first one open */
  ck_assert(is_done(&first));
  ck_assert_int_eq(first.code, SKY_CODE_CANCELLED);
}
END_TEST

START_TEST(a_request_that_is_too_large_is_refused) {
  start_server(NULL, (SkyServerOptions){.max_request_bytes = 10000});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(call_with_payload(9000));
  assert_code(call_with_payload(11000), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_ptr_null(call_with_payload(9000));
  echo_service_synchronize(&service);
  ck_assert_uint_eq(service.handled, 2);
  teardown();
}
END_TEST

START_TEST(a_response_that_is_too_large_is_refused) {
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){.max_response_bytes = 10000});
  assert_code(call_with_payload(11000), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_ptr_null(call_with_payload(9000));
  teardown();
}
END_TEST

START_TEST(a_request_beyond_the_memory_budget_is_refused) {
  enum { CHILDREN = 10000 };
  static Sky__Test__V1__Echo child = SKY__TEST__V1__ECHO__INIT;
  static Sky__Test__V1__Echo *children[CHILDREN];
  start_server(NULL, (SkyServerOptions){.max_call_memory = 100000});
  start_client((SkyClientOptions){0});
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  for (size_t i = 0; i < CHILDREN; i++)
    children[i] = &child;
  request.children = children;
  request.n_children = CHILDREN;
  assert_code(sky_client_call(client, &echo_methods[ECHO_INLINE], NULL, &request.base, &arena, &response),
              SKY_CODE_INVALID_ARGUMENT);
  teardown();
}
END_TEST

START_TEST(a_unary_call_without_a_message_is_an_internal_error) {
  SkyMethodDescriptor method = echo_methods[ECHO_INLINE];
  Outcome outcome = {0};
  SkyClientStream *stream = NULL;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  method.kind = SKY_CLIENT_STREAMING; /* so that the client may half-close before any message */
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = stream_done, .user = &outcome};
  ck_assert_ptr_null(sky_client_stream_open(client, &method, NULL, NULL, handler, &stream));
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_INTERNAL);
  sky_client_stream_unref(stream);
  teardown();
}
END_TEST

START_TEST(bytes_that_are_no_message_are_an_invalid_argument) {
  SkyMethodDescriptor method = echo_methods[ECHO_INLINE];
  const SkyRawMessage garbage = SKY_RAW_MESSAGE_INIT(SKY_STR("\x0a\xff\xff\xff\xff\x0f"));
  ProtobufCMessage *response = NULL;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  method.request.descriptor = &sky_raw_message_descriptor;
  assert_code(sky_client_call(client, &method, NULL, &garbage.base, &arena, &response), SKY_CODE_INVALID_ARGUMENT);
  echo_service_synchronize(&service);
  ck_assert_uint_eq(service.handled, 0);
  teardown();
}
END_TEST

/* --- interceptors --- */

static char trail[256];

static SkyStatus note_begin(void *self, SkyCall *call, const ProtobufCMessage *request) {
  strcat(strcat(trail, "+"), self);
  *sky_call_slot(call, 0) = self;
  return SKY_OK;
}

static void note_end(void *self, SkyCall *call, SkyStatus *status) {
  strcat(strcat(strcat(strcat(trail, "-"), self), ":"), sky_code_name(sky_status_code(*status)));
}

static SkyStatus refuse(void *self, SkyCall *call, const ProtobufCMessage *request) {
  const Sky__Test__V1__Echo *echo = (const void *)request;
  return strcmp(echo->text, "secret") == 0 ? SKY_PERMISSION_DENIED("not for you") : SKY_OK;
}

static void translate(void *self, SkyCall *call, SkyStatus *status) {
  if (sky_status_take(status, SKY_CODE_NOT_FOUND))
    *status = SKY_FAILED_PRECONDITION("translated");
}

START_TEST(interceptors_run_in_order_and_back) {
  start_server(NULL, (SkyServerOptions){0});
  char a[] = "a", b[] = "b";
  trail[0] = '\0';
  ck_assert_ptr_null(
      sky_server_intercept(server, (SkyServerInterceptor){.begin = note_begin, .end = note_end, .self = a}));
  ck_assert_ptr_null(
      sky_server_intercept(server, (SkyServerInterceptor){.begin = refuse, .end = translate, .self = NULL}));
  ck_assert_ptr_null(
      sky_server_intercept(server, (SkyServerInterceptor){.begin = note_begin, .end = note_end, .self = b}));
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  assert_code(call_method(ECHO_INLINE, NULL, "secret", NULL), SKY_CODE_PERMISSION_DENIED);
  assert_code(call_method(ECHO_INLINE, NULL, "fail", NULL), SKY_CODE_FAILED_PRECONDITION);
  ck_assert_str_eq(trail, "+a+b-b:OK-a:OK"
                          "+a-a:PERMISSION_DENIED"
                          "+a+b-b:NOT_FOUND-a:FAILED_PRECONDITION");
  assert_code(sky_server_intercept(server, (SkyServerInterceptor){0}), SKY_CODE_FAILED_PRECONDITION);
  teardown();
}
END_TEST

static SkyStatus add_metadata(void *self, SkyClientCall *call) {
  SKY_TRY(sky_client_call_add_metadata(call, "x-ascii", SKY_STR("plain text")));
  return sky_client_call_add_metadata(call, "x-data-bin", SKY_STR("\x00\x01\xff\n"));
}

typedef struct SeenMetadata {
  char ascii[32], data[32];
  size_t data_size;
  SkyCode code;
} SeenMetadata;

static void see_metadata(void *self, SkyClientCall *call, const SkyError *status) {
  SeenMetadata *seen = self;
  SkyStr value;
  if (sky_client_call_metadata(call, "x-ascii", &value))
    snprintf(seen->ascii, sizeof(seen->ascii), "%.*s", SKY_STR_ARGS(value));
  if (sky_client_call_metadata(call, "x-data-bin", &value))
    memcpy(seen->data, value.data, seen->data_size = value.size);
  seen->code = sky_status_code(status);
}

START_TEST(metadata_crosses_in_both_directions) {
  SeenMetadata seen = {.code = SKY_CODE_UNKNOWN};
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(
      sky_client_intercept(client, (SkyClientInterceptor){.begin = add_metadata, .end = see_metadata, .self = &seen}));
  ck_assert_ptr_null(call_method(ECHO_WORKER, NULL, "x", NULL));
  ck_assert_str_eq(seen.ascii, "plain text");
  ck_assert_uint_eq(seen.data_size, 4);
  ck_assert_mem_eq(seen.data, "\x00\x01\xff\n", 4);
  ck_assert_int_eq(seen.code, SKY_CODE_OK);
  teardown();
}
END_TEST

static SkyStatus add_illegal(void *self, SkyClientCall *call) {
  return sky_client_call_add_metadata(call, self, SKY_STR("a\nb"));
}

START_TEST(illegal_metadata_is_refused_before_it_is_sent) {
  char upper[] = "Upper", reserved[] = "grpc-timeout", text[] = "x-text";
  char *keys[] = {upper, reserved, text};
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  SkyClient *wrong = NULL;
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  for (int i = 0; i < 3; i++) {
    ck_assert_ptr_null(sky_client_create(rpc, &(SkyClientOptions){.target = address}, &wrong));
    ck_assert_ptr_null(sky_client_intercept(wrong, (SkyClientInterceptor){.begin = add_illegal, .self = keys[i]}));
    assert_code(sky_client_call(wrong, &echo_methods[ECHO_INLINE], NULL, &request.base, &arena, &response),
                SKY_CODE_INVALID_ARGUMENT);
    sky_client_destroy(wrong);
  }
  teardown();
}
END_TEST

/* --- life --- */

START_TEST(a_port_in_use_is_an_error_that_names_it) {
  SkyServer *second = NULL;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(sky_server_create(rpc, &(SkyServerOptions){.listen = address}, &second));
  SkyStatus status = sky_server_start(second);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_UNAVAILABLE);
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), address));
  sky_status_free(status);
  sky_server_destroy(second);
  teardown();
}
END_TEST

static void *drain(void *timeout_ms) {
  sky_server_drain(server, *(int64_t *)timeout_ms);
  return NULL;
}

START_TEST(draining_waits_for_open_calls) {
  pthread_t thread;
  Outcome open;
  int64_t timeout_ms = 30000;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  call_async(client, ECHO_DEFER, NULL, "", &open);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  pthread_create(&thread, NULL, drain, &timeout_ms);
  SKY_CHECK_EVENTUALLY(!sky_client_is_ready(client)); /* told to go elsewhere */
  ck_assert(!is_done(&open));
  sky_call_finish(service.deferred[0], SKY_OK);
  pthread_join(thread, NULL);
  SKY_CHECK_EVENTUALLY(is_done(&open));
  ck_assert_int_eq(open.code, SKY_CODE_OK);
  assert_code(call_method(ECHO_INLINE, NULL, "", NULL), SKY_CODE_UNAVAILABLE);
  teardown();
}
END_TEST

START_TEST(at_the_end_of_the_drain_open_calls_are_cancelled) {
  Outcome open;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  call_async(client, ECHO_DEFER, NULL, "", &open);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  sky_server_drain(server, 50);
  SKY_CHECK_EVENTUALLY(is_done(&open));
  ck_assert(open.code != SKY_CODE_OK);
  ck_assert_uint_eq(echo_service_cancelled(&service), 1);
  teardown();
}
END_TEST

START_TEST(draining_does_not_wait_for_streams_without_end) {
  Outcome outcome = {0};
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = NULL;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = stream_done, .user = &outcome};
  ck_assert_ptr_null(sky_client_stream_open(client, &echo_methods[ECHO_WATCH], NULL, &request.base, handler, &stream));
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  const SkyContext background = sky_context_background();
  const SkyContext before = sky_context_with_timeout_ms(&background, 100000);
  sky_server_drain(server, 60000);
  ck_assert_int_gt(sky_context_remaining_ms(&before), 60000);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_UNAVAILABLE);
  ck_assert_uint_eq(echo_service_cancelled(&service), 1);
  sky_client_stream_unref(stream);
  teardown();
}
END_TEST

START_TEST(a_server_is_destroyed_with_calls_open) {
  Outcome deferred, blocked;
  SkyClientReader *reader = NULL;
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *message = NULL;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  call_async(client, ECHO_DEFER, NULL, "", &deferred);
  call_async(client, ECHO_WORKER, NULL, "block", &blocked);
  ck_assert_ptr_null(sky_client_reader_open(client, &echo_methods[ECHO_WATCH], NULL, &request.base, &reader));
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 2);
  SKY_CHECK_EVENTUALLY(echo_service_running(&service) == 1);
  sky_server_drain(server, 0);
  SKY_CHECK_EVENTUALLY(is_done(&deferred) && is_done(&blocked));
  SkyStatus status = sky_client_reader_next(reader, &arena, &message);
  ck_assert_ptr_nonnull(status);
  sky_status_free(status);
  sky_client_reader_close(reader);
  echo_service_release(&service);
  sky_server_destroy(server); /* waits for the handler */
  server = NULL;
  ck_assert_uint_eq(echo_service_running(&service), 0);
  teardown();
}
END_TEST

START_TEST(a_client_is_destroyed_with_streams_open) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientReader *reader = NULL;
  ProtobufCMessage *message = NULL;
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(sky_client_reader_open(client, &echo_methods[ECHO_WATCH], NULL, &request.base, &reader));
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  sky_client_destroy(client);
  client = NULL;
  assert_code(sky_client_reader_next(reader, &arena, &message), SKY_CODE_CANCELLED);
  sky_client_reader_close(reader);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 1);
  teardown();
}
END_TEST

START_TEST(a_client_finds_its_server_again) {
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  sky_server_destroy(server);
  server = NULL;
  SKY_CHECK_EVENTUALLY(!sky_client_is_ready(client)); /* a call that meets the end may wait until its deadline */
  assert_code(call_method(ECHO_INLINE, NULL, "x", NULL), SKY_CODE_UNAVAILABLE);
  ck_assert_ptr_null(sky_server_create(rpc, &(SkyServerOptions){.listen = address}, &server));
  ck_assert_ptr_null(sky_server_add(server, echo_service_binding(&service)));
  ck_assert_ptr_null(sky_server_start(server));
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(client));
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  teardown();
}
END_TEST

START_TEST(a_server_that_was_never_started_is_destroyed) {
  start_server(NULL, (SkyServerOptions){0});
  assert_code(sky_server_add(server, echo_service_binding(&service)), SKY_CODE_ALREADY_EXISTS);
  teardown();
}
END_TEST

static void *call_many(void *failures) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyArena own;
  sky_arena_init(&own, 1 << 20);
  for (int i = 0; i < 300; i++) {
    ProtobufCMessage *response = NULL;
    const EchoMethod method = i % 2 == 0 ? ECHO_INLINE : ECHO_WORKER;
    SkyStatus status = sky_client_call(client, &echo_methods[method], NULL, &request.base, &own, &response);
    *(int *)failures += status != SKY_OK;
    sky_status_free(status);
    sky_arena_reset(&own);
  }
  sky_arena_finish(&own);
  return NULL;
}

START_TEST(many_threads_call_at_once) {
  pthread_t threads[16];
  int failures[16] = {0};
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
  for (int i = 0; i < 16; i++)
    pthread_create(&threads[i], NULL, call_many, &failures[i]);
  for (int i = 0; i < 16; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_int_eq(failures[i], 0);
  }
  echo_service_synchronize(&service);
  ck_assert_uint_eq(service.handled, 16 * 300);
  teardown();
}
END_TEST

SKY_CHECK_MAIN("rpc/server", a_full_queue_turns_calls_away_with_the_time_to_retry,
               a_call_whose_deadline_passed_in_the_queue_is_not_begun, the_server_bounds_its_open_calls,
               the_client_bounds_its_open_calls, a_request_that_is_too_large_is_refused,
               a_response_that_is_too_large_is_refused, a_request_beyond_the_memory_budget_is_refused,
               a_unary_call_without_a_message_is_an_internal_error, bytes_that_are_no_message_are_an_invalid_argument,
               interceptors_run_in_order_and_back, metadata_crosses_in_both_directions,
               illegal_metadata_is_refused_before_it_is_sent, a_port_in_use_is_an_error_that_names_it,
               draining_waits_for_open_calls, at_the_end_of_the_drain_open_calls_are_cancelled,
               draining_does_not_wait_for_streams_without_end, a_server_is_destroyed_with_calls_open,
               a_client_is_destroyed_with_streams_open, a_client_finds_its_server_again,
               a_server_that_was_never_started_is_destroyed, many_threads_call_at_once)
