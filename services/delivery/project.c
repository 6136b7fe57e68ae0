/*
 * Projecting: the read model (documents for lists and sums, and snapshots to fold from) follows the log, many
 * deliveries in one commit. A document is written from the fold in memory; where that is not known, or another process
 * was faster, from the log.
 */
#include <stdlib.h>

#include <sky/codec/message.h>
#include <sky/core/deadline_wait.h>

#include "delivery/aggregate.h"
#include "delivery/store.h"

enum { MAX_TRIES = 10, BATCH = 256, ARENA_BYTES = 64 << 20, ONE_ARENA_BYTES = 4 << 20 };

/* ---- one, from the log ---- */

static SkyStatus project_once(DeliveryAggregate *aggregate, const SkyContext *context, const char *id,
                              SkyArena *arena) {
  DeliveryDocument *document;
  int64_t stored, projected;
  SKY_TRY(delivery_fold_stored(aggregate, context, id, arena, &document, &stored, &projected));
  if (document->delivery == NULL || document->log_version == projected)
    return SKY_OK;
  return stored == 0 ? sky_store_insert(aggregate->store, context, &delivery_documents, &document->base)
                     : sky_store_replace(aggregate->store, context, &delivery_documents, &document->base, stored, NULL);
}

static SkyStatus project_one(DeliveryAggregate *aggregate, const SkyContext *context, const char *id) {
  SkyArena arena;
  sky_arena_init(&arena, ONE_ARENA_BYTES);
  SkyStatus status = SKY_OK;
  for (int i = 0; i < MAX_TRIES; i++) {
    sky_arena_reset(&arena);
    status = project_once(aggregate, context, id, &arena);
    if (!sky_status_take(&status, SKY_CODE_ABORTED) && !sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
      break;
  }
  sky_arena_finish(&arena);
  return status;
}

/* ---- many, from memory ---- */

/* Documents as they were when they were taken. */
typedef struct Batch {
  SkyArena arena;
  const ProtobufCMessage *inserts[BATCH];
  SkyReplacement replacements[BATCH];
  size_t insert_count, replacement_count;
} Batch;

static bool is_full(const Batch *batch) {
  return batch->insert_count + batch->replacement_count == BATCH;
}

/* stored: the version of the document that it replaces; 0: there is none. */
static void add(Batch *batch, const ProtobufCMessage *document, int64_t stored) {
  if (stored == 0)
    batch->inserts[batch->insert_count++] = document;
  else
    batch->replacements[batch->replacement_count++] = (SkyReplacement){document, stored};
}

/* With the mutex. */
static SkyStatus take(Batch *batch, const DeliveryFold *fold) {
  ProtobufCMessage *copy;
  SKY_TRY(sky_message_copy(&fold->document->base, &batch->arena, &copy));
  add(batch, copy, fold->stored);
  return SKY_OK;
}

/* The read model has the document. The fold may be another one by now, read when the read model had more already. */
static void note_written(DeliveryAggregate *aggregate, const ProtobufCMessage *message, int64_t version) {
  const DeliveryDocument *document = (const DeliveryDocument *)message;
  pthread_mutex_lock(folds_mutex(aggregate->folds));
  DeliveryFold *fold = folds_look(aggregate->folds, document->id);
  if (fold != NULL && version > fold->stored) {
    fold->stored = version;
    fold->projected = document->log_version;
  }
  pthread_mutex_unlock(folds_mutex(aggregate->folds));
}

/* Somebody else has written it, or it is not known who. */
static SkyStatus write_again(DeliveryAggregate *aggregate, const SkyContext *context, const ProtobufCMessage *message) {
  const char *id = ((const DeliveryDocument *)message)->id;
  pthread_mutex_lock(folds_mutex(aggregate->folds));
  DeliveryFold *fold = folds_look(aggregate->folds, id);
  if (fold != NULL)
    fold->gone = true;
  pthread_mutex_unlock(folds_mutex(aggregate->folds));
  return project_one(aggregate, context, id);
}

static SkyStatus settle(DeliveryAggregate *aggregate, const SkyContext *context, const ProtobufCMessage *message,
                        int64_t version, SkyStatus result) {
  if (sky_status_take(&result, SKY_CODE_ABORTED) || sky_status_take(&result, SKY_CODE_ALREADY_EXISTS))
    return write_again(aggregate, context, message);
  if (result == SKY_OK)
    note_written(aggregate, message, version);
  return result;
}

static void keep_first(SkyStatus *first, SkyStatus status) {
  if (*first == SKY_OK)
    *first = status;
  else
    sky_status_free(status);
}

static SkyStatus write_batch(DeliveryAggregate *aggregate, const SkyContext *context, const Batch *batch) {
  SkyStatus results[BATCH] = {0};
  SkyStatus first = SKY_OK;
  SKY_TRY(sky_store_insert_many(aggregate->store, context, &delivery_documents, batch->inserts, batch->insert_count,
                                results));
  for (size_t i = 0; i < batch->insert_count; i++)
    keep_first(&first, settle(aggregate, context, batch->inserts[i], 1, results[i]));
  SkyStatus whole = sky_store_replace_many(aggregate->store, context, &delivery_documents, batch->replacements,
                                           batch->replacement_count, results);
  if (whole != SKY_OK) {
    keep_first(&first, whole);
    return first;
  }
  for (size_t i = 0; i < batch->replacement_count; i++)
    keep_first(&first, settle(aggregate, context, batch->replacements[i].document,
                              batch->replacements[i].expected_version + 1, results[i]));
  return first;
}

static Batch *batch_create(void) {
  Batch *batch = calloc(1, sizeof(*batch));
  if (batch != NULL)
    sky_arena_init(&batch->arena, ARENA_BYTES);
  return batch;
}

static void batch_destroy(Batch *batch) {
  sky_arena_finish(&batch->arena);
  free(batch);
}

/* ---- interface; the mutex of projecting keeps a document from being written twice at once ---- */

static SkyStatus take_behind(DeliveryAggregate *aggregate, Batch *batch) {
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(folds_mutex(aggregate->folds));
  for (const DeliveryFold *fold = folds_next_behind(aggregate->folds, NULL);
       fold != NULL && status == SKY_OK && !is_full(batch); fold = folds_next_behind(aggregate->folds, fold))
    status = take(batch, fold);
  pthread_mutex_unlock(folds_mutex(aggregate->folds));
  return status;
}

static SkyStatus project_behind(DeliveryAggregate *aggregate, const SkyContext *context, bool *ret_more) {
  Batch *batch = batch_create();
  if (batch == NULL)
    return sky_status_no_memory();
  SkyStatus status = take_behind(aggregate, batch);
  *ret_more = is_full(batch);
  if (status == SKY_OK)
    status = write_batch(aggregate, context, batch);
  batch_destroy(batch);
  return status;
}

SkyStatus delivery_project_all(DeliveryAggregate *aggregate, const SkyContext *context) {
  SkyStatus status = SKY_OK;
  bool more = true;
  pthread_mutex_lock(&aggregate->projecting);
  while (status == SKY_OK && more)
    status = project_behind(aggregate, context, &more);
  pthread_mutex_unlock(&aggregate->projecting);
  return status;
}

/* The log publishes what it has appended while the changing thread is only about to fold it in. */
static bool is_being_folded(const DeliveryAggregate *aggregate, const SkyProjection *wanted) {
  const DeliveryFold *fold = folds_look(aggregate->folds, wanted->aggregate_id);
  return fold != NULL && fold->busy && fold->document->log_version < wanted->version;
}

static void await_folds(DeliveryAggregate *aggregate, const SkyContext *context, const SkyProjection *wanted,
                        size_t count) {
  pthread_mutex_t *mutex = folds_mutex(aggregate->folds);
  bool in_time = true;
  pthread_mutex_lock(mutex);
  for (size_t i = 0; i < count && in_time; i++) {
    while (in_time && is_being_folded(aggregate, &wanted[i]))
      in_time = sky_deadline_cond_wait(&aggregate->folded, mutex, context->deadline_ns);
  }
  pthread_mutex_unlock(mutex);
}

static bool is_projected(DeliveryAggregate *aggregate, const SkyProjection *wanted) {
  pthread_mutex_lock(folds_mutex(aggregate->folds));
  const DeliveryFold *fold = folds_look(aggregate->folds, wanted->aggregate_id);
  const bool projected = fold != NULL && fold->projected >= wanted->version;
  pthread_mutex_unlock(folds_mutex(aggregate->folds));
  return projected;
}

/* Takes from the log what memory does not have: another process has appended it, or it was forgotten. */
static SkyStatus take_stored(DeliveryAggregate *aggregate, const SkyContext *context, const SkyProjection *wanted,
                             Batch *batch) {
  DeliveryDocument *document;
  int64_t stored, projected;
  if (is_projected(aggregate, wanted))
    return SKY_OK;
  SKY_TRY(sky_context_check(context));
  SKY_TRY(
      delivery_fold_stored(aggregate, context, wanted->aggregate_id, &batch->arena, &document, &stored, &projected));
  if (document->delivery != NULL && document->log_version > projected)
    add(batch, &document->base, stored);
  return SKY_OK;
}

/* At most a batch. */
static SkyStatus project_stored(DeliveryAggregate *aggregate, const SkyContext *context, const SkyProjection *wanted,
                                size_t count) {
  SkyStatus first = SKY_OK;
  Batch *batch = batch_create();
  if (batch == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < count; i++)
    keep_first(&first, take_stored(aggregate, context, &wanted[i], batch));
  keep_first(&first, write_batch(aggregate, context, batch));
  batch_destroy(batch);
  return first;
}

/*
 * A delivery that has ended is not needed in memory any more, once its last record is about to be marked: before that
 * memory saves asking the store whether the read model has it.
 */
static void let_go_ended(DeliveryAggregate *aggregate, const SkyProjection *wanted, size_t count) {
  pthread_mutex_lock(folds_mutex(aggregate->folds));
  for (size_t i = 0; i < count; i++) {
    DeliveryFold *fold = folds_look(aggregate->folds, wanted[i].aggregate_id);
    if (fold != NULL && !fold->document->active && fold->projected == wanted[i].version)
      fold->gone |= fold->document->log_version == fold->projected;
  }
  pthread_mutex_unlock(folds_mutex(aggregate->folds));
}

SkyStatus delivery_project(void *self, const SkyContext *context, const SkyProjection *wanted, size_t count) {
  DeliveryAggregate *aggregate = self;
  SkyStatus first = SKY_OK;
  await_folds(aggregate, context, wanted, count);
  /* What counts is whether those that are wanted are there then. */
  sky_status_free(delivery_project_all(aggregate, context));
  pthread_mutex_lock(&aggregate->projecting);
  for (size_t begin = 0; begin < count; begin += BATCH) {
    const size_t rest = count - begin;
    keep_first(&first, project_stored(aggregate, context, wanted + begin, rest < BATCH ? rest : BATCH));
  }
  pthread_mutex_unlock(&aggregate->projecting);
  let_go_ended(aggregate, wanted, count);
  return first;
}
