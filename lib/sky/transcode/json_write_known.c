/* Well-known types as JSON. */
#include <math.h>
#include <string.h>

#include "json_writer.h"
#include "well_known.h"

/* ---- Timestamp, Duration, FieldMask, wrappers ---- */

static bool write_time(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field;
  int64_t seconds = 0;
  int64_t nanos = 0;
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &field))
      return writer_fail(writer, "%.*s is malformed or cut off", SKY_STR_ARGS(type->full_name));
    if (field.type == SKY_WIRE_VARINT && field.number == KNOWN_SECONDS)
      seconds = (int64_t)field.scalar;
    else if (field.type == SKY_WIRE_VARINT && field.number == KNOWN_NANOS)
      nanos = (int32_t)field.scalar;
  }
  const bool written = (type->well_known == WELL_KNOWN_TIMESTAMP ? timestamp_write : duration_write)(
      seconds, (int32_t)nanos, writer->out);
  return written || writer_fail(writer, "a %.*s is out of range", SKY_STR_ARGS(type->full_name));
}

static bool write_field_mask(Writer *writer, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field;
  bool first = true;
  out_byte(writer->out, '"');
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &field))
      return writer_fail(writer, "a google.protobuf.FieldMask is malformed or cut off");
    if (field.number != KNOWN_MASK_PATHS || field.type != SKY_WIRE_BYTES)
      continue;
    if (!first)
      out_byte(writer->out, ',');
    first = false;
    if (!mask_path_write(field.bytes, writer->out))
      return writer_fail(writer, "a path of a google.protobuf.FieldMask has no JSON form");
  }
  out_byte(writer->out, '"');
  return true;
}

static bool write_wrapped(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  Slot *slots = NULL;
  SkyWireField value = {.scalar = 0, .bytes = SKY_STR("")};
  if (!writer_index(writer, type, wire, &slots))
    return false;
  if (slots[0].count > 0 && !slot_read(&slots[0], &value))
    return writer_fail(writer, "%.*s is malformed", SKY_STR_ARGS(type->full_name));
  return write_scalar(writer, &type->fields[0], value.scalar, value.bytes);
}

/* ---- Struct, Value, ListValue: their shape is checked when contracts are loaded ---- */

static bool write_number_value(Writer *writer, uint64_t bits) {
  double value = 0;
  memcpy(&value, &bits, sizeof(value));
  if (!isfinite(value))
    return writer_fail(writer, "a google.protobuf.Value holds a number that JSON does not have");
  return write_double(writer, value);
}

/* The member that is set; the last one when the bytes hold several. */
static bool write_any_json(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  Slot *slots = NULL;
  SkyWireField set;
  if (!writer_index(writer, type, wire, &slots))
    return false;
  size_t i = 0;
  while (i < type->field_count && slots[i].count == 0)
    i++;
  if (i == type->field_count)
    return writer_fail(writer, "a google.protobuf.Value holds nothing");
  const SkyField *field = &type->fields[i];
  const Slot slot = slots[i];
  if (field->message != NULL) {
    SkyStr content;
    return slot_message(writer, field, &slot, &content) && write_message(writer, field->message, content);
  }
  if (!slot_read(&slot, &set))
    return writer_fail(writer, "a google.protobuf.Value is malformed");
  if (field->number == VALUE_NUMBER)
    return write_number_value(writer, set.scalar);
  return write_scalar(writer, field, set.scalar, set.bytes);
}

/* ---- Any ---- */

static const SkyMessageType *type_of_url(const Writer *writer, SkyStr url) {
  const char *slash = url.size == 0 ? NULL : memrchr(url.data, '/', url.size);
  if (slash == NULL)
    return NULL;
  const size_t prefix = (size_t)(slash - url.data) + 1;
  return sky_contracts_message(writer->contracts, (SkyStr){.data = slash + 1, .size = url.size - prefix});
}

static bool write_unknown_any(Writer *writer, SkyStr content) {
  const SkyField bytes = {.type = PROTO_BYTES};
  if (!writer->options.lenient_any)
    return writer_fail(writer, "a google.protobuf.Any holds a type that is not known here");
  out_text(writer->out, ",\"value\":");
  return write_scalar(writer, &bytes, 0, content);
}

static bool write_any_content(Writer *writer, const SkyMessageType *type, SkyStr content) {
  bool any_written = true;
  if (type->well_known == PLAIN_MESSAGE)
    return write_members(writer, type, content, &any_written);
  out_text(writer->out, ",\"value\":");
  return write_message(writer, type, content);
}

static bool write_any(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  Slot *slots = NULL;
  SkyWireField url = {.bytes = SKY_STR("")};
  SkyWireField content = {.bytes = SKY_STR("")};
  if (!writer_index(writer, type, wire, &slots))
    return false;
  if ((slots[0].count > 0 && !slot_read(&slots[0], &url)) || (slots[1].count > 0 && !slot_read(&slots[1], &content)))
    return writer_fail(writer, "a google.protobuf.Any is malformed");
  out_byte(writer->out, '{');
  if (url.bytes.size > 0 || content.bytes.size > 0) {
    const SkyMessageType *inner = type_of_url(writer, url.bytes);
    out_text(writer->out, "\"@type\":");
    if (!write_string(writer, url.bytes) ||
        !(inner == NULL ? write_unknown_any(writer, content.bytes) : write_any_content(writer, inner, content.bytes)))
      return false;
  }
  out_byte(writer->out, '}');
  return true;
}

bool write_well_known(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  switch (type->well_known) {
  case WELL_KNOWN_TIMESTAMP:
  case WELL_KNOWN_DURATION:
    return write_time(writer, type, wire);
  case WELL_KNOWN_FIELD_MASK:
    return write_field_mask(writer, wire);
  case WELL_KNOWN_WRAPPER:
    return write_wrapped(writer, type, wire);
  case WELL_KNOWN_VALUE:
    return write_any_json(writer, type, wire);
  case WELL_KNOWN_STRUCT:
  case WELL_KNOWN_LIST_VALUE:
    return write_one_field(writer, type, wire, &type->fields[0]);
  case WELL_KNOWN_ANY:
    return write_any(writer, type, wire);
  case PLAIN_MESSAGE:
    break;
  }
  return false;
}
