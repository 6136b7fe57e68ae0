/* Canonical wire bytes: what the writer of JSON finds, written as wire bytes again. */
#include <sky/transcode/canonical.h>

#include "json_writer.h"

static bool put_message(Writer *writer, const SkyMessageType *type, SkyStr wire);

static void put_tag(Writer *writer, uint32_t number, SkyWireType type) {
  out_varint(writer->out, sky_wire_tag(number, type));
}

static bool put_scalar(Writer *writer, const SkyField *field, uint64_t bits, SkyStr bytes) {
  SkyBuf *out = writer->out;
  switch (proto_type_wire(field->type)) {
  case SKY_WIRE_VARINT:
    out_varint(out, proto_type_bits(field->type, bits));
    return true;
  case SKY_WIRE_FIXED32:
    sky_wire_append_fixed32(out, (uint32_t)bits);
    return true;
  case SKY_WIRE_FIXED64:
    sky_wire_append_fixed64(out, bits);
    return true;
  default:
    break;
  }
  if (field->type == PROTO_STRING && field->check_utf8 && !sky_utf8_valid(bytes.data, bytes.size))
    return writer_fail(writer, "%.*s is not valid UTF-8", SKY_STR_ARGS(field->name));
  out_varint(out, bytes.size);
  out_str(out, bytes);
  return true;
}

static bool put_submessage(Writer *writer, const SkyField *field, SkyStr content) {
  if (field->type == PROTO_GROUP) {
    put_tag(writer, field->number, SKY_WIRE_GROUP_START);
    if (!put_message(writer, field->message, content))
      return false;
    put_tag(writer, field->number, SKY_WIRE_GROUP_END);
    return true;
  }
  put_tag(writer, field->number, SKY_WIRE_BYTES);
  const size_t start = sky_wire_begin_bytes(writer->out);
  if (!put_message(writer, field->message, content))
    return false;
  sky_wire_end_bytes(writer->out, start);
  return true;
}

static bool put_value(Writer *writer, const SkyField *field, uint64_t bits, SkyStr bytes) {
  if (field->message != NULL)
    return put_submessage(writer, field, bytes);
  put_tag(writer, field->number, (SkyWireType)proto_type_wire(field->type));
  return put_scalar(writer, field, bits, bytes);
}

/* ---- lists ---- */

static bool put_element(Writer *writer, const SkyField *field, uint64_t bits, SkyStr bytes) {
  if (is_unknown_number(field, bits))
    return true;
  return field->packed ? put_scalar(writer, field, bits, bytes) : put_value(writer, field, bits, bytes);
}

static bool put_packed_elements(Writer *writer, const SkyField *field, SkyStr packed) {
  SkyWireReader reader = sky_wire_reader(packed.data, packed.size);
  uint64_t bits = 0;
  while (!sky_wire_at_end(&reader)) {
    if (!read_packed(&reader, field->type, &bits))
      return writer_fail(writer, "the list %.*s is malformed", SKY_STR_ARGS(field->name));
    if (!put_element(writer, field, bits, SKY_STR("")))
      return false;
  }
  return true;
}

static bool put_elements(Writer *writer, const SkyField *field, const Slot *slot) {
  SkyWireReader reader = {.at = slot->first, .end = slot->end};
  SkyWireField element;
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &element))
      return writer_fail(writer, "the list %.*s is malformed", SKY_STR_ARGS(field->name));
    if (element.number != field->number || !fits_on_wire(field, element.type))
      continue;
    const bool packed = element.type == SKY_WIRE_BYTES && proto_type_is_scalar(field->type);
    if (!(packed ? put_packed_elements(writer, field, element.bytes)
                 : put_element(writer, field, element.scalar, element.bytes)))
      return false;
  }
  return true;
}

static bool put_list(Writer *writer, const SkyField *field, const Slot *slot) {
  const size_t before = writer->out->size;
  if (!field->packed)
    return put_elements(writer, field, slot);
  put_tag(writer, field->number, SKY_WIRE_BYTES);
  const size_t start = sky_wire_begin_bytes(writer->out);
  if (!put_elements(writer, field, slot))
    return false;
  if (writer->out->size == start && !writer->out->failed)
    writer->out->size = before; /* an empty list is nothing */
  else
    sky_wire_end_bytes(writer->out, start);
  return true;
}

/* ---- maps and messages ---- */

static bool put_map(Writer *writer, const SkyField *field, const Slot *slot) {
  const SkyMessageType *type = field->message;
  Entry *entries = NULL;
  size_t count = 0;
  if (!read_map_entries(writer, field, slot, &entries, &count))
    return false;
  for (size_t i = 0; i < count; i++) {
    put_tag(writer, field->number, SKY_WIRE_BYTES);
    const size_t start = sky_wire_begin_bytes(writer->out);
    if (!put_value(writer, &type->fields[0], entries[i].key_bits, entries[i].key_bytes) ||
        !put_value(writer, &type->fields[1], entries[i].value_bits, entries[i].value_bytes))
      return false;
    sky_wire_end_bytes(writer->out, start);
  }
  return true;
}

static bool put_single(Writer *writer, const SkyField *field, const Slot *slot) {
  SkyWireField on_wire;
  SkyStr content;
  if (field->message != NULL)
    return slot_message(writer, field, slot, &content) && put_submessage(writer, field, content);
  if (!slot_read(slot, &on_wire))
    return writer_fail(writer, "%.*s is malformed", SKY_STR_ARGS(field->name));
  return put_value(writer, field, on_wire.scalar, on_wire.bytes);
}

static bool put_field(Writer *writer, const SkyField *field, const Slot *slot) {
  if (!is_populated(field, slot))
    return true;
  if (field->map)
    return put_map(writer, field, slot);
  return field->repeated ? put_list(writer, field, slot) : put_single(writer, field, slot);
}

static void put_unknown(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField on_wire;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &on_wire)) {
    const SkyField *field = message_field_by_number(type, on_wire.number);
    const bool known = field != NULL && fits_on_wire(field, on_wire.type) &&
                       (on_wire.type != SKY_WIRE_VARINT || !is_unknown_number(field, on_wire.scalar));
    if (!known)
      out_str(writer->out, (SkyStr){.data = (const char *)on_wire.start, .size = (size_t)(reader.at - on_wire.start)});
  }
}

static bool put_message(Writer *writer, const SkyMessageType *type, SkyStr wire) {
  Slot *slots = NULL;
  if (!writer_enter(writer) || !writer_index(writer, type, wire, &slots))
    return false;
  if (++writer->depth > writer->max_depth)
    return writer_fail(writer, "the message is nested too deep");
  for (size_t i = 0; i < type->field_count; i++) {
    const SkyField *field = &type->fields[type->by_number[i]];
    if (slots[field->index].count > 0 && !put_field(writer, field, &slots[field->index]))
      return false;
  }
  put_unknown(writer, type, wire);
  writer->depth--;
  writer_leave(writer);
  return true;
}

SkyStatus sky_wire_canonical(const SkyContracts *contracts, const SkyMessageType *type, const void *wire, size_t size,
                             SkyArena *arena, SkyBuf *ret_wire) {
  const size_t before = ret_wire->size;
  Writer writer;
  writer_init(&writer, contracts, NULL, arena, ret_wire);
  (void)put_message(&writer, type, (SkyStr){.data = wire, .size = size});
  SkyStatus status = writer_status(&writer);
  if (status != SKY_OK) {
    ret_wire->size = before;
    ret_wire->failed = false;
  }
  return status;
}
