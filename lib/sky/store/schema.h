/*
 * Schema: a declared collection, resolved against its message type once at start: which fields its indexes are over, of
 * which kind, and how to read them from a message. Private to lib/sky/store. Immutable, so thread-safe.
 */
#pragma once

#include <sky/store/store.h>

enum {
  SKY_SCHEMA_MAX_KEYS = 32,   /* distinct indexed fields of a collection */
  SKY_SCHEMA_MAX_DEPTH = 8,   /* steps of an indexed field's path */
  SKY_SCHEMA_MAX_TEXT = 1024, /* bytes of an id or an indexed text: what every database can index */
};

typedef enum SkyKeyKind { SKY_KEY_TEXT, SKY_KEY_INTEGER, SKY_KEY_BOOLEAN, SKY_KEY_ENUM, SKY_KEY_TIME } SkyKeyKind;

/* An indexed field. */
typedef struct SkySchemaKey {
  const char *path; /* "eta.time"; borrowed from the declaration */
  SkyKeyKind kind;
  const ProtobufCFieldDescriptor *steps[SKY_SCHEMA_MAX_DEPTH];
  size_t step_count;
} SkySchemaKey;

typedef struct SkySchemaIndex {
  const SkyIndex *declared;
  size_t keys[SKY_INDEX_MAX_FIELDS]; /* positions in SkySchema.keys */
  size_t key_count;
} SkySchemaIndex;

typedef struct SkySchema {
  const SkyCollection *declared;
  const ProtobufCFieldDescriptor *id;
  SkySchemaKey keys[SKY_SCHEMA_MAX_KEYS];
  size_t key_count;
  SkySchemaIndex *indexes;
  size_t index_count;
} SkySchema;

/* INVALID_ARGUMENT names what is wrong with the declaration. */
SKY_MUST_USE SkyStatus sky_schema_create(const SkyCollection *declared, SkySchema **ret);
void sky_schema_destroy(SkySchema *schema);

/* NULL when there is none of that name. */
const SkySchemaIndex *sky_schema_index(const SkySchema *schema, const char *name);

/* The document's id; INVALID_ARGUMENT when it is empty or too long. Borrowed from the document. */
SKY_MUST_USE SkyStatus sky_schema_id(const SkySchema *schema, const ProtobufCMessage *document, const char **ret);

/*
 * The value of an indexed field as databases keep it: text, integer, boolean or time; an enum is the text of its name
 * (a number that has no name is an integer). Unset gives the zero value. INVALID_ARGUMENT: a text that is too long, or
 * an unsigned number past INT64_MAX. Text is borrowed.
 */
SKY_MUST_USE SkyStatus sky_schema_value(const SkySchemaKey *key, const ProtobufCMessage *document, SkyValue *ret);

/* Turns a value of a query into the form of sky_schema_value(). INVALID_ARGUMENT when it is of another kind. */
SKY_MUST_USE SkyStatus sky_schema_query_value(const SkySchemaKey *key, const SkyValue *value, SkyValue *ret);
