/* Streams whose handlers and callers are threads that wait. Messages are raw bytes. */
#include "loopback.h"

#include <string.h>

#include <sky/rpc/raw.h>

enum { LARGE = 100000, MANY = 200 };

#define RAW                                                                                                            \
  { .descriptor = &sky_raw_message_descriptor }

enum { POUR, SUM, CHAT, METHODS };
static const SkyMethodDescriptor methods[METHODS] = {
    {.name = "Pour", .path = "/t.Blocking/Pour", .kind = SKY_SERVER_STREAMING, .request = RAW, .response = RAW},
    {.name = "Sum", .path = "/t.Blocking/Sum", .kind = SKY_CLIENT_STREAMING, .request = RAW, .response = RAW},
    {.name = "Chat", .path = "/t.Blocking/Chat", .kind = SKY_BIDI_STREAMING, .request = RAW, .response = RAW},
};
static const SkyServiceDescriptor service = {.name = "t.Blocking", .methods = methods, .method_count = METHODS};

static SkyContext context;
static char large[LARGE];
static atomic_int handlers_running, handlers_cancelled;

static SkyRawMessage raw(const void *data, size_t size) {
  return (SkyRawMessage)SKY_RAW_MESSAGE_INIT(((SkyStr){.data = data, .size = size}));
}

static SkyStatus leave(SkyStatus status) {
  if (sky_status_code(status) == SKY_CODE_CANCELLED)
    atomic_fetch_add(&handlers_cancelled, 1);
  atomic_fetch_sub(&handlers_running, 1);
  return status;
}

/* Large messages, as many as the request has bytes. */
static SkyStatus pour(const void *table, void *self, SkyCall *call, const ProtobufCMessage *request,
                      ProtobufCMessage *response) {
  const SkyRawMessage message = raw(large, LARGE);
  SkyStatus status = SKY_OK;
  atomic_fetch_add(&handlers_running, 1);
  for (size_t i = ((const SkyRawMessage *)(const void *)request)->bytes.size; i > 0 && status == SKY_OK; i--)
    status = sky_call_write_blocking(call, &message.base);
  return leave(status);
}

/* The number of bytes, as text; a message that begins with '!' ends the call. */
static SkyStatus add_up(SkyCall *call, size_t *ret_sum) {
  const ProtobufCMessage *message = NULL;
  size_t sum = 0;
  for (;;) {
    SKY_TRY(sky_call_read_blocking(call, &message));
    if (message == NULL)
      break;
    const SkyStr bytes = ((const SkyRawMessage *)(const void *)message)->bytes;
    if (sky_str_starts_with(bytes, SKY_STR("!")))
      return SKY_ABORTED("enough");
    sum += bytes.size;
  }
  *ret_sum = sum;
  return SKY_OK;
}

static SkyStatus sum(const void *table, void *self, SkyCall *call, const ProtobufCMessage *request,
                     ProtobufCMessage *response) {
  size_t total = 0;
  atomic_fetch_add(&handlers_running, 1);
  SkyStatus status = add_up(call, &total);
  if (status == SKY_OK)
    ((SkyRawMessage *)(void *)response)->bytes = sky_str(sky_call_printf(call, "%zu", total));
  return leave(status);
}

static SkyStatus echo(SkyCall *call) {
  const ProtobufCMessage *message = NULL;
  for (;;) {
    SKY_TRY(sky_call_read_blocking(call, &message));
    if (message == NULL)
      return SKY_OK;
    SKY_TRY(sky_call_write_blocking(call, message));
  }
}

static SkyStatus chat(const void *table, void *self, SkyCall *call, const ProtobufCMessage *request,
                      ProtobufCMessage *response) {
  atomic_fetch_add(&handlers_running, 1);
  return leave(echo(call));
}

static const SkyInvoke invokes[METHODS] = {pour, sum, chat};

static void setup(void) {
  atomic_store(&handlers_running, 0);
  atomic_store(&handlers_cancelled, 0);
  context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, 30000);
  start_server_of((SkyServiceBinding){.service = &service, .handlers = &service, .invoke = invokes}, NULL,
                  (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
}

static SkyClientReader *open_reader(int method, const char *request) {
  const SkyRawMessage message = raw(request, request != NULL ? strlen(request) : 0);
  SkyClientReader *reader = NULL;
  ck_assert_ptr_null(
      sky_client_reader_open(client, &methods[method], &context, request != NULL ? &message.base : NULL, &reader));
  return reader;
}

static size_t next_size(SkyClientReader *reader) {
  ProtobufCMessage *message = NULL;
  sky_arena_reset(&arena);
  assert_code(sky_client_reader_next(reader, &arena, &message), SKY_CODE_OK);
  return message != NULL ? ((SkyRawMessage *)(void *)message)->bytes.size : 0;
}

/* 4 MB through queues of 256 KiB. */
START_TEST(a_handler_waits_for_room) {
  static const char forty[] = "........................................";
  SkyClientReader *reader = open_reader(POUR, forty);
  for (size_t i = 0; i < strlen(forty); i++)
    ck_assert_uint_eq(next_size(reader), LARGE);
  ck_assert_uint_eq(next_size(reader), 0);
  sky_client_reader_close(reader);
}
END_TEST

START_TEST(a_caller_waits_for_room) {
  const SkyRawMessage message = raw(large, LARGE);
  SkyClientReader *reader = open_reader(SUM, NULL);
  ProtobufCMessage *response = NULL;
  for (int i = 0; i < MANY; i++)
    assert_code(sky_client_reader_write(reader, &message.base), SKY_CODE_OK);
  assert_code(sky_client_reader_finish(reader, &arena, &response), SKY_CODE_OK);
  const SkyStr sum_text = ((SkyRawMessage *)(void *)response)->bytes;
  ck_assert(sky_str_is(sum_text, "20000000"));
}
END_TEST

START_TEST(the_status_comes_by_finish_when_the_server_ends_the_call) {
  const SkyRawMessage end = raw("!", 1), message = raw(large, LARGE);
  SkyClientReader *reader = open_reader(SUM, NULL);
  ProtobufCMessage *response = NULL;
  SkyStatus status = sky_client_reader_write(reader, &end.base);
  while (status == SKY_OK)
    status = sky_client_reader_write(reader, &message.base);
  assert_code(status, SKY_CODE_CANCELLED);
  assert_code(sky_client_reader_finish(reader, &arena, &response), SKY_CODE_ABORTED);
  ck_assert_ptr_null(response);
}
END_TEST

START_TEST(both_wait_for_each_other) {
  SkyClientReader *reader = open_reader(CHAT, NULL);
  for (size_t i = 1; i <= MANY; i++) {
    const SkyRawMessage message = raw(large, i);
    assert_code(sky_client_reader_write(reader, &message.base), SKY_CODE_OK);
    ck_assert_uint_eq(next_size(reader), i);
  }
  sky_client_reader_close_send(reader);
  ck_assert_uint_eq(next_size(reader), 0);
  sky_client_reader_close(reader);
}
END_TEST

static bool handler_runs(void) {
  return atomic_load(&handlers_running) == 1;
}

static bool handler_was_cancelled(void) {
  return atomic_load(&handlers_running) == 0 && atomic_load(&handlers_cancelled) == 1;
}

START_TEST(a_caller_who_leaves_wakes_a_handler_that_reads) {
  SkyClientReader *reader = open_reader(SUM, NULL);
  SKY_CHECK_EVENTUALLY(handler_runs());
  sky_client_reader_close(reader);
  SKY_CHECK_EVENTUALLY(handler_was_cancelled());
}
END_TEST

START_TEST(a_caller_who_leaves_wakes_a_handler_that_writes) {
  SkyClientReader *reader =
      open_reader(POUR, "a hundred messages, which is more than all the queues in between can ever hold........");
  ck_assert_uint_eq(next_size(reader), LARGE);
  sky_client_reader_close(reader);
  SKY_CHECK_EVENTUALLY(handler_was_cancelled());
}
END_TEST

START_TEST(a_drain_wakes_a_handler_that_reads) {
  SkyClientReader *reader = open_reader(CHAT, NULL);
  ProtobufCMessage *message = NULL;
  SKY_CHECK_EVENTUALLY(handler_runs());
  sky_server_drain(server, 5000);
  SKY_CHECK_EVENTUALLY(handler_was_cancelled());
  assert_code(sky_client_reader_next(reader, &arena, &message), SKY_CODE_UNAVAILABLE);
  sky_client_reader_close(reader);
}
END_TEST

START_TEST(an_error_is_told_as_often_as_it_is_asked_for) {
  const SkyRawMessage end = raw("!", 1);
  SkyClientReader *reader = open_reader(SUM, NULL);
  ProtobufCMessage *message = NULL;
  assert_code(sky_client_reader_write(reader, &end.base), SKY_CODE_OK);
  for (int i = 0; i < 3; i++)
    assert_code(sky_client_reader_next(reader, &arena, &message), SKY_CODE_ABORTED);
  sky_client_reader_close(reader);
}
END_TEST

/* It must not look as if there had been one message less. */
START_TEST(a_message_that_cannot_be_read_ends_the_call) {
  static const char hundred[] = "a hundred messages, more than all the queues in between can ever hold ............";
  SkyClientReader *reader = open_reader(POUR, hundred);
  ProtobufCMessage *message = NULL;
  SkyArena small;
  sky_arena_init(&small, 1000);
  ck_assert_uint_eq(next_size(reader), LARGE);
  SkyStatus status = sky_client_reader_next(reader, &small, &message);
  const SkyCode code = sky_status_code(status);
  ck_assert_int_ne(code, SKY_CODE_OK);
  sky_status_free(status);
  for (int i = 0; i < 3; i++)
    assert_code(sky_client_reader_next(reader, &arena, &message), code);
  ck_assert_ptr_null(message);
  SKY_CHECK_EVENTUALLY(handler_was_cancelled());
  sky_client_reader_close(reader);
  sky_arena_finish(&small);
}
END_TEST

/* Refuses messages that begin with '?', with the code that a full queue has too. */
static SkyStatus refuse_questions(void *self, SkyClientCall *call, const ProtobufCMessage *message) {
  const SkyStr bytes = ((const SkyRawMessage *)(const void *)message)->bytes;
  return sky_str_starts_with(bytes, SKY_STR("?")) ? SKY_RESOURCE_EXHAUSTED("no questions") : SKY_OK;
}

START_TEST(an_interceptors_refusal_is_no_reason_to_wait) {
  const SkyRawMessage question = raw("?", 1), message = raw("x", 1);
  ProtobufCMessage *response = NULL;
  ck_assert_ptr_null(sky_client_intercept(client, (SkyClientInterceptor){.sending = refuse_questions}));
  SkyClientReader *reader = open_reader(SUM, NULL);
  assert_code(sky_client_reader_write(reader, &question.base), SKY_CODE_RESOURCE_EXHAUSTED);
  assert_code(sky_client_reader_write(reader, &message.base), SKY_CODE_OK);
  assert_code(sky_client_reader_finish(reader, &arena, &response), SKY_CODE_OK);
  ck_assert(sky_str_is(((SkyRawMessage *)(void *)response)->bytes, "1"));
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/blocking", setup, destroy_all, a_handler_waits_for_room, a_caller_waits_for_room,
                    the_status_comes_by_finish_when_the_server_ends_the_call, both_wait_for_each_other,
                    a_caller_who_leaves_wakes_a_handler_that_reads, a_caller_who_leaves_wakes_a_handler_that_writes,
                    a_drain_wakes_a_handler_that_reads, an_error_is_told_as_often_as_it_is_asked_for,
                    a_message_that_cannot_be_read_ends_the_call, an_interceptors_refusal_is_no_reason_to_wait)
