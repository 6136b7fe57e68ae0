/* What loading a descriptor set stands on: copies, names, fields by number, places in the sources. */
#include "load.h"

#include <stdio.h>
#include <string.h>

SkyStr load_copy(SkyContracts *contracts, SkyStr text) {
  const char *copy = sky_arena_strndup(&contracts->arena, text.size == 0 ? "" : text.data, text.size);
  return (SkyStr){.data = copy, .size = copy == NULL ? 0 : text.size};
}

SkyStr load_join(SkyContracts *contracts, SkyStr scope, SkyStr name) {
  if (scope.size == 0)
    return load_copy(contracts, name);
  char *joined = sky_arena_alloc(&contracts->arena, scope.size + name.size + 2);
  if (joined == NULL)
    return (SkyStr){NULL, 0};
  memcpy(joined, scope.data, scope.size);
  joined[scope.size] = '.';
  memcpy(joined + scope.size + 1, name.data, name.size);
  return (SkyStr){.data = joined, .size = scope.size + name.size + 1};
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool load_is_identifier(SkyStr text, bool dots) {
  bool at_start = true;
  for (size_t i = 0; i < text.size; i++) {
    const char c = text.data[i];
    if (dots && c == '.' && !at_start)
      at_start = true;
    else if (is_letter(c) || (!at_start && c >= '0' && c <= '9'))
      at_start = false;
    else
      return false;
  }
  return !at_start;
}

SkyStatus load_next(SkyWireReader *reader, SkyWireField *ret, bool *ret_done) {
  *ret_done = sky_wire_at_end(reader);
  if (*ret_done || sky_wire_next(reader, ret))
    return SKY_OK;
  return SKY_INVALID_ARGUMENT("the descriptor set is malformed or cut off");
}

SkyStr load_find_bytes(SkyStr message, uint32_t number) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  SkyStr found = SKY_STR("");
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field))
    if (field.number == number && field.type == SKY_WIRE_BYTES)
      found = field.bytes;
  return found;
}

SkyStr load_find_message(SkyContracts *contracts, SkyStr message, uint32_t number) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  SkyStr joined = SKY_STR("");
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number != number || field.type != SKY_WIRE_BYTES || field.bytes.size == 0)
      continue;
    if (joined.size == 0) {
      joined = field.bytes;
      continue;
    }
    char *both = sky_arena_alloc(&contracts->arena, joined.size + field.bytes.size);
    if (both == NULL)
      return (SkyStr){NULL, 0};
    memcpy(both, joined.data, joined.size);
    memcpy(both + joined.size, field.bytes.data, field.bytes.size);
    joined = (SkyStr){.data = both, .size = joined.size + field.bytes.size};
  }
  return joined;
}

uint64_t load_find_varint(SkyStr message, uint32_t number, uint64_t otherwise) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field))
    if (field.number == number && field.type == SKY_WIRE_VARINT)
      otherwise = field.scalar;
  return otherwise;
}

/* ---- places in the sources ---- */

enum { SOURCE_LOCATION = 1, LOCATION_PATH = 1, LOCATION_SPAN = 2 };

static bool path_equals(SkyStr packed, const int32_t *path, size_t path_size) {
  SkyWireReader reader = sky_wire_reader(packed.data, packed.size);
  uint64_t element = 0;
  for (size_t i = 0; i < path_size; i++)
    if (sky_wire_at_end(&reader) || !sky_wire_read_varint(&reader, &element) || element != (uint64_t)path[i])
      return false;
  return sky_wire_at_end(&reader);
}

/* Line of the element, counted from 1; 0 when unknown. */
static uint64_t find_line(SkyStr source_info, const int32_t *path, size_t path_size) {
  SkyWireReader reader = sky_wire_reader(source_info.data, source_info.size);
  SkyWireField field;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number != SOURCE_LOCATION || field.type != SKY_WIRE_BYTES ||
        !path_equals(load_find_bytes(field.bytes, LOCATION_PATH), path, path_size))
      continue;
    const SkyStr span = load_find_bytes(field.bytes, LOCATION_SPAN);
    SkyWireReader numbers = sky_wire_reader(span.data, span.size);
    uint64_t line = 0;
    return sky_wire_read_varint(&numbers, &line) ? line + 1 : 0;
  }
  return 0;
}

void load_location(const LoadFile *file, const int32_t *path, size_t path_size, char *text, size_t text_size) {
  const uint64_t line = find_line(file->source_info, path, path_size);
  if (line == 0)
    snprintf(text, text_size, "%.*s", SKY_STR_ARGS(file->name));
  else
    snprintf(text, text_size, "%.*s:%llu", SKY_STR_ARGS(file->name), (unsigned long long)line);
}
