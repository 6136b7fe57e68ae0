/* Where the fields of a message stand on the wire: the first of the two readings. */
#include <string.h>

#include "json_writer.h"

bool writer_no_memory(Writer *writer) {
  if (writer->error == SKY_OK)
    writer->error = SKY_RESOURCE_EXHAUSTED("the message needs more memory than is allowed");
  return false;
}

bool writer_enter(Writer *writer) {
  if (++writer->level >= WRITER_LEVELS)
    return writer_fail(writer, "the message is nested too deep");
  if (writer->level >= writer->level_count) {
    writer->level_count = writer->level + 1;
    writer->levels[writer->level] = (Level){.capacity = 0};
  }
  return true;
}

void writer_leave(Writer *writer) {
  writer->level--;
}

static Slot *slots_of_level(Writer *writer, size_t count) {
  Level *level = &writer->levels[writer->level];
  if (level->capacity < count) {
    level->slots = sky_arena_alloc(writer->arena, count * sizeof(*level->slots));
    if (level->slots == NULL)
      return level->capacity = 0, NULL;
    level->capacity = count;
  } else if (count > 0) {
    memset(level->slots, 0, count * sizeof(*level->slots));
  }
  return level->slots;
}

/* The field as it is declared, or packed where one value was declared and the other way round; anything else is an
 * unknown field. */
bool fits_on_wire(const SkyField *field, SkyWireType type) {
  if (type == (SkyWireType)proto_type_wire(field->type))
    return true;
  return type == SKY_WIRE_BYTES && field->repeated && proto_type_is_scalar(field->type);
}

/* Of a oneof only the member that came last counts; what stood before of another one is forgotten. */
static void forget_other_members(const SkyMessageType *type, const SkyField *field, Slot *slots) {
  for (size_t i = 0; i < type->field_count; i++)
    if (type->fields[i].oneof == field->oneof && i != field->index)
      slots[i] = (Slot){.count = 0};
}

bool writer_index(Writer *writer, const SkyMessageType *type, SkyStr wire, Slot **ret) {
  Slot *slots = slots_of_level(writer, type->field_count);
  if (slots == NULL && type->field_count > 0)
    return writer_no_memory(writer);
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField on_wire;
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &on_wire))
      return writer_fail(writer, "%.*s is malformed or cut off", SKY_STR_ARGS(type->full_name));
    const SkyField *field = message_field_by_number(type, on_wire.number);
    if (field == NULL || !fits_on_wire(field, on_wire.type))
      continue;
    if (field->oneof >= 0)
      forget_other_members(type, field, slots);
    Slot *slot = &slots[field->index];
    if (slot->count++ == 0)
      slot->first = on_wire.start;
    slot->last = on_wire.start;
    slot->end = reader.at;
  }
  *ret = slots;
  return true;
}

bool slot_read(const Slot *slot, SkyWireField *ret) {
  SkyWireReader reader = {.at = slot->last, .end = slot->end};
  return sky_wire_next(&reader, ret);
}

static bool join_pieces(Writer *writer, const SkyField *field, const Slot *slot, SkyStr *ret) {
  char *joined = sky_arena_alloc(writer->arena, (size_t)(slot->end - slot->first));
  size_t size = 0;
  if (joined == NULL)
    return writer_no_memory(writer);
  SkyWireReader reader = {.at = slot->first, .end = slot->end};
  SkyWireField piece;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &piece)) {
    if (piece.number != field->number || !fits_on_wire(field, piece.type) || piece.bytes.size == 0)
      continue;
    memcpy(joined + size, piece.bytes.data, piece.bytes.size);
    size += piece.bytes.size;
  }
  *ret = (SkyStr){.data = joined, .size = size};
  return true;
}

bool slot_message(Writer *writer, const SkyField *field, const Slot *slot, SkyStr *ret) {
  SkyWireField only;
  if (slot->count != 1)
    return join_pieces(writer, field, slot, ret);
  if (!slot_read(slot, &only))
    return writer_fail(writer, "a message is malformed");
  *ret = only.bytes;
  return true;
}
