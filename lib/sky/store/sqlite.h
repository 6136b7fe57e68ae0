/*
 * SQLite driver: shared by its parts. Private to lib/sky/store.
 *
 * One file per database in WAL mode with synchronous=FULL. Each collection is a table: _id, _version, _document
 * (protobuf bytes) and one column per indexed field, so that sqlite3(1) shows and filters them. One writer thread
 * commits what waits as a group (sqlite_writer.c); readers have connections of their own and never wait for the writer
 * (sqlite_reader.c). Tables and indexes follow the declaration at open (sqlite_schema.c).
 */
#pragma once

#include <sqlite3.h>

#include <sky/core/buf.h>
#include <sky/store/driver.h>

enum {
  SKY_SQLITE_BUSY_MS = 1000,             /* another process may hold the write lock this long */
  SKY_SQLITE_MAX_SQL = 4096,             /* bytes of one statement */
  SKY_SQLITE_MAX_DOCUMENT = 16000000,    /* bytes; MongoDB's limit is 16 MiB of BSON */
  SKY_SQLITE_MAX_QUEUED_BYTES = 1 << 26, /* of writes that wait */
};

typedef struct SkySqlitePlace {
  char *path; /* a file name or a file: URI */
  bool in_memory;
} SkySqlitePlace;

typedef struct SkySqliteWriter SkySqliteWriter;
typedef struct SkySqliteReaders SkySqliteReaders;

/* A connection with the driver's settings; used by one thread at a time. */
SKY_MUST_USE SkyStatus sky_sqlite_connect(const SkySqlitePlace *place, bool writer, sqlite3 **ret);
/* The one place where SQLite's result codes become ours. `what` says what was tried. */
SKY_MUST_USE SkyStatus sky_sqlite_status(sqlite3 *db, int code, const char *what);
SKY_MUST_USE SkyStatus sky_sqlite_exec(sqlite3 *db, const char *sql);
/* Prepares what was built in sql. */
SKY_MUST_USE SkyStatus sky_sqlite_prepare(sqlite3 *db, const SkyBuf *sql, sqlite3_stmt **ret);
/* Binds a value as the column keeps it; text must live until the statement is reset. */
int sky_sqlite_bind(sqlite3_stmt *statement, int position, const SkyValue *value);
/* Unpacks a stored document; DATA_LOSS when its bytes are no such message. */
SKY_MUST_USE SkyStatus sky_sqlite_unpack(const SkySchema *schema, sqlite3_stmt *row, int column, SkyArena *arena,
                                         ProtobufCMessage **ret);

/* Makes tables, columns and indexes as declared, in one transaction. */
SKY_MUST_USE SkyStatus sky_sqlite_migrate(sqlite3 *db, SkySchema *const *schemas, size_t count);

/* The one writer of a database: commits what several callers wrote together. */
SKY_MUST_USE SkyStatus sky_sqlite_writer_create(const SkySqlitePlace *place, const SkyStoreDriverOptions *options,
                                                SkySqliteWriter **ret);
void sky_sqlite_writer_destroy(SkySqliteWriter *writer); /* commits what waits; NULL-safe */
SKY_MUST_USE SkyStatus sky_sqlite_writer_write(SkySqliteWriter *writer, const SkyContext *context,
                                               SkyStoreWrite *writes, size_t count);

/* Connections that only read; a caller takes one and waits for it until its deadline. */
SKY_MUST_USE SkyStatus sky_sqlite_readers_create(const SkySqlitePlace *place, const SkyStoreDriverOptions *options,
                                                 SkySqliteReaders **ret);
void sky_sqlite_readers_destroy(SkySqliteReaders *readers); /* NULL-safe */
SKY_MUST_USE SkyStatus sky_sqlite_readers_ping(SkySqliteReaders *readers, const SkyContext *context);
SKY_MUST_USE SkyStatus sky_sqlite_readers_get(SkySqliteReaders *readers, const SkyContext *context,
                                              const SkySchema *schema, const char *id, SkyArena *arena,
                                              ProtobufCMessage **ret, int64_t *ret_version);
SKY_MUST_USE SkyStatus sky_sqlite_readers_get_many(SkySqliteReaders *readers, const SkyContext *context,
                                                   const SkySchema *schema, const char *const *ids, size_t count,
                                                   SkyArena *arena, ProtobufCMessage **documents);
SKY_MUST_USE SkyStatus sky_sqlite_readers_find(SkySqliteReaders *readers, const SkyContext *context,
                                               const SkyStoreFind *find, SkyArena *arena, SkyStoreFound *found);
