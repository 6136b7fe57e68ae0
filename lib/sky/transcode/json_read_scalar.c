/* Single values of JSON by the type of their field: numbers with their ranges, bools, text, bytes, enums. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "json_reader.h"
#include "number.h"

static ScalarOutcome wrong(Reader *reader, const Token *token, const Place *place, const char *what) {
  return reader_refuse(reader, token, place, what) ? SCALAR_WRONG : SCALAR_STOP;
}

/* Numbers may stand in quotes. */
static bool is_number_or_text(const Token *token) {
  return token->kind == TOKEN_NUMBER || token->kind == TOKEN_STRING;
}

static ScalarOutcome read_signed(Reader *reader, const SkyField *field, const Token *token, const Place *place,
                                 Scalar *ret) {
  int64_t value = 0;
  const bool narrow = field->type == PROTO_INT32 || field->type == PROTO_SINT32 || field->type == PROTO_SFIXED32;
  if (!is_number_or_text(token) || !number_read_int64(token->text, &value))
    return wrong(reader, token, place, narrow ? "must be an integer of 32 bits" : "must be an integer of 64 bits");
  if (narrow && (value < INT32_MIN || value > INT32_MAX))
    return wrong(reader, token, place, "must be from -2147483648 to 2147483647");
  switch (field->type) {
  case PROTO_SINT32:
  case PROTO_SINT64:
    ret->bits = sky_wire_zigzag(value);
    break;
  case PROTO_SFIXED32:
    ret->bits = (uint32_t)value;
    break;
  default:
    ret->bits = (uint64_t)value;
  }
  return SCALAR_OK;
}

static ScalarOutcome read_unsigned(Reader *reader, const SkyField *field, const Token *token, const Place *place,
                                   Scalar *ret) {
  const bool narrow = field->type == PROTO_UINT32 || field->type == PROTO_FIXED32;
  if (!is_number_or_text(token) || !number_read_uint64(token->text, &ret->bits))
    return wrong(reader, token, place,
                 narrow ? "must be an integer of 32 bits, not negative"
                        : "must be an integer of 64 bits, not negative");
  if (narrow && ret->bits > UINT32_MAX)
    return wrong(reader, token, place, "must be from 0 to 4294967295");
  return SCALAR_OK;
}

static bool read_special_number(const Token *token, double *ret) {
  if (token->kind != TOKEN_STRING)
    return false;
  if (sky_str_is(token->text, "NaN"))
    *ret = NAN;
  else if (sky_str_is(token->text, "Infinity"))
    *ret = INFINITY;
  else if (sky_str_is(token->text, "-Infinity"))
    *ret = -INFINITY;
  else
    return false;
  return true;
}

static ScalarOutcome read_floating(Reader *reader, const SkyField *field, const Token *token, const Place *place,
                                   Scalar *ret) {
  double value = 0;
  const bool special = read_special_number(token, &value);
  if (!special && (!is_number_or_text(token) || !number_read_double(token->text, &value)))
    return wrong(reader, token, place, "must be a number");
  if (field->type == PROTO_DOUBLE) {
    memcpy(&ret->bits, &value, sizeof(value));
    return SCALAR_OK;
  }
  const float narrow = (float)value;
  uint32_t bits = 0;
  if (!special && isinf(narrow))
    return wrong(reader, token, place, "is too large for a number of single precision");
  memcpy(&bits, &narrow, sizeof(narrow));
  ret->bits = bits;
  return SCALAR_OK;
}

static ScalarOutcome read_bool(Reader *reader, const Token *token, const Place *place, Scalar *ret) {
  const bool text = reader->text_mode && token->kind == TOKEN_STRING;
  if (token->kind == TOKEN_TRUE || (text && sky_str_is(token->text, "true")))
    ret->bits = 1;
  else if (token->kind == TOKEN_FALSE || (text && sky_str_is(token->text, "false")))
    ret->bits = 0;
  else
    return wrong(reader, token, place, "must be true or false");
  return SCALAR_OK;
}

static ScalarOutcome read_string(Reader *reader, const Token *token, const Place *place, Scalar *ret) {
  bool go_on = true;
  if (token->kind != TOKEN_STRING)
    return wrong(reader, token, place, "must be a string");
  if (reader_text(reader, token, place, &ret->bytes, &go_on))
    return SCALAR_OK;
  return go_on ? SCALAR_WRONG : SCALAR_STOP;
}

static ScalarOutcome read_bytes(Reader *reader, const Token *token, const Place *place, Scalar *ret) {
  if (token->kind != TOKEN_STRING)
    return wrong(reader, token, place, "must be a string of base64");
  const ScalarOutcome outcome = read_string(reader, token, place, ret);
  if (outcome != SCALAR_OK)
    return outcome;
  uint8_t *decoded = sky_arena_alloc(reader->arena, base64_room(ret->bytes.size));
  size_t size = 0;
  if (decoded == NULL)
    return (void)reader_no_memory(reader), SCALAR_STOP;
  if (!base64_read(ret->bytes, decoded, &size))
    return wrong(reader, token, place, "must be a string of base64");
  ret->bytes = (SkyStr){.data = (const char *)decoded, .size = size};
  return SCALAR_OK;
}

/* "must be one of A, B, C": what a client wants to know, as long as it is short. */
static ScalarOutcome wrong_enum(Reader *reader, const EnumType *type, const Token *token, const Place *place) {
  char text[320] = "must be one of ";
  size_t used = strlen(text);
  for (size_t i = 0; i < type->value_count; i++) {
    const SkyStr name = type->values[i].name;
    if (used + name.size + 8 > sizeof(text))
      return wrong(reader, token, place, "must be a name of this enum");
    used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s", i == 0 ? "" : ", ", SKY_STR_ARGS(name));
  }
  return wrong(reader, token, place, text);
}

static ScalarOutcome read_enum_number(Reader *reader, const EnumType *type, const Token *token, const Place *place,
                                      Scalar *ret) {
  int64_t number = 0;
  if (!number_read_int64(token->text, &number) || number < INT32_MIN || number > INT32_MAX)
    return wrong_enum(reader, type, token, place);
  if (type->closed && enum_value_by_number(type, (int32_t)number) == NULL)
    return reader->options.ignore_unknown ? SCALAR_SKIPPED : wrong_enum(reader, type, token, place);
  ret->bits = (uint64_t)number;
  return SCALAR_OK;
}

static ScalarOutcome read_enum(Reader *reader, const EnumType *type, const Token *token, const Place *place,
                               Scalar *ret) {
  SkyStr name;
  bool go_on = true;
  if (token->kind == TOKEN_NULL && type->null_value)
    return SCALAR_OK;
  if (token->kind == TOKEN_NUMBER)
    return read_enum_number(reader, type, token, place, ret);
  if (token->kind != TOKEN_STRING)
    return wrong_enum(reader, type, token, place);
  if (!reader_text(reader, token, place, &name, &go_on))
    return go_on ? SCALAR_WRONG : SCALAR_STOP;
  const EnumValue *value = enum_value_by_name(type, name);
  if (value != NULL) {
    ret->bits = (uint64_t)(int64_t)value->number;
    return SCALAR_OK;
  }
  if (reader->text_mode && name.size > 0 && (*name.data == '-' || (*name.data >= '0' && *name.data <= '9')))
    return read_enum_number(reader, type, token, place, ret);
  return reader->options.ignore_unknown ? SCALAR_SKIPPED : wrong_enum(reader, type, token, place);
}

/* "\u0031" is "1" also where a number is meant. */
static ScalarOutcome unescape_token(Reader *reader, const Token *token, const Place *place, Token *ret) {
  bool go_on = true;
  *ret = *token;
  ret->escaped = false;
  if (reader_text(reader, token, place, &ret->text, &go_on))
    return SCALAR_OK;
  return go_on ? SCALAR_WRONG : SCALAR_STOP;
}

ScalarOutcome read_scalar(Reader *reader, const SkyField *field, const Token *token, const Place *place, Scalar *ret) {
  Token unescaped;
  *ret = (Scalar){.bits = 0};
  if (token->kind == TOKEN_STRING && token->escaped && proto_type_is_scalar(field->type)) {
    const ScalarOutcome outcome = unescape_token(reader, token, place, &unescaped);
    if (outcome != SCALAR_OK)
      return outcome;
    token = &unescaped;
  }
  switch (field->type) {
  case PROTO_DOUBLE:
  case PROTO_FLOAT:
    return read_floating(reader, field, token, place, ret);
  case PROTO_INT64:
  case PROTO_INT32:
  case PROTO_SINT32:
  case PROTO_SINT64:
  case PROTO_SFIXED32:
  case PROTO_SFIXED64:
    return read_signed(reader, field, token, place, ret);
  case PROTO_UINT64:
  case PROTO_UINT32:
  case PROTO_FIXED64:
  case PROTO_FIXED32:
    return read_unsigned(reader, field, token, place, ret);
  case PROTO_BOOL:
    return read_bool(reader, token, place, ret);
  case PROTO_STRING:
    return read_string(reader, token, place, ret);
  case PROTO_BYTES:
    return read_bytes(reader, token, place, ret);
  case PROTO_ENUM:
    return read_enum(reader, field->enumeration, token, place, ret);
  case PROTO_MESSAGE:
  case PROTO_GROUP:
    break;
  }
  return wrong(reader, token, place, "has a type that cannot stand here");
}

void put_scalar(SkyBuf *out, ProtoType type, const Scalar *scalar) {
  switch (proto_type_wire(type)) {
  case SKY_WIRE_VARINT:
    out_varint(out, scalar->bits);
    break;
  case SKY_WIRE_FIXED32:
    sky_wire_append_fixed32(out, (uint32_t)scalar->bits);
    break;
  case SKY_WIRE_FIXED64:
    sky_wire_append_fixed64(out, scalar->bits);
    break;
  default:
    out_varint(out, scalar->bytes.size);
    out_str(out, scalar->bytes);
  }
}

bool scalar_is_zero(ProtoType type, const Scalar *scalar) {
  return type == PROTO_STRING || type == PROTO_BYTES ? scalar->bytes.size == 0 : scalar->bits == 0;
}
