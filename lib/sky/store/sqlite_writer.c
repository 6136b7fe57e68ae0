/*
 * Writer: one thread that commits. Callers queue batches of writes; the thread takes what waits, up to a limit, and
 * commits it as one transaction, so under load many callers share one fsync, and alone a caller waits for its own only.
 *
 * A batch is on the heap with a copy of all it needs, held by its caller and by the queue: a caller whose deadline
 * passes while it is queued takes it out and knows that nothing was written; once the thread has it, the caller leaves
 * and the outcome is open, as DEADLINE_EXCEEDED says.
 */
#include <sky/store/sqlite.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  GROUP_MAX = 512,    /* writes in one transaction */
  LINGER_NS = 200000, /* longest wait for the callers of the last group to come again */
  BATCH_ARENA_BYTES = SKY_SQLITE_MAX_QUEUED_BYTES,
  FIRST_KEY_PARAMETER =
      4, /* of insert and replace: 1 id, 2 expected version (0 for insert), 3 document, then the keys */
};

typedef struct Operation {
  SkyWriteKind kind;
  size_t collection; /* position among the schemas */
  const char *id;
  const uint8_t *document;
  size_t document_size;
  const SkyValue *values; /* one per key of the schema */
  int64_t expected_version;
  SkyStatus status;
} Operation;

typedef enum BatchState { BATCH_QUEUED, BATCH_TAKEN, BATCH_DONE } BatchState;

typedef struct Batch {
  struct Batch *next, *previous;
  BatchState state;
  bool abandoned; /* by its caller, after it was taken: the thread frees it */
  pthread_cond_t changed;
  SkyStatus status; /* of the whole */
  SkyArena arena;   /* everything the operations point to */
  size_t bytes;
  size_t count;
  Operation operations[];
} Batch;

typedef struct Statements {
  sqlite3_stmt *insert, *replace, *delete_any, *delete_version, *version;
} Statements;

struct SkySqliteWriter {
  sqlite3 *db;
  SkySchema *const *schemas;
  size_t schema_count;
  Statements *statements; /* per collection */
  sqlite3_stmt *begin, *commit;
  pthread_t thread;
  bool has_thread;

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t work;  /* something is queued, or closing */
  pthread_cond_t space; /* something was taken */
  Batch *first, *last;
  size_t queued, queued_bytes, max_queued;
  size_t callers; /* that wait in the queue: its batches */
  size_t wanted;  /* so many callers wake the thread */
  bool closing;
};

/* ---- batches ---- */

static void batch_destroy(Batch *batch) {
  if (batch == NULL)
    return;
  for (size_t i = 0; i < batch->count; i++)
    sky_status_free(batch->operations[i].status);
  sky_status_free(batch->status);
  pthread_cond_destroy(&batch->changed);
  sky_arena_finish(&batch->arena);
  free(batch);
}

static void init_condition(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

static SkyStatus copy_document(Batch *batch, Operation *operation, const ProtobufCMessage *document) {
  operation->document_size = protobuf_c_message_get_packed_size(document);
  if (operation->document_size > SKY_SQLITE_MAX_DOCUMENT)
    return SKY_INVALID_ARGUMENT("document %s has more than %d bytes", operation->id, SKY_SQLITE_MAX_DOCUMENT);
  uint8_t *bytes = sky_arena_alloc(&batch->arena, operation->document_size);
  if (bytes == NULL)
    return SKY_RESOURCE_EXHAUSTED("documents of one call have more than %d bytes", BATCH_ARENA_BYTES);
  protobuf_c_message_pack(document, bytes);
  operation->document = bytes;
  return SKY_OK;
}

static SkyStatus copy_values(Batch *batch, Operation *operation, const SkySchema *schema,
                             const ProtobufCMessage *document) {
  SkyValue *values = sky_arena_alloc(&batch->arena, schema->key_count * sizeof(*values));
  if (values == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < schema->key_count; i++) {
    SKY_TRY(sky_schema_value(&schema->keys[i], document, &values[i]));
    if (values[i].kind != SKY_VALUE_TEXT)
      continue;
    values[i].as.text = sky_arena_strndup(&batch->arena, values[i].as.text, strlen(values[i].as.text));
    if (values[i].as.text == NULL)
      return sky_status_no_memory();
  }
  operation->values = values;
  return SKY_OK;
}

static SkyStatus copy_write(const SkySqliteWriter *writer, Batch *batch, const SkyStoreWrite *write) {
  Operation *operation = &batch->operations[batch->count++];
  operation->kind = write->kind;
  operation->expected_version = write->expected_version;
  while (writer->schemas[operation->collection] != write->schema)
    operation->collection++;
  operation->id = sky_arena_strndup(&batch->arena, write->id, strlen(write->id));
  if (operation->id == NULL)
    return sky_status_no_memory();
  if (write->document == NULL)
    return SKY_OK;
  SKY_TRY(copy_values(batch, operation, write->schema, write->document));
  return copy_document(batch, operation, write->document);
}

/* A document that cannot be kept has its own error; the others of the call are written. */
static Batch *batch_create(const SkySqliteWriter *writer, const SkyStoreWrite *writes, size_t count) {
  Batch *batch = calloc(1, sizeof(*batch) + count * sizeof(Operation));
  if (batch == NULL)
    return NULL;
  init_condition(&batch->changed);
  sky_arena_init(&batch->arena, BATCH_ARENA_BYTES);
  for (size_t i = 0; i < count; i++)
    batch->operations[i].status = copy_write(writer, batch, &writes[i]);
  batch->bytes = batch->arena.used_bytes;
  return batch;
}

/* ---- the queue; all with the lock held ---- */

static void enqueue(SkySqliteWriter *writer, Batch *batch) {
  batch->previous = writer->last;
  *(writer->last == NULL ? &writer->first : &writer->last->next) = batch;
  writer->last = batch;
  writer->callers++;
  writer->queued += batch->count;
  writer->queued_bytes += batch->bytes;
  if (writer->callers >= writer->wanted)
    pthread_cond_signal(&writer->work);
}

static void unlink_batch(SkySqliteWriter *writer, Batch *batch) {
  *(batch->previous == NULL ? &writer->first : &batch->previous->next) = batch->next;
  *(batch->next == NULL ? &writer->last : &batch->next->previous) = batch->previous;
  batch->next = batch->previous = NULL;
  writer->callers--;
  writer->queued -= batch->count;
  writer->queued_bytes -= batch->bytes;
  pthread_cond_broadcast(&writer->space);
}

/* A batch that is larger than the queue goes in alone. */
static bool has_space(const SkySqliteWriter *writer, const Batch *batch) {
  return writer->queued == 0 || (writer->queued + batch->count <= writer->max_queued &&
                                 writer->queued_bytes + batch->bytes <= SKY_SQLITE_MAX_QUEUED_BYTES);
}

/* False when the deadline has passed. Spurious wake-ups are the caller's to check. */
static bool wait_until(SkySqliteWriter *writer, pthread_cond_t *condition, int64_t deadline_ns) {
  const struct timespec until = {.tv_sec = deadline_ns / SKY_NS_PER_S, .tv_nsec = deadline_ns % SKY_NS_PER_S};
  return pthread_cond_timedwait(condition, &writer->lock, &until) == 0;
}

static SkyStatus wait_for_space(SkySqliteWriter *writer, const Batch *batch, int64_t deadline_ns) {
  while (!has_space(writer, batch)) {
    if (!wait_until(writer, &writer->space, deadline_ns) && !has_space(writer, batch))
      return SKY_DEADLINE_EXCEEDED("the store's queue is full");
  }
  return SKY_OK;
}

/* True when the batch is done; otherwise the deadline has passed. */
static bool wait_for_end(SkySqliteWriter *writer, Batch *batch, int64_t deadline_ns) {
  while (batch->state != BATCH_DONE) {
    if (!wait_until(writer, &batch->changed, deadline_ns))
      return batch->state == BATCH_DONE;
  }
  return true;
}

static SkyStatus run_batch(SkySqliteWriter *writer, Batch *batch, int64_t deadline_ns) {
  SKY_TRY(wait_for_space(writer, batch, deadline_ns));
  enqueue(writer, batch);
  if (wait_for_end(writer, batch, deadline_ns))
    return SKY_OK;
  if (batch->state == BATCH_QUEUED) {
    unlink_batch(writer, batch);
    return SKY_DEADLINE_EXCEEDED("not written: the deadline passed in the store's queue");
  }
  batch->abandoned = true;
  return SKY_DEADLINE_EXCEEDED("the deadline passed while it was written");
}

static SkyStatus take_results(Batch *batch, SkyStoreWrite *writes) {
  SkyStatus status = batch->status;
  batch->status = SKY_OK;
  for (size_t i = 0; i < batch->count && status == SKY_OK; i++) {
    writes[i].status = batch->operations[i].status;
    batch->operations[i].status = SKY_OK;
  }
  return status;
}

SkyStatus sky_sqlite_writer_write(SkySqliteWriter *writer, const SkyContext *context, SkyStoreWrite *writes,
                                  size_t count) {
  Batch *batch = batch_create(writer, writes, count);
  if (batch == NULL)
    return sky_status_no_memory();
  pthread_mutex_lock(&writer->lock);
  SkyStatus status = run_batch(writer, batch, context->deadline_ns);
  const bool abandoned = batch->abandoned;
  pthread_mutex_unlock(&writer->lock);
  if (abandoned)
    return status;
  if (status == SKY_OK)
    status = take_results(batch, writes);
  batch_destroy(batch);
  return status;
}

/* ---- one write, on the thread ---- */

static SkyStatus step(SkySqliteWriter *writer, sqlite3_stmt *statement, const char *what) {
  int code = sqlite3_step(statement);
  SkyStatus status = sky_sqlite_status(writer->db, code, what);
  sqlite3_reset(statement);
  return status;
}

static void bind_document(sqlite3_stmt *statement, const Operation *operation, size_t key_count) {
  sqlite3_bind_text(statement, 1, operation->id, -1, SQLITE_STATIC);
  sqlite3_bind_int64(statement, 2, operation->expected_version);
  sqlite3_bind_blob64(statement, 3, operation->document, operation->document_size, SQLITE_STATIC);
  for (size_t i = 0; i < key_count; i++)
    sky_sqlite_bind(statement, (int)i + FIRST_KEY_PARAMETER, &operation->values[i]);
}

/* Tells why a compare-and-swap changed nothing. */
static SkyStatus explain_miss(SkySqliteWriter *writer, sqlite3_stmt *version, const Operation *operation) {
  sqlite3_bind_text(version, 1, operation->id, -1, SQLITE_STATIC);
  int code = sqlite3_step(version);
  const int64_t found = code == SQLITE_ROW ? sqlite3_column_int64(version, 0) : 0;
  SkyStatus status = sky_sqlite_status(writer->db, code, "read version");
  sqlite3_reset(version);
  if (status != SKY_OK)
    return status;
  if (found == 0)
    return SKY_NOT_FOUND("%s %s does not exist", writer->schemas[operation->collection]->declared->name, operation->id);
  return SKY_ABORTED("%s %s has version %lld, not %lld", writer->schemas[operation->collection]->declared->name,
                     operation->id, (long long)found, (long long)operation->expected_version);
}

static SkyStatus change(SkySqliteWriter *writer, sqlite3_stmt *statement, const Operation *operation,
                        const char *what) {
  SKY_TRY(step(writer, statement, what));
  if (sqlite3_changes(writer->db) > 0)
    return SKY_OK;
  return explain_miss(writer, writer->statements[operation->collection].version, operation);
}

static SkyStatus run_operation(SkySqliteWriter *writer, const Operation *operation) {
  const Statements *statements = &writer->statements[operation->collection];
  const size_t key_count = writer->schemas[operation->collection]->key_count;
  switch (operation->kind) {
  case SKY_WRITE_INSERT:
    bind_document(statements->insert, operation, key_count);
    return step(writer, statements->insert, "insert");
  case SKY_WRITE_REPLACE:
    bind_document(statements->replace, operation, key_count);
    return change(writer, statements->replace, operation, "replace");
  default:
    break;
  }
  sqlite3_stmt *statement = operation->expected_version > 0 ? statements->delete_version : statements->delete_any;
  sqlite3_bind_text(statement, 1, operation->id, -1, SQLITE_STATIC);
  if (operation->expected_version > 0)
    sqlite3_bind_int64(statement, 2, operation->expected_version);
  return change(writer, statement, operation, "delete");
}

/* ---- a group, on the thread ---- */

/* A full disk or an I/O error ends the whole transaction, and with it what others of the group have been told of it. */
static SkyStatus run_batches(SkySqliteWriter *writer, Batch *group) {
  for (Batch *batch = group; batch != NULL; batch = batch->next) {
    for (size_t i = 0; i < batch->count; i++) {
      Operation *operation = &batch->operations[i];
      if (operation->status != SKY_OK)
        continue;
      operation->status = run_operation(writer, operation);
      if (sqlite3_get_autocommit(writer->db))
        return operation->status != SKY_OK ? sky_status_copy(operation->status) : SKY_UNAVAILABLE("rolled back");
    }
  }
  return SKY_OK;
}

static SkyStatus commit_group(SkySqliteWriter *writer, Batch *group) {
  SKY_TRY(step(writer, writer->begin, "begin"));
  SkyStatus status = run_batches(writer, group);
  if (status == SKY_OK)
    status = step(writer, writer->commit, "commit");
  if (!sqlite3_get_autocommit(writer->db))
    sqlite3_exec(writer->db, "ROLLBACK", NULL, NULL, NULL);
  return status;
}

/* With the lock held: takes batches up to the limit out of the queue, as a list; *ret_callers is how many. */
static Batch *take_group(SkySqliteWriter *writer, size_t *ret_callers) {
  Batch *group = NULL, **end = &group;
  size_t count = 0;
  *ret_callers = 0;
  while (writer->first != NULL && (group == NULL || count + writer->first->count <= GROUP_MAX)) {
    Batch *batch = writer->first;
    unlink_batch(writer, batch);
    batch->state = BATCH_TAKEN;
    count += batch->count;
    ++*ret_callers;
    *end = batch;
    end = &batch->next;
  }
  return group;
}

/* With the lock held: hands each batch to its caller, or frees it when that is gone. */
static void end_group(Batch *group, SkyStatus status) {
  while (group != NULL) {
    Batch *batch = group;
    group = batch->next;
    batch->next = NULL;
    batch->status = sky_status_copy(status);
    batch->state = BATCH_DONE;
    if (batch->abandoned)
      batch_destroy(batch);
    else
      pthread_cond_signal(&batch->changed);
  }
  sky_status_free(status);
}

/*
 * With the lock held and something queued. The callers of a group wake at different times, so the first one back would
 * be committed alone and the others after it, and half of the fsyncs would be for one. So the thread gives them a
 * moment: short against an fsync, and only when there were several.
 */
static void linger(SkySqliteWriter *writer, size_t last_group) {
  if (last_group < 2 || writer->callers >= last_group || writer->closing)
    return;
  const int64_t until_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + LINGER_NS;
  writer->wanted = last_group;
  while (writer->callers < last_group && !writer->closing && wait_until(writer, &writer->work, until_ns))
    ;
  writer->wanted = 1;
}

static void *writer_thread(void *user) {
  SkySqliteWriter *writer = user;
  size_t last_group = 0;
  pthread_mutex_lock(&writer->lock);
  for (;;) {
    while (writer->first == NULL && !writer->closing)
      pthread_cond_wait(&writer->work, &writer->lock);
    linger(writer, last_group);
    if (writer->first == NULL) {
      if (writer->closing)
        break;
      continue; /* what was there has left at its deadline */
    }
    Batch *group = take_group(writer, &last_group);
    pthread_mutex_unlock(&writer->lock);
    SkyStatus status = commit_group(writer, group);
    pthread_mutex_lock(&writer->lock);
    end_group(group, status);
  }
  pthread_mutex_unlock(&writer->lock);
  return NULL;
}

/* ---- lifecycle ---- */

static void insert_sql(SkyBuf *sql, const SkySchema *schema) {
  sky_buf_printf(sql, "INSERT INTO \"%s\" (_id, _version, _document", schema->declared->name);
  for (size_t i = 0; i < schema->key_count; i++)
    sky_buf_printf(sql, ", \"%s\"", schema->keys[i].path);
  sky_buf_append_text(sql, ") VALUES (?1, ?2 + 1, ?3");
  for (size_t i = 0; i < schema->key_count; i++)
    sky_buf_printf(sql, ", ?%zu", i + FIRST_KEY_PARAMETER);
  sky_buf_append_text(sql, ")");
}

static void replace_sql(SkyBuf *sql, const SkySchema *schema) {
  sky_buf_printf(sql, "UPDATE \"%s\" SET _version = ?2 + 1, _document = ?3", schema->declared->name);
  for (size_t i = 0; i < schema->key_count; i++)
    sky_buf_printf(sql, ", \"%s\" = ?%zu", schema->keys[i].path, i + FIRST_KEY_PARAMETER);
  sky_buf_append_text(sql, " WHERE _id = ?1 AND _version = ?2");
}

static SkyStatus prepare_writes(SkySqliteWriter *writer, const SkySchema *schema, Statements *ret) {
  SkyBuf sql;
  sky_buf_init(&sql, (size_t)SKY_SQLITE_MAX_SQL * 2);
  insert_sql(&sql, schema);
  SkyStatus status = sky_sqlite_prepare(writer->db, &sql, &ret->insert);
  sky_buf_clear(&sql);
  replace_sql(&sql, schema);
  if (status == SKY_OK)
    status = sky_sqlite_prepare(writer->db, &sql, &ret->replace);
  sky_buf_finish(&sql);
  return status;
}

static SkyStatus preparef(SkySqliteWriter *writer, sqlite3_stmt **ret, const char *format, const char *table) {
  char *text = sqlite3_mprintf(format, table);
  if (text == NULL)
    return sky_status_no_memory();
  int code = sqlite3_prepare_v3(writer->db, text, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
  SkyStatus status = sky_sqlite_status(writer->db, code, text);
  sqlite3_free(text);
  return status;
}

static SkyStatus prepare_all(SkySqliteWriter *writer) {
  SKY_TRY(preparef(writer, &writer->begin, "BEGIN IMMEDIATE", ""));
  SKY_TRY(preparef(writer, &writer->commit, "COMMIT", ""));
  for (size_t i = 0; i < writer->schema_count; i++) {
    const char *table = writer->schemas[i]->declared->name;
    Statements *statements = &writer->statements[i];
    SKY_TRY(prepare_writes(writer, writer->schemas[i], statements));
    SKY_TRY(preparef(writer, &statements->delete_any, "DELETE FROM \"%w\" WHERE _id = ?1", table));
    SKY_TRY(
        preparef(writer, &statements->delete_version, "DELETE FROM \"%w\" WHERE _id = ?1 AND _version = ?2", table));
    SKY_TRY(preparef(writer, &statements->version, "SELECT _version FROM \"%w\" WHERE _id = ?1", table));
  }
  return SKY_OK;
}

static SkyStatus start(SkySqliteWriter *writer, const SkySqlitePlace *place) {
  writer->statements = calloc(writer->schema_count + 1, sizeof(*writer->statements));
  if (writer->statements == NULL)
    return sky_status_no_memory();
  SKY_TRY(sky_sqlite_connect(place, true, &writer->db));
  SKY_TRY(prepare_all(writer));
  if (pthread_create(&writer->thread, NULL, writer_thread, writer) != 0)
    return SKY_RESOURCE_EXHAUSTED("cannot start the store's writer thread");
  pthread_setname_np(writer->thread, "store-writer");
  writer->has_thread = true;
  return SKY_OK;
}

SkyStatus sky_sqlite_writer_create(const SkySqlitePlace *place, const SkyStoreDriverOptions *options,
                                   SkySqliteWriter **ret) {
  SkySqliteWriter *writer = calloc(1, sizeof(*writer));
  if (writer == NULL)
    return sky_status_no_memory();
  writer->schemas = options->schemas;
  writer->schema_count = options->schema_count;
  writer->max_queued = options->max_queued_writes;
  writer->wanted = 1;
  pthread_mutex_init(&writer->lock, NULL);
  init_condition(&writer->work);
  init_condition(&writer->space);
  SkyStatus status = start(writer, place);
  if (status != SKY_OK) {
    sky_sqlite_writer_destroy(writer);
    return status;
  }
  *ret = writer;
  return SKY_OK;
}

static void statements_finalize(Statements *statements) {
  sqlite3_finalize(statements->insert);
  sqlite3_finalize(statements->replace);
  sqlite3_finalize(statements->delete_any);
  sqlite3_finalize(statements->delete_version);
  sqlite3_finalize(statements->version);
}

static void stop_thread(SkySqliteWriter *writer) {
  if (!writer->has_thread)
    return;
  pthread_mutex_lock(&writer->lock);
  writer->closing = true;
  pthread_cond_signal(&writer->work);
  pthread_mutex_unlock(&writer->lock);
  pthread_join(writer->thread, NULL);
}

void sky_sqlite_writer_destroy(SkySqliteWriter *writer) {
  if (writer == NULL)
    return;
  stop_thread(writer);
  for (size_t i = 0; writer->statements != NULL && i < writer->schema_count; i++)
    statements_finalize(&writer->statements[i]);
  free(writer->statements);
  sqlite3_finalize(writer->begin);
  sqlite3_finalize(writer->commit);
  sqlite3_close(writer->db);
  pthread_cond_destroy(&writer->work);
  pthread_cond_destroy(&writer->space);
  pthread_mutex_destroy(&writer->lock);
  free(writer);
}
