#include <sky/store/mongo.h>

#include <string.h>

/* ---- queries ---- */

static bool append_comparison(bson_t *filter, const char *name, const char *operator, const SkyValue * value) {
  bson_t comparison;
  bson_append_document_begin(filter, name, -1, &comparison);
  sky_mongo_append_value(&comparison, operator, value);
  return bson_append_document_end(filter, &comparison);
}

static size_t key_count_of(const SkyStoreFind *find) {
  return find->index == NULL ? 0 : find->index->key_count;
}

/* The element at a position of the order; past the index's fields the id, which makes it a total order. */
static void name_at(const SkyStoreFind *find, size_t position, char name[SKY_MONGO_NAME_SIZE]) {
  if (position < key_count_of(find))
    sky_mongo_key_name(find->schema, &find->schema->keys[find->index->keys[position]], name);
  else
    strcpy(name, "_id");
}

static SkyValue after_at(const SkyStoreFind *find, size_t position) {
  return position < key_count_of(find) ? find->after[position - find->equal_count] : SKY_V_TEXT(find->after_id);
}

static void append_range(bson_t *filter, const SkyStoreFind *find) {
  if (find->from.kind == SKY_VALUE_NONE && find->to.kind == SKY_VALUE_NONE)
    return;
  char name[SKY_MONGO_NAME_SIZE];
  bson_t range;
  name_at(find, find->equal_count, name);
  bson_append_document_begin(filter, name, -1, &range);
  if (find->from.kind != SKY_VALUE_NONE)
    sky_mongo_append_value(&range, "$gte", &find->from);
  if (find->to.kind != SKY_VALUE_NONE)
    sky_mongo_append_value(&range, "$lt", &find->to);
  bson_append_document_end(filter, &range);
}

/* One way to come after the position: equal before `last`, past it there. */
static void append_branch(bson_t *branches, const SkyStoreFind *find, size_t last) {
  char buffer[16], name[SKY_MONGO_NAME_SIZE];
  const char *key;
  bson_t branch;
  bson_uint32_to_string((uint32_t)(last - find->equal_count), &key, buffer, sizeof(buffer));
  bson_append_document_begin(branches, key, -1, &branch);
  for (size_t i = find->equal_count; i <= last; i++) {
    const SkyValue value = after_at(find, i);
    name_at(find, i, name);
    if (i < last)
      sky_mongo_append_value(&branch, name, &value);
    else
      append_comparison(&branch, name, find->descending ? "$lt" : "$gt", &value);
  }
  bson_append_document_end(branches, &branch);
}

/* (a, b, _id) > (x, y, z), spelled out: a > x, or a = x and b > y, or a = x and b = y and _id > z. */
static void append_position(bson_t *filter, const SkyStoreFind *find) {
  if (find->after_id == NULL)
    return;
  bson_t branches;
  bson_append_array_begin(filter, "$or", -1, &branches);
  for (size_t last = find->equal_count; last <= key_count_of(find); last++)
    append_branch(&branches, find, last);
  bson_append_array_end(filter, &branches);
}

static void append_filter(bson_t *filter, const SkyStoreFind *find) {
  char name[SKY_MONGO_NAME_SIZE];
  for (size_t i = 0; i < find->equal_count; i++) {
    name_at(find, i, name);
    sky_mongo_append_value(filter, name, &find->equal[i]);
  }
  append_range(filter, find);
  append_position(filter, find);
}

static void append_sort(bson_t *options, const SkyStoreFind *find) {
  char name[SKY_MONGO_NAME_SIZE];
  bson_t sort;
  bson_append_document_begin(options, "sort", -1, &sort);
  for (size_t i = find->equal_count; i <= key_count_of(find); i++) {
    name_at(find, i, name);
    bson_append_int32(&sort, name, -1, find->descending ? -1 : 1);
  }
  bson_append_document_end(options, &sort);
}

/* ---- running them ---- */

typedef struct Reading {
  SkyMongo *mongo;
  const SkyContext *context;
  const SkySchema *schema;
  SkyArena *arena;
  SkyStoreFound *found;
  size_t limit;
} Reading;

static SkyStatus read_documents(const Reading *reading, mongoc_cursor_t *cursor, bson_error_t *ret_error) {
  const bson_t *document;
  SkyStoreFound *found = reading->found;
  found->count = 0;
  while (found->count < reading->limit && mongoc_cursor_next(cursor, &document)) {
    SKY_TRY(sky_mongo_decode(reading->schema, document, reading->arena, &found->documents[found->count],
                             &found->versions[found->count]));
    found->count++;
  }
  if (!mongoc_cursor_error(cursor, ret_error))
    ret_error->domain = 0;
  return SKY_OK;
}

/* Again after throttling; what was decoded then stays in the arena until its end. */
static SkyStatus run(const Reading *reading, mongoc_client_t *client, const bson_t *filter, const bson_t *options) {
  mongoc_collection_t *collection =
      mongoc_client_get_collection(client, reading->mongo->database, reading->schema->declared->name);
  SkyStatus status = SKY_OK;
  for (unsigned attempt = 0;; attempt++) {
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, options, NULL);
    bson_error_t error = {0};
    int64_t wait_ms;
    status = read_documents(reading, cursor, &error);
    mongoc_cursor_destroy(cursor);
    if (status != SKY_OK || error.domain == 0)
      break;
    if (!sky_mongo_is_throttled((int)error.code, error.message, &wait_ms) ||
        !sky_mongo_back_off(reading->context, attempt, wait_ms)) {
      status = sky_mongo_status(reading->mongo, reading->context, &error, "find");
      break;
    }
  }
  mongoc_collection_destroy(collection);
  return status;
}

static SkyStatus run_limited(const Reading *reading, const bson_t *filter, bson_t *options) {
  bson_append_int64(options, "limit", -1, (int64_t)reading->limit);
  bson_append_int64(options, "batchSize", -1, (int64_t)reading->limit);
  sky_mongo_append_limits(options, reading->context, false);
  mongoc_client_t *client;
  SKY_TRY(sky_mongo_acquire(reading->mongo, reading->context, &client));
  SkyStatus status = run(reading, client, filter, options);
  sky_mongo_release(reading->mongo, client);
  return status;
}

SkyStatus sky_mongo_get(void *self, const SkyContext *context, const SkySchema *schema, const char *id, SkyArena *arena,
                        ProtobufCMessage **ret, int64_t *ret_version) {
  SkyStoreFound found = {.documents = ret, .versions = ret_version};
  const Reading reading = {self, context, schema, arena, &found, 1};
  bson_t filter = BSON_INITIALIZER, options = BSON_INITIALIZER;
  bson_append_utf8(&filter, "_id", -1, id, -1);
  SkyStatus status = run_limited(&reading, &filter, &options);
  bson_destroy(&filter);
  bson_destroy(&options);
  if (status == SKY_OK && found.count == 0)
    return SKY_NOT_FOUND("%s %s does not exist", schema->declared->name, id);
  return status;
}

static void append_ids(bson_t *filter, const char *const *ids, size_t count) {
  bson_t in, array;
  bson_append_document_begin(filter, "_id", -1, &in);
  bson_append_array_begin(&in, "$in", -1, &array);
  for (size_t i = 0; i < count; i++) {
    char buffer[16];
    const char *key;
    bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof(buffer));
    bson_append_utf8(&array, key, -1, ids[i], -1);
  }
  bson_append_array_end(&in, &array);
  bson_append_document_end(filter, &in);
}

/* The server gives them in an order of its own. */
static SkyStatus place(const SkySchema *schema, const SkyStoreFound *found, const char *const *ids, size_t count,
                       ProtobufCMessage **documents) {
  for (size_t at = 0; at < found->count; at++) {
    const char *id;
    SKY_TRY(sky_schema_id(schema, found->documents[at], &id));
    for (size_t i = 0; i < count; i++) {
      if (strcmp(ids[i], id) == 0)
        documents[i] = found->documents[at];
    }
  }
  return SKY_OK;
}

SkyStatus sky_mongo_get_many(void *self, const SkyContext *context, const SkySchema *schema, const char *const *ids,
                             size_t count, SkyArena *arena, ProtobufCMessage **documents) {
  SkyStoreFound found = {.documents = sky_arena_alloc(arena, count * sizeof(ProtobufCMessage *)),
                         .versions = sky_arena_alloc(arena, count * sizeof(int64_t))};
  if (found.documents == NULL || found.versions == NULL)
    return sky_status_no_memory();
  const Reading reading = {self, context, schema, arena, &found, count};
  bson_t filter = BSON_INITIALIZER, options = BSON_INITIALIZER;
  append_ids(&filter, ids, count);
  SkyStatus status = run_limited(&reading, &filter, &options);
  bson_destroy(&filter);
  bson_destroy(&options);
  return status == SKY_OK ? place(schema, &found, ids, count, documents) : status;
}

SkyStatus sky_mongo_find(void *self, const SkyContext *context, const SkyStoreFind *find, SkyArena *arena,
                         SkyStoreFound *found) {
  const Reading reading = {self, context, find->schema, arena, found, find->limit};
  bson_t filter = BSON_INITIALIZER, options = BSON_INITIALIZER;
  append_filter(&filter, find);
  append_sort(&options, find);
  SkyStatus status = run_limited(&reading, &filter, &options);
  bson_destroy(&filter);
  bson_destroy(&options);
  return status;
}
