/* Look-ups in loaded types: by name through a hash table, by number directly or by bisection. */
#include "descriptor.h"

#include <sky/codec/wire.h>

#include <string.h>

/* FNV-1a. The table's keys come from the contract, so nobody outside can make them collide; a probe ends at the first
 * gap. */
uint32_t name_hash(SkyStr name) {
  uint32_t hash = UINT32_C(2166136261);
  for (size_t i = 0; i < name.size; i++)
    hash = (hash ^ (uint8_t)name.data[i]) * UINT32_C(16777619);
  return hash;
}

static inline bool equal(SkyStr a, SkyStr b) {
  return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static inline bool field_has_name(const SkyField *field, SkyStr name) {
  return equal(field->json_name, name) || equal(field->name, name);
}

const SkyField *message_field_by_name(const SkyMessageType *type, SkyStr name, size_t hint) {
  if (hint < type->field_count && equal(type->fields[hint].json_name, name))
    return &type->fields[hint];
  if (type->field_count == 0)
    return NULL;
  const SkyField *by_proto_name = NULL;
  for (uint32_t at = name_hash(name);; at++) {
    const uint16_t slot = type->names.slots[at & type->names.mask];
    if (slot == 0)
      return by_proto_name;
    const SkyField *field = &type->fields[slot - 1];
    if (equal(field->json_name, name))
      return field;
    /* A JSON name goes before another field's proto name. */
    if (field_has_name(field, name))
      by_proto_name = field;
  }
}

const SkyField *message_field_by_number(const SkyMessageType *type, uint32_t number) {
  if (type->dense)
    return number - 1 < type->field_count ? &type->fields[number - 1] : NULL;
  size_t low = 0;
  size_t high = type->field_count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const SkyField *field = &type->fields[type->by_number[middle]];
    if (field->number == number)
      return field;
    if (field->number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

const EnumValue *enum_value_by_name(const EnumType *type, SkyStr name) {
  for (uint32_t at = name_hash(name);; at++) {
    const uint16_t slot = type->names.slots[at & type->names.mask];
    if (slot == 0)
      return NULL;
    if (equal(type->values[slot - 1].name, name))
      return &type->values[slot - 1];
  }
}

const EnumValue *enum_value_by_number(const EnumType *type, int32_t number) {
  size_t low = 0;
  size_t high = type->number_count;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const EnumValue *value = &type->values[type->by_number[middle]];
    if (value->number == number)
      return value;
    if (value->number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

bool proto_type_is_scalar(ProtoType type) {
  return type != PROTO_STRING && type != PROTO_BYTES && type != PROTO_MESSAGE && type != PROTO_GROUP;
}

unsigned proto_type_wire(ProtoType type) {
  switch (type) {
  case PROTO_DOUBLE:
  case PROTO_FIXED64:
  case PROTO_SFIXED64:
    return SKY_WIRE_FIXED64;
  case PROTO_FLOAT:
  case PROTO_FIXED32:
  case PROTO_SFIXED32:
    return SKY_WIRE_FIXED32;
  case PROTO_STRING:
  case PROTO_BYTES:
  case PROTO_MESSAGE:
    return SKY_WIRE_BYTES;
  case PROTO_GROUP:
    return SKY_WIRE_GROUP_START;
  default:
    return SKY_WIRE_VARINT;
  }
}

uint64_t proto_type_bits(ProtoType type, uint64_t bits) {
  switch (type) {
  case PROTO_INT32:
  case PROTO_ENUM:
    return (uint64_t)(int64_t)(int32_t)bits;
  case PROTO_UINT32:
  case PROTO_SINT32:
    return (uint32_t)bits;
  case PROTO_BOOL:
    return bits != 0;
  default:
    return bits;
  }
}
