/* A failed gRPC call as a SkyStatus, by google/rpc/status.proto and error_details.proto. */
#include <sky/transcode/problem.h>

#include <stdio.h>
#include <string.h>

#include <sky/codec/wire.h>

enum { STATUS_DETAILS = 3, ANY_URL = 1, ANY_VALUE = 2 };
enum { ERROR_INFO_REASON = 1, ERROR_INFO_METADATA = 3, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { BAD_REQUEST_VIOLATION = 1, VIOLATION_FIELD = 1, VIOLATION_DESCRIPTION = 2 };
enum { RETRY_INFO_DELAY = 1, DURATION_SECONDS = 1, DURATION_NANOS = 2 };
enum { MAX_TEXT = 1024, MAX_VIOLATIONS = 32, MAX_METADATA = 16 };

/* Text that the status functions take: with a NUL, cut at a whole character, and only what is valid UTF-8. */
typedef struct Text {
  char data[MAX_TEXT];
} Text;

static void text_set(Text *text, SkyStr value) {
  size_t size = value.size < sizeof(text->data) - 1 ? value.size : sizeof(text->data) - 1;
  while (size > 0 && size < value.size && ((uint8_t)value.data[size] & 0xc0) == 0x80)
    size--;
  if (size > 0)
    memcpy(text->data, value.data, size);
  text->data[size] = '\0';
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
    return (c | 0x20) - 'a' + 10;
  return -1;
}

/* grpc-message: percent-encoded; what is malformed stays as it is, as the specification asks. */
static void text_set_percent_encoded(Text *text, SkyStr value) {
  size_t size = 0;
  for (size_t i = 0; i < value.size && size < sizeof(text->data) - 1; i++) {
    char c = value.data[i];
    const int high = c == '%' && i + 2 < value.size ? hex_value(value.data[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(value.data[i + 2]) : -1;
    if (low >= 0) {
      c = (char)(high << 4 | low);
      i += 2;
    }
    text->data[size++] = c == '\0' ? ' ' : c;
  }
  text->data[size] = '\0';
}

/* The last BYTES field of that number; malformed bytes end the walk. */
static SkyStr find_bytes(SkyStr message, uint32_t number) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  SkyStr found = SKY_STR("");
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field))
    if (field.number == number && field.type == SKY_WIRE_BYTES)
      found = field.bytes;
  return found;
}

static int64_t find_varint(SkyStr message, uint32_t number) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  int64_t found = 0;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field))
    if (field.number == number && field.type == SKY_WIRE_VARINT)
      found = (int64_t)field.scalar;
  return found;
}

static SkyStatus add_error_info(SkyStatus status, SkyStr info) {
  SkyWireReader reader = sky_wire_reader(info.data, info.size);
  SkyWireField field;
  Text reason, key, value;
  size_t count = 0;
  text_set(&reason, find_bytes(info, ERROR_INFO_REASON));
  if (*reason.data != '\0')
    status = sky_status_with_reason(status, reason.data);
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field) && count < MAX_METADATA) {
    if (field.number != ERROR_INFO_METADATA || field.type != SKY_WIRE_BYTES)
      continue;
    text_set(&key, find_bytes(field.bytes, ENTRY_KEY));
    text_set(&value, find_bytes(field.bytes, ENTRY_VALUE));
    status = sky_status_with_metadata(status, key.data, value.data);
    count++;
  }
  return status;
}

static SkyStatus add_violations(SkyStatus status, SkyStr bad_request) {
  SkyWireReader reader = sky_wire_reader(bad_request.data, bad_request.size);
  SkyWireField field;
  Text name, description;
  size_t count = 0;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field) && count < MAX_VIOLATIONS) {
    if (field.number != BAD_REQUEST_VIOLATION || field.type != SKY_WIRE_BYTES)
      continue;
    text_set(&name, find_bytes(field.bytes, VIOLATION_FIELD));
    text_set(&description, find_bytes(field.bytes, VIOLATION_DESCRIPTION));
    status = sky_status_with_violation(status, name.data, "%s", description.data);
    count++;
  }
  return status;
}

static SkyStatus add_retry_info(SkyStatus status, SkyStr retry_info) {
  const SkyStr delay = find_bytes(retry_info, RETRY_INFO_DELAY);
  const int64_t seconds = find_varint(delay, DURATION_SECONDS);
  const int64_t nanos = find_varint(delay, DURATION_NANOS);
  if (seconds < 0 || seconds > 86400 * 365 || nanos < 0 || nanos > 999999999)
    return status;
  return sky_status_with_retry_after_ms(status, seconds * 1000 + (nanos + 999999) / 1000000);
}

static SkyStatus add_detail(SkyStatus status, SkyStr any) {
  const SkyStr url = find_bytes(any, ANY_URL);
  const SkyStr value = find_bytes(any, ANY_VALUE);
  if (sky_str_ends_with(url, SKY_STR("/google.rpc.ErrorInfo")))
    return add_error_info(status, value);
  if (sky_str_ends_with(url, SKY_STR("/google.rpc.BadRequest")))
    return add_violations(status, value);
  if (sky_str_ends_with(url, SKY_STR("/google.rpc.RetryInfo")))
    return add_retry_info(status, value);
  return status;
}

SkyStatus sky_status_from_grpc(int grpc_code, SkyStr grpc_message, const void *details, size_t details_size) {
  const bool is_code = grpc_code > SKY_CODE_OK && grpc_code <= SKY_CODE_UNAUTHENTICATED;
  Text message;
  text_set_percent_encoded(&message, grpc_message);
  SkyStatus status = sky_status_new(is_code ? (SkyCode)grpc_code : SKY_CODE_UNKNOWN, "%s", message.data);
  SkyWireReader reader = sky_wire_reader(details, details_size);
  SkyWireField field;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field))
    if (field.number == STATUS_DETAILS && field.type == SKY_WIRE_BYTES)
      status = add_detail(status, field.bytes);
  return status;
}
