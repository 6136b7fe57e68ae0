/*
 * MongoDB driver on libmongoc: shared by its parts. Private to lib/sky/store.
 *
 * A document is the message as sky/codec/bson.h writes it, with _version and, where an indexed field is not plainly
 * there (nested, optional, or a time, which a date holds only to the millisecond), its value in _keys. Only commands
 * that MongoDB, Azure Cosmos DB and FerretDB all have are used. Every command carries maxTimeMS from its context's
 * deadline; libmongoc's own time-outs (server selection, socket) bound what the server cannot.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <mongoc/mongoc.h>

#include <sky/store/driver.h>

typedef struct SkyMongoIndexer SkyMongoIndexer;

typedef struct SkyMongo {
  mongoc_client_pool_t *pool;
  char *database;
  SkySchema *const *schemas;
  size_t schema_count;
  SkyMongoIndexer *indexer;

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t freed;
  size_t in_use, max;

  _Atomic int64_t
      away_until_ns; /* monotonic: no server was found just now, so calls fail at once instead of piling up */
} SkyMongo;

/* ---- connections: mongo.c ---- */

/* Waits for one of the pool's connections until the deadline. */
SKY_MUST_USE SkyStatus sky_mongo_acquire(SkyMongo *mongo, const SkyContext *context, mongoc_client_t **ret);
void sky_mongo_release(SkyMongo *mongo, mongoc_client_t *client);

/* ---- errors: mongo_status.c ---- */

/*
 * The one place where libmongoc's and the server's errors become ours. Remembers a server that is away. Whatever a
 * server calls it when it stops at the time limit we gave it (FerretDB: 1, InternalError), past the context's deadline
 * it is DEADLINE_EXCEEDED. context: may be NULL.
 */
SKY_MUST_USE SkyStatus sky_mongo_status(SkyMongo *mongo, const SkyContext *context, const bson_error_t *error,
                                        const char *what);
SKY_MUST_USE SkyStatus sky_mongo_server_status(int code, const char *message, const char *what);
/* True for "request rate is large" (16500, 429); *ret_wait_ms is what the server asks for, or -1. */
bool sky_mongo_is_throttled(int code, const char *message, int64_t *ret_wait_ms);
/* Waits before try number `attempt` (from 0) after throttling; false when the deadline would pass meanwhile. */
bool sky_mongo_back_off(const SkyContext *context, unsigned attempt, int64_t asked_ms);

/* ---- commands: mongo.c ---- */

/* Appends maxTimeMS, and for writes the write concern. */
void sky_mongo_append_limits(bson_t *command, const SkyContext *context, bool is_write);
/*
 * Runs a write command, again after throttling. *ret_reply is always initialised and has the counts and errors of
 * single documents.
 */
SKY_MUST_USE SkyStatus sky_mongo_command(SkyMongo *mongo, const SkyContext *context, mongoc_client_t *client,
                                         const bson_t *command, bson_t *ret_reply);

/* ---- documents: mongo_document.c ---- */

enum { SKY_MONGO_NAME_SIZE = 256 };
/* Where a key is in stored documents: "owner_id" or "_keys.eta/time". */
void sky_mongo_key_name(const SkySchema *schema, const SkySchemaKey *key, char name[SKY_MONGO_NAME_SIZE]);
bool sky_mongo_append_value(bson_t *to, const char *name, const SkyValue *value);
/* The whole document as it is stored, appended to an initialised one. */
SKY_MUST_USE SkyStatus sky_mongo_encode(const SkySchema *schema, const ProtobufCMessage *document, int64_t version,
                                        bson_t *to);
SKY_MUST_USE SkyStatus sky_mongo_decode(const SkySchema *schema, const bson_t *from, SkyArena *arena,
                                        ProtobufCMessage **ret, int64_t *ret_version);

/* ---- reading and writing: mongo_read.c, mongo_write.c ---- */

/* As SkyStoreDriver says; self is the driver. */
SKY_MUST_USE SkyStatus sky_mongo_get(void *self, const SkyContext *context, const SkySchema *schema, const char *id,
                                     SkyArena *arena, ProtobufCMessage **ret, int64_t *ret_version);
SKY_MUST_USE SkyStatus sky_mongo_get_many(void *self, const SkyContext *context, const SkySchema *schema,
                                          const char *const *ids, size_t count, SkyArena *arena,
                                          ProtobufCMessage **documents);
SKY_MUST_USE SkyStatus sky_mongo_find(void *self, const SkyContext *context, const SkyStoreFind *find, SkyArena *arena,
                                      SkyStoreFound *found);
SKY_MUST_USE SkyStatus sky_mongo_write(void *self, const SkyContext *context, SkyStoreWrite *writes, size_t count);

/* ---- indexes: mongo_index.c ---- */

/* Makes indexes in the background, as soon as there is a server. */
SKY_MUST_USE SkyStatus sky_mongo_indexer_create(SkyMongo *mongo, SkyMongoIndexer **ret);
void sky_mongo_indexer_destroy(SkyMongoIndexer *indexer); /* NULL-safe */
/* Writes wait until the collection's indexes are there, because a unique one must not come too late. */
SKY_MUST_USE SkyStatus sky_mongo_indexer_wait(SkyMongoIndexer *indexer, const SkyContext *context,
                                              const SkySchema *schema);
