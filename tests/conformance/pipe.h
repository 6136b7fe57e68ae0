/*
 * Pipe: the suite's protocol (conformance.proto) for both testees. Each message on stdin and stdout stands behind its
 * size, 32 bits little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/codec/wire.h>

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

/* Appends a response: one of the fields above with its bytes. */
static inline void answer(SkyBuf *out, uint32_t field, SkyStr text) {
  sky_wire_append_bytes(out, field, text);
}
void answer_error(SkyBuf *out, uint32_t field, SkyStatus status);

/* Calls respond for every request until the input ends; the suite's question for the failure set is answered here. */
typedef void (*Respond)(void *user, const Request *request, SkyBuf *out);
void serve(Respond respond, void *user);
