/*
 * Readers: a bounded pool of connections, opened as they are needed. In WAL mode a reader sees what was committed when
 * it began, and neither waits for the writer nor holds it up.
 */
#include <sky/store/sqlite.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  FIND_STATEMENTS = 32,     /* kept per connection; queries have few shapes */
  CHECK_INSTRUCTIONS = 1000 /* of SQLite's machine between two looks at the clock */
};

/* What makes two finds the same statement. */
typedef struct Shape {
  const SkySchema *schema;
  const SkySchemaIndex *index;
  size_t equal_count;
  bool from, to, after, descending;
} Shape;

typedef struct FindStatement {
  Shape shape;
  sqlite3_stmt *statement;
} FindStatement;

typedef struct Reader {
  struct Reader *next_free;
  sqlite3 *db;
  int64_t deadline_ns;
  sqlite3_stmt *ping;
  sqlite3_stmt **gets; /* per collection */
  FindStatement finds[FIND_STATEMENTS];
  size_t next_find;
} Reader;

struct SkySqliteReaders {
  SkySqlitePlace place;
  SkySchema *const *schemas;
  size_t schema_count;
  pthread_mutex_t lock;
  pthread_cond_t freed;
  Reader *free;
  Reader *readers;
  size_t opened, max;
};

/* ---- one connection ---- */

static int is_late(void *user) {
  const Reader *reader = user;
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) > reader->deadline_ns;
}

static SkyStatus reader_open(const SkySqliteReaders *readers, Reader *reader) {
  reader->gets = calloc(readers->schema_count + 1, sizeof(sqlite3_stmt *));
  if (reader->gets == NULL)
    return sky_status_no_memory();
  SKY_TRY(sky_sqlite_connect(&readers->place, false, &reader->db));
  sqlite3_progress_handler(reader->db, CHECK_INSTRUCTIONS, is_late, reader);
  return SKY_OK;
}

static void reader_finish(const SkySqliteReaders *readers, Reader *reader) {
  for (size_t i = 0; reader->gets != NULL && i < readers->schema_count; i++)
    sqlite3_finalize(reader->gets[i]);
  for (size_t i = 0; i < FIND_STATEMENTS; i++)
    sqlite3_finalize(reader->finds[i].statement);
  sqlite3_finalize(reader->ping);
  sqlite3_close(reader->db);
  free(reader->gets);
  *reader = (Reader){0};
}

/* ---- the pool ---- */

/* With the lock held. Opening is rare and quick, and so done under it. */
static SkyStatus take_reader(SkySqliteReaders *readers, Reader **ret) {
  if (readers->free == NULL) {
    Reader *reader = &readers->readers[readers->opened];
    reader->deadline_ns = INT64_MAX;
    SkyStatus status = reader_open(readers, reader);
    if (status != SKY_OK) {
      reader_finish(readers, reader);
      return status;
    }
    readers->opened++;
    *ret = reader;
    return SKY_OK;
  }
  *ret = readers->free;
  readers->free = readers->free->next_free;
  return SKY_OK;
}

static SkyStatus wait_for_reader(SkySqliteReaders *readers, int64_t deadline_ns) {
  const struct timespec until = {.tv_sec = deadline_ns / SKY_NS_PER_S, .tv_nsec = deadline_ns % SKY_NS_PER_S};
  while (readers->free == NULL && readers->opened == readers->max) {
    if (pthread_cond_timedwait(&readers->freed, &readers->lock, &until) != 0 && readers->free == NULL)
      return SKY_DEADLINE_EXCEEDED("all %zu connections of the store are in use", readers->max);
  }
  return SKY_OK;
}

static SkyStatus acquire(SkySqliteReaders *readers, const SkyContext *context, Reader **ret) {
  pthread_mutex_lock(&readers->lock);
  SkyStatus status = wait_for_reader(readers, context->deadline_ns);
  if (status == SKY_OK)
    status = take_reader(readers, ret);
  pthread_mutex_unlock(&readers->lock);
  if (status == SKY_OK)
    (*ret)->deadline_ns = context->deadline_ns;
  return status;
}

static void release(SkySqliteReaders *readers, Reader *reader) {
  pthread_mutex_lock(&readers->lock);
  reader->next_free = readers->free;
  readers->free = reader;
  pthread_cond_signal(&readers->freed);
  pthread_mutex_unlock(&readers->lock);
}

/* ---- ping ---- */

static SkyStatus ping(Reader *reader) {
  static const char sql[] = "SELECT count(*) FROM sqlite_schema";
  int code = SQLITE_OK;
  if (reader->ping == NULL)
    code = sqlite3_prepare_v3(reader->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &reader->ping, NULL);
  if (code == SQLITE_OK)
    code = sqlite3_step(reader->ping);
  SkyStatus status = sky_sqlite_status(reader->db, code, "ping");
  sqlite3_reset(reader->ping);
  return status;
}

SkyStatus sky_sqlite_readers_ping(SkySqliteReaders *readers, const SkyContext *context) {
  Reader *reader;
  SKY_TRY(acquire(readers, context, &reader));
  SkyStatus status = ping(reader);
  release(readers, reader);
  return status;
}

/* ---- get ---- */

static SkyStatus prepare_get(const SkySqliteReaders *readers, Reader *reader, const SkySchema *schema,
                             sqlite3_stmt **ret) {
  size_t position = 0;
  while (readers->schemas[position] != schema)
    position++;
  if (reader->gets[position] == NULL) {
    SkyBuf sql;
    sky_buf_init(&sql, SKY_SQLITE_MAX_SQL);
    sky_buf_printf(&sql, "SELECT _version, _document FROM \"%s\" WHERE _id = ?", schema->declared->name);
    SkyStatus status = sky_sqlite_prepare(reader->db, &sql, &reader->gets[position]);
    sky_buf_finish(&sql);
    SKY_TRY(status);
  }
  *ret = reader->gets[position];
  return SKY_OK;
}

static SkyStatus get(Reader *reader, sqlite3_stmt *statement, const SkySchema *schema, const char *id, SkyArena *arena,
                     ProtobufCMessage **ret, int64_t *ret_version) {
  sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
  int code = sqlite3_step(statement);
  SkyStatus status;
  if (code == SQLITE_ROW) {
    *ret_version = sqlite3_column_int64(statement, 0);
    status = sky_sqlite_unpack(schema, statement, 1, arena, ret);
  } else if (code == SQLITE_DONE) {
    status = SKY_NOT_FOUND("%s %s does not exist", schema->declared->name, id);
  } else {
    status = sky_sqlite_status(reader->db, code, "get");
  }
  sqlite3_reset(statement);
  return status;
}

SkyStatus sky_sqlite_readers_get(SkySqliteReaders *readers, const SkyContext *context, const SkySchema *schema,
                                 const char *id, SkyArena *arena, ProtobufCMessage **ret, int64_t *ret_version) {
  Reader *reader;
  SKY_TRY(acquire(readers, context, &reader));
  sqlite3_stmt *statement;
  SkyStatus status = prepare_get(readers, reader, schema, &statement);
  if (status == SKY_OK)
    status = get(reader, statement, schema, id, arena, ret, ret_version);
  release(readers, reader);
  return status;
}

static SkyStatus get_each(Reader *reader, sqlite3_stmt *statement, const SkySchema *schema, const char *const *ids,
                          size_t count, SkyArena *arena, ProtobufCMessage **documents) {
  SkyStatus status = SKY_OK;
  for (size_t i = 0; i < count && status == SKY_OK; i++) {
    int64_t version;
    status = get(reader, statement, schema, ids[i], arena, &documents[i], &version);
    if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
      documents[i] = NULL;
  }
  return status;
}

SkyStatus sky_sqlite_readers_get_many(SkySqliteReaders *readers, const SkyContext *context, const SkySchema *schema,
                                      const char *const *ids, size_t count, SkyArena *arena,
                                      ProtobufCMessage **documents) {
  Reader *reader;
  SKY_TRY(acquire(readers, context, &reader));
  sqlite3_stmt *statement;
  SkyStatus status = prepare_get(readers, reader, schema, &statement);
  if (status == SKY_OK)
    status = get_each(reader, statement, schema, ids, count, arena, documents);
  release(readers, reader);
  return status;
}

/* ---- find ---- */

static Shape shape_of(const SkyStoreFind *find) {
  Shape shape;
  memset(&shape, 0, sizeof(shape)); /* padding as well: shapes are compared as bytes */
  shape.schema = find->schema;
  shape.index = find->index;
  shape.equal_count = find->equal_count;
  shape.from = find->from.kind != SKY_VALUE_NONE;
  shape.to = find->to.kind != SKY_VALUE_NONE;
  shape.after = find->after_id != NULL;
  shape.descending = find->descending;
  return shape;
}

static size_t key_count_of(const Shape *shape) {
  return shape->index == NULL ? 0 : shape->index->key_count;
}

/* The column of a position in the index; past its end the id, which makes every order a total one. */
static const char *column(const Shape *shape, size_t position) {
  return position < key_count_of(shape) ? shape->schema->keys[shape->index->keys[position]].path : "_id";
}

static void append_conditions(SkyBuf *sql, const Shape *shape) {
  for (size_t i = 0; i < shape->equal_count; i++)
    sky_buf_printf(sql, " AND \"%s\" = ?", column(shape, i));
  if (shape->from)
    sky_buf_printf(sql, " AND \"%s\" >= ?", column(shape, shape->equal_count));
  if (shape->to)
    sky_buf_printf(sql, " AND \"%s\" < ?", column(shape, shape->equal_count));
}

/* Keyset paging: (a, b, _id) > (?, ?, ?) is what an index walks to directly. */
static void append_position(SkyBuf *sql, const Shape *shape) {
  sky_buf_append_text(sql, " AND (");
  for (size_t i = shape->equal_count; i <= key_count_of(shape); i++)
    sky_buf_printf(sql, "%s\"%s\"", i == shape->equal_count ? "" : ", ", column(shape, i));
  sky_buf_printf(sql, ") %s (", shape->descending ? "<" : ">");
  for (size_t i = shape->equal_count; i <= key_count_of(shape); i++)
    sky_buf_append_text(sql, i == shape->equal_count ? "?" : ", ?");
  sky_buf_append_text(sql, ")");
}

static void append_order(SkyBuf *sql, const Shape *shape) {
  sky_buf_append_text(sql, " ORDER BY ");
  for (size_t i = shape->equal_count; i <= key_count_of(shape); i++)
    sky_buf_printf(sql, "%s\"%s\"%s", i == shape->equal_count ? "" : ", ", column(shape, i),
                   shape->descending ? " DESC" : "");
}

static SkyStatus prepare_shape(Reader *reader, const Shape *shape, sqlite3_stmt **ret) {
  SkyBuf sql;
  sky_buf_init(&sql, SKY_SQLITE_MAX_SQL);
  sky_buf_printf(&sql, "SELECT _version, _document FROM \"%s\" WHERE true", shape->schema->declared->name);
  append_conditions(&sql, shape);
  if (shape->after)
    append_position(&sql, shape);
  append_order(&sql, shape);
  sky_buf_append_text(&sql, " LIMIT ?");
  SkyStatus status = sky_sqlite_prepare(reader->db, &sql, ret);
  sky_buf_finish(&sql);
  return status;
}

static SkyStatus prepare_find(Reader *reader, const SkyStoreFind *find, sqlite3_stmt **ret) {
  const Shape shape = shape_of(find);
  for (size_t i = 0; i < FIND_STATEMENTS; i++) {
    if (reader->finds[i].statement != NULL && memcmp(&reader->finds[i].shape, &shape, sizeof(shape)) == 0) {
      *ret = reader->finds[i].statement;
      return SKY_OK;
    }
  }
  FindStatement *slot = &reader->finds[reader->next_find++ % FIND_STATEMENTS];
  sqlite3_finalize(slot->statement);
  slot->statement = NULL;
  SKY_TRY(prepare_shape(reader, &shape, &slot->statement));
  memcpy(&slot->shape, &shape, sizeof(shape));
  *ret = slot->statement;
  return SKY_OK;
}

/* In the order in which prepare_shape() wrote the parameters. */
static void bind_find(sqlite3_stmt *statement, const SkyStoreFind *find) {
  int position = 1;
  for (size_t i = 0; i < find->equal_count; i++)
    sky_sqlite_bind(statement, position++, &find->equal[i]);
  if (find->from.kind != SKY_VALUE_NONE)
    sky_sqlite_bind(statement, position++, &find->from);
  if (find->to.kind != SKY_VALUE_NONE)
    sky_sqlite_bind(statement, position++, &find->to);
  if (find->after_id != NULL) {
    const size_t key_count = find->index == NULL ? 0 : find->index->key_count;
    for (size_t i = find->equal_count; i < key_count; i++)
      sky_sqlite_bind(statement, position++, &find->after[i - find->equal_count]);
    sky_sqlite_bind(statement, position++, &SKY_V_TEXT(find->after_id));
  }
  sqlite3_bind_int64(statement, position, (sqlite3_int64)find->limit);
}

static SkyStatus read_rows(Reader *reader, sqlite3_stmt *statement, const SkySchema *schema, SkyArena *arena,
                           SkyStoreFound *found) {
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    found->versions[found->count] = sqlite3_column_int64(statement, 0);
    SKY_TRY(sky_sqlite_unpack(schema, statement, 1, arena, &found->documents[found->count]));
    found->count++;
  }
  return sky_sqlite_status(reader->db, code, "find");
}

SkyStatus sky_sqlite_readers_find(SkySqliteReaders *readers, const SkyContext *context, const SkyStoreFind *find,
                                  SkyArena *arena, SkyStoreFound *found) {
  Reader *reader;
  SKY_TRY(acquire(readers, context, &reader));
  sqlite3_stmt *statement;
  SkyStatus status = prepare_find(reader, find, &statement);
  if (status == SKY_OK) {
    bind_find(statement, find);
    status = read_rows(reader, statement, find->schema, arena, found);
    sqlite3_reset(statement); /* ends the read transaction */
    sqlite3_clear_bindings(statement);
  }
  release(readers, reader);
  return status;
}

/* ---- lifecycle ---- */

SkyStatus sky_sqlite_readers_create(const SkySqlitePlace *place, const SkyStoreDriverOptions *options,
                                    SkySqliteReaders **ret) {
  SkySqliteReaders *readers = calloc(1, sizeof(*readers));
  if (readers == NULL)
    return sky_status_no_memory();
  *readers = (SkySqliteReaders){
      .place = *place, .schemas = options->schemas, .schema_count = options->schema_count, .max = options->connections};
  pthread_mutex_init(&readers->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&readers->freed, &attributes);
  pthread_condattr_destroy(&attributes);
  readers->readers = calloc(options->connections, sizeof(Reader));
  if (readers->readers == NULL) {
    sky_sqlite_readers_destroy(readers);
    return sky_status_no_memory();
  }
  *ret = readers;
  return SKY_OK;
}

void sky_sqlite_readers_destroy(SkySqliteReaders *readers) {
  if (readers == NULL)
    return;
  for (size_t i = 0; i < readers->opened; i++)
    reader_finish(readers, &readers->readers[i]);
  free(readers->readers);
  pthread_cond_destroy(&readers->freed);
  pthread_mutex_destroy(&readers->lock);
  free(readers);
}
