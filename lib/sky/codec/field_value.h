/*
 * Field value: one value of a message with its type, read by descriptor. What rules compare, count and look into.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include <sky/codec/rule_tables.h>
#include <sky/core/str.h>

/* at: the member of a singular field, or an element of a repeated one. */
typedef struct SkyFieldValue {
  const ProtobufCFieldDescriptor *field;
  const void *at;
} SkyFieldValue;

/* Which member of SkyNumber holds values of a type; bool counts as unsigned, Timestamp and Duration as time. */
typedef enum SkyNumberKind {
  SKY_NUMBER_SIGNED,
  SKY_NUMBER_UNSIGNED,
  SKY_NUMBER_FLOATING,
  SKY_NUMBER_TIME
} SkyNumberKind;

/* Of a number, bool or enum type, or of a message taken as time. */
SkyNumberKind sky_number_kind(ProtobufCType type);
int sky_number_compare(SkyNumberKind kind, SkyNumber a, SkyNumber b); /* as memcmp(); NaN equals everything */
void sky_number_write(SkyNumberKind kind, SkyNumber number, char text[64]);

/* Bytes that a value takes in its message or array. */
static inline size_t sky_value_size(ProtobufCType type) {
  switch (type) {
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_DOUBLE:
    return 8;
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_MESSAGE:
    return sizeof(void *);
  case PROTOBUF_C_TYPE_BYTES:
    return sizeof(ProtobufCBinaryData);
  default:
    return 4;
  }
}

bool sky_value_is_text(ProtobufCType type); /* string or bytes */
const void *sky_value_pointer(const void *at);
SkyNumber sky_value_number(const SkyFieldValue *value); /* of any type but texts */
SkyStr sky_value_text(const SkyFieldValue *value);      /* of texts */
bool sky_value_is_zero(const SkyFieldValue *value);
/* Orders two elements of the field that user points to; for qsort_r(). */
int sky_value_compare(const void *a, const void *b, void *user);
