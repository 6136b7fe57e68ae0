/*
 * Driver: what a kind of database does for the store. Private to lib/sky/store.
 *
 * store.c checks arguments, resolves collections and indexes, caps deadlines and makes page tokens; a driver stores and
 * finds. So a driver never sees an unknown collection, a value of the wrong kind or a token.
 */
#pragma once

#include <sky/store/schema.h>
#include <sky/store/store.h>

typedef enum SkyWriteKind { SKY_WRITE_INSERT, SKY_WRITE_REPLACE, SKY_WRITE_DELETE } SkyWriteKind;

typedef struct SkyStoreWrite {
  SkyWriteKind kind;
  const SkySchema *schema;
  const ProtobufCMessage *document; /* NULL for delete */
  const char *id;
  int64_t expected_version; /* 0: any (delete only) */
  SkyStatus status;         /* out: this write's own outcome; set by write() when that gives SKY_OK */
} SkyStoreWrite;

typedef struct SkyStoreFind {
  const SkySchema *schema;
  const SkySchemaIndex *index; /* NULL: by id */
  SkyValue equal[SKY_INDEX_MAX_FIELDS];
  size_t equal_count;
  SkyValue from, to; /* on the field after the equal ones; for index NULL on the id */
  bool descending;
  size_t limit;
  /* Continues after this position: the index's fields from equal_count on, and the id. after_id NULL: from the
   * beginning. */
  SkyValue after[SKY_INDEX_MAX_FIELDS];
  const char *after_id;
} SkyStoreFind;

/* What a driver finds: documents in order, at most `limit` of them, with room for them made by store.c. */
typedef struct SkyStoreFound {
  ProtobufCMessage **documents;
  int64_t *versions;
  size_t count;
} SkyStoreFound;

typedef struct SkyStoreDriver {
  const char *name; /* db.system.name of OpenTelemetry */
  void (*close)(void *self);
  SkyStatus (*ping)(void *self, const SkyContext *context);
  /* All of them or, when it returns an error, none that the caller may rely on. count is at most SKY_STORE_BATCH_MAX.
   */
  SkyStatus (*write)(void *self, const SkyContext *context, SkyStoreWrite *writes, size_t count);
  SkyStatus (*get)(void *self, const SkyContext *context, const SkySchema *schema, const char *id, SkyArena *arena,
                   ProtobufCMessage **ret, int64_t *ret_version);
  /* documents are NULL at first, and stay so where there is none; count is 1 to SKY_PAGE_MAX. */
  SkyStatus (*get_many)(void *self, const SkyContext *context, const SkySchema *schema, const char *const *ids,
                        size_t count, SkyArena *arena, ProtobufCMessage **documents);
  SkyStatus (*find)(void *self, const SkyContext *context, const SkyStoreFind *find, SkyArena *arena,
                    SkyStoreFound *found);
} SkyStoreDriver;

enum { SKY_STORE_BATCH_MAX = 512 };

typedef struct SkyStoreDriverOptions {
  const char *uri;
  const char *database;
  SkySchema *const *schemas;
  size_t schema_count;
  size_t max_queued_writes;
  size_t connections;
} SkyStoreDriverOptions;

/* The two drivers. The options are borrowed until they return, the schemas as long as the driver lives. */
SKY_MUST_USE SkyStatus sky_sqlite_open(const SkyStoreDriverOptions *options, const SkyStoreDriver **ret_driver,
                                       void **ret_self);
SKY_MUST_USE SkyStatus sky_mongo_open(const SkyStoreDriverOptions *options, const SkyStoreDriver **ret_driver,
                                      void **ret_self);
