#include <sky/store/sqlite.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sky/codec/message.h>

typedef struct SkySqlite {
  SkySqlitePlace place;
  sqlite3 *keeper; /* keeps a database in memory alive */
  SkySqliteWriter *writer;
  SkySqliteReaders *readers;
} SkySqlite;

/* ---- results ---- */

static SkyStatus constraint_status(sqlite3 *db, int extended, const char *what) {
  if (extended == SQLITE_CONSTRAINT_PRIMARYKEY || extended == SQLITE_CONSTRAINT_UNIQUE)
    return SKY_ALREADY_EXISTS("%s: %s", what, sqlite3_errmsg(db));
  return SKY_INTERNAL("%s: %s", what, sqlite3_errmsg(db));
}

SkyStatus sky_sqlite_status(sqlite3 *db, int code, const char *what) {
  const char *message = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  switch (code & 0xff) {
  case SQLITE_OK:
  case SQLITE_ROW:
  case SQLITE_DONE:
    return SKY_OK;
  case SQLITE_CONSTRAINT:
    return constraint_status(db, sqlite3_extended_errcode(db), what);
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("%s: the database is busy", what), 100);
  case SQLITE_INTERRUPT:
    return SKY_DEADLINE_EXCEEDED("%s: took too long", what);
  case SQLITE_FULL:
    return SKY_RESOURCE_EXHAUSTED("%s: %s", what, message);
  case SQLITE_NOMEM:
    return sky_status_no_memory();
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return SKY_DATA_LOSS("%s: %s", what, message);
  case SQLITE_TOOBIG:
    return SKY_INVALID_ARGUMENT("%s: %s", what, message);
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
  case SQLITE_READONLY:
  case SQLITE_PERM:
    return SKY_UNAVAILABLE("%s: %s", what, message);
  default:
    return SKY_INTERNAL("%s: %s", what, message);
  }
}

SkyStatus sky_sqlite_exec(sqlite3 *db, const char *sql) {
  return sky_sqlite_status(db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

SkyStatus sky_sqlite_prepare(sqlite3 *db, const SkyBuf *sql, sqlite3_stmt **ret) {
  SKY_TRY(sky_buf_status(sql));
  int code = sqlite3_prepare_v3(db, (const char *)sql->data, (int)sql->size, SQLITE_PREPARE_PERSISTENT, ret, NULL);
  return sky_sqlite_status(db, code, "prepare");
}

int sky_sqlite_bind(sqlite3_stmt *statement, int position, const SkyValue *value) {
  switch (value->kind) {
  case SKY_VALUE_TEXT:
    return sqlite3_bind_text(statement, position, value->as.text, -1, SQLITE_STATIC);
  case SKY_VALUE_INT:
    return sqlite3_bind_int64(statement, position, value->as.integer);
  case SKY_VALUE_BOOL:
    return sqlite3_bind_int(statement, position, value->as.boolean);
  case SKY_VALUE_TIME:
    return sqlite3_bind_int64(statement, position, value->as.time_ns);
  default:
    return sqlite3_bind_null(statement, position);
  }
}

SkyStatus sky_sqlite_unpack(const SkySchema *schema, sqlite3_stmt *row, int column, SkyArena *arena,
                            ProtobufCMessage **ret) {
  const void *data = sqlite3_column_blob(row, column); /* before the size: the order SQLite asks for */
  const SkyStr wire = {data == NULL ? "" : data, (size_t)sqlite3_column_bytes(row, column)};
  SkyStatus status = sky_message_unpack(schema->declared->type, wire, arena, ret);
  if (status == SKY_OK || sky_status_code(status) == SKY_CODE_RESOURCE_EXHAUSTED)
    return status;
  SkyStatus loss = SKY_DATA_LOSS("collection %s: %s", schema->declared->name, sky_status_message(status));
  sky_status_free(status);
  return loss;
}

/* ---- connections ---- */

static SkyStatus configure(sqlite3 *db, bool in_memory) {
  sqlite3_extended_result_codes(db, 0);
  sqlite3_busy_timeout(db, SKY_SQLITE_BUSY_MS);
  if (in_memory)
    return sky_sqlite_exec(db, "PRAGMA journal_mode=MEMORY");
  return sky_sqlite_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864;"
                             "PRAGMA cache_size=-4096; PRAGMA mmap_size=268435456");
}

SkyStatus sky_sqlite_connect(const SkySqlitePlace *place, bool writer, sqlite3 **ret) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
  if (writer)
    flags |= SQLITE_OPEN_CREATE;
  sqlite3 *db = NULL;
  SkyStatus status = sky_sqlite_status(db, sqlite3_open_v2(place->path, &db, flags, NULL), "open");
  if (status != SKY_OK)
    status = sky_status_annotate(status, "%s: ", place->path);
  if (status == SKY_OK)
    status = configure(db, place->in_memory);
  if (status != SKY_OK) {
    sqlite3_close(db);
    return status;
  }
  *ret = db;
  return SKY_OK;
}

/* ---- where the file is ---- */

/* Makes the folder and those above it. */
static SkyStatus make_folder(const char *folder) {
  char path[4096];
  if (strlen(folder) >= sizeof(path))
    return SKY_INVALID_ARGUMENT("the store's folder name is too long");
  strcpy(path, folder);
  for (char *at = path + 1;; at++) {
    const char end = *at;
    if (end != '/' && end != '\0')
      continue;
    *at = '\0';
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
      return SKY_UNAVAILABLE("cannot make folder %s: %s", path, strerror(errno));
    *at = end;
    if (end == '\0')
      return SKY_OK;
  }
}

/* A file: URI reserves these; everything else stands for itself. */
static bool name_is_plain(const char *name) {
  return name[0] != '\0' && strncmp(name, "file:", 5) != 0;
}

static SkyStatus find_place(const SkyStoreDriverOptions *options, SkySqlitePlace *ret) {
  const char *where = options->uri + strlen("sqlite:");
  static atomic_uint stores_in_memory;
  int length;
  ret->in_memory = strcmp(where, ":memory:") == 0;
  if (ret->in_memory) {
    length = asprintf(&ret->path, "file:/skystore-%u?vfs=memdb", atomic_fetch_add(&stores_in_memory, 1));
  } else {
    if (!name_is_plain(where) || options->database == NULL || options->database[0] == '\0' ||
        strchr(options->database, '/') != NULL)
      return SKY_INVALID_ARGUMENT("store needs a folder and a database name: sqlite:DIR");
    SKY_TRY(make_folder(where));
    length = asprintf(&ret->path, "%s/%s.db", where, options->database);
  }
  if (length < 0)
    ret->path = NULL;
  return length < 0 ? sky_status_no_memory() : SKY_OK;
}

/* ---- the driver ---- */

static void sqlite_close(void *self) {
  SkySqlite *sqlite = self;
  sky_sqlite_writer_destroy(sqlite->writer);
  sky_sqlite_readers_destroy(sqlite->readers);
  sqlite3_close(sqlite->keeper);
  free(sqlite->place.path);
  free(sqlite);
}

static SkyStatus sqlite_ping(void *self, const SkyContext *context) {
  return sky_sqlite_readers_ping(((SkySqlite *)self)->readers, context);
}

static SkyStatus sqlite_write(void *self, const SkyContext *context, SkyStoreWrite *writes, size_t count) {
  return sky_sqlite_writer_write(((SkySqlite *)self)->writer, context, writes, count);
}

static SkyStatus sqlite_get(void *self, const SkyContext *context, const SkySchema *schema, const char *id,
                            SkyArena *arena, ProtobufCMessage **ret, int64_t *ret_version) {
  return sky_sqlite_readers_get(((SkySqlite *)self)->readers, context, schema, id, arena, ret, ret_version);
}

static SkyStatus sqlite_get_many(void *self, const SkyContext *context, const SkySchema *schema, const char *const *ids,
                                 size_t count, SkyArena *arena, ProtobufCMessage **documents) {
  return sky_sqlite_readers_get_many(((SkySqlite *)self)->readers, context, schema, ids, count, arena, documents);
}

static SkyStatus sqlite_find(void *self, const SkyContext *context, const SkyStoreFind *find, SkyArena *arena,
                             SkyStoreFound *found) {
  return sky_sqlite_readers_find(((SkySqlite *)self)->readers, context, find, arena, found);
}

static const SkyStoreDriver driver = {
    .name = "sqlite",
    .close = sqlite_close,
    .ping = sqlite_ping,
    .write = sqlite_write,
    .get = sqlite_get,
    .get_many = sqlite_get_many,
    .find = sqlite_find,
};

static SkyStatus open_parts(SkySqlite *sqlite, const SkyStoreDriverOptions *options) {
  SKY_TRY(find_place(options, &sqlite->place));
  SKY_TRY(sky_sqlite_connect(&sqlite->place, true, &sqlite->keeper));
  SKY_TRY(sky_sqlite_migrate(sqlite->keeper, options->schemas, options->schema_count));
  if (!sqlite->place.in_memory) {
    sqlite3_close(sqlite->keeper);
    sqlite->keeper = NULL;
  }
  SKY_TRY(sky_sqlite_writer_create(&sqlite->place, options, &sqlite->writer));
  return sky_sqlite_readers_create(&sqlite->place, options, &sqlite->readers);
}

SkyStatus sky_sqlite_open(const SkyStoreDriverOptions *options, const SkyStoreDriver **ret_driver, void **ret_self) {
  SkySqlite *sqlite = calloc(1, sizeof(*sqlite));
  if (sqlite == NULL)
    return sky_status_no_memory();
  SkyStatus status = open_parts(sqlite, options);
  if (status != SKY_OK) {
    sqlite_close(sqlite);
    return status;
  }
  *ret_driver = &driver;
  *ret_self = sqlite;
  return SKY_OK;
}
