/*
 * Writes: inserts go many to a command, unordered, each with its own error; replace and delete go alone, because only
 * so does the reply say whether this one matched its version.
 */
#include <sky/store/mongo.h>

#include <string.h>

enum {
  COMMAND_BYTES = 8 << 20, /* of documents in one insert; a command is BSON itself, and limited to 16 MiB */
  MAX_DOCUMENT_BYTES = 16 << 20,
};

typedef struct Writing {
  SkyMongo *mongo;
  const SkyContext *context;
  mongoc_client_t *client;
  const SkySchema *schema;
} Writing;

/* ---- inserts ---- */

/* The writes of one insert command, by their position in it. */
typedef struct Batch {
  bson_t documents; /* an array */
  SkyStoreWrite *members[SKY_STORE_BATCH_MAX];
  size_t count;
} Batch;

static SkyStatus encode(const SkyStoreWrite *write, int64_t version, bson_t *ret) {
  bson_init(ret);
  SkyStatus status = sky_mongo_encode(write->schema, write->document, version, ret);
  if (status == SKY_OK && ret->len > MAX_DOCUMENT_BYTES)
    status = SKY_INVALID_ARGUMENT("document %s has more than %d bytes", write->id, MAX_DOCUMENT_BYTES);
  if (status != SKY_OK)
    bson_destroy(ret);
  return status;
}

static void append_member(Batch *batch, SkyStoreWrite *write, const bson_t *document) {
  char buffer[16];
  const char *key;
  bson_uint32_to_string((uint32_t)batch->count, &key, buffer, sizeof(buffer));
  bson_append_document(&batch->documents, key, -1, document);
  batch->members[batch->count++] = write;
}

/* Takes writes from the front until the command is full; what cannot be encoded gets its error. */
static size_t fill_batch(Batch *batch, SkyStoreWrite *writes, size_t count) {
  size_t used = 0;
  bson_init(&batch->documents);
  batch->count = 0;
  while (used < count && (batch->count == 0 || batch->documents.len < COMMAND_BYTES)) {
    SkyStoreWrite *write = &writes[used];
    bson_t document;
    write->status = encode(write, 1, &document);
    if (write->status == SKY_OK) {
      if (batch->count > 0 && batch->documents.len + document.len > COMMAND_BYTES) {
        bson_destroy(&document);
        return used;
      }
      append_member(batch, write, &document);
      bson_destroy(&document);
    }
    used++;
  }
  return used;
}

/* Gives one write its error from the reply. */
static void read_write_error(bson_iter_t error, Batch *batch) {
  bson_iter_t at;
  int64_t position = -1;
  int code = 0;
  const char *message = "";
  if (!BSON_ITER_HOLDS_DOCUMENT(&error) || !bson_iter_recurse(&error, &at))
    return;
  while (bson_iter_next(&at)) {
    if (strcmp(bson_iter_key(&at), "index") == 0)
      position = bson_iter_as_int64(&at);
    else if (strcmp(bson_iter_key(&at), "code") == 0)
      code = (int)bson_iter_as_int64(&at);
    else if (strcmp(bson_iter_key(&at), "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&at))
      message = bson_iter_utf8(&at, NULL);
  }
  if (position >= 0 && (size_t)position < batch->count && batch->members[position]->status == SKY_OK)
    batch->members[position]->status = sky_mongo_server_status(code, message, "insert");
}

static void read_write_errors(const bson_t *reply, Batch *batch) {
  bson_iter_t at, errors;
  if (!bson_iter_init_find(&at, reply, "writeErrors") || !BSON_ITER_HOLDS_ARRAY(&at) ||
      !bson_iter_recurse(&at, &errors))
    return;
  while (bson_iter_next(&errors))
    read_write_error(errors, batch);
}

static SkyStatus send_batch(const Writing *writing, Batch *batch) {
  bson_t command = BSON_INITIALIZER, reply;
  bson_append_utf8(&command, "insert", -1, writing->schema->declared->name, -1);
  bson_append_array(&command, "documents", -1, &batch->documents);
  bson_append_bool(&command, "ordered", -1, false);
  sky_mongo_append_limits(&command, writing->context, true);
  SkyStatus status = sky_mongo_command(writing->mongo, writing->context, writing->client, &command, &reply);
  if (status == SKY_OK)
    read_write_errors(&reply, batch);
  bson_destroy(&reply);
  bson_destroy(&command);
  return status;
}

/* Throttled members are sent again, alone, within the deadline. Their status says how long the server asks to wait. */
static SkyStatus send_throttled_again(const Writing *writing, Batch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    SkyStoreWrite *write = batch->members[i];
    for (unsigned attempt = 0; sky_status_code(write->status) == SKY_CODE_UNAVAILABLE; attempt++) {
      const int64_t wait_ms = sky_status_retry_after_ms(write->status);
      if (wait_ms < 0 || !sky_mongo_back_off(writing->context, attempt, wait_ms))
        break;
      Batch alone;
      sky_status_free(write->status);
      fill_batch(&alone, write, 1);
      SkyStatus status = send_batch(writing, &alone);
      bson_destroy(&alone.documents);
      SKY_TRY(status);
    }
  }
  return SKY_OK;
}

static SkyStatus insert_all(const Writing *writing, SkyStoreWrite *writes, size_t count) {
  while (count > 0) {
    Batch batch;
    const size_t used = fill_batch(&batch, writes, count);
    SkyStatus status = batch.count == 0 ? SKY_OK : send_batch(writing, &batch);
    bson_destroy(&batch.documents);
    if (status == SKY_OK)
      status = send_throttled_again(writing, &batch);
    SKY_TRY(status);
    writes += used;
    count -= used;
  }
  return SKY_OK;
}

/* ---- replace and delete ---- */

/* Tells why nothing matched. */
static SkyStatus explain_miss(const Writing *writing, const SkyStoreWrite *write) {
  mongoc_collection_t *collection =
      mongoc_client_get_collection(writing->client, writing->mongo->database, writing->schema->declared->name);
  bson_t filter = BSON_INITIALIZER, options = BSON_INITIALIZER;
  const bson_t *found;
  bson_error_t error;
  bson_iter_t at;
  bson_append_utf8(&filter, "_id", -1, write->id, -1);
  bson_append_int64(&options, "limit", -1, 1);
  sky_mongo_append_limits(&options, writing->context, false);
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, &filter, &options, NULL);
  int64_t version = 0;
  SkyStatus status = SKY_OK;
  if (mongoc_cursor_next(cursor, &found) && bson_iter_init_find(&at, found, "_version"))
    version = bson_iter_as_int64(&at);
  else if (mongoc_cursor_error(cursor, &error))
    status = sky_mongo_status(writing->mongo, writing->context, &error, "read version");
  mongoc_cursor_destroy(cursor);
  mongoc_collection_destroy(collection);
  bson_destroy(&filter);
  bson_destroy(&options);
  SKY_TRY(status);
  if (version == 0)
    return SKY_NOT_FOUND("%s %s does not exist", writing->schema->declared->name, write->id);
  return SKY_ABORTED("%s %s has version %lld, not %lld", writing->schema->declared->name, write->id, (long long)version,
                     (long long)write->expected_version);
}

static void append_match(bson_t *to, const SkyStoreWrite *write) {
  bson_t match;
  bson_append_document_begin(to, "q", -1, &match);
  bson_append_utf8(&match, "_id", -1, write->id, -1);
  if (write->expected_version > 0)
    bson_append_int64(&match, "_version", -1, write->expected_version);
  bson_append_document_end(to, &match);
}

static SkyStatus append_update(bson_t *command, const SkyStoreWrite *write) {
  bson_t document, updates, update;
  SKY_TRY(encode(write, write->expected_version + 1, &document));
  bson_append_array_begin(command, "updates", -1, &updates);
  bson_append_document_begin(&updates, "0", -1, &update);
  append_match(&update, write);
  const bool done = bson_append_document(&update, "u", -1, &document);
  bson_append_document_end(&updates, &update);
  bson_append_array_end(command, &updates);
  bson_destroy(&document);
  return done ? SKY_OK : SKY_INVALID_ARGUMENT("document %s is too large", write->id);
}

static void append_delete(bson_t *command, const SkyStoreWrite *write) {
  bson_t deletes, one;
  bson_append_array_begin(command, "deletes", -1, &deletes);
  bson_append_document_begin(&deletes, "0", -1, &one);
  append_match(&one, write);
  bson_append_int32(&one, "limit", -1, 1);
  bson_append_document_end(&deletes, &one);
  bson_append_array_end(command, &deletes);
}

static SkyStatus build_change(const Writing *writing, const SkyStoreWrite *write, bson_t *command) {
  const char *name = writing->schema->declared->name;
  bson_append_utf8(command, write->kind == SKY_WRITE_REPLACE ? "update" : "delete", -1, name, -1);
  if (write->kind == SKY_WRITE_REPLACE)
    SKY_TRY(append_update(command, write));
  else
    append_delete(command, write);
  sky_mongo_append_limits(command, writing->context, true);
  return SKY_OK;
}

static int64_t matched(const bson_t *reply) {
  bson_iter_t at;
  return bson_iter_init_find(&at, reply, "n") ? bson_iter_as_int64(&at) : 0;
}

static SkyStatus send_change(const Writing *writing, SkyStoreWrite *write, const bson_t *command) {
  bson_t reply;
  SkyStatus status = sky_mongo_command(writing->mongo, writing->context, writing->client, command, &reply);
  Batch batch = {.members = {write}, .count = 1};
  if (status == SKY_OK)
    read_write_errors(&reply, &batch); /* a unique index */
  const bool is_hit = status != SKY_OK || write->status != SKY_OK || matched(&reply) > 0;
  bson_destroy(&reply);
  if (!is_hit)
    write->status = explain_miss(writing, write);
  return status;
}

static SkyStatus change(const Writing *writing, SkyStoreWrite *write) {
  bson_t command = BSON_INITIALIZER;
  write->status = build_change(writing, write, &command);
  SkyStatus status = write->status == SKY_OK ? send_change(writing, write, &command) : SKY_OK;
  bson_destroy(&command);
  return status;
}

/* ---- the whole ---- */

static SkyStatus change_all(const Writing *writing, SkyStoreWrite *writes, size_t count) {
  for (size_t i = 0; i < count; i++)
    SKY_TRY(change(writing, &writes[i]));
  return SKY_OK;
}

SkyStatus sky_mongo_write(void *self, const SkyContext *context, SkyStoreWrite *writes, size_t count) {
  Writing writing = {.mongo = self, .context = context, .schema = writes[0].schema};
  for (size_t i = 0; i < count; i++)
    writes[i].status = SKY_OK;
  SKY_TRY(sky_mongo_indexer_wait(writing.mongo->indexer, context, writing.schema));
  SKY_TRY(sky_mongo_acquire(writing.mongo, context, &writing.client));
  /* store.c sends writes of one kind to one collection. */
  SkyStatus status =
      writes[0].kind == SKY_WRITE_INSERT ? insert_all(&writing, writes, count) : change_all(&writing, writes, count);
  sky_mongo_release(writing.mongo, writing.client);
  for (size_t i = 0; i < count && status != SKY_OK; i++) {
    sky_status_free(writes[i].status);
    writes[i].status = SKY_OK;
  }
  return status;
}
