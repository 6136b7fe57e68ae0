/*
 * The testee of protobuf's conformance suite: lib/sky/transcode behind the suite's pipe protocol (conformance.proto).
 *
 * Each message on stdin and stdout stands behind its size, 32 bits little-endian. Binary and JSON, both ways; what else
 * the suite asks for (text format, JSPB, editions) is answered as skipped. SKY_TEST_DESCRIPTORS: descriptor set with
 * the test messages; an environment variable, because the runner hands on no arguments.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sky/codec/wire.h>
#include <sky/transcode/canonical.h>
#include <sky/transcode/json.h>

enum { REQUEST_PROTOBUF = 1, REQUEST_JSON = 2, REQUEST_OUTPUT = 3, REQUEST_TYPE = 4, REQUEST_CATEGORY = 5 };
enum { FORMAT_PROTOBUF = 1, FORMAT_JSON = 2, CATEGORY_JSON_IGNORE_UNKNOWN = 3 };
enum {
  RESPONSE_PARSE_ERROR = 1,
  RESPONSE_PROTOBUF = 3,
  RESPONSE_JSON = 4,
  RESPONSE_SKIPPED = 5,
  RESPONSE_SERIALIZE_ERROR = 6
};
enum { MAX_MESSAGE = 64 << 20 };

typedef struct Request {
  SkyStr payload;
  uint32_t payload_kind; /* REQUEST_PROTOBUF, REQUEST_JSON or another field's number */
  uint64_t output;
  uint64_t category;
  SkyStr type;
} Request;

static bool request_parse(const SkyBuf *bytes, Request *ret) {
  SkyWireReader reader = sky_wire_reader(bytes->data, bytes->size);
  SkyWireField field;
  *ret = (Request){.payload = SKY_STR(""), .type = SKY_STR("")};
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &field))
      return false;
    if (field.number == REQUEST_OUTPUT)
      ret->output = field.scalar;
    else if (field.number == REQUEST_TYPE)
      ret->type = field.bytes;
    else if (field.number == REQUEST_CATEGORY)
      ret->category = field.scalar;
    else if (field.type == SKY_WIRE_BYTES && field.number != 6) {
      ret->payload = field.bytes;
      ret->payload_kind = field.number;
    }
  }
  return true;
}

static void answer(SkyBuf *out, uint32_t field, SkyStr text) {
  sky_wire_append_bytes(out, field, text);
}

static void answer_error(SkyBuf *out, uint32_t field, SkyStatus status) {
  answer(out, field, sky_str(sky_status_message(status)));
  sky_status_free(status);
}

/* The payload as canonical wire bytes. */
static SkyStatus parse(const SkyContracts *contracts, const SkyMessageType *type, const Request *request,
                       SkyArena *arena, SkyBuf *ret_wire) {
  if (request->payload_kind == REQUEST_PROTOBUF)
    return sky_wire_canonical(contracts, type, request->payload.data, request->payload.size, arena, ret_wire);
  const SkyJsonReadOptions options = {.ignore_unknown = request->category == CATEGORY_JSON_IGNORE_UNKNOWN,
                                      .allow_nul = true};
  return sky_json_to_wire(contracts, type, request->payload, &options, arena, ret_wire);
}

static void respond_with(const SkyContracts *contracts, const SkyMessageType *type, const Request *request,
                         SkyArena *arena, SkyBuf *wire, SkyBuf *json, SkyBuf *out) {
  SkyStatus status = parse(contracts, type, request, arena, wire);
  if (status != SKY_OK) {
    answer_error(out, RESPONSE_PARSE_ERROR, status);
    return;
  }
  if (request->output == FORMAT_PROTOBUF) {
    answer(out, RESPONSE_PROTOBUF, sky_buf_str(wire));
    return;
  }
  status = sky_json_from_wire(contracts, type, wire->data, wire->size, NULL, arena, json);
  if (status != SKY_OK)
    answer_error(out, RESPONSE_SERIALIZE_ERROR, status);
  else
    answer(out, RESPONSE_JSON, sky_buf_str(json));
}

static void respond(const SkyContracts *contracts, const Request *request, SkyBuf *out) {
  const SkyMessageType *type = sky_contracts_message(contracts, request->type);
  const bool known_format =
      request->payload_kind == REQUEST_PROTOBUF || request->payload_kind == REQUEST_JSON || request->payload_kind == 0;
  const bool known_output = request->output == FORMAT_PROTOBUF || request->output == FORMAT_JSON;
  if (sky_str_is(request->type, "conformance.FailureSet")) { /* the first question: which failures are expected */
    answer(out, RESPONSE_PROTOBUF, SKY_STR(""));
    return;
  }
  if (type == NULL || !known_format || !known_output) {
    answer(out, RESPONSE_SKIPPED, SKY_STR("binary and JSON of proto2 and proto3 only"));
    return;
  }
  SkyArena arena;
  SkyBuf wire, json;
  sky_arena_init(&arena, MAX_MESSAGE);
  sky_buf_init(&wire, MAX_MESSAGE);
  sky_buf_init(&json, MAX_MESSAGE);
  respond_with(contracts, type, request, &arena, &wire, &json, out);
  sky_buf_finish(&json);
  sky_buf_finish(&wire);
  sky_arena_finish(&arena);
}

static bool read_exactly(void *to, size_t size) {
  return fread(to, 1, size, stdin) == size;
}

/* False at the end of the input. */
static bool serve_one(const SkyContracts *contracts, SkyBuf *in, SkyBuf *out) {
  uint8_t size_bytes[4];
  uint32_t size = 0;
  if (!read_exactly(size_bytes, sizeof(size_bytes)))
    return false;
  SkyWireReader reader = sky_wire_reader(size_bytes, sizeof(size_bytes));
  (void)sky_wire_read_fixed32(&reader, &size);
  sky_buf_clear(in);
  uint8_t *room = sky_buf_reserve(in, size);
  if (room == NULL || !read_exactly(room, size))
    return false;
  sky_buf_commit(in, size);
  sky_buf_clear(out);
  Request request;
  if (!request_parse(in, &request))
    return false;
  respond(contracts, &request, out);
  const uint32_t written = (uint32_t)out->size;
  const uint8_t header[4] = {(uint8_t)written, (uint8_t)(written >> 8), (uint8_t)(written >> 16),
                             (uint8_t)(written >> 24)};
  return fwrite(header, 1, 4, stdout) == 4 && fwrite(out->data, 1, written, stdout) == written && fflush(stdout) == 0;
}

int main(void) {
  SkyContracts *contracts = NULL;
  SkyBuf in, out;
  const char *path = getenv("SKY_TEST_DESCRIPTORS");
  SkyStatus status = sky_contracts_load_file(path == NULL ? "" : path, NULL, &contracts);
  if (status != SKY_OK) {
    fprintf(stderr, "%s\n", sky_status_message(status));
    sky_status_free(status);
    return EXIT_FAILURE;
  }
  sky_buf_init(&in, MAX_MESSAGE);
  sky_buf_init(&out, MAX_MESSAGE);
  while (serve_one(contracts, &in, &out))
    ;
  sky_buf_finish(&in);
  sky_buf_finish(&out);
  sky_contracts_destroy(contracts);
  return EXIT_SUCCESS;
}
