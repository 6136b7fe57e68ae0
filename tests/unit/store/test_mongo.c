/* What only MongoDB has: a server that is away, indexes made in the background, documents as other tools see and write
 * them, its errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sky/store/mongo.h>

#include "../sky_check.h"
#include "ferretdb.h"
#include "fixtures.h"

enum { SKIPPED = 77 }; /* to meson */

static Ferretdb server;
static char database[64];
static SkyArena arena;
static SkyContext context;

static void setup(void) {
  static int number;
  snprintf(database, sizeof(database), "mongo_%d_%d", getpid(), number++);
  sky_arena_init(&arena, 64 << 20);
  context = soon();
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

static SkyStore *open_at(const char *uri, const SkyCollection *collection) {
  const SkyStoreOptions options = {
      .uri = uri, .database = database, .collections = &collection, .collection_count = 1, .connections = 2};
  SkyStore *store = NULL;
  assert_ok(sky_store_open(&options, &store));
  return store;
}

static SkyStore *open_store(const SkyCollection *collection) {
  return open_at(server.uri, collection);
}

/* ---- as an ordinary client ---- */

static mongoc_client_t *client_open(mongoc_collection_t **ret, const char *collection) {
  mongoc_init();
  mongoc_client_t *client = mongoc_client_new(server.uri);
  ck_assert_ptr_nonnull(client);
  *ret = mongoc_client_get_collection(client, database, collection);
  return client;
}

static void client_close(mongoc_client_t *client, mongoc_collection_t *collection) {
  mongoc_collection_destroy(collection);
  mongoc_client_destroy(client);
}

static void client_insert(const char *collection_name, const char *json) {
  mongoc_collection_t *collection;
  mongoc_client_t *client = client_open(&collection, collection_name);
  bson_error_t error;
  bson_t *document = bson_new_from_json((const uint8_t *)json, -1, &error);
  ck_assert_msg(document != NULL, "%s", error.message);
  ck_assert_msg(mongoc_collection_insert_one(collection, document, NULL, NULL, &error), "%s", error.message);
  bson_destroy(document);
  client_close(client, collection);
}

/* How many documents match a filter, as mongosh would ask. */
static int64_t client_count(const char *collection_name, const char *filter_json) {
  mongoc_collection_t *collection;
  mongoc_client_t *client = client_open(&collection, collection_name);
  bson_error_t error;
  bson_t *filter = bson_new_from_json((const uint8_t *)filter_json, -1, &error);
  mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, NULL, NULL);
  const bson_t *found;
  int64_t count = 0;
  while (mongoc_cursor_next(cursor, &found))
    count++;
  ck_assert_msg(!mongoc_cursor_error(cursor, &error), "%s", error.message);
  mongoc_cursor_destroy(cursor);
  bson_destroy(filter);
  client_close(client, collection);
  return count;
}

START_TEST(an_ordinary_client_finds_documents_by_the_contract_s_names) {
  SkyStore *store = open_store(&documents);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(full_document(&arena, "one"))));
  sky_store_close(store);
  static const char *const filters[] = {
      "{\"_id\": \"one\"}",
      "{\"owner_id\": \"owner-1\", \"stage\": \"STAGE_FLYING\", \"expedited\": true, \"number\": -42}",
      "{\"create_time\": {\"$date\": \"2026-11-21T03:14:18.250Z\"}}",
      "{\"eta.name\": \"eta\", \"person.name\": \"Ada\"}",
      "{\"tags\": \"fragile\"}",
      "{\"counts.second\": 2}",
      "{\"_version\": 1}",
  };
  for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
    ck_assert_msg(client_count("documents", filters[i]) == 1, "%s finds nothing", filters[i]);
}
END_TEST

START_TEST(what_another_tool_has_written_is_read_or_refused) {
  SkyStore *store = open_store(&loose_documents);
  client_insert("loose_documents", "{\"_id\": \"fine\", \"_version\": 4, \"number\": 5.0, \"added\": \"by hand\"}");
  client_insert("loose_documents", "{\"_id\": \"typed\", \"_version\": 1, \"number\": \"five\"}");
  client_insert("loose_documents", "{\"_id\": \"bare\", \"number\": 5}");
  ProtobufCMessage *found;
  int64_t version;
  assert_ok(sky_store_get(store, &context, &loose_documents, "fine", &arena, &found, &version));
  ck_assert_int_eq(version, 4);
  ck_assert_int_eq(((Document *)found)->number, 5);
  assert_code(sky_store_get(store, &context, &loose_documents, "typed", &arena, &found, &version), SKY_CODE_DATA_LOSS);
  assert_code(sky_store_get(store, &context, &loose_documents, "bare", &arena, &found, &version), SKY_CODE_DATA_LOSS);
  sky_store_close(store);
}
END_TEST

/* ---- indexes ---- */

static size_t count_found(SkyStore *store, const SkyCollection *collection, const SkyQuery *query) {
  SkyPage page;
  assert_ok(sky_store_find(store, &context, collection, query, &arena, &page));
  return page.count;
}

/* Between two looks at something that others bring about. */
static void wait_a_little(void) {
  assert_ok(sky_context_check(&context));
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
}

START_TEST(a_new_index_covers_what_is_there) {
  SkyCollection plain = loose_documents;
  plain.index_count = 0;
  SkyStore *store = open_store(&plain);
  for (int i = 0; i < 103; i++) { /* more than a page of the indexer */
    Document *document = small_document(&arena, format(&arena, "%d", i));
    document->eta = sky_arena_alloc(&arena, sizeof(*document->eta));
    storetest__item__init(document->eta);
    document->eta->time = timestamp(&arena, 7, 123456789);
    assert_ok(sky_store_insert(store, &context, &plain, DOC(document)));
  }
  sky_store_close(store);
  client_insert("loose_documents", "{\"_id\": \"older\", \"_version\": 1}"); /* before owner_id was in the contract */
  store = open_store(&loose_documents);
  const SkyQuery by_eta = {.index = "by_eta", .equal = {SKY_V_TIME(7123456789)}, .page_size = 1000};
  const SkyQuery by_owner = {.index = "by_owner", .equal = {SKY_V_TEXT("")}, .page_size = 1000};
  context = within_ms(60000);
  while (count_found(store, &loose_documents, &by_eta) < 103 || count_found(store, &loose_documents, &by_owner) < 104)
    wait_a_little(); /* the indexer works in the background, and FerretDB reads everything for each update */
  sky_store_close(store);
}
END_TEST

static int count_indexes(const char *collection_name, const char *wanted_json) {
  mongoc_collection_t *collection;
  mongoc_client_t *client = client_open(&collection, collection_name);
  mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(collection, NULL);
  const bson_t *found;
  int count = 0;
  while (mongoc_cursor_next(cursor, &found)) {
    char *json = bson_as_relaxed_extended_json(found, NULL);
    count += strstr(json, wanted_json) != NULL;
    bson_free(json);
  }
  mongoc_cursor_destroy(cursor);
  client_close(client, collection);
  return count;
}

START_TEST(indexes_are_real_ones) {
  SkyStore *store = open_store(&documents);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(small_document(&arena, "one"))));
  sky_store_close(store);
  ck_assert_int_eq(count_indexes("documents", "{ \"owner_id\" : 1, \"_keys.create_time\" : 1, \"_id\" : 1 }"), 1);
  ck_assert_int_eq(count_indexes("documents", "{ \"_keys.eta/time\" : 1, \"_id\" : 1 }"), 1);
  ck_assert_int_eq(count_indexes("documents", "\"unique\" : true"), 1);
}
END_TEST

/* ---- a server that is away ---- */

START_TEST(a_store_opens_without_a_server_and_says_so) {
  Ferretdb nowhere = {.port = 1}; /* nobody listens there */
  snprintf(nowhere.uri, sizeof(nowhere.uri), "mongodb://127.0.0.1:%d/?serverSelectionTimeoutMS=100", nowhere.port);
  SkyStore *store = open_at(nowhere.uri, &documents);
  ProtobufCMessage *found;
  Document *document = small_document(&arena, "one");
  assert_code(sky_store_ping(store, &context), SKY_CODE_UNAVAILABLE);
  assert_code(sky_store_get(store, &context, &documents, "one", &arena, &found, NULL), SKY_CODE_UNAVAILABLE);
  assert_code(sky_store_insert(store, &context, &documents, DOC(document)), SKY_CODE_UNAVAILABLE);
  sky_store_close(store);
}
END_TEST

START_TEST(calls_fail_at_once_while_nobody_answers) {
  SkyStore *store = open_at("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200", &documents);
  ProtobufCMessage *found;
  assert_code(sky_store_get(store, &context, &documents, "one", &arena, &found, NULL), SKY_CODE_UNAVAILABLE);
  const int64_t before_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  for (int i = 0; i < 20; i++)
    assert_code(sky_store_get(store, &context, &documents, "one", &arena, &found, NULL), SKY_CODE_UNAVAILABLE);
  const int64_t took_ms = (sky_clock_monotonic_ns(sky_clock_system_borrow()) - before_ns) / SKY_NS_PER_MS;
  ck_assert_int_lt(took_ms, 2000); /* 20 times 200 ms if each of them waited */
  sky_store_close(store);
}
END_TEST

/* The whole life in one test, on a server of its own: written, gone, back, read and written again. */
START_TEST(a_server_that_comes_back_is_used_again) {
  Ferretdb own;
  ck_assert(ferretdb_start(&own));
  char uri[128];
  snprintf(uri, sizeof(uri), "%s?serverSelectionTimeoutMS=200&heartbeatFrequencyMS=500", own.uri);
  SkyStore *store = open_at(uri, &documents);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(small_document(&arena, "before"))));
  ferretdb_pause(&own);
  Document *document = small_document(&arena, "meanwhile");
  assert_code(sky_store_insert(store, &context, &documents, DOC(document)), SKY_CODE_UNAVAILABLE);
  ck_assert(ferretdb_resume(&own));
  SkyStatus status;
  while ((status = sky_store_insert(store, &context, &documents, DOC(document))) != SKY_OK) {
    assert_code(status, SKY_CODE_UNAVAILABLE);
    assert_ok(sky_context_check(&context));
  }
  ProtobufCMessage *found;
  assert_ok(sky_store_get(store, &context, &documents, "before", &arena, &found, NULL));
  sky_store_close(store);
  ferretdb_stop(&own);
}
END_TEST

START_TEST(wrong_uris_are_refused) {
  static const char *const wrong[] = {"mongodb://", "mongodb://host:99999", "mongodb://h/?tls=maybe&tlsCAFile="};
  const SkyCollection *collection = &documents;
  for (size_t i = 0; i < 2; i++) {
    const SkyStoreOptions options = {
        .uri = wrong[i], .database = database, .collections = &collection, .collection_count = 1};
    SkyStore *store;
    assert_code(sky_store_open(&options, &store), SKY_CODE_INVALID_ARGUMENT);
  }
  const SkyStoreOptions nameless = {
      .uri = server.uri, .database = "a.b", .collections = &collection, .collection_count = 1};
  SkyStore *store;
  assert_code(sky_store_open(&nameless, &store), SKY_CODE_INVALID_ARGUMENT);
}
END_TEST

/* ---- errors ---- */

START_TEST(server_errors_become_ours) {
  static const struct {
    int code;
    SkyCode wanted;
  } rows[] = {
      {11000, SKY_CODE_ALREADY_EXISTS},   {50, SKY_CODE_DEADLINE_EXCEEDED}, {64, SKY_CODE_DEADLINE_EXCEEDED},
      {16500, SKY_CODE_UNAVAILABLE},      {429, SKY_CODE_UNAVAILABLE},      {10107, SKY_CODE_UNAVAILABLE},
      {91, SKY_CODE_UNAVAILABLE},         {112, SKY_CODE_UNAVAILABLE},      {14031, SKY_CODE_RESOURCE_EXHAUSTED},
      {10334, SKY_CODE_INVALID_ARGUMENT}, {18, SKY_CODE_INTERNAL},          {1, SKY_CODE_INTERNAL}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    assert_code(sky_mongo_server_status(rows[i].code, "message", "test"), rows[i].wanted);
}
END_TEST

START_TEST(a_server_that_stops_at_our_limit_says_so_in_any_words) {
  const bson_error_t interrupted = {.domain = MONGOC_ERROR_SERVER, .code = 1, .message = "interrupted (9)"};
  const SkyContext over = within_ms(0), ample = within_ms(60000);
  assert_code(sky_mongo_status(NULL, &over, &interrupted, "find"), SKY_CODE_DEADLINE_EXCEEDED);
  assert_code(sky_mongo_status(NULL, &ample, &interrupted, "find"), SKY_CODE_INTERNAL);
  const bson_error_t duplicate = {.domain = MONGOC_ERROR_SERVER, .code = 11000, .message = "duplicate key"};
  assert_code(sky_mongo_status(NULL, &over, &duplicate, "insert"), SKY_CODE_ALREADY_EXISTS);
}
END_TEST

START_TEST(throttling_is_seen_and_its_wait_is_read) {
  static const char cosmos[] = "Error=16500, RetryAfterMs=34, Details='Response status code does not indicate success";
  int64_t wait_ms;
  ck_assert(sky_mongo_is_throttled(16500, cosmos, &wait_ms));
  ck_assert_int_eq(wait_ms, 34);
  ck_assert(sky_mongo_is_throttled(429, "Request rate is large", &wait_ms));
  ck_assert_int_eq(wait_ms, -1);
  ck_assert(!sky_mongo_is_throttled(11000, cosmos, &wait_ms));
  SkyStatus status = sky_mongo_server_status(16500, cosmos, "insert");
  ck_assert_int_eq(sky_status_retry_after_ms(status), 34);
  sky_status_free(status);
}
END_TEST

START_TEST(backing_off_ends_at_the_deadline) {
  const SkyContext brief = within_ms(50);
  ck_assert(!sky_mongo_back_off(&brief, 0, 60)); /* it would be too late after it */
  ck_assert(sky_mongo_back_off(&brief, 0, 5));
  unsigned attempts = 0;
  while (attempts < 1000 && sky_mongo_back_off(&brief, attempts, -1))
    attempts++;
  ck_assert_uint_lt(attempts, 50);
}
END_TEST

int main(void) {
  if (!ferretdb_start(&server))
    return SKIPPED;
  const TTest *const tests[] = {
      an_ordinary_client_finds_documents_by_the_contract_s_names,
      what_another_tool_has_written_is_read_or_refused,
      a_new_index_covers_what_is_there,
      indexes_are_real_ones,
      a_store_opens_without_a_server_and_says_so,
      calls_fail_at_once_while_nobody_answers,
      a_server_that_comes_back_is_used_again,
      wrong_uris_are_refused,
      server_errors_become_ours,
      a_server_that_stops_at_our_limit_says_so_in_any_words,
      throttling_is_seen_and_its_wait_is_read,
      backing_off_ends_at_the_deadline,
  };
  const int result = sky_check_run("store/mongo", setup, teardown, tests, sizeof(tests) / sizeof(tests[0]));
  ferretdb_stop(&server);
  return result;
}
