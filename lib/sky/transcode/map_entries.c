/* Entries of a map: read from wherever they stand, sorted by key, the last of each key kept. */
#include <stdlib.h>
#include <string.h>

#include "json_writer.h"

static bool read_entry(Writer *writer, const SkyField *field, SkyStr wire, Entry *ret) {
  const SkyMessageType *type = field->message;
  Slot *slots = NULL;
  SkyWireField on_wire;
  if (!writer_enter(writer) || !writer_index(writer, type, wire, &slots))
    return false;
  *ret = (Entry){.key_bytes = SKY_STR(""), .value_bytes = SKY_STR("")};
  if (slots[0].count > 0 && slot_read(&slots[0], &on_wire)) {
    ret->key_bits = on_wire.scalar;
    ret->key_bytes = on_wire.bytes;
  }
  if (slots[1].count > 0 && type->fields[1].message != NULL) {
    if (!slot_message(writer, &type->fields[1], &slots[1], &ret->value_bytes))
      return false;
  } else if (slots[1].count > 0 && slot_read(&slots[1], &on_wire)) {
    ret->value_bits = on_wire.scalar;
    ret->value_bytes = on_wire.bytes;
  }
  if (type->fields[0].type != PROTO_STRING)
    ret->key_bytes = SKY_STR("");
  writer_leave(writer);
  return true;
}

/* By key, then as on the wire; text keys by bytes, numbers as numbers. */
static int compare_entries(const void *a, const void *b, void *user) {
  const Entry *left = a;
  const Entry *right = b;
  const ProtoType type = *(const ProtoType *)user;
  const bool is_signed = type == PROTO_INT32 || type == PROTO_INT64 || type == PROTO_SFIXED64;
  const size_t common = left->key_bytes.size < right->key_bytes.size ? left->key_bytes.size : right->key_bytes.size;
  const int order = common == 0 ? 0 : memcmp(left->key_bytes.data, right->key_bytes.data, common);
  if (order != 0)
    return order;
  if (left->key_bytes.size != right->key_bytes.size)
    return left->key_bytes.size < right->key_bytes.size ? -1 : 1;
  if (left->key_bits != right->key_bits)
    return (is_signed ? (int64_t)left->key_bits < (int64_t)right->key_bits : left->key_bits < right->key_bits) ? -1 : 1;
  return left->order < right->order ? -1 : 1;
}

static bool collect_entries(Writer *writer, const SkyField *field, const Slot *slot, Entry *entries,
                            size_t *ret_count) {
  SkyWireReader reader = {.at = slot->first, .end = slot->end};
  SkyWireField on_wire;
  size_t count = 0;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &on_wire)) {
    if (on_wire.number != field->number || on_wire.type != SKY_WIRE_BYTES || count == slot->count)
      continue;
    if (!read_entry(writer, field, on_wire.bytes, &entries[count]))
      return false;
    entries[count].key_bits = proto_type_bits(field->message->fields[0].type, entries[count].key_bits);
    entries[count].order = (uint32_t)count;
    if (!is_unknown_number(&field->message->fields[1], entries[count].value_bits))
      count++;
  }
  *ret_count = count;
  return true;
}

static bool same_key(const Entry *a, const Entry *b) {
  return a->key_bits == b->key_bits && sky_str_equal(a->key_bytes, b->key_bytes);
}

bool read_map_entries(Writer *writer, const SkyField *field, const Slot *slot, Entry **ret_entries, size_t *ret_count) {
  ProtoType key_type = field->message->fields[0].type;
  size_t count = 0;
  size_t kept = 0;
  Entry *entries = sky_arena_alloc(writer->arena, slot->count * sizeof(*entries));
  if (entries == NULL)
    return writer_no_memory(writer);
  if (slot->count > 0 && !collect_entries(writer, field, slot, entries, &count))
    return false;
  qsort_r(entries, count, sizeof(*entries), compare_entries, &key_type);
  for (size_t i = 0; i < count; i++)
    if (i + 1 == count || !same_key(&entries[i], &entries[i + 1]))
      entries[kept++] = entries[i];
  *ret_entries = entries;
  *ret_count = kept;
  return true;
}
