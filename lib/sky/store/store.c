#include <sky/store/store.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sky/store/document.h>
#include <sky/store/driver.h>
#include <sky/store/measure.h>
#include <sky/store/token.h>

enum {
  DEFAULT_QUEUED_WRITES = 4096,
  DEFAULT_CONNECTIONS = 8,
  DEFAULT_PAGE = 100,
  /* Of a call whose context has no deadline: every blocking call ends. */
  LONGEST_CALL_MS = 30000,
};

struct SkyStore {
  const SkyStoreDriver *driver;
  void *self;
  SkySchema **schemas;
  size_t schema_count;
  SkyStoreMeter meter;
};

/* ---- lifecycle ---- */

static void schemas_destroy(SkySchema **schemas, size_t count) {
  for (size_t i = 0; i < count; i++)
    sky_schema_destroy(schemas[i]);
  free(schemas);
}

static SkyStatus schemas_create(SkyStore *store, const SkyStoreOptions *options) {
  store->schemas = calloc(options->collection_count + 1, sizeof(SkySchema *));
  if (store->schemas == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < options->collection_count; i++) {
    SKY_TRY(sky_schema_create(options->collections[i], &store->schemas[i]));
    store->schema_count++;
  }
  return SKY_OK;
}

static SkyStatus open_driver(SkyStore *store, const SkyStoreOptions *options) {
  const SkyStoreDriverOptions chosen = {
      .uri = options->uri,
      .database = options->database,
      .schemas = store->schemas,
      .schema_count = store->schema_count,
      .max_queued_writes = options->max_queued_writes > 0 ? options->max_queued_writes : DEFAULT_QUEUED_WRITES,
      .connections = options->connections > 0 ? options->connections : DEFAULT_CONNECTIONS,
  };
  const SkyStr uri = sky_str(options->uri);
  if (sky_str_starts_with(uri, SKY_STR("sqlite:")))
    return sky_sqlite_open(&chosen, &store->driver, &store->self);
  if (sky_str_starts_with(uri, SKY_STR("mongodb://")) || sky_str_starts_with(uri, SKY_STR("mongodb+srv://")))
    return sky_mongo_open(&chosen, &store->driver, &store->self);
  return SKY_INVALID_ARGUMENT("store must be sqlite:DIR, sqlite::memory: or mongodb://...");
}

/*
 * libmongoc keeps counters in shared memory, made while it is loaded, and removes the file at exit only: every kill -9
 * would leave one behind for ever. We do not read them.
 */
static void unlink_mongo_counters(void) {
  char name[32];
  snprintf(name, sizeof(name), "/mongoc-%u", (unsigned)getpid());
  shm_unlink(name);
}

SkyStatus sky_store_open(const SkyStoreOptions *options, SkyStore **ret) {
  SkyStore *store = calloc(1, sizeof(*store));
  if (store == NULL)
    return sky_status_no_memory();
  unlink_mongo_counters();
  sky_store_meter_init(&store->meter, options->metrics, options->uri);
  SkyStatus status = schemas_create(store, options);
  if (status == SKY_OK)
    status = open_driver(store, options);
  if (status != SKY_OK) {
    sky_store_close(store);
    return status;
  }
  *ret = store;
  return SKY_OK;
}

void sky_store_close(SkyStore *store) {
  if (store == NULL)
    return;
  if (store->driver != NULL)
    store->driver->close(store->self);
  schemas_destroy(store->schemas, store->schema_count);
  free(store);
}

/* Checks that there is time left, and bounds it. */
static SkyStatus begin(const SkyContext *context, SkyContext *ret) {
  SKY_TRY(sky_context_check(context));
  *ret = sky_context_with_timeout_ms(context, LONGEST_CALL_MS);
  return SKY_OK;
}

SkyStatus sky_store_ping(SkyStore *store, const SkyContext *context) {
  SkyContext bounded;
  SKY_TRY(begin(context, &bounded));
  return store->driver->ping(store->self, &bounded);
}

static SkyStatus find_schema(const SkyStore *store, const SkyCollection *collection, const SkySchema **ret) {
  for (size_t i = 0; i < store->schema_count; i++) {
    if (store->schemas[i]->declared == collection) {
      *ret = store->schemas[i];
      return SKY_OK;
    }
  }
  return SKY_INTERNAL("collection %s was not declared when the store was opened", collection->name);
}

/* ---- single documents ---- */

static SkyStatus check_id(const SkySchema *schema, const char *id) {
  if (id != NULL && id[0] != '\0' && strnlen(id, SKY_SCHEMA_MAX_TEXT + 1) <= SKY_SCHEMA_MAX_TEXT &&
      sky_utf8_valid(id, strlen(id)))
    return SKY_OK;
  return SKY_INVALID_ARGUMENT("%s is empty, too long or not UTF-8", schema->id->name);
}

/* Finds the id of a document that is to be written, and refuses what could not be read again. */
static SkyStatus prepare_write(SkyStoreWrite *write) {
  if (write->document != NULL) {
    SKY_TRY(sky_schema_id(write->schema, write->document, &write->id));
    SKY_TRY(sky_document_check(write->document));
  }
  return check_id(write->schema, write->id);
}

static SkyStatus write_one(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                           SkyStoreWrite *write) {
  SkyContext bounded;
  SKY_TRY(begin(context, &bounded));
  SKY_TRY(find_schema(store, collection, &write->schema));
  SKY_TRY(prepare_write(write));
  SKY_TRY(store->driver->write(store->self, &bounded, write, 1));
  return write->status;
}

SkyStatus sky_store_insert(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                           const ProtobufCMessage *document) {
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "insert");
  SkyStoreWrite write = {.kind = SKY_WRITE_INSERT, .document = document};
  return sky_store_span_end(&span, write_one(store, context, collection, &write));
}

SkyStatus sky_store_replace(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                            const ProtobufCMessage *document, int64_t expected_version, int64_t *ret_version) {
  if (expected_version <= 0)
    return SKY_INVALID_ARGUMENT("replace needs the version that was read");
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "replace");
  SkyStoreWrite write = {.kind = SKY_WRITE_REPLACE, .document = document, .expected_version = expected_version};
  SKY_TRY(sky_store_span_end(&span, write_one(store, context, collection, &write)));
  if (ret_version != NULL)
    *ret_version = expected_version + 1;
  return SKY_OK;
}

SkyStatus sky_store_delete(SkyStore *store, const SkyContext *context, const SkyCollection *collection, const char *id,
                           int64_t expected_version) {
  if (expected_version < 0)
    return SKY_INVALID_ARGUMENT("a version is positive");
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "delete");
  SkyStoreWrite write = {.kind = SKY_WRITE_DELETE, .id = id, .expected_version = expected_version};
  return sky_store_span_end(&span, write_one(store, context, collection, &write));
}

static SkyStatus get_one(SkyStore *store, const SkyContext *context, const SkyCollection *collection, const char *id,
                         SkyArena *arena, ProtobufCMessage **ret, int64_t *ret_version) {
  SkyContext bounded;
  SKY_TRY(begin(context, &bounded));
  const SkySchema *schema;
  SKY_TRY(find_schema(store, collection, &schema));
  SKY_TRY(check_id(schema, id));
  ProtobufCMessage *document;
  int64_t version;
  SKY_TRY(store->driver->get(store->self, &bounded, schema, id, arena, &document, &version));
  *ret = document;
  if (ret_version != NULL)
    *ret_version = version;
  return SKY_OK;
}

SkyStatus sky_store_get(SkyStore *store, const SkyContext *context, const SkyCollection *collection, const char *id,
                        SkyArena *arena, ProtobufCMessage **ret, int64_t *ret_version) {
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "get");
  return sky_store_span_end(&span, get_one(store, context, collection, id, arena, ret, ret_version));
}

static SkyStatus get_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                          const char *const *ids, size_t count, SkyArena *arena, ProtobufCMessage **documents) {
  SkyContext bounded;
  SKY_TRY(begin(context, &bounded));
  const SkySchema *schema;
  SKY_TRY(find_schema(store, collection, &schema));
  if (count > SKY_PAGE_MAX)
    return SKY_INVALID_ARGUMENT("at most %d documents can be read at once", SKY_PAGE_MAX);
  for (size_t i = 0; i < count; i++) {
    SKY_TRY(check_id(schema, ids[i]));
    documents[i] = NULL;
  }
  return count == 0 ? SKY_OK : store->driver->get_many(store->self, &bounded, schema, ids, count, arena, documents);
}

SkyStatus sky_store_get_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                             const char *const *ids, size_t count, SkyArena *arena, ProtobufCMessage **documents) {
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "get_many");
  return sky_store_span_end(&span, get_many(store, context, collection, ids, count, arena, documents));
}

/* ---- many documents ---- */

/* Sends the writes that are sound; the others get their error at once. */
static SkyStatus write_batch(SkyStore *store, const SkyContext *context, SkyStoreWrite *writes, size_t count,
                             SkyStatus *results) {
  size_t positions[SKY_STORE_BATCH_MAX];
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    SkyStoreWrite write = writes[i];
    results[i] = prepare_write(&write);
    if (results[i] != SKY_OK)
      continue;
    positions[used] = i;
    writes[used++] = write;
  }
  SKY_TRY(used == 0 ? SKY_OK : store->driver->write(store->self, context, writes, used));
  for (size_t i = 0; i < used; i++)
    results[positions[i]] = writes[i].status;
  return SKY_OK;
}

static SkyStoreWrite nth_write(const SkySchema *schema, const ProtobufCMessage *const *documents,
                               const SkyReplacement *replacements, size_t i) {
  if (documents != NULL)
    return (SkyStoreWrite){.kind = SKY_WRITE_INSERT, .schema = schema, .document = documents[i]};
  return (SkyStoreWrite){.kind = SKY_WRITE_REPLACE,
                         .schema = schema,
                         .document = replacements[i].document,
                         .expected_version = replacements[i].expected_version};
}

/* Either documents to insert or replacements; the other is NULL. */
static SkyStatus write_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                            const ProtobufCMessage *const *documents, const SkyReplacement *replacements, size_t count,
                            SkyStatus *results) {
  SkyContext bounded;
  SKY_TRY(begin(context, &bounded));
  const SkySchema *schema;
  SKY_TRY(find_schema(store, collection, &schema));
  SkyStoreWrite *writes = calloc(SKY_STORE_BATCH_MAX, sizeof(*writes));
  if (writes == NULL)
    return sky_status_no_memory();
  SkyStatus status = SKY_OK;
  for (size_t done = 0; done < count && status == SKY_OK; done += SKY_STORE_BATCH_MAX) {
    const size_t size = count - done < SKY_STORE_BATCH_MAX ? count - done : SKY_STORE_BATCH_MAX;
    for (size_t i = 0; i < size; i++)
      writes[i] = nth_write(schema, documents, replacements, done + i);
    status = write_batch(store, &bounded, writes, size, results + done);
  }
  free(writes);
  return status;
}

/* An error of the whole stands for every document, so the results must not be left to leak. */
static SkyStatus clear_results(SkyStatus status, SkyStatus *results, size_t count) {
  for (size_t i = 0; status != SKY_OK && i < count; i++) {
    sky_status_free(results[i]);
    results[i] = SKY_OK;
  }
  return status;
}

SkyStatus sky_store_insert_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                const ProtobufCMessage *const *documents, size_t count, SkyStatus *results) {
  if (count == 0)
    return SKY_OK;
  memset(results, 0, count * sizeof(*results));
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "insert_many");
  SkyStatus status = write_many(store, context, collection, documents, NULL, count, results);
  return sky_store_span_end(&span, clear_results(status, results, count));
}

SkyStatus sky_store_replace_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                 const SkyReplacement *replacements, size_t count, SkyStatus *results) {
  if (count == 0)
    return SKY_OK;
  memset(results, 0, count * sizeof(*results));
  for (size_t i = 0; i < count; i++) {
    if (replacements[i].expected_version <= 0)
      return SKY_INVALID_ARGUMENT("replace needs the version that was read");
  }
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "replace_many");
  SkyStatus status = write_many(store, context, collection, NULL, replacements, count, results);
  return sky_store_span_end(&span, clear_results(status, results, count));
}

/* ---- queries ---- */

static SkyStatus query_value(const SkyStoreFind *find, size_t position, const SkyValue *value, SkyValue *ret) {
  if (find->index == NULL) {
    if (value->kind != SKY_VALUE_TEXT || value->as.text == NULL)
      return SKY_INVALID_ARGUMENT("a range of ids takes text");
    *ret = *value;
    return SKY_OK;
  }
  if (position >= find->index->key_count)
    return SKY_INVALID_ARGUMENT("index %s has no field for this range", find->index->declared->name);
  return sky_schema_query_value(&find->schema->keys[find->index->keys[position]], value, ret);
}

static SkyStatus resolve_equal(const SkyQuery *query, SkyStoreFind *find) {
  const size_t key_count = find->index == NULL ? 0 : find->index->key_count;
  for (size_t i = 0; i < SKY_INDEX_MAX_FIELDS && query->equal[i].kind != SKY_VALUE_NONE; i++) {
    if (i >= key_count)
      return SKY_INVALID_ARGUMENT("more values than index %s has fields", query->index == NULL ? "(id)" : query->index);
    SKY_TRY(query_value(find, i, &query->equal[i], &find->equal[i]));
    find->equal_count++;
  }
  return SKY_OK;
}

static SkyStatus resolve_query(const SkySchema *schema, const SkyQuery *query, SkyArena *arena, SkyStoreFind *ret) {
  *ret = (SkyStoreFind){.schema = schema, .descending = query->descending};
  if (query->index != NULL) {
    ret->index = sky_schema_index(schema, query->index);
    if (ret->index == NULL)
      return SKY_INTERNAL("collection %s has no index %s", schema->declared->name, query->index);
  }
  SKY_TRY(resolve_equal(query, ret));
  if (query->from.kind != SKY_VALUE_NONE)
    SKY_TRY(query_value(ret, ret->equal_count, &query->from, &ret->from));
  if (query->to.kind != SKY_VALUE_NONE)
    SKY_TRY(query_value(ret, ret->equal_count, &query->to, &ret->to));
  if (query->page_token != NULL && query->page_token[0] != '\0')
    SKY_TRY(sky_token_read(query->page_token, arena, ret));
  return SKY_OK;
}

static size_t page_size(const SkyQuery *query) {
  if (query->page_size == 0)
    return DEFAULT_PAGE;
  return query->page_size < SKY_PAGE_MAX ? query->page_size : SKY_PAGE_MAX;
}

/* One document more than the page is asked for: it tells whether there is another page. */
static SkyStatus find_page(SkyStore *store, const SkyContext *context, SkyStoreFind *find, size_t size, SkyArena *arena,
                           SkyPage *ret) {
  find->limit = size + 1;
  SkyStoreFound found = {
      .documents = sky_arena_alloc(arena, find->limit * sizeof(ProtobufCMessage *)),
      .versions = sky_arena_alloc(arena, find->limit * sizeof(int64_t)),
  };
  if (found.documents == NULL || found.versions == NULL)
    return SKY_RESOURCE_EXHAUSTED("a page of %zu does not fit the call's memory", size);
  SKY_TRY(store->driver->find(store->self, context, find, arena, &found));
  SkyPage page = {.documents = found.documents, .versions = found.versions, .next_page_token = ""};
  page.count = found.count < size ? found.count : size;
  if (found.count > size)
    SKY_TRY(sky_token_make(find, page.documents[page.count - 1], arena, &page.next_page_token));
  *ret = page;
  return SKY_OK;
}

static SkyStatus find_documents(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                const SkyQuery *query, SkyArena *arena, SkyPage *ret) {
  SkyContext bounded;
  SKY_TRY(begin(context, &bounded));
  const SkySchema *schema;
  SKY_TRY(find_schema(store, collection, &schema));
  SkyStoreFind find;
  SKY_TRY(resolve_query(schema, query, arena, &find));
  return find_page(store, &bounded, &find, page_size(query), arena, ret);
}

SkyStatus sky_store_find(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                         const SkyQuery *query, SkyArena *arena, SkyPage *ret) {
  const SkyStoreSpan span = sky_store_span_begin(&store->meter, context, collection, "find");
  return sky_store_span_end(&span, find_documents(store, context, collection, query, arena, ret));
}
