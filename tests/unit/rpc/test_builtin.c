/* Services that every server has: health and reflection. */
#include "fixture.h"

#include <string.h>

#include <sky/codec/wire.h>
#include <sky/rpc/raw.h>

#define RAW(method_name, method_path, method_kind)                                                                     \
  {                                                                                                                    \
    .name = method_name, .path = method_path, .kind = method_kind, .request.descriptor = &sky_raw_message_descriptor,  \
    .response.descriptor = &sky_raw_message_descriptor, .deadline_ms = 20000                                           \
  }

static const SkyMethodDescriptor check = RAW("Check", "/grpc.health.v1.Health/Check", SKY_UNARY);
static const SkyMethodDescriptor watch = RAW("Watch", "/grpc.health.v1.Health/Watch", SKY_SERVER_STREAMING);

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static SkyRawMessage health_request(SkyBuf *buf, const char *name) {
  sky_buf_init(buf, 1000);
  sky_wire_append_bytes(buf, 1, sky_str(name));
  return (SkyRawMessage)SKY_RAW_MESSAGE_INIT(sky_buf_str(buf));
}

static int serving_status(const ProtobufCMessage *response) {
  const SkyStr wire = ((const SkyRawMessage *)(const void *)response)->bytes;
  ck_assert_uint_eq(wire.size, 2);
  ck_assert_int_eq(wire.data[0], 8); /* field 1, varint */
  return wire.data[1];
}

static SkyStatus check_health(const char *name, int *ret) {
  SkyBuf buf;
  ProtobufCMessage *response = NULL;
  const SkyRawMessage request = health_request(&buf, name);
  SkyStatus status = sky_client_call(client, &check, NULL, &request.base, &arena, &response);
  sky_buf_finish(&buf);
  if (status == SKY_OK)
    *ret = serving_status(response);
  return status;
}

START_TEST(check_tells_whether_the_server_serves) {
  int health = 0;
  ck_assert_ptr_null(check_health("", &health));
  ck_assert_int_eq(health, NOT_SERVING);
  sky_server_set_serving(server, true);
  ck_assert_ptr_null(check_health("sky.test.v1.EchoService", &health));
  ck_assert_int_eq(health, SERVING);
  assert_code(check_health("no.Such", &health), SKY_CODE_NOT_FOUND);
}
END_TEST

START_TEST(a_service_may_have_a_status_of_its_own) {
  int health = 0;
  sky_server_set_serving(server, true);
  ck_assert_ptr_null(sky_server_set_service_serving(server, "sky.test.v1.EchoService", false));
  ck_assert_ptr_null(check_health("sky.test.v1.EchoService", &health));
  ck_assert_int_eq(health, NOT_SERVING);
  ck_assert_ptr_null(check_health("", &health));
  ck_assert_int_eq(health, SERVING);
  ck_assert_ptr_null(sky_server_set_service_serving(server, "store", true)); /* bound nowhere */
  ck_assert_ptr_null(check_health("store", &health));
  ck_assert_int_eq(health, SERVING);
  sky_server_set_serving(server, false);
  ck_assert_ptr_null(check_health("store", &health));
  ck_assert_int_eq(health, NOT_SERVING);
  char name[16];
  for (int i = 0; i < 62; i++) {
    snprintf(name, sizeof(name), "%d", i);
    ck_assert_ptr_null(sky_server_set_service_serving(server, name, true));
  }
  assert_code(sky_server_set_service_serving(server, "one too many", true), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_ptr_null(sky_server_set_service_serving(server, "store", false));
}
END_TEST

static SkyStatus call_raw(const SkyMethodDescriptor *method, SkyStr bytes, SkyStr *ret) {
  const SkyRawMessage request = SKY_RAW_MESSAGE_INIT(bytes);
  ProtobufCMessage *response = NULL;
  SkyStatus status = sky_client_call(client, method, NULL, &request.base, &arena, &response);
  if (status == SKY_OK)
    *ret = ((const SkyRawMessage *)(const void *)response)->bytes;
  return status;
}

START_TEST(list_tells_all) {
  static const SkyMethodDescriptor list = RAW("List", "/grpc.health.v1.Health/List", SKY_UNARY);
  SkyStr answer = {0};
  ck_assert_ptr_null(sky_server_set_service_serving(server, "store", true));
  sky_server_set_serving(server, true);
  ck_assert_ptr_null(call_raw(&list, SKY_STR(""), &answer));
  ck_assert_ptr_nonnull(memmem(answer.data, answer.size, "\x0a\x00\x12\x02\x08\x01", 6)); /* "" serves */
  ck_assert_ptr_nonnull(memmem(answer.data, answer.size, "store\x12\x02\x08\x01", 9));
  ck_assert_ptr_nonnull(memmem(answer.data, answer.size, "sky.test.v1.EchoService\x12\x02\x08\x01", 27));
}
END_TEST

START_TEST(a_malformed_question_is_an_invalid_argument) {
  SkyStr answer = {0};
  assert_code(call_raw(&check, SKY_STR("\x0a\x7fx"), &answer), SKY_CODE_INVALID_ARGUMENT);
}
END_TEST

static SkyClientReader *watch_health(const char *name) {
  SkyBuf buf;
  SkyClientReader *reader = NULL;
  const SkyRawMessage request = health_request(&buf, name);
  ck_assert_ptr_null(sky_client_reader_open(client, &watch, NULL, &request.base, &reader));
  sky_buf_finish(&buf);
  return reader;
}

static int next_status(SkyClientReader *reader) {
  ProtobufCMessage *message = NULL;
  ck_assert_ptr_null(sky_client_reader_next(reader, &arena, &message));
  return serving_status(message);
}

START_TEST(watch_follows_changes_and_ends_with_the_drain) {
  ProtobufCMessage *message = NULL;
  SkyClientReader *reader = watch_health("");
  SkyClientReader *unknown = watch_health("no.Such");
  ck_assert_int_eq(next_status(reader), NOT_SERVING);
  ck_assert_int_eq(next_status(unknown), SERVICE_UNKNOWN);
  sky_server_set_serving(server, true);
  ck_assert_int_eq(next_status(reader), SERVING);
  sky_client_reader_close(unknown);
  sky_server_drain(server, 20000);
  ck_assert_int_eq(next_status(reader), NOT_SERVING);
  assert_code(sky_client_reader_next(reader, &arena, &message), SKY_CODE_UNAVAILABLE);
  sky_client_reader_close(reader);
}
END_TEST

START_TEST(a_watched_service_becomes_known_later) {
  SkyClientReader *reader = watch_health("later.Service");
  sky_server_set_serving(server, true);
  ck_assert_int_eq(next_status(reader), SERVICE_UNKNOWN);
  ck_assert_ptr_null(sky_server_set_service_serving(server, "other.Service", true)); /* nobody's business here */
  ck_assert_ptr_null(sky_server_set_service_serving(server, "later.Service", true));
  ck_assert_int_eq(next_status(reader), SERVING);
  ck_assert_ptr_null(sky_server_set_service_serving(server, "later.Service", true)); /* no change */
  ck_assert_ptr_null(sky_server_set_service_serving(server, "later.Service", false));
  ck_assert_int_eq(next_status(reader), NOT_SERVING);
  sky_client_reader_close(reader);
}
END_TEST

/* --- reflection --- */

/* FileDescriptorSet { file { name "a.proto" package "p.q" message_type { name "Outer" nested_type { name "Inner" } }
 * service { name "Svc" method { name "Do" } } } file { name "b.proto" enum_type { name "Top" value { name "ZERO" } }
 * extension { name "ext" extendee ".p.q.Outer" number 1000 } message_type { name "M" field { name "f" } oneof_decl {
 * name "o" } enum_type { name "E" value { name "ONE" } } extension { name "in" extendee ".p.q.Outer" number 7 } } } }
 */
static const char descriptor_set[] = "\x0a\x2d"
                                     "\x0a\x07"
                                     "a.proto"
                                     "\x12\x03"
                                     "p.q"
                                     "\x22\x10"
                                     "\x0a\x05"
                                     "Outer"
                                     "\x1a\x07"
                                     "\x0a\x05"
                                     "Inner"
                                     "\x32\x0b"
                                     "\x0a\x03"
                                     "Svc"
                                     "\x12\x04"
                                     "\x0a\x02"
                                     "Do"
                                     "\x0a\x5d"
                                     "\x0a\x07"
                                     "b.proto"
                                     "\x2a\x0d"
                                     "\x0a\x03"
                                     "Top"
                                     "\x12\x06"
                                     "\x0a\x04"
                                     "ZERO"
                                     "\x3a\x14"
                                     "\x0a\x03"
                                     "ext"
                                     "\x12\x0a"
                                     ".p.q.Outer"
                                     "\x18\xe8\x07"
                                     "\x22\x2d"
                                     "\x0a\x01"
                                     "M"
                                     "\x12\x03"
                                     "\x0a\x01"
                                     "f"
                                     "\x42\x03"
                                     "\x0a\x01"
                                     "o"
                                     "\x22\x0a"
                                     "\x0a\x01"
                                     "E"
                                     "\x12\x05"
                                     "\x0a\x03"
                                     "ONE"
                                     "\x32\x12"
                                     "\x0a\x02"
                                     "in"
                                     "\x12\x0a"
                                     ".p.q.Outer"
                                     "\x18\x07";

typedef struct Answer {
  pthread_mutex_t lock;
  SkyBuf bytes;
  size_t count;
  bool done;
} Answer;

static void keep_answer(void *user, SkyClientStream *stream, const ProtobufCMessage *message) {
  Answer *answer = user;
  pthread_mutex_lock(&answer->lock);
  sky_buf_clear(&answer->bytes);
  sky_buf_append_str(&answer->bytes, ((const SkyRawMessage *)(const void *)message)->bytes);
  answer->count++;
  pthread_mutex_unlock(&answer->lock);
}

static void answer_done(void *user, SkyStatus status) {
  Answer *answer = user;
  ck_assert_ptr_null(status);
  pthread_mutex_lock(&answer->lock);
  answer->done = true;
  pthread_mutex_unlock(&answer->lock);
}

static size_t answer_count(Answer *answer) {
  pthread_mutex_lock(&answer->lock);
  const size_t count = answer->count + (answer->done ? 1000 : 0);
  pthread_mutex_unlock(&answer->lock);
  return count;
}

/* The field of the one answer to this question. */
static SkyStr ask(SkyClientStream *stream, Answer *answer, uint32_t question, const char *text, uint32_t wanted) {
  SkyBuf buf;
  const size_t before = answer_count(answer);
  sky_buf_init(&buf, 1000);
  sky_wire_append_bytes(&buf, question, sky_str(text));
  const SkyRawMessage request = SKY_RAW_MESSAGE_INIT(sky_buf_str(&buf));
  ck_assert_ptr_null(sky_client_stream_write(stream, &request.base));
  sky_buf_finish(&buf);
  SKY_CHECK_EVENTUALLY(answer_count(answer) == before + 1);
  SkyWireReader reader = sky_wire_reader(answer->bytes.data, answer->bytes.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number == wanted)
      return field.bytes;
  }
  return (SkyStr){NULL, 0};
}

static void explore(const char *version_path) {
  const SkyMethodDescriptor info = RAW("ServerReflectionInfo", version_path, SKY_BIDI_STREAMING);
  Answer answer = {.lock = PTHREAD_MUTEX_INITIALIZER};
  SkyClientStream *stream = NULL;
  sky_buf_init(&answer.bytes, 100000);
  const SkyClientStreamHandler handler = {.on_message = keep_answer, .on_done = answer_done, .user = &answer};
  ck_assert_ptr_null(sky_client_stream_open(client, &info, NULL, NULL, handler, &stream));

  const SkyStr list = ask(stream, &answer, 7, "", 6);
  ck_assert_ptr_nonnull(memmem(list.data, list.size, "sky.test.v1.EchoService", 23));
  ck_assert_ptr_nonnull(memmem(list.data, list.size, "grpc.health.v1.Health", 21));
  ck_assert_ptr_nonnull(ask(stream, &answer, 3, "a.proto", 4).data);
  ck_assert_ptr_null(ask(stream, &answer, 3, "c.proto", 4).data);
  const char *known[] = {"p.q.Svc",
                         "p.q.Svc.Do",
                         "p.q.Outer",
                         "p.q.Outer.Inner",
                         "Top",
                         "ZERO",
                         "ext",
                         "M",
                         "M.f",
                         "M.o",
                         "M.E",
                         "M.ONE",
                         "M.in",
                         "grpc.health.v1.Health",
                         "grpc.health.v1.Health.Watch",
                         "grpc.reflection.v1.ServerReflection",
                         "grpc.reflection.v1alpha.ErrorResponse"};
  const char *unknown[] = {"p.q", "p.q.Sv", "p.q.Svc.Don", "p.q.Inner", "Svc",  "p.q.Outer.Inner.x",
                           "",    "ONE",    "M.E.ONE",     "M.f.x",     "p.q.M"};
  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
    ck_assert_msg(ask(stream, &answer, 4, known[i], 4).data != NULL, "%s", known[i]);
  for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
    ck_assert_msg(ask(stream, &answer, 4, unknown[i], 7).data != NULL, "%s", unknown[i]);

  /* ExtensionRequest { containing_type, extension_number } */
  ck_assert_ptr_nonnull(ask(stream, &answer, 5, "\x0a\x09p.q.Outer\x10\xe8\x07", 4).data);
  ck_assert_ptr_nonnull(ask(stream, &answer, 5, "\x0a\x09p.q.Outer\x10\x07", 4).data);
  ck_assert_ptr_nonnull(ask(stream, &answer, 5, "\x0a\x09p.q.Outer\x10\x08", 7).data);
  ck_assert_ptr_nonnull(ask(stream, &answer, 5, "\x0a\x05Outer\x10\x07", 7).data);
  const SkyStr numbers = ask(stream, &answer, 6, "p.q.Outer", 5);
  ck_assert(sky_str_is(numbers, "\x0a\x09p.q.Outer\x10\x07\x10\xe8\x07"));
  ck_assert(sky_str_is(ask(stream, &answer, 6, "M", 5), "\x0a\x01M")); /* known, with no extensions */
  ck_assert_ptr_nonnull(ask(stream, &answer, 6, "no.Such", 7).data);
  ck_assert_ptr_nonnull(ask(stream, &answer, 99, "what?", 7).data);

  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(answer_count(&answer) >= 1000);
  sky_client_stream_unref(stream);
  sky_buf_finish(&answer.bytes);
}

START_TEST(reflection_finds_files_symbols_and_services) {
  explore("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  explore("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
}
END_TEST

static void setup_reflected(void) {
  static const SkyServiceDescriptor described = {.name = "p.q.Svc",
                                                 .file_descriptor_set = {descriptor_set, sizeof(descriptor_set) - 1}};
  start_server(NULL, (SkyServerOptions){0});
  ck_assert_ptr_null(sky_server_add(server, (SkyServiceBinding){.service = &described}));
  start_client((SkyClientOptions){0});
}

SKY_CHECK_MAIN_WITH("rpc/builtin", setup_reflected, teardown, check_tells_whether_the_server_serves,
                    a_service_may_have_a_status_of_its_own, list_tells_all, a_malformed_question_is_an_invalid_argument,
                    a_watched_service_becomes_known_later, watch_follows_changes_and_ends_with_the_drain,
                    reflection_finds_files_symbols_and_services)
