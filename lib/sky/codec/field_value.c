#include <sky/codec/field_value.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SkyNumberKind sky_number_kind(ProtobufCType type) {
  switch (type) {
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_FIXED32:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_BOOL:
    return SKY_NUMBER_UNSIGNED;
  case PROTOBUF_C_TYPE_FLOAT:
  case PROTOBUF_C_TYPE_DOUBLE:
    return SKY_NUMBER_FLOATING;
  case PROTOBUF_C_TYPE_MESSAGE:
    return SKY_NUMBER_TIME;
  default:
    return SKY_NUMBER_SIGNED;
  }
}

/* A Timestamp or Duration: both are {int64 seconds = 1; int32 nanos = 2}. */
static SkyNumber read_time(const ProtobufCMessage *message) {
  SkyNumber number = {.t = {0, 0}};
  memcpy(&number.t.seconds, (const char *)message + message->descriptor->fields[0].offset, sizeof(number.t.seconds));
  memcpy(&number.t.nanos, (const char *)message + message->descriptor->fields[1].offset, sizeof(number.t.nanos));
  return number;
}

const void *sky_value_pointer(const void *at) {
  const void *pointer;
  memcpy(&pointer, at, sizeof(pointer));
  return pointer;
}

SkyNumber sky_value_number(const SkyFieldValue *value) {
  switch (value->field->type) {
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_FIXED32:
    return (SkyNumber){.u = *(const uint32_t *)value->at};
  case PROTOBUF_C_TYPE_BOOL:
    return (SkyNumber){.u = *(const protobuf_c_boolean *)value->at != 0};
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
    return (SkyNumber){.u = *(const uint64_t *)value->at};
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
    return (SkyNumber){.i = *(const int64_t *)value->at};
  case PROTOBUF_C_TYPE_FLOAT:
    return (SkyNumber){.d = (double)*(const float *)value->at};
  case PROTOBUF_C_TYPE_DOUBLE:
    return (SkyNumber){.d = *(const double *)value->at};
  case PROTOBUF_C_TYPE_MESSAGE:
    return read_time(sky_value_pointer(value->at));
  default:
    return (SkyNumber){.i = *(const int32_t *)value->at};
  }
}

bool sky_value_is_text(ProtobufCType type) {
  return type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_BYTES;
}

SkyStr sky_value_text(const SkyFieldValue *value) {
  if (value->field->type == PROTOBUF_C_TYPE_STRING)
    return sky_str(sky_value_pointer(value->at));
  ProtobufCBinaryData data;
  memcpy(&data, value->at, sizeof(data));
  return (SkyStr){(const char *)data.data, data.len};
}

bool sky_value_is_zero(const SkyFieldValue *value) {
  if (sky_value_is_text(value->field->type))
    return sky_value_text(value).size == 0;
  if (value->field->type == PROTOBUF_C_TYPE_MESSAGE)
    return sky_value_pointer(value->at) == NULL;
  const SkyNumber number = sky_value_number(value);
  return sky_number_kind(value->field->type) == SKY_NUMBER_FLOATING ? number.d == 0 : number.u == 0;
}

int sky_number_compare(SkyNumberKind kind, SkyNumber a, SkyNumber b) {
  switch (kind) {
  case SKY_NUMBER_UNSIGNED:
    return (a.u > b.u) - (a.u < b.u);
  case SKY_NUMBER_FLOATING:
    return (a.d > b.d) - (a.d < b.d);
  case SKY_NUMBER_TIME:
    if (a.t.seconds != b.t.seconds)
      return a.t.seconds > b.t.seconds ? 1 : -1;
    return (a.t.nanos > b.t.nanos) - (a.t.nanos < b.t.nanos);
  case SKY_NUMBER_SIGNED:
    break;
  }
  return (a.i > b.i) - (a.i < b.i);
}

/* "1.5s", as protobuf writes a Duration in JSON. A Duration's seconds and nanos have the same sign. */
static void write_time(SkyNumber number, char text[64]) {
  const bool negative = number.t.seconds < 0 || number.t.nanos < 0;
  const uint64_t seconds = negative ? 0 - (uint64_t)number.t.seconds : (uint64_t)number.t.seconds;
  int size = snprintf(text, 64, "%s%" PRIu64 ".%09d", negative ? "-" : "", seconds, abs(number.t.nanos));
  while (text[size - 1] == '0')
    size--;
  size -= text[size - 1] == '.';
  memcpy(text + size, "s", 2);
}

void sky_number_write(SkyNumberKind kind, SkyNumber number, char text[64]) {
  switch (kind) {
  case SKY_NUMBER_UNSIGNED:
    snprintf(text, 64, "%" PRIu64, number.u);
    break;
  case SKY_NUMBER_FLOATING:
    snprintf(text, 64, "%.15g", number.d);
    break;
  case SKY_NUMBER_TIME:
    write_time(number, text);
    break;
  case SKY_NUMBER_SIGNED:
    snprintf(text, 64, "%" PRId64, number.i);
    break;
  }
}

int sky_value_compare(const void *a, const void *b, void *user) {
  const ProtobufCFieldDescriptor *field = user;
  const SkyFieldValue left = {field, a}, right = {field, b};
  if (!sky_value_is_text(field->type))
    return sky_number_compare(sky_number_kind(field->type), sky_value_number(&left), sky_value_number(&right));
  const SkyStr x = sky_value_text(&left), y = sky_value_text(&right);
  const size_t shorter = x.size < y.size ? x.size : y.size;
  const int order = shorter == 0 ? 0 : memcmp(x.data, y.data, shorter);
  return order != 0 ? order : (x.size > y.size) - (x.size < y.size);
}
