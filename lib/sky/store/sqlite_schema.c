/*
 * Tables follow the declaration: at every open what is missing is made and what is no longer declared is dropped, in
 * one transaction, existing documents included. A dropped column loses nothing, because the document has it all.
 */
#include <sky/store/sqlite.h>

#include <string.h>

enum {
  NAMES_ARENA_BYTES = 1 << 16,
  DOCUMENT_ARENA_BYTES = 64 << 20,
};

typedef struct Migration {
  sqlite3 *db;
  const SkySchema *schema;
  SkyArena names;
  bool has_column[SKY_SCHEMA_MAX_KEYS];
} Migration;

/* ---- SQL ---- */

static SkyStatus execf(sqlite3 *db, const char *format, ...) {
  va_list values;
  va_start(values, format);
  char *text = sqlite3_vmprintf(format, values);
  va_end(values);
  if (text == NULL)
    return sky_status_no_memory();
  SkyStatus status = sky_sqlite_exec(db, text);
  sqlite3_free(text);
  return status;
}

/* Shown by .schema; a change of kind is seen by it. */
static const char *column_type(const SkySchemaKey *key) {
  switch (key->kind) {
  case SKY_KEY_TEXT:
    return "TEXT";
  case SKY_KEY_INTEGER:
    return "INTEGER";
  case SKY_KEY_BOOLEAN:
    return "BOOLEAN";
  case SKY_KEY_ENUM:
    return "ENUM";
  default:
    return "TIME";
  }
}

/* The text is what sqlite_schema keeps, so a changed declaration is seen by comparing. */
static void index_sql(SkyBuf *sql, const SkySchema *schema, const SkySchemaIndex *index) {
  const char *table = schema->declared->name;
  sky_buf_printf(sql, "CREATE %sINDEX \"%s.%s\" ON \"%s\" (", index->declared->unique ? "UNIQUE " : "", table,
                 index->declared->name, table);
  for (size_t i = 0; i < index->key_count; i++)
    sky_buf_printf(sql, "%s\"%s\"", i == 0 ? "" : ", ", schema->keys[index->keys[i]].path);
  sky_buf_append_text(sql, index->declared->unique ? ")" : ", _id)");
}

/* ---- what is there and no longer declared ---- */

typedef struct Name {
  struct Name *next;
  char *text;
} Name;

static SkyStatus add_name(Migration *migration, const char *text, Name **names) {
  Name *name = sky_arena_alloc(&migration->names, sizeof(*name));
  if (name != NULL)
    name->text = sky_arena_strndup(&migration->names, text, strlen(text));
  if (name == NULL || name->text == NULL)
    return sky_status_no_memory();
  name->next = *names;
  *names = name;
  return SKY_OK;
}

typedef bool (*IsWanted)(Migration *migration, const char *name, const char *detail);

/* Names that a query about the table gives and that are not wanted: a list, because dropping changes what the query
 * reads. */
static SkyStatus find_unwanted(Migration *migration, const char *query, IsWanted is_wanted, Name **ret) {
  sqlite3_stmt *rows = NULL;
  SKY_TRY(sky_sqlite_status(migration->db, sqlite3_prepare_v2(migration->db, query, -1, &rows, NULL), query));
  sqlite3_bind_text(rows, 1, migration->schema->declared->name, -1, SQLITE_STATIC);
  SkyStatus status = SKY_OK;
  int code = SQLITE_DONE;
  while (status == SKY_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(rows, 0);
    if (!is_wanted(migration, name, (const char *)sqlite3_column_text(rows, 1)))
      status = add_name(migration, name, ret);
  }
  if (status == SKY_OK)
    status = sky_sqlite_status(migration->db, code, query);
  sqlite3_finalize(rows);
  return status;
}

static bool index_is_wanted(Migration *migration, const char *name, const char *sql) {
  const SkySchema *schema = migration->schema;
  for (size_t i = 0; i < schema->index_count; i++) {
    SkyBuf wanted;
    sky_buf_init(&wanted, SKY_SQLITE_MAX_SQL);
    index_sql(&wanted, schema, &schema->indexes[i]);
    const bool same = sky_str_is(sky_buf_str(&wanted), sql);
    sky_buf_finish(&wanted);
    if (same)
      return true;
  }
  return false;
}

/* Also remembers which declared columns are there. */
static bool column_is_wanted(Migration *migration, const char *name, const char *type) {
  const SkySchema *schema = migration->schema;
  for (size_t i = 0; i < schema->key_count; i++) {
    if (strcmp(schema->keys[i].path, name) == 0) {
      migration->has_column[i] = strcmp(column_type(&schema->keys[i]), type) == 0;
      return migration->has_column[i];
    }
  }
  return strcmp(name, "_id") == 0 || strcmp(name, "_version") == 0 || strcmp(name, "_document") == 0;
}

static SkyStatus drop_unwanted(Migration *migration) {
  Name *indexes = NULL, *columns = NULL;
  SKY_TRY(find_unwanted(migration,
                        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql NOT NULL",
                        index_is_wanted, &indexes));
  for (const Name *name = indexes; name != NULL; name = name->next)
    SKY_TRY(execf(migration->db, "DROP INDEX \"%w\"", name->text));
  SKY_TRY(find_unwanted(migration, "SELECT name, type FROM pragma_table_info(?)", column_is_wanted, &columns));
  for (const Name *name = columns; name != NULL; name = name->next)
    SKY_TRY(
        execf(migration->db, "ALTER TABLE \"%w\" DROP COLUMN \"%w\"", migration->schema->declared->name, name->text));
  return SKY_OK;
}

/* ---- what is missing ---- */

static SkyStatus add_columns(Migration *migration, size_t *ret_added) {
  const SkySchema *schema = migration->schema;
  *ret_added = 0;
  for (size_t i = 0; i < schema->key_count; i++) {
    if (migration->has_column[i])
      continue;
    const SkySchemaKey *key = &schema->keys[i];
    const char *zero = key->kind == SKY_KEY_TEXT || key->kind == SKY_KEY_ENUM ? "''" : "0";
    /* NOT NULL: then the planner knows that a unique index gives the whole order. */
    SKY_TRY(execf(migration->db, "ALTER TABLE \"%w\" ADD COLUMN \"%w\" %s NOT NULL DEFAULT %s", schema->declared->name,
                  key->path, column_type(key), zero));
    ++*ret_added;
  }
  return SKY_OK;
}

static SkyStatus update_row(Migration *migration, sqlite3_stmt *update, const ProtobufCMessage *document,
                            int64_t rowid) {
  const SkySchema *schema = migration->schema;
  sqlite3_bind_int64(update, 1, rowid);
  for (size_t i = 0; i < schema->key_count; i++) {
    SkyValue value;
    SKY_TRY(sky_schema_value(&schema->keys[i], document, &value));
    sky_sqlite_bind(update, (int)i + 2, &value);
  }
  int code = sqlite3_step(update);
  sqlite3_reset(update);
  return sky_sqlite_status(migration->db, code, "fill columns");
}

static SkyStatus fill_rows(Migration *migration, sqlite3_stmt *rows, sqlite3_stmt *update, SkyArena *arena) {
  /* Row by row by rowid: a statement that reads a table while it is changed may see a row twice. */
  int64_t rowid = INT64_MIN;
  for (;;) {
    sqlite3_bind_int64(rows, 1, rowid);
    int code = sqlite3_step(rows);
    if (code != SQLITE_ROW)
      return sky_sqlite_status(migration->db, code, "read documents");
    rowid = sqlite3_column_int64(rows, 0);
    ProtobufCMessage *document;
    SkyStatus status = sky_sqlite_unpack(migration->schema, rows, 1, arena, &document);
    sqlite3_reset(rows);
    if (status == SKY_OK)
      status = update_row(migration, update, document, rowid);
    if (status != SKY_OK)
      return sky_status_annotate(status, "row %lld: ", (long long)rowid);
    sky_arena_reset(arena);
  }
}

static SkyStatus prepare_fill(Migration *migration, sqlite3_stmt **ret_rows, sqlite3_stmt **ret_update) {
  const SkySchema *schema = migration->schema;
  SkyBuf sql;
  sky_buf_init(&sql, SKY_SQLITE_MAX_SQL);
  sky_buf_printf(&sql, "SELECT rowid, _document FROM \"%s\" WHERE rowid > ? ORDER BY rowid LIMIT 1",
                 schema->declared->name);
  SkyStatus status = sky_sqlite_prepare(migration->db, &sql, ret_rows);
  sky_buf_clear(&sql);
  sky_buf_printf(&sql, "UPDATE \"%s\" SET ", schema->declared->name);
  for (size_t i = 0; i < schema->key_count; i++)
    sky_buf_printf(&sql, "%s\"%s\" = ?%zu", i == 0 ? "" : ", ", schema->keys[i].path, i + 2);
  sky_buf_append_text(&sql, " WHERE rowid = ?1");
  if (status == SKY_OK)
    status = sky_sqlite_prepare(migration->db, &sql, ret_update);
  sky_buf_finish(&sql);
  return status;
}

/* Gives new columns their values in the documents that are there already. */
static SkyStatus fill_columns(Migration *migration) {
  sqlite3_stmt *rows = NULL, *update = NULL;
  SkyArena arena;
  sky_arena_init(&arena, DOCUMENT_ARENA_BYTES);
  SkyStatus status = prepare_fill(migration, &rows, &update);
  if (status == SKY_OK)
    status = fill_rows(migration, rows, update, &arena);
  sky_arena_finish(&arena);
  sqlite3_finalize(rows);
  sqlite3_finalize(update);
  return status;
}

static SkyStatus create_index(Migration *migration, const SkySchemaIndex *index) {
  SkyBuf sql;
  sky_buf_init(&sql, SKY_SQLITE_MAX_SQL);
  index_sql(&sql, migration->schema, index);
  sky_buf_append_byte(&sql, '\0');
  SkyStatus status = sky_buf_status(&sql);
  if (status == SKY_OK)
    status = sky_sqlite_exec(migration->db, (const char *)sql.data);
  sky_buf_finish(&sql);
  return status;
}

static SkyStatus create_indexes(Migration *migration) {
  const SkySchema *schema = migration->schema;
  for (size_t i = 0; i < schema->index_count; i++) {
    const SkySchemaIndex *index = &schema->indexes[i];
    sqlite3_stmt *rows = NULL;
    static const char query[] = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ? || '.' || ?";
    SKY_TRY(sky_sqlite_status(migration->db, sqlite3_prepare_v2(migration->db, query, -1, &rows, NULL), query));
    sqlite3_bind_text(rows, 1, schema->declared->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(rows, 2, index->declared->name, -1, SQLITE_STATIC);
    const bool is_there = sqlite3_step(rows) == SQLITE_ROW;
    sqlite3_finalize(rows);
    if (!is_there)
      SKY_TRY(create_index(migration, index));
  }
  return SKY_OK;
}

/* ---- the whole ---- */

static SkyStatus migrate_table(Migration *migration) {
  SKY_TRY(execf(migration->db,
                "CREATE TABLE IF NOT EXISTS \"%w\" (_id TEXT PRIMARY KEY NOT NULL, _version INTEGER NOT NULL, "
                "_document BLOB NOT NULL)",
                migration->schema->declared->name));
  size_t added;
  SKY_TRY(drop_unwanted(migration));
  SKY_TRY(add_columns(migration, &added));
  if (added > 0)
    SKY_TRY(fill_columns(migration));
  return create_indexes(migration);
}

static SkyStatus migrate_all(sqlite3 *db, SkySchema *const *schemas, size_t count) {
  for (size_t i = 0; i < count; i++) {
    Migration migration = {.db = db, .schema = schemas[i]};
    sky_arena_init(&migration.names, NAMES_ARENA_BYTES);
    SkyStatus status = migrate_table(&migration);
    sky_arena_finish(&migration.names);
    if (status != SKY_OK)
      return sky_status_annotate(status, "collection %s: ", schemas[i]->declared->name);
  }
  return SKY_OK;
}

SkyStatus sky_sqlite_migrate(sqlite3 *db, SkySchema *const *schemas, size_t count) {
  SKY_TRY(sky_sqlite_exec(db, "BEGIN IMMEDIATE"));
  SkyStatus status = migrate_all(db, schemas, count);
  if (status == SKY_OK)
    status = sky_sqlite_exec(db, "COMMIT");
  if (status != SKY_OK)
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* of a transaction that may have ended already */
  return status;
}
