#include "options.h"

#include <string.h>

#include "names.h"

static SkyStr concatenate(SkyArena *arena, SkyStr a, SkyStr b) {
  if (a.size == 0)
    return b;
  char *both = sky_gen_alloc(arena, a.size + b.size);
  memcpy(both, a.data, a.size);
  memcpy(both + a.size, b.data, b.size);
  return (SkyStr){both, a.size + b.size};
}

SkyStr sky_options_extension(SkyArena *arena, const ProtobufCMessage *options, uint32_t number) {
  SkyStr whole = {"", 0};
  for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
    const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
    if (field->tag != number || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
      continue;
    SkyWireReader reader = sky_wire_reader(field->data, field->len);
    SkyStr piece;
    if (sky_wire_read_bytes(&reader, &piece))
      whole = concatenate(arena, whole, piece);
  }
  return whole;
}

bool sky_options_has(const ProtobufCMessage *options, uint32_t number) {
  for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
    if (options->unknown_fields[i].tag == number)
      return true;
  }
  return false;
}

static bool lists_varint(SkyWireReader *reader, uint64_t value) {
  uint64_t found;
  while (!sky_wire_at_end(reader) && sky_wire_read_varint(reader, &found)) {
    if (found == value)
      return true;
  }
  return false;
}

bool sky_options_lists(const ProtobufCMessage *options, uint32_t number, uint64_t value) {
  for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
    const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
    if (field->tag != number)
      continue;
    SkyWireReader reader = sky_wire_reader(field->data, field->len);
    SkyStr packed;
    if (field->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && sky_wire_read_bytes(&reader, &packed))
      reader = sky_wire_reader(packed.data, packed.size);
    if (lists_varint(&reader, value))
      return true;
  }
  return false;
}

bool sky_options_scalar(SkyStr message, uint32_t number, uint64_t *ret) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  bool found = false;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number != number || field.type == SKY_WIRE_BYTES || field.type == SKY_WIRE_GROUP_START)
      continue;
    *ret = field.scalar;
    found = true;
  }
  return found;
}

bool sky_options_bytes(SkyStr message, uint32_t number, SkyStr *ret) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  bool found = false;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number != number || field.type != SKY_WIRE_BYTES)
      continue;
    *ret = field.bytes;
    found = true;
  }
  return found;
}

char *sky_options_text(SkyArena *arena, SkyStr message, uint32_t number) {
  SkyStr text = {"", 0};
  (void)sky_options_bytes(message, number, &text);
  return sky_gen_printf(arena, "%.*s", SKY_STR_ARGS(text));
}

SkyStr sky_options_message(SkyArena *arena, SkyStr message, uint32_t number, bool *ret_present) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  SkyStr whole = {"", 0};
  bool present = false;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number != number || field.type != SKY_WIRE_BYTES)
      continue;
    whole = concatenate(arena, whole, field.bytes);
    present = true;
  }
  if (ret_present != NULL)
    *ret_present = present;
  return whole;
}
