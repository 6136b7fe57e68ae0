/*
 * Indexer: a thread that makes the declared indexes as soon as there is a server, then gives documents of an older
 * release the values that new indexes need, and ends. An index that is no longer declared stays: during a rolling
 * upgrade somebody may still use it.
 */
#include <sky/store/mongo.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/codec/message.h>

enum {
  FIRST_PAUSE_MS = 100,
  LONGEST_PAUSE_MS = 10000,
  FILL_PAGE = 100,
  FILL_ARENA_BYTES = 64 << 20,
  INDEX_OPTIONS_CONFLICT = 85,
  INDEX_KEY_SPECS_CONFLICT = 86,
};

struct SkyMongoIndexer {
  SkyMongo *mongo;
  pthread_t thread;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t changed;
  bool *is_ready; /* per collection */
  char *last_error;
  bool stopping;
};

static bool is_stopping(SkyMongoIndexer *indexer) {
  pthread_mutex_lock(&indexer->lock);
  const bool stopping = indexer->stopping;
  pthread_mutex_unlock(&indexer->lock);
  return stopping;
}

/* ---- one collection's indexes ---- */

static void append_index(bson_t *to, const SkySchema *schema, const SkySchemaIndex *index) {
  char name[SKY_MONGO_NAME_SIZE];
  bson_t key;
  bson_append_document_begin(to, "key", -1, &key);
  for (size_t i = 0; i < index->key_count; i++) {
    sky_mongo_key_name(schema, &schema->keys[index->keys[i]], name);
    bson_append_int32(&key, name, -1, 1);
  }
  if (!index->declared->unique)
    bson_append_int32(&key, "_id", -1, 1); /* the order of pages */
  bson_append_document_end(to, &key);
  bson_append_utf8(to, "name", -1, index->declared->name, -1);
  if (index->declared->unique)
    bson_append_bool(to, "unique", -1, true);
}

static bool run(SkyMongo *mongo, mongoc_client_t *client, const bson_t *command, bson_error_t *ret_error) {
  bson_t reply;
  const bool done = mongoc_client_write_command_with_opts(client, mongo->database, command, NULL, &reply, ret_error);
  bson_destroy(&reply);
  return done;
}

static bool create_index(SkyMongo *mongo, mongoc_client_t *client, const SkySchema *schema, const SkySchemaIndex *index,
                         bson_error_t *ret_error) {
  bson_t command = BSON_INITIALIZER, indexes, one;
  bson_append_utf8(&command, "createIndexes", -1, schema->declared->name, -1);
  bson_append_array_begin(&command, "indexes", -1, &indexes);
  bson_append_document_begin(&indexes, "0", -1, &one);
  append_index(&one, schema, index);
  bson_append_document_end(&indexes, &one);
  bson_append_array_end(&command, &indexes);
  const bool done = run(mongo, client, &command, ret_error);
  bson_destroy(&command);
  return done;
}

static bool drop_index(SkyMongo *mongo, mongoc_client_t *client, const SkySchema *schema, const char *name,
                       bson_error_t *ret_error) {
  bson_t command = BSON_INITIALIZER;
  bson_append_utf8(&command, "dropIndexes", -1, schema->declared->name, -1);
  bson_append_utf8(&command, "index", -1, name, -1);
  const bool done = run(mongo, client, &command, ret_error);
  bson_destroy(&command);
  return done;
}

/* An index of that name but over other fields is made anew. */
static SkyStatus make_index(SkyMongo *mongo, mongoc_client_t *client, const SkySchema *schema,
                            const SkySchemaIndex *index) {
  bson_error_t error = {0};
  if (create_index(mongo, client, schema, index, &error))
    return SKY_OK;
  const bool is_other = error.code == INDEX_OPTIONS_CONFLICT || error.code == INDEX_KEY_SPECS_CONFLICT;
  if (is_other && drop_index(mongo, client, schema, index->declared->name, &error) &&
      create_index(mongo, client, schema, index, &error))
    return SKY_OK;
  return sky_mongo_status(mongo, NULL, &error, index->declared->name);
}

static SkyStatus make_indexes(SkyMongo *mongo, mongoc_client_t *client, const SkySchema *schema) {
  for (size_t i = 0; i < schema->index_count; i++)
    SKY_TRY(make_index(mongo, client, schema, &schema->indexes[i]));
  return SKY_OK;
}

/* ---- values of new indexes in old documents ---- */

typedef struct Fill {
  SkyMongo *mongo;
  mongoc_client_t *client;
  const SkySchema *schema;
  SkyArena arena;
  size_t seen; /* documents in the page */
} Fill;

static SkyStatus append_values(const Fill *fill, const ProtobufCMessage *document, bson_t *set) {
  for (size_t i = 0; i < fill->schema->key_count; i++) {
    char name[SKY_MONGO_NAME_SIZE];
    SkyValue value;
    SKY_TRY(sky_schema_value(&fill->schema->keys[i], document, &value));
    sky_mongo_key_name(fill->schema, &fill->schema->keys[i], name);
    if (strcmp(name, "_id") != 0)
      sky_mongo_append_value(set, name, &value);
  }
  return SKY_OK;
}

/* Only while it has the version that was read: who replaces it meanwhile writes the values as well. */
static void append_match(bson_t *update, const char *id, int64_t version) {
  bson_t match;
  bson_append_document_begin(update, "q", -1, &match);
  bson_append_utf8(&match, "_id", -1, id, -1);
  bson_append_int64(&match, "_version", -1, version);
  bson_append_document_end(update, &match);
}

static SkyStatus append_change(const Fill *fill, const ProtobufCMessage *document, bson_t *update) {
  bson_t change, set;
  bson_append_document_begin(update, "u", -1, &change);
  bson_append_document_begin(&change, "$set", -1, &set);
  SkyStatus status = append_values(fill, document, &set);
  bson_append_document_end(&change, &set);
  bson_append_document_end(update, &change);
  return status;
}

static SkyStatus set_values(const Fill *fill, const ProtobufCMessage *document, int64_t version) {
  bson_t command = BSON_INITIALIZER, updates, update;
  bson_error_t error;
  bson_append_utf8(&command, "update", -1, fill->schema->declared->name, -1);
  bson_append_array_begin(&command, "updates", -1, &updates);
  bson_append_document_begin(&updates, "0", -1, &update);
  append_match(&update, sky_message_string_field(document, fill->schema->declared->id_field), version);
  SkyStatus status = append_change(fill, document, &update);
  bson_append_document_end(&updates, &update);
  bson_append_array_end(&command, &updates);
  if (status == SKY_OK && !run(fill->mongo, fill->client, &command, &error))
    status = sky_mongo_status(fill->mongo, NULL, &error, "fill index");
  bson_destroy(&command);
  return status;
}

static SkyStatus fill_document(Fill *fill, const bson_t *stored) {
  ProtobufCMessage *document;
  int64_t version;
  fill->seen++;
  SKY_TRY(sky_mongo_decode(fill->schema, stored, &fill->arena, &document, &version));
  return set_values(fill, document, version);
}

/* {$or: [{<key>: {$exists: false}}, ...]} */
static void append_missing(bson_t *filter, const SkySchema *schema) {
  bson_t branches;
  bson_append_array_begin(filter, "$or", -1, &branches);
  for (size_t i = 0; i < schema->key_count; i++) {
    char buffer[16], name[SKY_MONGO_NAME_SIZE];
    const char *position;
    bson_t branch, absent;
    bson_uint32_to_string((uint32_t)i, &position, buffer, sizeof(buffer));
    sky_mongo_key_name(schema, &schema->keys[i], name);
    bson_append_document_begin(&branches, position, -1, &branch);
    bson_append_document_begin(&branch, name, -1, &absent);
    bson_append_bool(&absent, "$exists", -1, false);
    bson_append_document_end(&branch, &absent);
    bson_append_document_end(&branches, &branch);
  }
  bson_append_array_end(filter, &branches);
}

static SkyStatus fill_page(Fill *fill, mongoc_collection_t *collection) {
  bson_t filter = BSON_INITIALIZER, options = BSON_INITIALIZER;
  append_missing(&filter, fill->schema);
  bson_append_int64(&options, "limit", -1, FILL_PAGE);
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter, &options, NULL);
  const bson_t *stored;
  bson_error_t error;
  SkyStatus status = SKY_OK;
  fill->seen = 0;
  while (status == SKY_OK && mongoc_cursor_next(cursor, &stored))
    status = fill_document(fill, stored);
  if (status == SKY_OK && mongoc_cursor_error(cursor, &error))
    status = sky_mongo_status(fill->mongo, NULL, &error, "fill index");
  mongoc_cursor_destroy(cursor);
  bson_destroy(&filter);
  bson_destroy(&options);
  sky_arena_reset(&fill->arena);
  return status;
}

static SkyStatus fill_documents(SkyMongoIndexer *indexer, mongoc_client_t *client, const SkySchema *schema) {
  if (schema->key_count == 0)
    return SKY_OK;
  Fill fill = {.mongo = indexer->mongo, .client = client, .schema = schema};
  sky_arena_init(&fill.arena, FILL_ARENA_BYTES);
  mongoc_collection_t *collection =
      mongoc_client_get_collection(client, indexer->mongo->database, schema->declared->name);
  SkyStatus status;
  do
    status = fill_page(&fill, collection);
  while (status == SKY_OK && fill.seen == FILL_PAGE && !is_stopping(indexer));
  mongoc_collection_destroy(collection);
  sky_arena_finish(&fill.arena);
  return status;
}

/* ---- the thread ---- */

/* Tells the writers that wait. */
static void note_result(SkyMongoIndexer *indexer, size_t position, const SkyError *status) {
  pthread_mutex_lock(&indexer->lock);
  indexer->is_ready[position] = indexer->is_ready[position] || status == SKY_OK;
  free(indexer->last_error);
  indexer->last_error = status == SKY_OK ? NULL : strdup(sky_status_message(status));
  pthread_cond_broadcast(&indexer->changed);
  pthread_mutex_unlock(&indexer->lock);
}

static SkyStatus prepare_collection(SkyMongoIndexer *indexer, size_t position) {
  /* Beyond the pool's places: the workers' calls do not wait for an index. */
  mongoc_client_t *client = mongoc_client_pool_pop(indexer->mongo->pool);
  if (client == NULL)
    return SKY_UNAVAILABLE("the connection pool is exhausted");
  const SkySchema *schema = indexer->mongo->schemas[position];
  SkyStatus status = make_indexes(indexer->mongo, client, schema);
  note_result(indexer, position, status);
  if (status == SKY_OK)
    status = fill_documents(indexer, client, schema);
  mongoc_client_pool_push(indexer->mongo->pool, client);
  return status;
}

/* With the lock held; ends early when told to stop. */
static void pause_ms(SkyMongoIndexer *indexer, int64_t ms) {
  const int64_t until_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + ms * SKY_NS_PER_MS;
  const struct timespec until = {.tv_sec = until_ns / SKY_NS_PER_S, .tv_nsec = until_ns % SKY_NS_PER_S};
  while (!indexer->stopping && pthread_cond_timedwait(&indexer->changed, &indexer->lock, &until) == 0)
    ;
}

static void *indexer_thread(void *user) {
  SkyMongoIndexer *indexer = user;
  int64_t pause = FIRST_PAUSE_MS;
  size_t position = 0;
  pthread_mutex_lock(&indexer->lock);
  while (position < indexer->mongo->schema_count && !indexer->stopping) {
    pthread_mutex_unlock(&indexer->lock);
    SkyStatus status = prepare_collection(indexer, position);
    const bool done = status == SKY_OK;
    sky_status_free(status); /* writers have been told; it is tried again */
    pthread_mutex_lock(&indexer->lock);
    if (done) {
      position++;
      pause = FIRST_PAUSE_MS;
      continue;
    }
    pause_ms(indexer, pause);
    pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
  }
  pthread_mutex_unlock(&indexer->lock);
  return NULL;
}

SkyStatus sky_mongo_indexer_wait(SkyMongoIndexer *indexer, const SkyContext *context, const SkySchema *schema) {
  const struct timespec until = {.tv_sec = context->deadline_ns / SKY_NS_PER_S,
                                 .tv_nsec = context->deadline_ns % SKY_NS_PER_S};
  size_t position = 0;
  while (indexer->mongo->schemas[position] != schema)
    position++;
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&indexer->lock);
  /* An error is told at once, because the next attempt may be far. */
  while (!indexer->is_ready[position] && indexer->last_error == NULL && status == SKY_OK) {
    if (pthread_cond_timedwait(&indexer->changed, &indexer->lock, &until) != 0 && !indexer->is_ready[position])
      status = SKY_DEADLINE_EXCEEDED("collection %s: its indexes are being made", schema->declared->name);
  }
  if (status == SKY_OK && !indexer->is_ready[position])
    status = SKY_UNAVAILABLE("collection %s has no indexes yet: %s", schema->declared->name, indexer->last_error);
  pthread_mutex_unlock(&indexer->lock);
  return status;
}

/* ---- lifecycle ---- */

static void indexer_free(SkyMongoIndexer *indexer) {
  free(indexer->is_ready);
  free(indexer->last_error);
  pthread_cond_destroy(&indexer->changed);
  pthread_mutex_destroy(&indexer->lock);
  free(indexer);
}

SkyStatus sky_mongo_indexer_create(SkyMongo *mongo, SkyMongoIndexer **ret) {
  SkyMongoIndexer *indexer = calloc(1, sizeof(*indexer));
  if (indexer == NULL)
    return sky_status_no_memory();
  indexer->mongo = mongo;
  indexer->is_ready = calloc(mongo->schema_count + 1, sizeof(bool));
  pthread_mutex_init(&indexer->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&indexer->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  if (indexer->is_ready == NULL || pthread_create(&indexer->thread, NULL, indexer_thread, indexer) != 0) {
    indexer_free(indexer);
    return SKY_RESOURCE_EXHAUSTED("cannot start the store's indexer");
  }
  *ret = indexer;
  return SKY_OK;
}

void sky_mongo_indexer_destroy(SkyMongoIndexer *indexer) {
  if (indexer == NULL)
    return;
  pthread_mutex_lock(&indexer->lock);
  indexer->stopping = true;
  pthread_cond_broadcast(&indexer->changed);
  pthread_mutex_unlock(&indexer->lock);
  pthread_join(indexer->thread, NULL);
  indexer_free(indexer);
}
