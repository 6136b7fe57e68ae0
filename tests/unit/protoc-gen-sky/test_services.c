/* Typed servers and clients of all four kinds, over loopback. */
#include <string.h>

#include <sky/rpc/runtime.h>

#include "no_package.rpc.h"
#include "torture.rpc.h"

#include "rpc/loopback.h" /* last: its names are parameters above */

#define M(name) plugin_v1beta1_##name

static SkyContext context;
static int token;

/* ---- the server ---- */

static SkyStatus get_thing(void *self, SkyCall *call, const M(Scalars) * request, M(Choice) * response) {
  if (self != &token)
    return SKY_INTERNAL("self got lost");
  M(Choice_set_text)(response, sky_call_printf(call, "thing %d", request->an_int32));
  return SKY_OK;
}

static SkyStatus watch(void *self, SkyCall *call, const M(Scalars) * request) {
  for (int i = 0; i < request->an_int32; i++) {
    M(Choice) message = M(Choice_INIT);
    M(Choice_set_number)(&message, i);
    SKY_TRY(M(First_watch_write)(call, &message));
  }
  return SKY_OK;
}

/* Adds up what comes until the client half-closes. */
static void on_collected(void *user, SkyCall *call, SkyStatus status, const M(Scalars) * message) {
  M(Choice) *response = user;
  if (status != SKY_OK || message == NULL) {
    sky_call_finish(call, status);
    return;
  }
  M(Choice_set_number)(response, response->number + message->an_int32);
  M(First_collect_read)(call, on_collected, user);
}

static SkyStatus collect(void *self, SkyCall *call, M(Choice) * response) {
  SkyStatus deferred = sky_call_defer(call);
  M(First_collect_read)(call, on_collected, response);
  return deferred;
}

static void on_chat(void *user, SkyCall *call, SkyStatus status, const M(Scalars) * message) {
  if (status != SKY_OK || message == NULL) {
    sky_call_finish(call, status);
    return;
  }
  M(Choice) answer = M(Choice_INIT);
  M(Choice_set_number)(&answer, message->an_int32 * 2);
  status = M(First_chat_send)(call, &answer);
  if (status != SKY_OK)
    sky_call_finish(call, status);
  else
    M(First_chat_read)(call, on_chat, user);
}

static SkyStatus chat(void *self, SkyCall *call) {
  SkyStatus deferred = sky_call_defer(call);
  M(First_chat_read)(call, on_chat, NULL);
  return deferred;
}

static SkyStatus register_it(void *self, SkyCall *call, const protobuf_Empty *request, imp_Imported *response) {
  response->name = "registered";
  return SKY_OK;
}

static const M(FirstHandlers) handlers = {
    .get_thing = get_thing,
    .watch = watch,
    .collect = collect,
    .chat = chat,
    .register_ = register_it,
};

static void setup(void) {
  context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, 20000);
  start_server_of(M(First_bind)(&handlers, &token), NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
}

START_TEST(unary_blocking) {
  M(Scalars) request = M(Scalars_INIT);
  M(Choice) *response = NULL;
  request.an_int32 = 7;
  assert_code(M(First_get_thing)(client, &context, &request, &arena, &response), SKY_CODE_OK);
  ck_assert_str_eq(response->text, "thing 7");
}
END_TEST

typedef struct Done {
  atomic_bool over;
  SkyCode code;
  char text[64];
} Done;

static void on_thing(void *user, SkyStatus status, const M(Choice) * response) {
  Done *done = user;
  done->code = sky_status_code(status);
  if (response != NULL)
    snprintf(done->text, sizeof(done->text), "%s", response->text);
  sky_status_free(status);
  atomic_store(&done->over, true);
}

START_TEST(unary_asynchronous) {
  M(Scalars) request = M(Scalars_INIT);
  Done done = {0};
  request.an_int32 = 8;
  M(First_get_thing_async)(client, &context, &request, on_thing, &done);
  SKY_CHECK_EVENTUALLY(atomic_load(&done.over));
  ck_assert_int_eq(done.code, SKY_CODE_OK);
  ck_assert_str_eq(done.text, "thing 8");
}
END_TEST

START_TEST(no_handler_is_unimplemented) {
  M(Rules) rules = M(Rules_INIT);
  M(Outer_Inner) inner = M(Outer_Inner_INIT);
  M(Outer_Inner_Innermost) *innermost = NULL;
  protobuf_Empty *empty = NULL;
  assert_code(M(First_http_get2)(client, &context, &inner, &arena, &innermost), SKY_CODE_UNIMPLEMENTED);
  ck_assert_ptr_null(innermost);
  /* Validation comes before the handler. */
  SkyStatus status = M(First_delete)(client, &context, &rules, &arena, &empty);
  ck_assert_uint_gt(sky_status_violation_count(status), 5);
  assert_code(status, SKY_CODE_INVALID_ARGUMENT);
}
END_TEST

START_TEST(types_of_other_files) {
  protobuf_Empty request = protobuf_Empty_INIT;
  imp_Imported *response = NULL;
  assert_code(M(First_register)(client, &context, &request, &arena, &response), SKY_CODE_OK);
  ck_assert_str_eq(response->name, "registered");
}
END_TEST

/* ---- streams ---- */

typedef struct Stream {
  atomic_bool over;
  atomic_int count, sum;
  SkyCode code;
} Stream;

static void on_choice(void *user, SkyClientStream *stream, const M(Choice) * message) {
  Stream *s = user;
  atomic_fetch_add(&s->count, 1);
  atomic_fetch_add(&s->sum, message->number);
}

static void on_over(void *user, SkyStatus status) {
  Stream *s = user;
  s->code = sky_status_code(status);
  sky_status_free(status);
  atomic_store(&s->over, true);
}

START_TEST(server_streaming) {
  M(Scalars) request = M(Scalars_INIT);
  Stream s = {0};
  SkyClientStream *stream = NULL;
  request.an_int32 = 100;
  assert_code(M(First_watch_open)(client, &context, &request,
                                  (M(First_watch_handler)){.on_message = on_choice, .on_done = on_over, .user = &s},
                                  &stream),
              SKY_CODE_OK);
  SKY_CHECK_EVENTUALLY(atomic_load(&s.over));
  sky_client_stream_unref(stream);
  ck_assert_int_eq(s.code, SKY_CODE_OK);
  ck_assert_int_eq(atomic_load(&s.count), 100);
  ck_assert_int_eq(atomic_load(&s.sum), 4950);
}
END_TEST

START_TEST(server_streaming_by_a_reader) {
  M(Scalars) request = M(Scalars_INIT);
  SkyClientReader *reader = NULL;
  M(Choice) *message = NULL;
  request.an_int32 = 3;
  assert_code(M(First_watch_reader_open)(client, &context, &request, &reader), SKY_CODE_OK);
  for (int i = 0; i < 3; i++) {
    assert_code(M(First_watch_reader_next)(reader, &arena, &message), SKY_CODE_OK);
    ck_assert_int_eq(message->number, i);
  }
  assert_code(M(First_watch_reader_next)(reader, &arena, &message), SKY_CODE_OK);
  ck_assert_ptr_null(message);
  sky_client_reader_close(reader);
}
END_TEST

START_TEST(client_streaming) {
  Stream s = {0};
  SkyClientStream *stream = NULL;
  assert_code(M(First_collect_open)(client, &context,
                                    (M(First_collect_handler)){.on_message = on_choice, .on_done = on_over, .user = &s},
                                    &stream),
              SKY_CODE_OK);
  for (int i = 1; i <= 10; i++) {
    M(Scalars) message = M(Scalars_INIT);
    message.an_int32 = i;
    assert_code(M(First_collect_write)(stream, &message), SKY_CODE_OK);
  }
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(atomic_load(&s.over));
  sky_client_stream_unref(stream);
  ck_assert_int_eq(s.code, SKY_CODE_OK);
  ck_assert_int_eq(atomic_load(&s.sum), 55);
}
END_TEST

START_TEST(both_streaming) {
  Stream s = {0};
  SkyClientStream *stream = NULL;
  assert_code(M(First_chat_open)(client, &context,
                                 (M(First_chat_handler)){.on_message = on_choice, .on_done = on_over, .user = &s},
                                 &stream),
              SKY_CODE_OK);
  for (int i = 1; i <= 10; i++) {
    M(Scalars) message = M(Scalars_INIT);
    message.an_int32 = i;
    assert_code(M(First_chat_write)(stream, &message), SKY_CODE_OK);
    SKY_CHECK_EVENTUALLY(atomic_load(&s.count) == i);
  }
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(atomic_load(&s.over));
  sky_client_stream_unref(stream);
  ck_assert_int_eq(s.code, SKY_CODE_OK);
  ck_assert_int_eq(atomic_load(&s.sum), 110);
}
END_TEST

START_TEST(client_streaming_by_a_thread_that_blocks) {
  SkyClientReader *reader = NULL;
  M(Choice) *response = NULL;
  assert_code(M(First_collect_reader_open)(client, &context, &reader), SKY_CODE_OK);
  for (int i = 1; i <= 10; i++) {
    M(Scalars) message = M(Scalars_INIT);
    message.an_int32 = i;
    assert_code(M(First_collect_reader_write)(reader, &message), SKY_CODE_OK);
  }
  assert_code(M(First_collect_reader_finish)(reader, &arena, &response), SKY_CODE_OK);
  ck_assert_int_eq(response->number, 55);
}
END_TEST

START_TEST(both_streaming_by_a_thread_that_blocks) {
  SkyClientReader *reader = NULL;
  M(Choice) *message = NULL;
  assert_code(M(First_chat_reader_open)(client, &context, &reader), SKY_CODE_OK);
  for (int i = 1; i <= 10; i++) {
    M(Scalars) request = M(Scalars_INIT);
    request.an_int32 = i;
    assert_code(M(First_chat_reader_write)(reader, &request), SKY_CODE_OK);
    assert_code(M(First_chat_reader_next)(reader, &arena, &message), SKY_CODE_OK);
    ck_assert_int_eq(message->number, 2 * i);
  }
  sky_client_reader_close_send(reader);
  assert_code(M(First_chat_reader_next)(reader, &arena, &message), SKY_CODE_OK);
  ck_assert_ptr_null(message);
  sky_client_reader_close(reader);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(descriptors_say_what_the_contract_says) {
  const SkyServiceDescriptor *service = &M(First_descriptor);
  ck_assert_str_eq(service->name, "torture.of_the.plugin.v1beta1.First");
  ck_assert_uint_eq(service->method_count, 7);
  const SkyMethodDescriptor *get = M(First_get_thing_method);
  ck_assert_ptr_eq(get, &service->methods[0]);
  ck_assert_str_eq(get->name, "GetThing");
  ck_assert_str_eq(get->path, "/torture.of_the.plugin.v1beta1.First/GetThing");
  ck_assert_int_eq(get->kind, SKY_UNARY);
  ck_assert_int_eq(get->idempotency, SKY_NO_SIDE_EFFECTS);
  ck_assert_int_eq(get->deadline_ms, 2500);
  ck_assert(get->inline_handler);
  ck_assert(get->is_public);
  ck_assert(!get->is_anonymous);
  ck_assert_str_eq(get->scope, "things.read");
  ck_assert_str_eq(get->callers[0], "alpha");
  ck_assert_str_eq(get->callers[1], "beta");
  ck_assert_ptr_null(get->callers[2]);
  ck_assert_ptr_eq(get->request.descriptor, M(Scalars_descriptor));
  ck_assert_int_eq(M(First_watch_method)->kind, SKY_SERVER_STREAMING);
  ck_assert_int_eq(M(First_watch_method)->deadline_ms, 0);
  ck_assert_int_eq(M(First_collect_method)->kind, SKY_CLIENT_STREAMING);
  ck_assert_int_eq(M(First_chat_method)->kind, SKY_BIDI_STREAMING);
  const SkyMethodDescriptor *plain = M(First_register_method);
  ck_assert_int_eq(plain->deadline_ms, 5000);
  ck_assert(!plain->is_public);
  ck_assert_str_eq(plain->scope, "");
  ck_assert_ptr_null(plain->callers[0]);
  ck_assert_ptr_eq(M(First_delete_method)->request.rules, M(Rules_rules));
  ck_assert_uint_eq(M(second_service_descriptor).method_count, 1);
  ck_assert_uint_eq(M(WithoutMethods_descriptor).method_count, 0);
  ck_assert_str_eq(BareService_call_method->path, "/BareService/Call");
}
END_TEST

/* For reflection: the file and all it imports, imports first, each once. */
START_TEST(the_descriptor_set_is_closed) {
  static const char *const last = "torture.proto";
  const SkyStr set = M(First_descriptor).file_descriptor_set;
  ck_assert_ptr_nonnull(memmem(set.data, set.size, "torture_public.proto", 20));
  ck_assert_ptr_nonnull(memmem(set.data, set.size, "buf/validate/validate.proto", 27));
  ck_assert_ptr_nonnull(memmem(set.data, set.size, last, strlen(last)));
  ck_assert_ptr_nonnull(memmem(set.data, set.size, "proto3_optional", 15));            /* descriptor.proto itself */
  ck_assert_ptr_null(memmem(set.data, set.size, "Everything a contract can say", 29)); /* no comments */
}
END_TEST

SKY_CHECK_MAIN_WITH("protoc-gen-sky/services", setup, destroy_all, unary_blocking, unary_asynchronous,
                    no_handler_is_unimplemented, types_of_other_files, server_streaming, server_streaming_by_a_reader,
                    client_streaming, both_streaming, client_streaming_by_a_thread_that_blocks,
                    both_streaming_by_a_thread_that_blocks, descriptors_say_what_the_contract_says,
                    the_descriptor_set_is_closed)
