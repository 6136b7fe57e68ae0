#include "status_proto.h"

#include <stdio.h>
#include <string.h>

#include <sky/codec/wire.h>
#include <sky/core/time.h>

enum { MAX_TEXT = 1024 }; /* of one decoded reason, key, value, field or description */

#define TYPE_PREFIX "type.googleapis.com/google.rpc."

enum StatusField { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum AnyField { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum ErrorInfoField { ERROR_INFO_REASON = 1, ERROR_INFO_DOMAIN = 2, ERROR_INFO_METADATA = 3 };
enum EntryField { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum RetryInfoField { RETRY_INFO_DELAY = 1 };
enum DurationField { DURATION_SECONDS = 1, DURATION_NANOS = 2 };
enum BadRequestField { BAD_REQUEST_VIOLATIONS = 1 };
enum ViolationField { VIOLATION_FIELD = 1, VIOLATION_DESCRIPTION = 2 };

static bool has_metadata(const SkyError *status) {
  const char *key, *value;
  return sky_status_metadata_at(status, 0, &key, &value);
}

bool sky_status_has_details(const SkyError *status) {
  return status != NULL && (sky_status_reason(status) != NULL || sky_status_retry_after_ms(status) >= 0 ||
                            sky_status_violation_count(status) > 0 || has_metadata(status));
}

static void append_text(SkyBuf *out, uint32_t field, const char *text) {
  sky_wire_append_bytes(out, field, sky_str(text));
}

static size_t begin_field(SkyBuf *out, uint32_t field) {
  sky_wire_append_varint(out, sky_wire_tag(field, SKY_WIRE_BYTES));
  return sky_wire_begin_bytes(out);
}

static void append_pair(SkyBuf *out, uint32_t field, uint32_t first_field, const char *first, const char *second) {
  const size_t pair = begin_field(out, field);
  append_text(out, first_field, first);
  append_text(out, first_field + 1, second);
  sky_wire_end_bytes(out, pair);
}

static void encode_error_info(const SkyError *status, size_t unused, SkyBuf *out) {
  const char *reason = sky_status_reason(status), *key, *value;
  if (reason != NULL)
    append_text(out, ERROR_INFO_REASON, reason);
  for (size_t i = 0; sky_status_metadata_at(status, i, &key, &value); i++)
    append_pair(out, ERROR_INFO_METADATA, ENTRY_KEY, key, value);
}

static void encode_retry_info(const SkyError *status, size_t unused, SkyBuf *out) {
  const uint64_t delay_ms = (uint64_t)sky_status_retry_after_ms(status);
  const size_t delay = begin_field(out, RETRY_INFO_DELAY);
  sky_wire_append_uint64(out, DURATION_SECONDS, delay_ms / SKY_MS_PER_S);
  sky_wire_append_uint64(out, DURATION_NANOS, delay_ms % SKY_MS_PER_S * SKY_NS_PER_MS);
  sky_wire_end_bytes(out, delay);
}

static void encode_bad_request(const SkyError *status, size_t violations, SkyBuf *out) {
  for (size_t i = 0; i < violations; i++) {
    const SkyFieldViolation *violation = sky_status_violation(status, i);
    append_pair(out, BAD_REQUEST_VIOLATIONS, VIOLATION_FIELD, violation->field, violation->description);
  }
}

typedef void (*Encode)(const SkyError *status, size_t violations, SkyBuf *out);

static void append_detail(const SkyError *status, const char *type_url, Encode encode, size_t violations, SkyBuf *out) {
  const size_t any = begin_field(out, STATUS_DETAILS);
  append_text(out, ANY_TYPE_URL, type_url);
  const size_t value = begin_field(out, ANY_VALUE);
  encode(status, violations, out);
  sky_wire_end_bytes(out, value);
  sky_wire_end_bytes(out, any);
}

static void encode_with(const SkyError *status, size_t violations, SkyBuf *out) {
  sky_wire_append_uint64(out, STATUS_CODE, (uint64_t)sky_status_code(status));
  append_text(out, STATUS_MESSAGE, sky_status_message(status));
  if (sky_status_reason(status) != NULL || has_metadata(status))
    append_detail(status, TYPE_PREFIX "ErrorInfo", encode_error_info, 0, out);
  if (sky_status_retry_after_ms(status) >= 0)
    append_detail(status, TYPE_PREFIX "RetryInfo", encode_retry_info, 0, out);
  if (violations > 0)
    append_detail(status, TYPE_PREFIX "BadRequest", encode_bad_request, violations, out);
}

void sky_status_encode(const SkyError *status, SkyBuf *out) {
  size_t violations = sky_status_violation_count(status);
  encode_with(status, violations, out);
  for (; out->failed && violations > 0; encode_with(status, violations, out)) {
    violations /= 2;
    sky_buf_clear(out);
  }
}

/* Text of a peer: what is no UTF-8 is dropped, a NUL ends it, and its length is bounded. */
static void copy_text(SkyStr from, char to[MAX_TEXT]) {
  if (!sky_utf8_valid(from.data, from.size))
    from.size = 0;
  snprintf(to, MAX_TEXT, "%.*s", SKY_STR_ARGS(from));
}

/* The two texts of a map entry or a violation: fields 1 and 2 in both. */
static void decode_pair(SkyStr wire, char first[MAX_TEXT], char second[MAX_TEXT]) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  first[0] = second[0] = '\0';
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type == SKY_WIRE_BYTES && (field.number == 1 || field.number == 2))
      copy_text(field.bytes, field.number == 1 ? first : second);
  }
}

static SkyStatus decode_error_info(SkyStatus status, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  char first[MAX_TEXT], second[MAX_TEXT];
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type != SKY_WIRE_BYTES)
      continue;
    if (field.number == ERROR_INFO_REASON) {
      copy_text(field.bytes, first);
      status = sky_status_with_reason(status, first);
    } else if (field.number == ERROR_INFO_METADATA) {
      decode_pair(field.bytes, first, second);
      status = sky_status_with_metadata(status, first, second);
    }
  }
  return status;
}

static int64_t decode_duration_ms(SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  uint64_t seconds = 0, nanos = 0;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type == SKY_WIRE_VARINT && field.number == DURATION_SECONDS)
      seconds = field.scalar;
    else if (field.type == SKY_WIRE_VARINT && field.number == DURATION_NANOS)
      nanos = field.scalar;
  }
  const uint64_t longest = UINT64_C(315576000000); /* seconds, google.protobuf.Duration; negative ones are larger */
  if (seconds > longest || nanos >= (uint64_t)SKY_NS_PER_S)
    return -1;
  return (int64_t)(seconds * SKY_MS_PER_S + nanos / SKY_NS_PER_MS);
}

static SkyStatus decode_retry_info(SkyStatus status, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type != SKY_WIRE_BYTES || field.number != RETRY_INFO_DELAY)
      continue;
    const int64_t delay_ms = decode_duration_ms(field.bytes);
    if (delay_ms >= 0)
      status = sky_status_with_retry_after_ms(status, delay_ms);
  }
  return status;
}

static SkyStatus decode_bad_request(SkyStatus status, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  char name[MAX_TEXT], description[MAX_TEXT];
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type != SKY_WIRE_BYTES || field.number != BAD_REQUEST_VIOLATIONS)
      continue;
    decode_pair(field.bytes, name, description);
    status = sky_status_with_violation(status, name, "%s", description);
  }
  return status;
}

static SkyStatus decode_any(SkyStatus status, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  SkyStr type_url = SKY_STR(""), value = SKY_STR("");
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type == SKY_WIRE_BYTES && field.number == ANY_TYPE_URL)
      type_url = field.bytes;
    else if (field.type == SKY_WIRE_BYTES && field.number == ANY_VALUE)
      value = field.bytes;
  }
  if (sky_str_is(type_url, TYPE_PREFIX "ErrorInfo"))
    return decode_error_info(status, value);
  if (sky_str_is(type_url, TYPE_PREFIX "RetryInfo"))
    return decode_retry_info(status, value);
  if (sky_str_is(type_url, TYPE_PREFIX "BadRequest"))
    return decode_bad_request(status, value);
  return status;
}

SkyStatus sky_status_decode(SkyCode code, SkyStr message, SkyStr details) {
  if (code == SKY_CODE_OK)
    return SKY_OK;
  SkyStatus status = sky_status_new(code, "%.*s", SKY_STR_ARGS(message));
  SkyWireReader reader = sky_wire_reader(details.data, details.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type == SKY_WIRE_BYTES && field.number == STATUS_DETAILS)
      status = decode_any(status, field.bytes);
  }
  return status;
}
