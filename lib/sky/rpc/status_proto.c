#include "status_proto.h"

#include <stdio.h>
#include <string.h>

#include <sky/codec/wire.h>
#include <sky/core/time.h>

enum { MAX_TEXT = 1024 }; /* of one decoded text */

#define URL_PREFIX "type.googleapis.com/"
#define TYPE_PREFIX "google.rpc."

enum StatusField { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };
enum AnyField { ANY_TYPE_URL = 1, ANY_VALUE = 2 };
enum ErrorInfoField { ERROR_INFO_REASON = 1, ERROR_INFO_DOMAIN = 2, ERROR_INFO_METADATA = 3 };
enum EntryField { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum RetryInfoField { RETRY_INFO_DELAY = 1 };
enum DurationField { DURATION_SECONDS = 1, DURATION_NANOS = 2 };
enum BadRequestField { BAD_REQUEST_VIOLATIONS = 1 };
enum ViolationField { VIOLATION_FIELD = 1, VIOLATION_DESCRIPTION = 2 };
enum PreconditionFailureField { PRECONDITION_FAILURE_VIOLATIONS = 1 };
enum PreconditionField { PRECONDITION_TYPE = 1, PRECONDITION_SUBJECT = 2, PRECONDITION_DESCRIPTION = 3 };
enum ResourceInfoField { RESOURCE_TYPE = 1, RESOURCE_NAME = 2, RESOURCE_OWNER = 3, RESOURCE_DESCRIPTION = 4 };

static bool has_error_info(const SkyError *status) {
  const char *key, *value;
  return sky_status_reason(status) != NULL || sky_status_domain(status) != NULL ||
         sky_status_metadata_at(status, 0, &key, &value);
}

bool sky_status_has_details(const SkyError *status) {
  SkyPrecondition precondition;
  SkyResourceInfo resource;
  const char *name;
  SkyStr bytes;
  return status != NULL &&
         (has_error_info(status) || sky_status_retry_after_ms(status) >= 0 || sky_status_violation_count(status) > 0 ||
          sky_status_precondition_at(status, 0, &precondition) || sky_status_resource(status, &resource) ||
          sky_status_detail_at(status, 0, &name, &bytes));
}

static void append_text(SkyBuf *out, uint32_t field, const char *text) {
  sky_wire_append_bytes(out, field, sky_str(text));
}

static void append_pair(SkyBuf *out, uint32_t field, uint32_t first_field, const char *first, const char *second) {
  const size_t pair = sky_wire_begin_field(out, field);
  append_text(out, first_field, first);
  append_text(out, first_field + 1, second);
  sky_wire_end_bytes(out, pair);
}

static void encode_error_info(const SkyError *status, size_t unused, SkyBuf *out) {
  const char *reason = sky_status_reason(status), *domain = sky_status_domain(status), *key, *value;
  if (reason != NULL)
    append_text(out, ERROR_INFO_REASON, reason);
  if (domain != NULL)
    append_text(out, ERROR_INFO_DOMAIN, domain);
  for (size_t i = 0; sky_status_metadata_at(status, i, &key, &value); i++)
    append_pair(out, ERROR_INFO_METADATA, ENTRY_KEY, key, value);
}

static void encode_retry_info(const SkyError *status, size_t unused, SkyBuf *out) {
  const uint64_t delay_ms = (uint64_t)sky_status_retry_after_ms(status);
  const size_t delay = sky_wire_begin_field(out, RETRY_INFO_DELAY);
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

static void encode_preconditions(const SkyError *status, size_t count, SkyBuf *out) {
  SkyPrecondition precondition;
  for (size_t i = 0; i < count && sky_status_precondition_at(status, i, &precondition); i++) {
    const size_t violation = sky_wire_begin_field(out, PRECONDITION_FAILURE_VIOLATIONS);
    append_text(out, PRECONDITION_TYPE, precondition.type);
    append_text(out, PRECONDITION_SUBJECT, precondition.subject);
    append_text(out, PRECONDITION_DESCRIPTION, precondition.description);
    sky_wire_end_bytes(out, violation);
  }
}

static void encode_resource(const SkyError *status, size_t unused, SkyBuf *out) {
  SkyResourceInfo resource;
  if (!sky_status_resource(status, &resource))
    return;
  append_text(out, RESOURCE_TYPE, resource.type);
  append_text(out, RESOURCE_NAME, resource.name);
  append_text(out, RESOURCE_OWNER, resource.owner);
  append_text(out, RESOURCE_DESCRIPTION, resource.description);
}

static void encode_other(const SkyError *status, size_t index, SkyBuf *out) {
  const char *name;
  SkyStr bytes;
  if (sky_status_detail_at(status, index, &name, &bytes))
    sky_buf_append_str(out, bytes);
}

/* number: how many, or which one. */
typedef void (*Encode)(const SkyError *status, size_t number, SkyBuf *out);

/* False when it does not fit; then nothing of it is there. */
static bool append_detail(const SkyError *status, const char *type_name, Encode encode, size_t number, SkyBuf *out) {
  const size_t before = out->size;
  const size_t any = sky_wire_begin_field(out, STATUS_DETAILS);
  const size_t url = sky_wire_begin_field(out, ANY_TYPE_URL);
  sky_buf_append_text(out, URL_PREFIX);
  sky_buf_append_text(out, type_name);
  sky_wire_end_bytes(out, url);
  const size_t value = sky_wire_begin_field(out, ANY_VALUE);
  encode(status, number, out);
  sky_wire_end_bytes(out, value);
  sky_wire_end_bytes(out, any);
  if (!out->failed)
    return true;
  out->size = before;
  out->failed = false;
  return false;
}

/* As many of a detail's entries as fit, by halves. */
static void append_entries(const SkyError *status, const char *type_name, Encode encode, size_t count, SkyBuf *out) {
  while (count > 0 && !append_detail(status, type_name, encode, count, out))
    count /= 2;
}

static size_t precondition_count(const SkyError *status) {
  SkyPrecondition precondition;
  size_t count = 0;
  while (sky_status_precondition_at(status, count, &precondition))
    count++;
  return count;
}

/* What machines act on first, so that it is there when not all fits. */
void sky_status_encode(const SkyError *status, SkyBuf *out) {
  SkyResourceInfo resource;
  const char *name;
  SkyStr bytes;
  sky_wire_append_uint64(out, STATUS_CODE, (uint64_t)sky_status_code(status));
  append_text(out, STATUS_MESSAGE, sky_status_message(status));
  if (has_error_info(status))
    (void)append_detail(status, TYPE_PREFIX "ErrorInfo", encode_error_info, 0, out);
  if (sky_status_retry_after_ms(status) >= 0)
    (void)append_detail(status, TYPE_PREFIX "RetryInfo", encode_retry_info, 0, out);
  if (sky_status_resource(status, &resource))
    (void)append_detail(status, TYPE_PREFIX "ResourceInfo", encode_resource, 0, out);
  append_entries(status, TYPE_PREFIX "PreconditionFailure", encode_preconditions, precondition_count(status), out);
  append_entries(status, TYPE_PREFIX "BadRequest", encode_bad_request, sky_status_violation_count(status), out);
  for (size_t i = 0; sky_status_detail_at(status, i, &name, &bytes); i++)
    (void)append_detail(status, name, encode_other, i, out);
}

/* Text of a peer: what is no UTF-8 is dropped, a NUL ends it, and its length is bounded. */
static void copy_text(SkyStr from, char to[MAX_TEXT]) {
  if (!sky_utf8_valid(from.data, from.size))
    from.size = 0;
  snprintf(to, MAX_TEXT, "%.*s", SKY_STR_ARGS(from));
}

enum { MAX_TEXTS = 4 };
typedef struct Texts {
  char at[MAX_TEXTS][MAX_TEXT]; /* of the fields 1 to 4 */
} Texts;

/* A map entry, a violation or a resource: messages of texts alone. */
static void decode_texts(SkyStr wire, Texts *ret) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  for (size_t i = 0; i < MAX_TEXTS; i++)
    ret->at[i][0] = '\0';
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type == SKY_WIRE_BYTES && field.number >= 1 && field.number <= MAX_TEXTS)
      copy_text(field.bytes, ret->at[field.number - 1]);
  }
}

static SkyStatus decode_error_info(SkyStatus status, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  char text[MAX_TEXT];
  Texts pair;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type != SKY_WIRE_BYTES)
      continue;
    copy_text(field.bytes, text);
    if (field.number == ERROR_INFO_REASON) {
      status = sky_status_with_reason(status, text);
    } else if (field.number == ERROR_INFO_DOMAIN) {
      status = sky_status_with_domain(status, text);
    } else if (field.number == ERROR_INFO_METADATA) {
      decode_texts(field.bytes, &pair);
      status = sky_status_with_metadata(status, pair.at[0], pair.at[1]);
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
  Texts violation;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type != SKY_WIRE_BYTES || field.number != BAD_REQUEST_VIOLATIONS)
      continue;
    decode_texts(field.bytes, &violation);
    status = sky_status_with_violation(status, violation.at[0], "%s", violation.at[1]);
  }
  return status;
}

static SkyStatus decode_preconditions(SkyStatus status, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  Texts texts;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type != SKY_WIRE_BYTES || field.number != PRECONDITION_FAILURE_VIOLATIONS)
      continue;
    decode_texts(field.bytes, &texts);
    status = sky_status_with_precondition(
        status, (SkyPrecondition){.type = texts.at[0], .subject = texts.at[1], .description = texts.at[2]});
  }
  return status;
}

static SkyStatus decode_resource(SkyStatus status, SkyStr wire) {
  Texts texts;
  decode_texts(wire, &texts);
  return sky_status_with_resource(
      status,
      (SkyResourceInfo){.type = texts.at[0], .name = texts.at[1], .owner = texts.at[2], .description = texts.at[3]});
}

/* What follows the last slash of the URL. */
static SkyStr type_name(SkyStr url) {
  SkyStr rest = url, head;
  while (sky_str_cut(&rest, '/', &head))
    continue;
  return rest;
}

static SkyStatus keep_other(SkyStatus status, SkyStr name, SkyStr value) {
  char text[MAX_TEXT];
  copy_text(name, text);
  return text[0] != '\0' ? sky_status_with_detail(status, text, value) : status;
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
  static const struct {
    const char *name;
    SkyStatus (*decode)(SkyStatus status, SkyStr wire);
  } known[] = {
      {TYPE_PREFIX "ErrorInfo", decode_error_info},   {TYPE_PREFIX "RetryInfo", decode_retry_info},
      {TYPE_PREFIX "BadRequest", decode_bad_request}, {TYPE_PREFIX "PreconditionFailure", decode_preconditions},
      {TYPE_PREFIX "ResourceInfo", decode_resource},
  };
  const SkyStr name = type_name(type_url);
  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
    if (sky_str_is(name, known[i].name))
      return known[i].decode(status, value);
  }
  return keep_other(status, name, value);
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
