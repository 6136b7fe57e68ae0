/*
 * Hostile messages: small on the wire, meant to be dear in memory, deep or malformed. All are INVALID_ARGUMENT, the
 * process's peak grows by no more than the call's budget and a few copies of the message, and the server goes on.
 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include <sky/codec/wire.h>
#include <sky/core/buf.h>
#include <sky/rpc/raw.h>

enum {
  CALL_MEMORY = 4 << 20,
  MESSAGE_BYTES = 2 << 20, /* of the largest ones */
  /* The arena (its chunks double, so up to twice the budget is held) and the message in client, transport and server.
   */
  PEAK_BYTES = 2 * CALL_MEMORY + 6 * MESSAGE_BYTES,
};

static SkyBuf wire;

static void setup_hostile(void) {
  sky_buf_init(&wire, 8 << 20);
  start_server(NULL, (SkyServerOptions){.max_call_memory = CALL_MEMORY});
  start_client((SkyClientOptions){0});
}

static void teardown_hostile(void) {
  teardown();
  sky_buf_finish(&wire);
}

static SkyMethodDescriptor raw_request(EchoMethod method) {
  SkyMethodDescriptor descriptor = echo_methods[method];
  descriptor.request.descriptor = &sky_raw_message_descriptor;
  return descriptor;
}

static SkyStatus send_wire(EchoMethod method) {
  const SkyMethodDescriptor descriptor = raw_request(method);
  const SkyRawMessage message = SKY_RAW_MESSAGE_INIT(sky_buf_str(&wire));
  ProtobufCMessage *response = NULL;
  return sky_client_call(client, &descriptor, NULL, &message.base, &arena, &response);
}

static SkyCode send_in_stream(void) {
  const SkyMethodDescriptor descriptor = raw_request(ECHO_CHAT);
  const SkyRawMessage message = SKY_RAW_MESSAGE_INIT(sky_buf_str(&wire));
  Outcome outcome = {0};
  SkyClientStream *stream = NULL;
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = stream_done, .user = &outcome};
  ck_assert_ptr_null(sky_client_stream_open(client, &descriptor, NULL, NULL, handler, &stream));
  ck_assert_ptr_null(sky_client_stream_write(stream, &message.base));
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  sky_client_stream_unref(stream);
  return outcome.code;
}

static void expect_refusal(void) {
  const size_t handled = echo_service_handled(&service);
  assert_code(send_wire(ECHO_INLINE), SKY_CODE_INVALID_ARGUMENT);
  assert_code(send_wire(ECHO_WORKER), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_int_eq(send_in_stream(), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_uint_eq(echo_service_handled(&service), handled);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "still here", NULL));
}

/* VmHWM, in bytes. */
static size_t peak_bytes(void) {
  char text[8192];
  FILE *file = fopen("/proc/self/status", "re");
  ck_assert_ptr_nonnull(file);
  text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
  fclose(file);
  const char *line = strstr(text, "VmHWM:");
  ck_assert_ptr_nonnull(line);
  return strtoul(line + 6, NULL, 10) * 1024;
}

static void forget_peak(void) {
  FILE *file = fopen("/proc/self/clear_refs", "we");
  ck_assert_ptr_nonnull(file);
  fputs("5", file);
  fclose(file);
}

static void expect_cheap_refusal(void) {
  expect_refusal(); /* once before, so that what is kept for later calls is there */
  forget_peak();
  const size_t before = peak_bytes();
  expect_refusal();
  const size_t grown = peak_bytes() - before;
  printf("%zu bytes on the wire: peak grew by %zu KiB of %d allowed\n", wire.size, grown / 1024, PEAK_BYTES / 1024);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  ck_assert_uint_le(grown, PEAK_BYTES);
#endif
}

START_TEST(a_million_empty_submessages) {
  for (size_t i = 0; i < MESSAGE_BYTES / 2; i++)
    sky_buf_append(&wire, "\x1a\x00", 2);
  expect_cheap_refusal();
}
END_TEST

START_TEST(submessages_of_one_byte_by_the_million) {
  for (size_t i = 0; i < MESSAGE_BYTES / 4; i++)
    sky_buf_append(&wire, "\x1a\x02\x10\x01", 4);
  expect_cheap_refusal();
}
END_TEST

START_TEST(unknown_fields_by_the_million) {
  for (size_t i = 0; i < MESSAGE_BYTES / 2; i++)
    sky_buf_append(&wire, "\x28\x01", 2);
  expect_cheap_refusal();
}
END_TEST

START_TEST(nesting_without_end) {
  enum { LEVELS = 20000 };
  size_t sizes[LEVELS], size = 0;
  for (size_t i = 0; i < LEVELS; i++) { /* from the inside out */
    sizes[i] = size;
    size += size < 128 ? 2U : size < 16384 ? 3U : 4U;
  }
  for (size_t i = LEVELS; i-- > 0;) {
    sky_wire_append_varint(&wire, 0x1a);
    sky_wire_append_varint(&wire, sizes[i]);
  }
  ck_assert_uint_eq(wire.size, size);
  expect_cheap_refusal();
}
END_TEST

START_TEST(text_that_is_no_text) {
  static const char *const texts[] = {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "ok\xfe"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    sky_buf_clear(&wire);
    sky_wire_append_bytes(&wire, 1, sky_str(texts[i]));
    expect_refusal();
  }
}
END_TEST

START_TEST(nul_in_a_text) {
  sky_wire_append_bytes(&wire, 1, SKY_STR("user\0admin"));
  expect_refusal();
}
END_TEST

START_TEST(lengths_that_lie) {
  static const SkyStr lies[] = {
      {"\x0a\x05hey", 5},                                           /* longer than the rest */
      {"\x0a\xff\xff\xff\xff\x0f", 6},                              /* 4 GiB */
      {"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},         /* 2^64 - 1 */
      {"\x1a\x04\x0a\x7fhi", 6},                                    /* longer than its message */
      {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 13}, /* no varint */
      {"\x22\x80\x80\x80\x80\x08", 6},                              /* 2 GiB of bytes */
      {"\x0b\x0b\x0b", 3},                                          /* groups that never end */
      {"\x00\x00", 2},                                              /* field 0 */
      {"\x0a", 1},
  };
  for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
    sky_buf_clear(&wire);
    sky_buf_append_str(&wire, lies[i]);
    expect_refusal();
  }
}
END_TEST

START_TEST(a_response_that_cannot_be_read_is_the_servers_fault) {
  /* A map entry where the client expects a text: it begins with a NUL. */
  SkyMethodDescriptor list = echo_methods[ECHO_INLINE];
  list.path = "/grpc.health.v1.Health/List";
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  assert_code(sky_client_call(client, &list, NULL, &request.base, &arena, &response), SKY_CODE_INTERNAL);
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/hostile", setup_hostile, teardown_hostile, a_million_empty_submessages,
                    submessages_of_one_byte_by_the_million, unknown_fields_by_the_million, nesting_without_end,
                    text_that_is_no_text, nul_in_a_text, lengths_that_lie,
                    a_response_that_cannot_be_read_is_the_servers_fault)
