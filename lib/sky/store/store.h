/*
 * Store: protobuf messages as documents, on SQLite (embedded) or MongoDB, behind one small interface: what MongoDB,
 * Cosmos DB and SQLite all have.
 *
 * A collection is declared by message type, id field and indexes. Every document carries a version (1 when inserted, +1
 * by every replace); replace and delete are compare-and-swap on it. There are no transactions over several documents:
 * what must change together is one document, or insert-only events (service/event_log.h).
 *
 * Thread-safe. Calls block until the change is durable (SQLite: one writer thread commits what waits as a group), so
 * they are for worker threads. Errors: NOT_FOUND, ALREADY_EXISTS (id or unique index), ABORTED (version),
 * DEADLINE_EXCEEDED, UNAVAILABLE (server away, busy, throttled), RESOURCE_EXHAUSTED (arena or disk), INVALID_ARGUMENT
 * (bad page token), DATA_LOSS (a stored document that cannot be read).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <sky/core/arena.h>
#include <sky/core/context.h>
#include <sky/core/status.h>
#include <sky/core/str.h>
#include <sky/telemetry/metrics.h>

enum { SKY_INDEX_MAX_FIELDS = 4, SKY_PAGE_MAX = 1000 };

/*
 * An index over top-level or nested singular fields ("owner_id", "eta.time"), of type string, bool, integer, enum or
 * Timestamp (ordered as time). A document in which a field is unset has its zero value there.
 */
typedef struct SkyIndex {
  const char *name;                         /* "by_owner" */
  const char *fields[SKY_INDEX_MAX_FIELDS]; /* the first is the shard key candidate; unused: NULL */
  bool unique;
} SkyIndex;

typedef struct SkyCollection {
  const char *name; /* "deliveries" */
  const ProtobufCMessageDescriptor *type;
  const char *id_field; /* a top-level string; becomes _id */
  const SkyIndex *indexes;
  size_t index_count;
} SkyCollection;

typedef struct SkyStore SkyStore;

typedef struct SkyStoreOptions {
  const char *uri; /* "sqlite:DIR" (file DIR/<database>.db), "sqlite::memory:", "mongodb://…", "mongodb+srv://…" */
  const char *database;                    /* the service's name: every service has its own */
  const SkyCollection *const *collections; /* must outlive the store */
  size_t collection_count;
  size_t max_queued_writes; /* SQLite; more wait until their deadline; 0: 4096 */
  SkyMetrics *metrics;      /* where operations are measured; NULL: nowhere. Must outlive the store */
  size_t connections;       /* readers of SQLite, pool of MongoDB; 0: 8 */
} SkyStoreOptions;

/* Opens or creates; a MongoDB server that is away is not an error (calls then give UNAVAILABLE). */
SKY_MUST_USE SkyStatus sky_store_open(const SkyStoreOptions *options, SkyStore **ret);
void sky_store_close(SkyStore *store); /* NULL-safe; no call may be in progress */
/* A cheap round trip; for readiness. */
SKY_MUST_USE SkyStatus sky_store_ping(SkyStore *store, const SkyContext *context);

/* The document gets version 1. ALREADY_EXISTS when its id, or a value of a unique index, is taken. */
SKY_MUST_USE SkyStatus sky_store_insert(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                        const ProtobufCMessage *document);
/* Each on its own: results[i] gets SKY_OK or that document's error (the caller's to free). The return is of the whole.
 */
SKY_MUST_USE SkyStatus sky_store_insert_many(SkyStore *store, const SkyContext *context,
                                             const SkyCollection *collection, const ProtobufCMessage *const *documents,
                                             size_t count, SkyStatus *results);
/* ret_version may be NULL. */
SKY_MUST_USE SkyStatus sky_store_get(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                     const char *id, SkyArena *arena, ProtobufCMessage **ret, int64_t *ret_version);
/* Many in one read: documents[i] is that of ids[i], NULL when there is none (which is no error). At most SKY_PAGE_MAX.
 */
SKY_MUST_USE SkyStatus sky_store_get_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                          const char *const *ids, size_t count, SkyArena *arena,
                                          ProtobufCMessage **documents);
/* expected_version > 0. ABORTED when it has changed, NOT_FOUND when it is gone. */
SKY_MUST_USE SkyStatus sky_store_replace(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                         const ProtobufCMessage *document, int64_t expected_version,
                                         int64_t *ret_version);
/* One of many. */
typedef struct SkyReplacement {
  const ProtobufCMessage *document;
  int64_t expected_version;
} SkyReplacement;
/* Each on its own, as sky_store_replace() would: results as sky_store_insert_many(). */
SKY_MUST_USE SkyStatus sky_store_replace_many(SkyStore *store, const SkyContext *context,
                                              const SkyCollection *collection, const SkyReplacement *replacements,
                                              size_t count, SkyStatus *results);
/* expected_version 0: whatever it is. */
SKY_MUST_USE SkyStatus sky_store_delete(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                        const char *id, int64_t expected_version);

/* A value to compare an indexed field with. */
typedef struct SkyValue {
  enum { SKY_VALUE_NONE, SKY_VALUE_TEXT, SKY_VALUE_INT, SKY_VALUE_BOOL, SKY_VALUE_TIME } kind;
  union {
    const char *text;
    int64_t integer; /* integers and enums */
    bool boolean;
    int64_t time_ns; /* Timestamp as Unix time */
  } as;
} SkyValue;
#define SKY_V_TEXT(v) ((SkyValue){.kind = SKY_VALUE_TEXT, .as.text = (v)})
#define SKY_V_INT(v) ((SkyValue){.kind = SKY_VALUE_INT, .as.integer = (v)})
#define SKY_V_BOOL(v) ((SkyValue){.kind = SKY_VALUE_BOOL, .as.boolean = (v)})
#define SKY_V_TIME(v) ((SkyValue){.kind = SKY_VALUE_TIME, .as.time_ns = (v)})

/*
 * A query always goes through an index: equality on its first fields, then optionally a range on the next one. Results
 * are ordered by the index's fields, then by id, so paging is stable while documents come and go. index NULL: all
 * documents by id (range on the id).
 */
typedef struct SkyQuery {
  const char *index;
  SkyValue equal[SKY_INDEX_MAX_FIELDS]; /* up to the first SKY_VALUE_NONE */
  SkyValue from;                        /* inclusive; SKY_VALUE_NONE: open */
  SkyValue to;                          /* exclusive; SKY_VALUE_NONE: open */
  bool descending;
  size_t page_size;       /* 0: 100; at most SKY_PAGE_MAX */
  const char *page_token; /* NULL or "": the first page */
} SkyQuery;

typedef struct SkyPage {
  ProtobufCMessage **documents; /* in the arena */
  int64_t *versions;
  size_t count;
  const char *next_page_token; /* "" at the end */
} SkyPage;

/* One page, unpacked into the arena. INVALID_ARGUMENT for an index that is none, or a token of another query. */
SKY_MUST_USE SkyStatus sky_store_find(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                      const SkyQuery *query, SkyArena *arena, SkyPage *ret);
