/*
 * The driver's writes: workers empty the queue in batches, each with at most four commits: documents of new sagas,
 * those of sagas that go on after they were at rest, then the log, then the other documents.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/core/log.h>

#include "workflow/driver_internal.h"
#include "workflow/store.h"

enum {
  GATHER_MS = 20,
  GATHER_BUSY = 8,
  BATCH = 64,
  BATCH_ARENA_BYTES = 64 << 20,
  WRITE_TIMEOUT_MS = 10000,
  RETRY_MS = 500
};

/* One flight's part in a batch. */
typedef struct Write {
  Flight *flight;
  char id[SAGA_ID_SIZE];
  workflow_store_Saga *document;
  SkyAppend appends[SAGA_MAX_APPENDS];
  size_t count;
  int64_t record_version;
  int64_t document_version;
  SkyStatus status;
} Write;

typedef struct Batch {
  Driver *driver;
  Write writes[BATCH];
  size_t count;
  SkyArena arena;
} Batch;

/* ---- filling, with the lock held ---- */

static SkyStatus fill(Batch *batch, Write *write) {
  SagaRecord *record = &write->flight->record;
  write->record_version = record->record_version;
  write->document_version = record->document_version;
  memcpy(write->id, record->id, sizeof(write->id));
  record->lock_expire_ms = batch->driver->lease_expire_ms;
  SKY_TRY(saga_record_document(record, &batch->arena, &write->document));
  return saga_record_appends(record, write->document, &batch->arena, write->appends, &write->count);
}

static void take(Batch *batch, Flight *flight) {
  Write *write = &batch->writes[batch->count++];
  *write = (Write){.flight = flight};
  write->status = fill(batch, write);
  flight->queued = false;
  flight->dirty = false;
  flight->writing = true;
  flight->written = flight->record.saga.news;
  flight->record.saga.news = (SagaNews){0};
  flight->written_waiters = flight->waiters;
  flight->waiters = NULL;
}

static bool take_all(Batch *batch) {
  Flight *flight;
  while (batch->count < BATCH && (flight = flight_queue_pop(&batch->driver->writes, true)) != NULL)
    take(batch, flight);
  return batch->count > 0;
}

/* ---- writing, without it ---- */

static void give_result(Write *write, SkyStatus status) {
  if (write->status == SKY_OK)
    write->status = status;
  else
    sky_status_free(status);
}

/* Gives each write of the batch its result; the whole's when the whole failed. */
static void give_results(Write **writes, size_t count, SkyStatus whole, SkyStatus *results) {
  for (size_t i = 0; i < count; i++)
    give_result(writes[i], whole == SKY_OK ? results[i] : sky_status_copy(whole));
  sky_status_free(whole);
}

static void insert_documents(Batch *batch, const SkyContext *context) {
  Write *writes[BATCH];
  const ProtobufCMessage *documents[BATCH];
  SkyStatus results[BATCH] = {0};
  size_t count = 0;
  for (size_t i = 0; i < batch->count; i++)
    if (batch->writes[i].status == SKY_OK && batch->writes[i].document_version == 0) {
      documents[count] = &batch->writes[i].document->base;
      writes[count++] = &batch->writes[i];
    }
  if (count == 0)
    return;
  SkyStatus whole =
      sky_store_insert_many(batch->driver->options.store, context, &workflow_sagas, documents, count, results);
  give_results(writes, count, whole, results);
  for (size_t i = 0; i < count; i++) {
    if (sky_status_take(&writes[i]->status, SKY_CODE_ALREADY_EXISTS))
      writes[i]->status = SKY_ABORTED("the saga exists");
    else if (writes[i]->status == SKY_OK)
      writes[i]->document_version = 1;
  }
}

static void append_records(Batch *batch, const SkyContext *context) {
  Write *writes[BATCH];
  SkyAppendTo appends[BATCH];
  SkyStatus results[BATCH] = {0};
  size_t count = 0;
  for (size_t i = 0; i < batch->count; i++) {
    Write *write = &batch->writes[i];
    if (write->status != SKY_OK)
      continue;
    appends[count] = (SkyAppendTo){write->id, write->record_version, write->appends, write->count, NULL};
    writes[count++] = write;
  }
  if (count == 0)
    return;
  SkyStatus whole = sky_event_log_append_many(batch->driver->options.log, context, appends, count, results);
  give_results(writes, count, whole, results);
  for (size_t i = 0; i < count; i++)
    writes[i]->record_version += writes[i]->status == SKY_OK;
}

/* A document that a former owner of the saga wrote late: the log is ours, so it is simply written over. */
static SkyStatus read_version(Batch *batch, const SkyContext *context, Write *write, SkyStatus status) {
  if (!sky_status_take(&status, SKY_CODE_ABORTED))
    return status;
  ProtobufCMessage *document;
  SKY_TRY(sky_store_get(batch->driver->options.store, context, &workflow_sagas, write->id, &batch->arena, &document,
                        &write->document_version));
  return SKY_UNAVAILABLE("the document of saga %s was written meanwhile", write->id);
}

/* From here on there is something to do: who takes over after a crash must find that, or the log goes on unseen. */
static bool opens(const Write *write) {
  return write->document->open && !write->flight->record.document_open;
}

/*
 * Documents only follow the log: one that cannot be written now is mended with the next record, or by who resumes.
 * Those that open their saga (again) go before it, as those of new sagas do.
 */
static void replace_documents(Batch *batch, const SkyContext *context, bool opening) {
  Write *writes[BATCH];
  SkyReplacement replacements[BATCH];
  SkyStatus results[BATCH] = {0};
  size_t count = 0;
  for (size_t i = 0; i < batch->count; i++) {
    Write *write = &batch->writes[i];
    if (write->status != SKY_OK || write->flight->record.document_version == 0 || opens(write) != opening)
      continue;
    replacements[count] = (SkyReplacement){&write->document->base, write->document_version};
    writes[count++] = write;
  }
  if (count == 0)
    return;
  SkyStatus whole =
      sky_store_replace_many(batch->driver->options.store, context, &workflow_sagas, replacements, count, results);
  for (size_t i = 0; i < count; i++) {
    SkyStatus result = whole == SKY_OK ? results[i] : sky_status_copy(whole);
    if (result == SKY_OK)
      writes[i]->document_version++;
    else
      give_result(writes[i], read_version(batch, context, writes[i], result));
  }
  sky_status_free(whole);
}

/* ---- after it, with the lock held ---- */

static void merge_news(SagaNews *news, const SagaNews *unwritten) {
  news->steps |= unwritten->steps;
  news->started |= unwritten->started;
  news->completed |= unwritten->completed;
  news->compensated |= unwritten->compensated;
  news->failed |= unwritten->failed;
}

/* The waiters stay: they are told when it is written after all. */
static void write_again(Driver *driver, Write *write) {
  Flight *flight = write->flight;
  if (write->record_version == flight->record.record_version) /* not even the log */
    merge_news(&flight->record.saga.news, &flight->written);
  else
    flight->ending = saga_news_end(&flight->record.saga.news);
  flight->record.record_version = write->record_version;
  flight->record.document_version = write->document_version;
  flight->dirty = true;
  flight->waiters = waiters_join(flight->waiters, flight->written_waiters);
  flight->written_waiters = NULL;
  driver_write_soon(driver, flight);
}

/* Somebody else has written meanwhile: the messages come again and find what is true then. */
static void lose(Driver *driver, Flight *flight) {
  driver->stats.lost++;
  flight->lost = true;
  driver_go_on(driver, flight);
}

static void settle(Driver *driver, Write *write, Waiter **told, Waiter **refused) {
  Flight *flight = write->flight;
  flight->writing = false;
  if (write->status != SKY_OK && sky_status_code(write->status) != SKY_CODE_ABORTED) {
    write_again(driver, write);
    return;
  }
  Waiter **list = write->status == SKY_OK ? told : refused;
  *list = waiters_join(flight->written_waiters, *list);
  flight->written_waiters = NULL;
  flight->record.record_version = write->record_version;
  flight->record.document_version = write->document_version;
  if (write->status != SKY_OK) {
    lose(driver, flight);
    return;
  }
  flight->record.document_open = write->document->open;
  flight->ending = saga_news_end(&flight->record.saga.news);
  if (!flight->dirty && !flight->lost)
    driver_tell(driver, &flight->record);
  driver_go_on(driver, flight);
}

/* ---- sagas that exist already ---- */

/*
 * An order whose saga exists: it came twice, or a cancellation came before it, or a crash has left only its document.
 * True when the order is settled by that.
 */
static bool is_known_order(const Write *write) {
  return write->status != SKY_OK && write->flight->record.record_version == 0 && write->flight->written.started &&
         sky_status_code(write->status) == SKY_CODE_ABORTED;
}

/* A cancellation has joined the order meanwhile: it waits for the same write, and the saga in the store lacks it. */
static bool is_cancelled_meanwhile(Driver *driver, const Flight *flight) {
  pthread_mutex_lock(&driver->lock);
  const bool cancelled = flight->record.saga.cancel_asked;
  pthread_mutex_unlock(&driver->lock);
  return cancelled;
}

/*
 * One record may take a saga from a remembered cancellation to its end, and neither document says that something is
 * left to do: so nobody but its order, which comes again, finds a document that a crash has kept from following.
 */
static SkyStatus mend_document(Batch *batch, const SkyContext *context, const SagaRecord *existing) {
  workflow_store_Saga *document;
  if (!existing->document_lags || saga_record_is_open(existing))
    return SKY_OK;
  SKY_TRY(saga_record_document(existing, &batch->arena, &document));
  document->record_version = existing->record_version; /* nothing new is appended */
  return sky_store_replace(batch->driver->options.store, context, &workflow_sagas, &document->base,
                           existing->document_version, NULL);
}

/* Reads what there is, without the lock. The flight is ours: it is being written. */
static void meet(Batch *batch, const SkyContext *context, Write *write) {
  Driver *driver = batch->driver;
  SagaRecord existing;
  saga_record_init(&existing, write->id);
  SkyStatus status = saga_record_load(&existing, driver->options.store, driver->options.log, context);
  if (status == SKY_OK && (existing.saga.state == SAGA_NEW || existing.record_version == 0)) {
    /*
     * Remembered: this order goes the way of a cancelled one. Or a document without a log, which was never told: only
     * the log says what has happened, and who appends first to it has the saga.
     */
    pthread_mutex_lock(&driver->lock);
    SagaRecord *record = &write->flight->record;
    record->record_version = write->record_version = existing.record_version;
    record->document_version = write->document_version = existing.document_version;
    record->document_open = existing.document_open;
    if (existing.saga.cancel_asked) { /* its message may be settled: it found an end there */
      record->saga.cancel_asked = true;
      record->saga.cancel_reason = existing.saga.cancel_reason;
    }
    pthread_mutex_unlock(&driver->lock);
    sky_status_free(write->status);
    write->status = SKY_UNAVAILABLE("written again, over what is there"); /* write_again() */
  } else if (status == SKY_OK && !is_cancelled_meanwhile(driver, write->flight)) {
    status = mend_document(batch, context, &existing);
    if (status == SKY_OK) {
      sky_status_free(write->status);
      write->status = SKY_OK; /* the order is known; the flight, which knows less, goes */
      write->flight->lost = true;
    }
  }
  sky_status_free(status); /* else ABORTED stands: the messages come again */
  saga_record_finish(&existing);
}

static void meet_existing(Batch *batch, const SkyContext *context) {
  for (size_t i = 0; i < batch->count; i++)
    if (is_known_order(&batch->writes[i]))
      meet(batch, context, &batch->writes[i]);
}

/* ---- threads ---- */

static void write_batch(Batch *batch) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, WRITE_TIMEOUT_MS);
  insert_documents(batch, &context);
  replace_documents(batch, &context, true);
  append_records(batch, &context);
  replace_documents(batch, &context, false);
  meet_existing(batch, &context);
}

static void settle_batch(Batch *batch) {
  Driver *driver = batch->driver;
  Waiter *told = NULL, *refused = NULL;
  driver->stats.writes++;
  driver->stats.records += batch->count;
  bool failed = false;
  for (size_t i = 0; i < batch->count; i++) {
    failed |= batch->writes[i].status != SKY_OK && sky_status_code(batch->writes[i].status) != SKY_CODE_ABORTED;
    settle(driver, &batch->writes[i], &told, &refused);
  }
  pthread_mutex_unlock(&driver->lock);
  SkyStatus aborted = SKY_ABORTED("the saga has changed meanwhile");
  waiters_tell(told, NULL);
  waiters_tell(refused, aborted);
  sky_status_free(aborted);
  for (size_t i = 0; i < batch->count; i++)
    sky_log_status(SKY_WARN, NULL, "saga.write", batch->writes[i].status, "a saga could not be written");
  pthread_mutex_lock(&driver->lock);
  if (failed) { /* a store that is away is not asked without pause */
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)RETRY_MS * SKY_NS_PER_MS;
    until.tv_sec += until.tv_nsec / SKY_NS_PER_S;
    until.tv_nsec %= SKY_NS_PER_S;
    while (!driver->stopping && pthread_cond_timedwait(&driver->changed, &driver->lock, &until) == 0)
      continue;
  }
}

/*
 * With the lock held: while many sagas are under way their writes are gathered for some milliseconds, because a commit
 * of one costs as much as a commit of fifty, and what goes out in a group is a group for everyone behind, too. One on
 * its own is written at once.
 */
static void gather(Driver *driver) {
  if (sky_map_size(driver->flights) - driver->pausing < GATHER_BUSY || driver->writes.size >= BATCH)
    return;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (long)GATHER_MS * SKY_NS_PER_MS;
  until.tv_sec += until.tv_nsec / SKY_NS_PER_S;
  until.tv_nsec %= SKY_NS_PER_S;
  driver->gathering = true;
  while (!driver->stopping && driver->writes.size < BATCH &&
         pthread_cond_timedwait(&driver->full, &driver->lock, &until) == 0)
    continue;
  driver->gathering = false;
}

static void *work(void *user) {
  Batch *batch = user;
  Driver *driver = batch->driver;
  pthread_mutex_lock(&driver->lock);
  while (!driver->stopping) {
    if (driver->writes.size == 0 || driver->gathering) {
      pthread_cond_wait(&driver->has_writes, &driver->lock);
      continue;
    }
    gather(driver);
    if (!take_all(batch))
      continue;
    if (driver->writes.size > 0)
      pthread_cond_signal(&driver->has_writes);
    pthread_mutex_unlock(&driver->lock);
    write_batch(batch);
    pthread_mutex_lock(&driver->lock);
    settle_batch(batch);
    batch->count = 0;
    sky_arena_reset(&batch->arena);
  }
  pthread_mutex_unlock(&driver->lock);
  sky_arena_finish(&batch->arena);
  free(batch);
  return NULL;
}

SkyStatus driver_start_writers(Driver *driver) {
  for (unsigned i = 0; i < DRIVER_WRITERS; i++) {
    Batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL)
      return sky_status_no_memory();
    batch->driver = driver;
    sky_arena_init(&batch->arena, BATCH_ARENA_BYTES);
    if (pthread_create(&driver->writers[i], NULL, work, batch) != 0) {
      free(batch);
      return SKY_RESOURCE_EXHAUSTED("cannot start a thread that writes sagas");
    }
    driver->writer_count++;
  }
  return SKY_OK;
}

void driver_stop_writers(Driver *driver) {
  for (unsigned i = 0; i < driver->writer_count; i++)
    pthread_join(driver->writers[i], NULL);
}

void driver_write_soon(Driver *driver, Flight *flight) {
  flight->queued = true;
  flight_queue_push(&driver->writes, flight, true);
  if (!driver->gathering)
    pthread_cond_signal(&driver->has_writes);
  else if (driver->writes.size == BATCH)
    pthread_cond_signal(&driver->full);
}
