/*
 * Writer: wire bytes to JSON by type. Private to the transcoder: json_write.c has messages, lists and maps,
 * json_write_known.c the well-known types.
 *
 * A message is read twice: once to find where each field stands (in any order, scattered, or repeated where only the
 * last counts, as the format allows), once to write the fields in declared order.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/transcode/json.h>

#include "descriptor.h"
#include "out.h"

/* Where a field stands on the wire. */
typedef struct Slot {
  const uint8_t *first; /* tag of the first occurrence; NULL: absent */
  const uint8_t *last;
  const uint8_t *end; /* after the last occurrence */
  uint32_t count;
} Slot;

/* Working memory for one level of nesting, kept for the next message on that level. */
typedef struct Level {
  Slot *slots;
  size_t capacity;
} Level;

/* Levels that one level of JSON may take: a Struct is a message, its map's entry, a Value and the next Struct. */
enum { WRITER_LEVELS = 4 * SKY_JSON_MAX_DEPTH + 4 };

typedef struct Writer {
  const SkyContracts *contracts;
  SkyJsonWriteOptions options;
  SkyArena *arena;
  SkyBuf *out;
  uint32_t depth, max_depth; /* of objects and generic lists in the JSON */
  uint32_t level;            /* of messages on the wire, Values and map entries included */
  uint32_t level_count;      /* of levels that have been used */
  SkyStatus error;
  const SkyField *left_out;    /* a field of the outermost message that is not written */
  Level levels[WRITER_LEVELS]; /* only the first level_count are initialised */
} Writer;

void writer_init(Writer *writer, const SkyContracts *contracts, const SkyJsonWriteOptions *options, SkyArena *arena,
                 SkyBuf *out);
/* The value of a message: an object, or what its well-known type is in JSON. */
bool write_message(Writer *writer, const SkyMessageType *type, SkyStr wire);
/* Only one field of a message, without its name; as if empty when it is absent. */
bool write_one_field(Writer *writer, const SkyMessageType *type, SkyStr wire, const SkyField *field);
/* The error, or what became of the output. */
SkyStatus writer_status(Writer *writer);

/* ---- inside ---- */

/* All return false after an error, which they note. */
bool writer_fail(Writer *writer, const char *format, ...) SKY_PRINTF(2, 3);
/* Finds the fields of a message; *ret is valid until the next message on the same level. */
bool writer_index(Writer *writer, const SkyMessageType *type, SkyStr wire, Slot **ret);
/* The field as it is declared, or packed where single values were declared and the other way round; else it is an
 * unknown field. */
bool fits_on_wire(const SkyField *field, SkyWireType type);
/* A number of a closed enum that the enum does not have: treated as an unknown field. */
bool is_unknown_number(const SkyField *field, uint64_t bits);
/* One value of a packed list. */
bool read_packed(SkyWireReader *reader, ProtoType type, uint64_t *ret);
/* False unless the field is there and says more than its absence: a zero without presence does not. */
bool is_populated(const SkyField *field, const Slot *slot);

/* An entry of a map. */
typedef struct Entry {
  uint64_t key_bits; /* in one form, whatever upper bits the sender set */
  SkyStr key_bytes;
  uint64_t value_bits;
  SkyStr value_bytes; /* or the content of a message */
  uint32_t order;     /* on the wire */
} Entry;
/* All entries sorted by key, the last one of each key; in the arena. */
bool read_map_entries(Writer *writer, const SkyField *field, const Slot *slot, Entry **ret_entries, size_t *ret_count);

/* The members of a message without brackets; *any_written tells whether a comma is needed. */
bool write_members(Writer *writer, const SkyMessageType *type, SkyStr wire, bool *any_written);
bool write_well_known(Writer *writer, const SkyMessageType *type, SkyStr wire);
/* One value that is no message. */
bool write_scalar(Writer *writer, const SkyField *field, uint64_t bits, SkyStr bytes);
bool write_string(Writer *writer, SkyStr text);
bool write_double(Writer *writer, double value);
/* The value of a single field's slot. */
bool slot_read(const Slot *slot, SkyWireField *ret);
/* The content of a message that stands in several pieces is all of them joined. */
bool slot_message(Writer *writer, const SkyField *field, const Slot *slot, SkyStr *ret);
bool writer_no_memory(Writer *writer);
bool writer_enter(Writer *writer);
void writer_leave(Writer *writer);
