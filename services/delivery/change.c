/*
 * Changes: what is asked of deliveries, decided on their folds and appended, all that waits in one commit.
 *
 * An answer that needs no append (an error, or nothing to do) is given on a fold that was just read, because one from
 * memory may be old; an append finds that out by itself. So a delivery that may begin is taken for new when memory does
 * not know it: mostly it is, and many of them would each wait for their reads one after the other.
 */
#include <sky/codec/message.h>
#include <sky/service/resource.h>

#include "delivery/aggregate.h"

enum { MAX_TRIES = 10, MAX_CHANGES = 256, TIMEOUT_MS = 10000 };

static void end(DeliveryChange *change, SkyStatus status, bool changed) {
  change->done(change->user, status, status == SKY_OK ? change->fold->document : NULL, changed);
}

/* ---- deciding ---- */

/* A fold that was just read, in the table unless there is no such delivery. */
static SkyStatus read_fold(DeliveryAggregate *aggregate, const DeliveryChange *change, DeliveryFold **ret) {
  DeliveryFold *fold = folds_new();
  if (fold == NULL)
    return sky_status_no_memory();
  SkyStatus status = delivery_fold_stored(aggregate, change->context, change->id, &fold->arena, &fold->document,
                                          &fold->stored, &fold->projected);
  if (status == SKY_OK && fold->document->delivery == NULL && !change->may_begin)
    status = sky_status_with_reason(SKY_NOT_FOUND("there is no delivery %s", change->id), "DELIVERY_UNKNOWN");
  if (status != SKY_OK) {
    folds_free(fold);
    return status;
  }
  if (!folds_add(aggregate->folds, fold))
    return sky_status_no_memory();
  *ret = fold;
  return SKY_OK;
}

/* A fold of nothing yet, in the table. NULL without memory. */
static DeliveryFold *begin_fold(DeliveryAggregate *aggregate, const char *id) {
  DeliveryFold *fold = folds_new();
  if (fold == NULL)
    return NULL;
  fold->document = delivery_document_create(id, &fold->arena);
  if (fold->document == NULL) {
    folds_free(fold);
    return NULL;
  }
  return folds_add(aggregate->folds, fold) ? fold : NULL;
}

/* What memory says of it; NULL when it says nothing. */
static DeliveryFold *remember(DeliveryAggregate *aggregate, const DeliveryChange *change) {
  DeliveryFold *fold = folds_get(aggregate->folds, change->id);
  return fold == NULL && change->may_begin && change->tries == 0 ? begin_fold(aggregate, change->id) : fold;
}

static SkyStatus decide_on(DeliveryAggregate *aggregate, DeliveryChange *change) {
  const EtaModel eta = delivery_aggregate_eta(aggregate);
  const DeliveryWork work = {change->arena, aggregate->random, sky_clock_wall_ms(aggregate->clock), &eta};
  change->decision.count = 0;
  return change->decide(change->request, change->fold->document, &work, &change->decision);
}

/* Reads it again; a projection that is on its way is of no use any more then, but does no harm. */
static void forget(DeliveryAggregate *aggregate, DeliveryFold *fold) {
  pthread_mutex_lock(folds_mutex(aggregate->folds));
  fold->gone = true;
  pthread_mutex_unlock(folds_mutex(aggregate->folds));
}

/* False when another change of the same delivery is being appended: later. */
static bool decide(DeliveryAggregate *aggregate, DeliveryChange *change, SkyStatus *ret) {
  *ret = sky_context_check(change->context);
  if (*ret != SKY_OK)
    return true;
  change->fold = remember(aggregate, change);
  if (change->fold != NULL && change->fold->busy)
    return false;
  if (change->fold != NULL) {
    *ret = decide_on(aggregate, change);
    if (*ret == SKY_OK && change->decision.count > 0)
      return true;
    sky_status_free(*ret);
    forget(aggregate, change->fold);
    folds_get(aggregate->folds, change->id); /* which drops it */
  }
  *ret = read_fold(aggregate, change, &change->fold);
  if (*ret == SKY_OK)
    *ret = decide_on(aggregate, change);
  return true;
}

/* ---- after the append ---- */

/* The events are the caller's; the fold gets copies. With the mutex. */
static SkyStatus fold_in(const DeliveryChange *change, int64_t now_ms) {
  DeliveryFold *fold = change->fold;
  const int64_t version = fold->document->log_version + 1;
  for (size_t i = 0; i < change->decision.count; i++) {
    const SkyAppend *append = &change->decision.events[i];
    ProtobufCMessage *event;
    SKY_TRY(sky_message_copy(append->event, &fold->arena, &event));
    const SkyLogged logged = {append->type, event, version, now_ms};
    SKY_TRY(delivery_fold(fold->document, &logged, &fold->arena));
  }
  return SKY_OK;
}

static void learn(DeliveryAggregate *aggregate, const DeliveryDocument *document) {
  const delivery_Delivery *delivery = document->delivery;
  if (delivery->status->stage != common_DELIVERY_STAGE_COMPLETED || document->first_estimate_ms == 0)
    return;
  const int64_t begin_ms = sky_timestamp_ms(delivery->create_time);
  pthread_mutex_lock(&aggregate->eta_mutex);
  eta_learn(&aggregate->eta, document->first_estimate_ms - begin_ms, sky_timestamp_ms(delivery->end_time) - begin_ms);
  pthread_mutex_unlock(&aggregate->eta_mutex);
}

static SkyStatus take_over(DeliveryAggregate *aggregate, DeliveryChange *change, SkyStatus appended) {
  pthread_mutex_lock(folds_mutex(aggregate->folds));
  change->fold->busy = false;
  SkyStatus status = appended == SKY_OK ? fold_in(change, sky_clock_wall_ms(aggregate->clock)) : appended;
  if (status != SKY_OK)
    change->fold->gone = true;
  pthread_cond_broadcast(&aggregate->folded);
  pthread_mutex_unlock(folds_mutex(aggregate->folds));
  if (status != SKY_OK)
    return status;
  learn(aggregate, change->fold->document);
  aggregate->on_change(aggregate->user, change->fold->document);
  return SKY_OK;
}

/* ---- a round ---- */

typedef struct Round {
  DeliveryAggregate *aggregate;
  DeliveryChange *changes[MAX_CHANGES]; /* that append */
  SkyAppendTo appends[MAX_CHANGES];
  size_t count;
  DeliveryChange *later[MAX_CHANGES];
  size_t later_count;
} Round;

static void add(Round *round, DeliveryChange *change) {
  DeliveryFolds *folds = round->aggregate->folds;
  pthread_mutex_lock(folds_mutex(folds));
  change->fold->busy = true;
  pthread_mutex_unlock(folds_mutex(folds));
  round->appends[round->count] = (SkyAppendTo){.aggregate_id = change->id,
                                               .expected_version = change->fold->document->log_version,
                                               .events = change->decision.events,
                                               .count = change->decision.count,
                                               .trace = &change->context->trace};
  round->changes[round->count++] = change;
}

static void begin(Round *round, DeliveryChange *change) {
  SkyStatus status;
  if (!decide(round->aggregate, change, &status))
    round->later[round->later_count++] = change;
  else if (status == SKY_OK && change->decision.count > 0)
    add(round, change);
  else
    end(change, status, false);
}

static void finish(Round *round, DeliveryChange *change, SkyStatus appended) {
  SkyStatus status = take_over(round->aggregate, change, appended);
  if (sky_status_code(status) != SKY_CODE_ABORTED) {
    end(change, status, true);
    return;
  }
  if (++change->tries < MAX_TRIES) {
    sky_status_free(status);
    round->later[round->later_count++] = change;
    return;
  }
  end(change, status, false);
}

static void append(Round *round) {
  SkyStatus results[MAX_CHANGES] = {0};
  if (round->count == 0)
    return;
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, TIMEOUT_MS);
  SkyStatus whole = sky_event_log_append_many(round->aggregate->log, &context, round->appends, round->count, results);
  for (size_t i = 0; i < round->count; i++)
    finish(round, round->changes[i], whole != SKY_OK ? sky_status_copy(whole) : results[i]);
  sky_status_free(whole);
}

static void work(void *self, SkyBatchJob *const *jobs, size_t count) {
  Round round = {.aggregate = self};
  for (size_t i = 0; i < count; i++)
    begin(&round, (DeliveryChange *)(void *)jobs[i]);
  append(&round);
  while (round.later_count > 0) { /* each round ends at least the first change of every delivery, or counts a try */
    Round next = {.aggregate = self};
    for (size_t i = 0; i < round.later_count; i++)
      begin(&next, round.later[i]);
    append(&next);
    round = next;
  }
}

/* ---- interface ---- */

SkyStatus delivery_decide_progress(const void *progress, const DeliveryDocument *document, const DeliveryWork *work,
                                   DeliveryDecision *ret) {
  return delivery_progress(document, progress, work, ret);
}

SkyStatus delivery_change(DeliveryAggregate *aggregate, DeliveryChange *change) {
  return sky_batch_add(aggregate->changes, &change->job);
}

SkyStatus delivery_changes_start(DeliveryAggregate *aggregate) {
  const SkyBatchOptions options = {.work = work, .self = aggregate, .name = "changes", .max_jobs = MAX_CHANGES};
  return sky_batch_create(&options, &aggregate->changes);
}
