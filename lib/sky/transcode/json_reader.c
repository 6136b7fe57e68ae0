/* What reading JSON stands on: the reader with its violations, places and their paths, keys that occur twice. */
#include "json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VIOLATIONS = 32, PLACE_TEXT_SIZE = 256 };

/* ---- the reader ---- */

void reader_init(Reader *reader, const SkyContracts *contracts, SkyStr json, const SkyJsonReadOptions *options,
                 SkyArena *arena, SkyBuf *out) {
  *reader = (Reader){.contracts = contracts, .arena = arena, .out = out};
  if (options != NULL)
    reader->options = *options;
  const uint32_t depth = reader->options.max_depth;
  reader->scan = (Scanner){
      .start = json.data,
      .at = json.data,
      .end = json.size == 0 ? json.data : json.data + json.size,
      .max_depth = depth == 0 || depth > SKY_JSON_MAX_DEPTH ? SKY_JSON_MAX_DEPTH : depth,
  };
}

SkyStatus reader_status(Reader *reader) {
  if (reader->violations != SKY_OK)
    return reader->violations;
  if (reader->no_memory)
    return SKY_RESOURCE_EXHAUSTED("the request needs more memory than is allowed");
  return sky_buf_status(reader->out);
}

bool reader_no_memory(Reader *reader) {
  reader->no_memory = true;
  return false;
}

/* ---- places ---- */

size_t place_add_text(char *text, size_t size, size_t used, SkyStr part) {
  const size_t room = size - 1 - used;
  const size_t count = part.size < room ? part.size : room;
  if (count > 0)
    memcpy(text + used, part.data, count);
  return used + count;
}

static size_t write_place(const Place *place, char *text, size_t size) {
  if (place->parent == NULL)
    return 0;
  size_t used = write_place(place->parent, text, size);
  char number[32];
  if (place->index >= 0) {
    snprintf(number, sizeof(number), "[%lld]", (long long)place->index);
    return place_add_text(text, size, used, sky_str(number));
  }
  if (place->in_map) {
    used = place_add_text(text, size, used, SKY_STR("[\""));
    used = place_add_text(text, size, used, place->key);
    return place_add_text(text, size, used, SKY_STR("\"]"));
  }
  if (used > 0)
    used = place_add_text(text, size, used, SKY_STR("."));
  return place_add_text(text, size, used, place->field != NULL ? place->field->json_name : place->key);
}

void place_write(const Place *place, char *text, size_t size) {
  size_t used = write_place(place, text, size);
  /* Cut at a whole character, or the answer would not be valid UTF-8. */
  while (used > 0 && used == size - 1 && ((uint8_t)text[used - 1] & 0xc0) == 0x80)
    used--;
  if (used > 0 && (uint8_t)text[used - 1] >= 0xc0)
    used--;
  text[used] = '\0';
}

bool reader_violation(Reader *reader, const Place *place, const char *format, ...) {
  char field[PLACE_TEXT_SIZE];
  char description[512];
  place_write(place, field, sizeof(field));
  va_list values;
  va_start(values, format);
  vsnprintf(description, sizeof(description), format, values);
  va_end(values);
  sky_violations_add(&reader->violations, *field == '\0' ? "body" : field, "%s", description);
  return sky_status_violation_count(reader->violations) < MAX_VIOLATIONS;
}

bool reader_syntax_error(Reader *reader, const Place *place) {
  size_t line = 0;
  size_t column = 0;
  scan_position(&reader->scan, &line, &column);
  (void)reader_violation(reader, place, "is not valid JSON at line %zu, column %zu: %s", line, column,
                         reader->scan.problem == NULL ? "it is cut off" : reader->scan.problem);
  return false;
}

bool reader_skip(Reader *reader, const Token *token, const Place *place) {
  return scan_skip(&reader->scan, token) || reader_syntax_error(reader, place);
}

bool reader_refuse(Reader *reader, const Token *token, const Place *place, const char *what) {
  return reader_violation(reader, place, "%s", what) && reader_skip(reader, token, place);
}

bool reader_text(Reader *reader, const Token *token, const Place *place, SkyStr *ret, bool *ret_go_on) {
  *ret_go_on = true;
  switch (scan_text(token, reader->options.allow_nul, reader->arena, ret)) {
  case TEXT_OK:
    return true;
  case TEXT_BAD_UTF8:
    *ret_go_on = reader_violation(reader, place, "is not valid UTF-8");
    return false;
  case TEXT_BAD_ESCAPE:
    *ret_go_on =
        reader_violation(reader, place, "has a backslash escape that JSON does not have, or half of a surrogate pair");
    return false;
  case TEXT_HAS_NUL:
    *ret_go_on = reader_violation(reader, place, "must not contain the character U+0000");
    return false;
  case TEXT_NO_MEMORY:
    break;
  }
  *ret_go_on = reader_no_memory(reader);
  return false;
}

/* ---- keys that occur twice ---- */

bool key_set_add(Reader *reader, KeySet *set, SkyStr key) {
  if (set->count == set->capacity) {
    const size_t capacity = set->capacity == 0 ? 8 : set->capacity * 2;
    SkyStr *keys = sky_arena_alloc(reader->arena, capacity * sizeof(*keys));
    if (keys == NULL)
      return reader_no_memory(reader);
    if (set->count > 0)
      memcpy(keys, set->keys, set->count * sizeof(*keys));
    set->keys = keys;
    set->capacity = capacity;
  }
  set->keys[set->count++] = key;
  return true;
}

static int compare_keys(const void *a, const void *b) {
  const SkyStr *left = a;
  const SkyStr *right = b;
  if (left->size != right->size)
    return left->size < right->size ? -1 : 1;
  return memcmp(left->data, right->data, left->size);
}

/* By sorting, not hashing: the keys are the client's, so a hash would have to be keyed, and few maps have more than
 * ten. */
const SkyStr *key_set_duplicate(KeySet *set) {
  if (set->count < 2)
    return NULL;
  qsort(set->keys, set->count, sizeof(*set->keys), compare_keys);
  for (size_t i = 1; i < set->count; i++)
    if (compare_keys(&set->keys[i - 1], &set->keys[i]) == 0)
      return &set->keys[i];
  return NULL;
}
