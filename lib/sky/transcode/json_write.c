/* Messages, lists and maps as JSON: the second of the two readings, in declared order. */
#include "json_writer.h"

#include <math.h>
#include <string.h>

#include "base64.h"
#include "number.h"

void writer_init(Writer *writer, const SkyContracts *contracts, const SkyJsonWriteOptions *options, SkyArena *arena,
                 SkyBuf *out) {
  writer->contracts = contracts;
  writer->options = options != NULL ? *options : (SkyJsonWriteOptions){.max_depth = 0};
  writer->arena = arena;
  writer->out = out;
  writer->depth = 0;
  writer->level = 0;
  writer->level_count = 0;
  writer->error = SKY_OK;
  writer->left_out = NULL;
  const uint32_t depth = writer->options.max_depth;
  writer->max_depth = depth == 0 || depth > SKY_JSON_MAX_DEPTH ? SKY_JSON_MAX_DEPTH : depth;
}

SkyStatus writer_status(Writer *writer) {
  return writer->error != SKY_OK ? writer->error : sky_buf_status(writer->out);
}

bool writer_fail(Writer *writer, const char *format, ...) {
  if (writer->error != SKY_OK)
    return false;
  va_list values;
  va_start(values, format);
  writer->error = sky_status_newv(SKY_CODE_INVALID_ARGUMENT, format, values);
  va_end(values);
  return false;
}

/* ---- single values ---- */

static inline bool is_plain(uint8_t c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static bool all_plain(SkyStr text) {
  size_t i = 0;
  for (; i + 8 <= text.size; i += 8) {
    uint64_t chunk = 0;
    memcpy(&chunk, text.data + i, sizeof(chunk));
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t quote = (chunk ^ ones * '"') - ones;
    const uint64_t backslash = (chunk ^ ones * '\\') - ones;
    if (((quote | backslash | (chunk - ones * 0x20) | chunk) & ones * 0x80) != 0)
      break;
  }
  for (; i < text.size; i++)
    if (!is_plain((uint8_t)text.data[i]))
      return false;
  return true;
}

bool write_string(Writer *writer, SkyStr text) {
  SkyBuf *out = writer->out;
  if (all_plain(text)) {
    out_byte(out, '"');
    out_str(out, text);
    out_byte(out, '"');
    return true;
  }
  if (!sky_utf8_valid(text.data, text.size))
    return writer_fail(writer, "a string is not valid UTF-8");
  sky_buf_append_json_string(out, text.data, text.size);
  return true;
}

static void write_special_number(SkyBuf *out, double value) {
  if (isnan(value))
    out_text(out, "\"NaN\"");
  else if (value > 0)
    out_text(out, "\"Infinity\"");
  else
    out_text(out, "\"-Infinity\"");
}

bool write_double(Writer *writer, double value) {
  char text[NUMBER_TEXT_SIZE];
  if (isfinite(value))
    out_str(writer->out, (SkyStr){.data = text, .size = number_write_double(value, text)});
  else
    write_special_number(writer->out, value);
  return true;
}

static bool write_float(Writer *writer, uint32_t bits) {
  char text[NUMBER_TEXT_SIZE];
  float value = 0;
  memcpy(&value, &bits, sizeof(value));
  if (isfinite(value))
    out_str(writer->out, (SkyStr){.data = text, .size = number_write_float(value, text)});
  else
    write_special_number(writer->out, (double)value);
  return true;
}

static bool write_double_bits(Writer *writer, uint64_t bits) {
  double value = 0;
  memcpy(&value, &bits, sizeof(value));
  return write_double(writer, value);
}

static void write_signed(SkyBuf *out, int64_t value, bool quoted) {
  char text[NUMBER_TEXT_SIZE];
  size_t size = 0;
  text[0] = '"';
  size += quoted;
  size += number_write_int64(value, text + size);
  text[size] = '"';
  size += quoted;
  out_str(out, (SkyStr){.data = text, .size = size});
}

static void write_unsigned(SkyBuf *out, uint64_t value, bool quoted) {
  char text[NUMBER_TEXT_SIZE];
  size_t size = 0;
  text[0] = '"';
  size += quoted;
  size += number_write_uint64(value, text + size);
  text[size] = '"';
  size += quoted;
  out_str(out, (SkyStr){.data = text, .size = size});
}

static bool write_enum(Writer *writer, const EnumType *type, int32_t number) {
  if (type->null_value) {
    out_text(writer->out, "null");
    return true;
  }
  const EnumValue *value = writer->options.numeric_enums ? NULL : enum_value_by_number(type, number);
  if (value == NULL) {
    write_signed(writer->out, number, false);
    return true;
  }
  out_byte(writer->out, '"');
  out_str(writer->out, value->name);
  out_byte(writer->out, '"');
  return true;
}

static bool write_bytes(Writer *writer, SkyStr bytes) {
  out_byte(writer->out, '"');
  base64_write(bytes, writer->out);
  out_byte(writer->out, '"');
  return true;
}

bool write_scalar(Writer *writer, const SkyField *field, uint64_t bits, SkyStr bytes) {
  SkyBuf *out = writer->out;
  switch (field->type) {
  case PROTO_DOUBLE:
    return write_double_bits(writer, bits);
  case PROTO_FLOAT:
    return write_float(writer, (uint32_t)bits);
  case PROTO_INT64:
  case PROTO_SFIXED64:
    return write_signed(out, (int64_t)bits, true), true;
  case PROTO_SINT64:
    return write_signed(out, sky_wire_unzigzag(bits), true), true;
  case PROTO_UINT64:
  case PROTO_FIXED64:
    return write_unsigned(out, bits, true), true;
  case PROTO_INT32:
  case PROTO_SFIXED32:
    return write_signed(out, (int32_t)bits, false), true;
  case PROTO_SINT32:
    return write_signed(out, (int32_t)sky_wire_unzigzag((uint32_t)bits), false), true;
  case PROTO_UINT32:
  case PROTO_FIXED32:
    return write_unsigned(out, (uint32_t)bits, false), true;
  case PROTO_BOOL:
    out_str(out, bits != 0 ? SKY_STR("true") : SKY_STR("false"));
    return true;
  case PROTO_STRING:
    return write_string(writer, bytes);
  case PROTO_BYTES:
    return write_bytes(writer, bytes);
  case PROTO_ENUM:
    return write_enum(writer, field->enumeration, (int32_t)bits);
  case PROTO_MESSAGE:
  case PROTO_GROUP:
    break;
  }
  return writer_fail(writer, "a message stands where a value is expected");
}

/* ---- lists ---- */

bool read_packed(SkyWireReader *reader, ProtoType type, uint64_t *ret) {
  uint32_t narrow = 0;
  switch (proto_type_wire(type)) {
  case SKY_WIRE_FIXED32:
    if (!sky_wire_read_fixed32(reader, &narrow))
      return false;
    *ret = narrow;
    return true;
  case SKY_WIRE_FIXED64:
    return sky_wire_read_fixed64(reader, ret);
  default:
    return sky_wire_read_varint(reader, ret);
  }
}

static void comma_unless_first(SkyBuf *out, bool *first) {
  if (!*first)
    out_byte(out, ',');
  *first = false;
}

bool is_unknown_number(const SkyField *field, uint64_t bits) {
  return field->type == PROTO_ENUM && field->enumeration->closed &&
         enum_value_by_number(field->enumeration, (int32_t)bits) == NULL;
}

static bool write_packed(Writer *writer, const SkyField *field, SkyStr packed, bool *first) {
  SkyWireReader reader = sky_wire_reader(packed.data, packed.size);
  uint64_t bits = 0;
  while (!sky_wire_at_end(&reader)) {
    if (!read_packed(&reader, field->type, &bits))
      return writer_fail(writer, "the list %.*s is malformed", SKY_STR_ARGS(field->name));
    if (is_unknown_number(field, bits))
      continue;
    comma_unless_first(writer->out, first);
    if (!write_scalar(writer, field, bits, SKY_STR("")))
      return false;
  }
  return true;
}

static bool write_element(Writer *writer, const SkyField *field, const SkyWireField *element, bool *first) {
  if (element->type == SKY_WIRE_BYTES && proto_type_is_scalar(field->type))
    return write_packed(writer, field, element->bytes, first);
  if (is_unknown_number(field, element->scalar))
    return true;
  comma_unless_first(writer->out, first);
  if (field->message != NULL)
    return write_message(writer, field->message, element->bytes);
  return write_scalar(writer, field, element->scalar, element->bytes);
}

static bool write_list(Writer *writer, const SkyField *field, const Slot *slot) {
  SkyWireReader reader = {.at = slot->first, .end = slot->end};
  SkyWireField element;
  bool first = true;
  out_byte(writer->out, '[');
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &element))
      return writer_fail(writer, "the list %.*s is malformed", SKY_STR_ARGS(field->name));
    if (element.number == field->number && fits_on_wire(field, element.type) &&
        !write_element(writer, field, &element, &first))
      return false;
  }
  out_byte(writer->out, ']');
  return true;
}

/* ---- maps ---- */

static bool write_map_key(Writer *writer, const SkyField *key, const Entry *entry) {
  if (key->type == PROTO_STRING)
    return write_string(writer, entry->key_bytes);
  /* 64-bit numbers come with their quotes. */
  const bool quoted = proto_type_wire(key->type) == SKY_WIRE_FIXED64 || key->type == PROTO_INT64 ||
                      key->type == PROTO_UINT64 || key->type == PROTO_SINT64;
  if (!quoted)
    out_byte(writer->out, '"');
  if (!write_scalar(writer, key, entry->key_bits, SKY_STR("")))
    return false;
  if (!quoted)
    out_byte(writer->out, '"');
  return true;
}

static bool write_entry(Writer *writer, const SkyMessageType *type, const Entry *entry) {
  if (!write_map_key(writer, &type->fields[0], entry))
    return false;
  out_byte(writer->out, ':');
  if (type->fields[1].message != NULL)
    return write_message(writer, type->fields[1].message, entry->value_bytes);
  return write_scalar(writer, &type->fields[1], entry->value_bits, entry->value_bytes);
}

static bool write_map(Writer *writer, const SkyField *field, const Slot *slot) {
  Entry *entries = NULL;
  size_t count = 0;
  bool first = true;
  if (!read_map_entries(writer, field, slot, &entries, &count))
    return false;
  out_byte(writer->out, '{');
  for (size_t i = 0; i < count; i++) {
    comma_unless_first(writer->out, &first);
    if (!write_entry(writer, field->message, &entries[i]))
      return false;
  }
  out_byte(writer->out, '}');
  return true;
}

/* ---- messages ---- */

static bool write_single(Writer *writer, const SkyField *field, const Slot *slot) {
  SkyWireField on_wire;
  SkyStr content;
  if (field->message != NULL)
    return slot_message(writer, field, slot, &content) && write_message(writer, field->message, content);
  if (!slot_read(slot, &on_wire))
    return writer_fail(writer, "%.*s is malformed", SKY_STR_ARGS(field->name));
  return write_scalar(writer, field, on_wire.scalar, on_wire.bytes);
}

static bool write_value(Writer *writer, const SkyField *field, const Slot *slot) {
  if (field->map)
    return write_map(writer, field, slot);
  return field->repeated ? write_list(writer, field, slot) : write_single(writer, field, slot);
}

/* As if the field were there and empty. */
static bool write_default(Writer *writer, const SkyField *field) {
  const Slot none = {.count = 0};
  if (field->repeated)
    return field->map ? write_map(writer, field, &none) : write_list(writer, field, &none);
  if (field->message != NULL)
    return write_message(writer, field->message, SKY_STR(""));
  const bool first_value = field->type == PROTO_ENUM && field->enumeration->closed;
  return write_scalar(writer, field, first_value ? (uint64_t)(int64_t)field->enumeration->values[0].number : 0,
                      SKY_STR(""));
}

bool is_populated(const SkyField *field, const Slot *slot) {
  SkyWireField on_wire;
  if (slot->count == 0)
    return false;
  if (field->repeated || field->message != NULL)
    return true;
  if (!slot_read(slot, &on_wire))
    return true; /* found out when it is written */
  if (is_unknown_number(field, on_wire.scalar))
    return false;
  if (field->has_presence)
    return true;
  return field->type == PROTO_STRING || field->type == PROTO_BYTES ? on_wire.bytes.size > 0
                                                                   : proto_type_bits(field->type, on_wire.scalar) != 0;
}

static bool write_member(Writer *writer, const SkyField *field, const Slot *slot, bool *any_written) {
  const bool populated = is_populated(field, slot);
  if (!populated && (!writer->options.emit_defaults || field->has_presence))
    return true;
  if (*any_written)
    out_byte(writer->out, ',');
  *any_written = true;
  out_str(writer->out, writer->options.preserve_names ? field->proto_key : field->json_key);
  return populated ? write_value(writer, field, slot) : write_default(writer, field);
}

bool write_members(Writer *writer, const SkyMessageType *type, SkyStr wire, bool *any_written) {
  Slot *slots = NULL;
  if (!writer_index(writer, type, wire, &slots))
    return false;
  for (size_t i = 0; i < type->field_count; i++) {
    const SkyField *field = &type->fields[i];
    if (slots[i].count == 0 && !writer->options.emit_defaults)
      continue;
    if (field == writer->left_out && writer->level == 1)
      continue;
    if (!write_member(writer, field, &slots[i], any_written))
      return false;
  }
  return true;
}

/* Types that are an object or a generic list in JSON. */
static bool is_nested_in_json(const SkyMessageType *type) {
  return type->well_known == PLAIN_MESSAGE || type->well_known == WELL_KNOWN_ANY ||
         type->well_known == WELL_KNOWN_STRUCT || type->well_known == WELL_KNOWN_LIST_VALUE;
}

bool write_message(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  bool any_written = false;
  const uint32_t nested = is_nested_in_json(type);
  if (!writer_enter(writer))
    return false;
  writer->depth += nested;
  if (writer->depth > writer->max_depth)
    return writer_fail(writer, "the message is nested too deep");
  if (type->well_known != PLAIN_MESSAGE) {
    if (!write_well_known(writer, type, wire))
      return false;
  } else {
    out_byte(writer->out, '{');
    if (!write_members(writer, type, wire, &any_written))
      return false;
    out_byte(writer->out, '}');
  }
  writer->depth -= nested;
  writer_leave(writer);
  return true;
}

bool write_one_field(Writer *writer, const SkyMessageType *type, SkyStr wire, const SkyField *field) {
  Slot *slots = NULL;
  if (!writer_enter(writer) || !writer_index(writer, type, wire, &slots))
    return false;
  const Slot slot = slots[field->index];
  const bool done = slot.count == 0 ? write_default(writer, field) : write_value(writer, field, &slot);
  writer_leave(writer);
  return done;
}

SkyStatus sky_json_from_wire(const SkyContracts *contracts, const SkyMessageType *type, const void *wire, size_t size,
                             const SkyJsonWriteOptions *options, SkyArena *arena, SkyBuf *ret_json) {
  const size_t before = ret_json->size;
  Writer writer;
  writer_init(&writer, contracts, options, arena, ret_json);
  (void)write_message(&writer, type, (SkyStr){.data = wire, .size = size});
  SkyStatus status = writer_status(&writer);
  if (status != SKY_OK) {
    ret_json->size = before;
    ret_json->failed = false;
  }
  return status;
}
