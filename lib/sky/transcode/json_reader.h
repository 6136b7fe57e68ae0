/*
 * Reader: JSON values to wire bytes by type. Private to the transcoder: json_reader.c has what all of it stands on,
 * json_read.c objects, lists and maps, json_read_scalar.c single values, json_read_known.c the well-known types.
 *
 * Functions return false when reading cannot go on (no JSON, no memory, 32 violations); a value that is only wrong is
 * noted as a violation and skipped, so that one answer names all of them. What was written is then worthless and
 * dropped at the end.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/transcode/json.h>

#include "bound.h"
#include "descriptor.h"
#include "json_scan.h"
#include "out.h"

/* Where in the JSON we are: a chain from the value up to the root. */
typedef struct Place {
  const struct Place *parent;
  const SkyField *field; /* a field … */
  SkyStr key;            /* … or a key of a map or an unknown field (in_map tells which) … */
  bool in_map;
  int64_t index; /* … or an element of a list; -1: none */
  Bound *bound;  /* of a message: fields that path, query and headers give; NULL: none */
  bool masked;   /* of a message: the fields that are named go into the mask */
} Place;

#define PLACE_ROOT ((Place){.index = -1})

typedef struct Reader {
  Scanner scan;
  const SkyContracts *contracts;
  SkyJsonReadOptions options;
  SkyArena *arena;
  SkyBuf *out;
  SkyStatus violations;
  bool no_memory;
  bool text_mode; /* values come from path, query or headers: all are text, so "true" is a bool and "1" a number */
  SkyBuf *mask;   /* FieldMask in the making; NULL: none wanted */
  const SkyField *mask_field;
  bool mask_given; /* the client gave a mask itself */
} Reader;

/* Prepares a reader of this text (which may be empty in text mode). */
void reader_init(Reader *reader, const SkyContracts *contracts, SkyStr json, const SkyJsonReadOptions *options,
                 SkyArena *arena, SkyBuf *out);
/*
 * A value that is given as text, with its tag: single, or one element of a list. Needs text_mode. The text has been
 * decoded and may hold anything.
 */
bool read_text_value(Reader *reader, const SkyField *field, SkyStr text, const Place *place);
/* The same as one entry of a map. */
bool read_text_entry(Reader *reader, const SkyField *field, SkyStr key, SkyStr text, const Place *place);
/* A whole JSON text as a message. */
bool read_root(Reader *reader, const SkyMessageType *type, const Place *root);
/* A whole JSON text as the value of a field, its tag included. */
bool read_root_field(Reader *reader, const SkyField *field, const Place *root);
/* What has come of it: the violations, or RESOURCE_EXHAUSTED; the caller drops the output unless SKY_OK. */
SkyStatus reader_status(Reader *reader);

/* ---- inside ---- */

/* Notes a violation; true unless there are too many of them. */
bool reader_violation(Reader *reader, const Place *place, const char *format, ...) SKY_PRINTF(3, 4);
/* The JSON ends here; returns false. */
bool reader_syntax_error(Reader *reader, const Place *place);
bool reader_no_memory(Reader *reader); /* returns false */
/* The text of a string token; on false *ret_go_on tells whether it was only a violation. */
bool reader_text(Reader *reader, const Token *token, const Place *place, SkyStr *ret, bool *ret_go_on);
/* Notes a violation about a value and skips it. */
bool reader_refuse(Reader *reader, const Token *token, const Place *place, const char *what);
/* Skips a value whose first token has been read. */
bool reader_skip(Reader *reader, const Token *token, const Place *place);
/* Appends to text of that size as much as fits, without a NUL; returns what is used. */
size_t place_add_text(char *text, size_t size, size_t used, SkyStr part);
/* The place as text: "items[2].pickupLocation.latitude". */
void place_write(const Place *place, char *text, size_t size);

/* A value of a message type (content only), well-known or not, whose first token has been read. */
bool read_message(Reader *reader, const SkyMessageType *type, const Token *token, const Place *place);
/* Members of an object, its bracket read, as fields of a message. in_any: "@type" is skipped. */
bool read_fields(Reader *reader, const SkyMessageType *type, const Place *place, bool in_any);
/* The value of a field with its tag: single, list or map. */
bool read_field_value(Reader *reader, const SkyField *field, const Token *token, const Place *place);
bool read_well_known(Reader *reader, const SkyMessageType *type, const Token *token, const Place *place);

typedef struct Scalar {
  uint64_t bits; /* as on the wire: zigzagged, raw bits of floats */
  SkyStr bytes;  /* of STRING and BYTES */
} Scalar;

typedef enum ScalarOutcome {
  SCALAR_OK,
  SCALAR_SKIPPED /* unknown enum name, ignored by option */,
  SCALAR_WRONG,
  SCALAR_STOP
} ScalarOutcome;
/* Converts a token by the field's type; it notes violations and skips the rest of wrong values itself. */
ScalarOutcome read_scalar(Reader *reader, const SkyField *field, const Token *token, const Place *place, Scalar *ret);
/* The value alone, without tag. */
void put_scalar(SkyBuf *out, ProtoType type, const Scalar *scalar);
bool scalar_is_zero(ProtoType type, const Scalar *scalar);

static inline void put_tag(SkyBuf *out, const SkyField *field) {
  out_str(out, (SkyStr){.data = (const char *)field->tag, .size = field->tag_size});
}

/* True when null is a value of the type instead of "unset". */
static inline bool takes_null(const SkyField *field) {
  return (field->message != NULL && field->message->well_known == WELL_KNOWN_VALUE) ||
         (field->type == PROTO_ENUM && field->enumeration->null_value);
}

/* Keys of one object, to find those that occur twice. */
typedef struct KeySet {
  SkyStr *keys;
  size_t count, capacity;
} KeySet;
bool key_set_add(Reader *reader, KeySet *set, SkyStr key);
/* A key that occurs more than once, or NULL. Sorts the set. */
const SkyStr *key_set_duplicate(KeySet *set);
