/* What only SQLite has: migration, durability over kill -9, queue, locks, damaged and full files. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include <sky/store/sqlite.h>

#include "../sky_check.h"
#include "fixtures.h"

static char folder[64], uri[80], file[96];
static SkyArena arena;
static SkyContext context;

static void setup(void) {
  strcpy(folder, "/tmp/skystore-sqlite-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(uri, sizeof(uri), "sqlite:%s", folder);
  snprintf(file, sizeof(file), "%s/test.db", folder);
  sky_arena_init(&arena, 64 << 20);
  context = soon();
}

static void teardown(void) {
  sky_arena_finish(&arena);
  char command[96];
  snprintf(command, sizeof(command), "rm -r %s", folder);
  ck_assert_int_eq(system(command), 0);
}

static SkyStatus try_open(const SkyCollection *collection, SkyStore **ret) {
  const SkyStoreOptions options = {
      .uri = uri, .database = "test", .collections = &collection, .collection_count = 1, .connections = 2};
  return sky_store_open(&options, ret);
}

static SkyStore *open_store(const SkyCollection *collection) {
  SkyStore *store = NULL;
  assert_ok(try_open(collection, &store));
  return store;
}

static sqlite3 *open_file(void) {
  sqlite3 *db = NULL;
  ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
  return db;
}

/* The first column of the first row, as text in the arena; "" when there is none. */
static const char *ask(const char *sql) {
  sqlite3 *db = open_file();
  sqlite3_stmt *rows = NULL;
  ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
  const char *text = "";
  if (sqlite3_step(rows) == SQLITE_ROW)
    text = format(&arena, "%s", (const char *)sqlite3_column_text(rows, 0));
  sqlite3_finalize(rows);
  sqlite3_close(db);
  return text;
}

static size_t count_found(SkyStore *store, const SkyCollection *collection, const SkyQuery *query) {
  SkyPage page;
  assert_ok(sky_store_find(store, &context, collection, query, &arena, &page));
  return page.count;
}

/* ---- tables ---- */

START_TEST(indexed_fields_are_columns_that_tools_can_read) {
  SkyStore *store = open_store(&documents);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(full_document(&arena, "one"))));
  sky_store_close(store);
  ck_assert_str_eq(ask("SELECT owner_id FROM documents WHERE _id = 'one'"), "owner-1");
  ck_assert_str_eq(ask("SELECT stage FROM documents"), "STAGE_FLYING");
  ck_assert_str_eq(ask("SELECT \"eta.time\" FROM documents"), "1795230999123456789");
  ck_assert_str_eq(ask("SELECT expedited FROM documents"), "1");
}
END_TEST

static SkyStatus query_plan(const char *wanted) {
  sqlite3 *db = open_file();
  sqlite3_stmt *rows = NULL;
  static const char sql[] = "EXPLAIN QUERY PLAN SELECT _document FROM documents WHERE \"owner_id\" = ? AND "
                            "(\"create_time\", \"_id\") > (?, ?) ORDER BY \"create_time\", \"_id\" LIMIT 10";
  ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_step(rows), SQLITE_ROW);
  ck_assert_ptr_nonnull(strstr((const char *)sqlite3_column_text(rows, 3), wanted));
  ck_assert_int_eq(sqlite3_step(rows), SQLITE_DONE); /* no step that sorts */
  sqlite3_finalize(rows);
  sqlite3_close(db);
  return SKY_OK;
}

START_TEST(a_page_is_read_from_the_index_without_sorting) {
  sky_store_close(open_store(&documents));
  assert_ok(query_plan("USING INDEX documents.by_owner"));
}
END_TEST

START_TEST(a_new_index_covers_what_is_there) {
  SkyCollection plain = loose_documents;
  plain.index_count = 0;
  SkyStore *store = open_store(&plain);
  for (int i = 0; i < 50; i++) {
    Document *document = full_document(&arena, format(&arena, "%d", i));
    document->owner_id = format(&arena, "owner-%d", i % 5);
    assert_ok(sky_store_insert(store, &context, &plain, DOC(document)));
  }
  sky_store_close(store);
  store = open_store(&loose_documents);
  const SkyQuery by_owner = {.index = "by_owner", .equal = {SKY_V_TEXT("owner-3")}};
  const SkyQuery by_eta = {.index = "by_eta", .equal = {SKY_V_TIME(1795230999123456789)}};
  ck_assert_uint_eq(count_found(store, &loose_documents, &by_owner), 10);
  ck_assert_uint_eq(count_found(store, &loose_documents, &by_eta), 50);
  sky_store_close(store);
}
END_TEST

START_TEST(an_index_that_is_no_longer_declared_is_dropped_and_may_return) {
  SkyStore *store = open_store(&loose_documents);
  assert_ok(sky_store_insert(store, &context, &loose_documents, DOC(full_document(&arena, "before"))));
  sky_store_close(store);
  SkyCollection plain = loose_documents;
  plain.index_count = 1;
  store = open_store(&plain);
  assert_ok(sky_store_insert(store, &context, &plain, DOC(full_document(&arena, "between"))));
  sky_store_close(store);
  ck_assert_str_eq(ask("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name LIKE 'loose_documents.%'"),
                   "1");
  store = open_store(&loose_documents);
  const SkyQuery by_eta = {.index = "by_eta", .equal = {SKY_V_TIME(1795230999123456789)}};
  ck_assert_uint_eq(count_found(store, &loose_documents, &by_eta), 2);
  sky_store_close(store);
}
END_TEST

START_TEST(a_changed_index_is_made_anew) {
  sky_store_close(open_store(&documents));
  static const SkyIndex changed[] = {{.name = "by_owner", .fields = {"owner_id", "stage"}}};
  const SkyCollection other = {
      .name = "documents", .type = documents.type, .id_field = "id", .indexes = changed, .index_count = 1};
  sky_store_close(open_store(&other));
  ck_assert_str_eq(ask("SELECT sql FROM sqlite_schema WHERE name = 'documents.by_owner'"),
                   "CREATE INDEX \"documents.by_owner\" ON \"documents\" (\"owner_id\", \"stage\", _id)");
}
END_TEST

START_TEST(a_unique_index_over_duplicates_leaves_everything_as_it_was) {
  SkyCollection plain = documents;
  plain.index_count = 1;
  SkyStore *store = open_store(&plain);
  for (int i = 0; i < 2; i++) {
    Document *document = small_document(&arena, format(&arena, "%d", i));
    document->reference = format(&arena, "same");
    assert_ok(sky_store_insert(store, &context, &plain, DOC(document)));
  }
  sky_store_close(store);
  assert_code(try_open(&documents, &store), SKY_CODE_ALREADY_EXISTS);
  store = open_store(&plain);
  ck_assert_uint_eq(count_found(store, &plain, &(SkyQuery){0}), 2);
  sky_store_close(store);
}
END_TEST

/* ---- durability ---- */

/* Inserts for ever and says the number of each document that was acknowledged. */
_Noreturn static void insert_until_killed(int out) {
  SkyStore *store = open_store(&documents);
  for (int i = 0;; i++) {
    const SkyContext now = soon();
    SkyArena memory;
    sky_arena_init(&memory, 1 << 16);
    if (sky_store_insert(store, &now, &documents, DOC(full_document(&memory, format(&memory, "%d", i)))) != SKY_OK)
      _exit(1);
    sky_arena_finish(&memory);
    if (write(out, &i, sizeof(i)) != sizeof(i))
      _exit(1);
  }
}

static int run_and_kill(int acknowledgements) {
  int ends[2], last = -1;
  ck_assert_int_eq(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0)
    insert_until_killed(ends[1]);
  close(ends[1]);
  for (int i = 0; i < acknowledgements; i++)
    ck_assert_int_eq(read(ends[0], &last, sizeof(last)), sizeof(last));
  kill(child, SIGKILL);
  while (read(ends[0], &last, sizeof(last)) == sizeof(last)) /* said before it died */
    ;
  close(ends[0]);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  return last;
}

START_TEST(what_was_acknowledged_is_there_after_kill_9) {
  const int last = run_and_kill(50 + 37 * _i);
  SkyStore *store = open_store(&documents);
  for (int i = 0; i <= last; i++) {
    ProtobufCMessage *found;
    char *id = format(&arena, "%d", i);
    assert_ok(sky_store_get(store, &context, &documents, id, &arena, &found, NULL));
    assert_same_message(DOC(full_document(&arena, id)), found);
  }
  sky_store_close(store);
  ck_assert_str_eq(ask("PRAGMA integrity_check"), "ok");
}
END_TEST

/* What a power cut spares depends on these, and no test can pull the plug. */
START_TEST(commits_are_synced_to_a_write_ahead_log) {
  sky_store_close(open_store(&documents));
  ck_assert_str_eq(ask("PRAGMA journal_mode"), "wal");
  sqlite3 *db;
  sqlite3_stmt *rows;
  assert_ok(sky_sqlite_connect(&(SkySqlitePlace){.path = file}, true, &db));
  ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA synchronous", -1, &rows, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_step(rows), SQLITE_ROW);
  ck_assert_int_eq(sqlite3_column_int(rows, 0), 2); /* FULL */
  sqlite3_finalize(rows);
  sqlite3_close(db);
}
END_TEST

/* ---- locks and deadlines ---- */

/* Holds the write lock as another process would. */
static sqlite3 *lock_file(void) {
  sqlite3 *db = open_file();
  ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  return db;
}

START_TEST(a_locked_file_is_unavailable_and_read_all_the_same) {
  SkyStore *store = open_store(&documents);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(small_document(&arena, "before"))));
  sqlite3 *locker = lock_file();
  Document *document = small_document(&arena, "locked");
  assert_code(sky_store_insert(store, &context, &documents, DOC(document)), SKY_CODE_UNAVAILABLE);
  ProtobufCMessage *found;
  assert_ok(sky_store_get(store, &context, &documents, "before", &arena, &found, NULL));
  sqlite3_close(locker);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(document)));
  sky_store_close(store);
}
END_TEST

START_TEST(a_write_that_is_late_in_the_queue_is_not_done) {
  SkyStore *store = open_store(&documents);
  sqlite3 *locker = lock_file();
  SkyContext brief = within_ms(50); /* the writer thread itself waits for the lock: its outcome is open */
  assert_code(sky_store_insert(store, &brief, &documents, DOC(small_document(&arena, "taken"))),
              SKY_CODE_DEADLINE_EXCEEDED);
  brief = within_ms(50); /* this one is still queued behind it, and taken out */
  assert_code(sky_store_insert(store, &brief, &documents, DOC(small_document(&arena, "queued"))),
              SKY_CODE_DEADLINE_EXCEEDED);
  sqlite3_close(locker);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(small_document(&arena, "after"))));
  ProtobufCMessage *found;
  assert_code(sky_store_get(store, &context, &documents, "queued", &arena, &found, NULL), SKY_CODE_NOT_FOUND);
  sky_store_close(store);
}
END_TEST

START_TEST(a_full_queue_holds_writers_until_their_deadline) {
  const SkyCollection *collection = &documents;
  const SkyStoreOptions options = {
      .uri = uri, .database = "test", .collections = &collection, .collection_count = 1, .max_queued_writes = 3};
  SkyStore *store;
  assert_ok(sky_store_open(&options, &store));
  const ProtobufCMessage *three[3];
  SkyStatus results[3];
  for (int i = 0; i < 3; i++)
    three[i] = DOC(small_document(&arena, format(&arena, "%d", i)));
  sqlite3 *locker = lock_file();
  SkyContext brief = within_ms(50); /* taken by the thread; leaves the queue empty */
  assert_code(sky_store_insert(store, &brief, &documents, DOC(small_document(&arena, "a"))),
              SKY_CODE_DEADLINE_EXCEEDED);
  brief = within_ms(50); /* fills the queue while it waits, and leaves it */
  assert_code(sky_store_insert_many(store, &brief, &documents, three, 3, results), SKY_CODE_DEADLINE_EXCEEDED);
  sqlite3_close(locker);
  assert_ok(sky_store_insert_many(store, &context, &documents, three, 3, results));
  for (int i = 0; i < 3; i++)
    assert_ok(results[i]);
  sky_store_close(store);
}
END_TEST

/* ---- damage ---- */

START_TEST(a_file_that_is_no_database_is_data_loss) {
  FILE *out = fopen(file, "w");
  for (int i = 0; i < 1000; i++)
    fputs("this is not a database\n", out);
  fclose(out);
  SkyStore *store;
  assert_code(try_open(&documents, &store), SKY_CODE_DATA_LOSS);
}
END_TEST

START_TEST(a_damaged_document_is_data_loss) {
  SkyStore *store = open_store(&documents);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(small_document(&arena, "bad"))));
  ask("UPDATE documents SET _document = x'0aff' RETURNING 1");
  ProtobufCMessage *found;
  assert_code(sky_store_get(store, &context, &documents, "bad", &arena, &found, NULL), SKY_CODE_DATA_LOSS);
  SkyPage page;
  assert_code(sky_store_find(store, &context, &documents, &(SkyQuery){0}, &arena, &page), SKY_CODE_DATA_LOSS);
  sky_store_close(store);
}
END_TEST

START_TEST(a_write_error_is_unavailable_and_passes) {
  SkyStore *store = open_store(&documents);
  struct rlimit before, small = {4096, 0};
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  small.rlim_max = before.rlim_max;
  signal(SIGXFSZ, SIG_IGN); /* write() gives EFBIG instead */
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  Document *document = full_document(&arena, "full");
  SkyStatus status = sky_store_insert(store, &context, &documents, DOC(document));
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_code(status, SKY_CODE_UNAVAILABLE);
  assert_ok(sky_store_insert(store, &context, &documents, DOC(document)));
  sky_store_close(store);
}
END_TEST

START_TEST(a_folder_that_cannot_be_made_is_unavailable) {
  snprintf(uri, sizeof(uri), "sqlite:/proc/nowhere");
  SkyStore *store;
  assert_code(try_open(&documents, &store), SKY_CODE_UNAVAILABLE);
}
END_TEST

START_TEST(folders_are_made) {
  snprintf(uri, sizeof(uri), "sqlite:%s/a/b/c", folder);
  sky_store_close(open_store(&documents));
}
END_TEST

START_TEST(result_codes_become_ours) {
  static const struct {
    int code;
    SkyCode wanted;
  } rows[] = {{SQLITE_FULL, SKY_CODE_RESOURCE_EXHAUSTED},
              {SQLITE_BUSY, SKY_CODE_UNAVAILABLE},
              {SQLITE_BUSY_SNAPSHOT, SKY_CODE_UNAVAILABLE},
              {SQLITE_LOCKED, SKY_CODE_UNAVAILABLE},
              {SQLITE_IOERR_FSYNC, SKY_CODE_UNAVAILABLE},
              {SQLITE_READONLY, SKY_CODE_UNAVAILABLE},
              {SQLITE_CORRUPT, SKY_CODE_DATA_LOSS},
              {SQLITE_NOTADB, SKY_CODE_DATA_LOSS},
              {SQLITE_INTERRUPT, SKY_CODE_DEADLINE_EXCEEDED},
              {SQLITE_NOMEM, SKY_CODE_RESOURCE_EXHAUSTED},
              {SQLITE_MISUSE, SKY_CODE_INTERNAL},
              {SQLITE_DONE, SKY_CODE_OK}};
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    assert_code(sky_sqlite_status(NULL, rows[i].code, "test"), rows[i].wanted);
}
END_TEST

/* ---- declarations ---- */

static SkyStatus open_declared(SkyIndex index, const char *name, const char *id_field) {
  const SkyCollection collection = {
      .name = name, .type = documents.type, .id_field = id_field, .indexes = &index, .index_count = 1};
  SkyStore *store = NULL;
  SkyStatus status = try_open(&collection, &store);
  sky_store_close(store);
  return status;
}

START_TEST(wrong_declarations_are_refused) {
  const SkyIndex fine = {.name = "fine", .fields = {"owner_id"}};
  assert_ok(open_declared(fine, "fine", "id"));
  assert_code(open_declared(fine, "Not Fine", "id"), SKY_CODE_INVALID_ARGUMENT);
  assert_code(open_declared(fine, "sqlite_fine", "id"), SKY_CODE_INVALID_ARGUMENT);
  assert_code(open_declared(fine, "fine", "number"), SKY_CODE_INVALID_ARGUMENT);
  assert_code(open_declared(fine, "fine", "nothing"), SKY_CODE_INVALID_ARGUMENT);
  static const char *const wrong[] = {"nothing", "tags",          "eta", "items.name", "a_double",
                                      "picture", "owner_id.name", "",    "eta."};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
    assert_code(open_declared((SkyIndex){.name = "wrong", .fields = {wrong[i]}}, "fine", "id"),
                SKY_CODE_INVALID_ARGUMENT);
  assert_code(open_declared((SkyIndex){.name = "empty"}, "fine", "id"), SKY_CODE_INVALID_ARGUMENT);
  assert_code(open_declared((SkyIndex){.name = "a\"b", .fields = {"owner_id"}}, "fine", "id"),
              SKY_CODE_INVALID_ARGUMENT);
}
END_TEST

START_TEST(wrong_places_are_refused) {
  static const char *const wrong[] = {"sqlite:", "sqlite:file:x?mode=memory", "postgres://x", ""};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    snprintf(uri, sizeof(uri), "%s", wrong[i]);
    SkyStore *store;
    assert_code(try_open(&documents, &store), SKY_CODE_INVALID_ARGUMENT);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store/sqlite");
  TCase *cases = tcase_create("sqlite");
  tcase_set_timeout(cases, 60);
  tcase_add_checked_fixture(cases, setup, teardown);
  const TTest *const tests[] = {
      indexed_fields_are_columns_that_tools_can_read,
      a_page_is_read_from_the_index_without_sorting,
      a_new_index_covers_what_is_there,
      an_index_that_is_no_longer_declared_is_dropped_and_may_return,
      a_changed_index_is_made_anew,
      a_unique_index_over_duplicates_leaves_everything_as_it_was,
      commits_are_synced_to_a_write_ahead_log,
      a_locked_file_is_unavailable_and_read_all_the_same,
      a_write_that_is_late_in_the_queue_is_not_done,
      a_full_queue_holds_writers_until_their_deadline,
      a_file_that_is_no_database_is_data_loss,
      a_damaged_document_is_data_loss,
      a_write_error_is_unavailable_and_passes,
      a_folder_that_cannot_be_made_is_unavailable,
      folders_are_made,
      result_codes_become_ours,
      wrong_declarations_are_refused,
      wrong_places_are_refused,
  };
  for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
    tcase_add_test(cases, tests[i]);
  tcase_add_loop_test(cases, what_was_acknowledged_is_there_after_kill_9, 0, 5);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
