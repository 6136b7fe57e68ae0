#include "fixture.h"

#include <string.h>

START_TEST(an_inline_and_a_worker_handler_answer) {
  Sky__Test__V1__Echo *response = NULL;
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "hello", &response));
  ck_assert_str_eq(response->text, "hello");
  ck_assert_int_eq(response->number, 7);
  ck_assert_ptr_null(call_method(ECHO_WORKER, NULL, "shout", &response));
  ck_assert_str_eq(response->text, "shout, 7!");
  ck_assert(strncmp(service.peer, "ipv4:127.0.0.1:", 15) == 0);
}
END_TEST

START_TEST(messages_larger_than_one_slice_arrive_whole) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  request.payload.len = 3 << 20;
  request.payload.data = malloc(request.payload.len);
  for (size_t i = 0; i < request.payload.len; i++)
    request.payload.data[i] = (uint8_t)(i * 31 >> 3);
  ck_assert_ptr_null(sky_client_call(client, &echo_methods[ECHO_WORKER], NULL, &request.base, &arena, &response));
  const Sky__Test__V1__Echo *echoed = (const void *)response;
  ck_assert_uint_eq(echoed->payload.len, request.payload.len);
  ck_assert_mem_eq(echoed->payload.data, request.payload.data, request.payload.len);
  free(request.payload.data);
}
END_TEST

START_TEST(an_error_has_code_and_message) {
  SkyStatus status = call_method(ECHO_WORKER, NULL, "fail", NULL);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_NOT_FOUND);
  ck_assert_str_eq(sky_status_message(status), "no package here");
  sky_status_free(status);
}
END_TEST

START_TEST(error_details_cross_the_wire) {
  SkyStatus status = call_method(ECHO_INLINE, NULL, "rich", NULL);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_uint_eq(sky_status_violation_count(status), 2);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "pickup.latitude");
  ck_assert_str_eq(sky_status_violation(status, 0)->description, "must be at most 90");
  ck_assert_str_eq(sky_status_violation(status, 1)->field, "tag");
  ck_assert_str_eq(sky_status_reason(status), "BAD_PLACE");
  ck_assert_str_eq(sky_status_metadata(status, "place"), "north of the pole");
  ck_assert_int_eq(sky_status_retry_after_ms(status), 1500);
  sky_status_free(status);
}
END_TEST

START_TEST(trace_and_principal_reach_the_handler) {
  const SkyPrincipal principal = {.subject = "user-1", .owner_id = "acme", .scopes = "read write"};
  SkyContext context = sky_context_background();
  context.principal = &principal;
  ck_assert_ptr_null(call_method(ECHO_WORKER, &context, "hi", NULL));
  ck_assert_mem_eq(service.context.trace.trace_id, context.trace.trace_id, sizeof(context.trace.trace_id));
  ck_assert_mem_ne(service.context.trace.span_id, context.trace.span_id, sizeof(context.trace.span_id));
  ck_assert_str_eq(service.subject, "user-1");
  ck_assert_str_eq(service.owner, "acme");
  ck_assert_str_eq(service.scopes, "read write");
}
END_TEST

START_TEST(without_a_principal_there_is_none) {
  ck_assert_ptr_null(call_method(ECHO_WORKER, NULL, "hi", NULL));
  ck_assert_ptr_null(service.context.principal);
  ck_assert(sky_trace_is_valid(&service.context.trace));
}
END_TEST

START_TEST(the_method_gives_the_deadline_when_the_caller_has_none) {
  ck_assert_ptr_null(call_method(ECHO_WORKER, NULL, "hi", NULL));
  const int64_t remaining_ms = sky_context_remaining_ms(&service.context);
  ck_assert_int_gt(remaining_ms, 0);
  ck_assert_int_le(remaining_ms, 20000);
}
END_TEST

START_TEST(a_deadline_ends_a_call_that_is_not_answered) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 60);
  assert_code(call_method(ECHO_DEFER, &context, "", NULL), SKY_CODE_DEADLINE_EXCEEDED);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 1);
}
END_TEST

START_TEST(a_passed_deadline_is_not_even_sent) {
  SkyContext context = sky_context_background();
  context.deadline_ns = 1;
  assert_code(call_method(ECHO_DEFER, &context, "", NULL), SKY_CODE_DEADLINE_EXCEEDED);
  ck_assert_uint_eq(sky_server_stats(server).started, 0);
}
END_TEST

START_TEST(the_methods_longest_deadline_binds_whoever_asks_for_more) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 30000);
  assert_code(call_method(ECHO_CAPPED, &context, "", NULL), SKY_CODE_DEADLINE_EXCEEDED);
  ck_assert_int_gt(sky_context_remaining_ms(&context), 15000);
}
END_TEST

static void *cancel_when_deferred(void *cancel) {
  while (echo_service_deferred(&service) == 0)
    sched_yield();
  sky_cancel_trigger(cancel);
  return NULL;
}

START_TEST(a_cancelled_call_ends_on_both_sides) {
  pthread_t thread;
  SkyContext context = sky_context_background();
  context.cancel = sky_cancel_create();
  pthread_create(&thread, NULL, cancel_when_deferred, context.cancel);
  assert_code(call_method(ECHO_DEFER, &context, "", NULL), SKY_CODE_CANCELLED);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 1);
  pthread_join(thread, NULL);
  sky_cancel_unref(context.cancel);
}
END_TEST

START_TEST(cancellation_reaches_child_calls) {
  pthread_t thread;
  SkyContext context = sky_context_background();
  context.cancel = sky_cancel_create();
  echo_service_set_upstream(&service, client); /* a call to itself, over the wire */
  pthread_create(&thread, NULL, cancel_when_deferred, context.cancel);
  assert_code(call_method(ECHO_WORKER, &context, "forward", NULL), SKY_CODE_CANCELLED);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 1);
  pthread_join(thread, NULL);
  sky_cancel_unref(context.cancel);
}
END_TEST

typedef struct Forwarding {
  SkyContext context;
  SkyStatus status;
} Forwarding;

static void *forward(void *user) {
  Forwarding *forwarding = user;
  forwarding->status = call_method(ECHO_WORKER, &forwarding->context, "forward", NULL);
  return NULL;
}

START_TEST(trace_and_principal_reach_child_calls) {
  const SkyPrincipal principal = {.subject = "user-1", .owner_id = "acme", .scopes = "read write"};
  Forwarding forwarding = {.context = sky_context_background()};
  pthread_t thread;
  SkyCall *child = NULL;
  forwarding.context.principal = &principal;
  echo_service_set_upstream(&service, client); /* a call to itself, over the wire */
  pthread_create(&thread, NULL, forward, &forwarding);
  SKY_CHECK_EVENTUALLY((child = echo_service_take_any(&service)) != NULL);
  const SkyContext *context = sky_call_context(child);
  ck_assert_mem_eq(context->trace.trace_id, forwarding.context.trace.trace_id, 16);
  ck_assert_ptr_nonnull(context->principal);
  ck_assert_str_eq(context->principal->subject, "user-1");
  ck_assert_str_eq(context->principal->owner_id, "acme");
  ck_assert_str_eq(context->principal->scopes, "read write");
  ck_assert_int_lt(sky_context_remaining_ms(context), 20001); /* its parent's 20 s, not a time of its own */
  sky_call_finish(child, SKY_OK);
  pthread_join(thread, NULL);
  ck_assert_ptr_null(forwarding.status);
}
END_TEST

START_TEST(the_deadline_reaches_child_calls) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 80);
  echo_service_set_upstream(&service, client);
  assert_code(call_method(ECHO_WORKER, &context, "forward", NULL), SKY_CODE_DEADLINE_EXCEEDED);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 1);
}
END_TEST

static void *finish_deferred(void *unused) {
  while (echo_service_deferred(&service) == 0)
    sched_yield();
  SkyCall *call = service.deferred[0];
  Sky__Test__V1__Echo *response = (void *)sky_call_response(call);
  response->text = sky_call_strdup(call, "later");
  sky_call_finish(call, SKY_OK);
  return NULL;
}

START_TEST(a_deferred_call_is_finished_by_another_thread) {
  pthread_t thread;
  Sky__Test__V1__Echo *response = NULL;
  pthread_create(&thread, NULL, finish_deferred, NULL);
  ck_assert_ptr_null(call_method(ECHO_DEFER, NULL, "", &response));
  ck_assert_str_eq(response->text, "later");
  pthread_join(thread, NULL);
}
END_TEST

static const SkyMethodDescriptor unknown_method = {.name = "Nothing",
                                                   .path = "/sky.test.v1.EchoService/Nothing",
                                                   .kind = SKY_UNARY,
                                                   .request.descriptor = &sky__test__v1__echo__descriptor,
                                                   .response.descriptor = &sky__test__v1__echo__descriptor,
                                                   .deadline_ms = 20000};

START_TEST(an_unknown_method_is_unimplemented_however_often_it_is_called) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  for (int i = 0; i < 100; i++)
    assert_code(sky_client_call(client, &unknown_method, NULL, &request.base, &arena, &response),
                SKY_CODE_UNIMPLEMENTED);
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused_and_named) {
  SkyStatus status = call_method(ECHO_INLINE, NULL, "\xff\xfe", NULL);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), "text"));
  sky_status_free(status);
}
END_TEST

START_TEST(the_status_of_many_calls_is_counted) {
  for (int i = 0; i < 5; i++)
    ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  assert_code(call_method(ECHO_INLINE, NULL, "fail", NULL), SKY_CODE_NOT_FOUND);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
  const SkyServerStats stats = sky_server_stats(server);
  ck_assert_uint_eq(stats.started, 6);
  ck_assert_uint_eq(stats.succeeded, 5);
  ck_assert_uint_eq(stats.failed, 1);
  ck_assert_uint_eq(stats.shed, 0);
}
END_TEST

START_TEST(a_client_whose_server_is_away_gets_unavailable) {
  SkyClient *lonely = NULL;
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  ck_assert_ptr_null(sky_client_create(rpc, &(SkyClientOptions){.target = "127.0.0.1:1"}, &lonely));
  assert_code(sky_client_call(lonely, &echo_methods[ECHO_INLINE], NULL, &request.base, &arena, &response),
              SKY_CODE_UNAVAILABLE);
  ck_assert(!sky_client_is_ready(lonely));
  sky_client_destroy(lonely);
}
END_TEST

START_TEST(a_client_without_calls_becomes_ready) {
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(client));
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/unary", setup, teardown, an_inline_and_a_worker_handler_answer,
                    messages_larger_than_one_slice_arrive_whole, an_error_has_code_and_message,
                    error_details_cross_the_wire, trace_and_principal_reach_the_handler,
                    without_a_principal_there_is_none, the_method_gives_the_deadline_when_the_caller_has_none,
                    a_deadline_ends_a_call_that_is_not_answered, a_passed_deadline_is_not_even_sent,
                    the_methods_longest_deadline_binds_whoever_asks_for_more, a_cancelled_call_ends_on_both_sides,
                    cancellation_reaches_child_calls, trace_and_principal_reach_child_calls,
                    the_deadline_reaches_child_calls, a_deferred_call_is_finished_by_another_thread,
                    an_unknown_method_is_unimplemented_however_often_it_is_called,
                    text_that_is_not_utf8_is_refused_and_named, the_status_of_many_calls_is_counted,
                    a_client_whose_server_is_away_gets_unavailable, a_client_without_calls_becomes_ready)
