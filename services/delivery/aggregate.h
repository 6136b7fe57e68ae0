/*
 * Aggregate: deliveries on their event log. Changes are decided and appended by one thread, many deliveries in one
 * commit (change.c). The read model follows some moments later (project.c), so single deliveries are read as the fold
 * of the read model and what the log has beyond it.
 *
 * Thread-safe.
 */
#pragma once

#include <pthread.h>

#include <sky/core/time.h>
#include <sky/service/batch.h>
#include <sky/service/event_log.h>

#include "delivery/delivery.h"
#include "delivery/folds.h"

typedef struct DeliveryAggregate {
  SkyStore *store;
  SkyEventLog *log;
  const SkyClock *clock;
  const SkyRandom *random;
  SkyBatch *changes;
  DeliveryFolds *folds;
  pthread_cond_t folded;      /* with the mutex of the folds: a change that was appended is in its fold */
  pthread_mutex_t projecting; /* one at a time */
  pthread_mutex_t eta_mutex;
  EtaModel eta;
  /* Told after every change made here, with the fold, on the changing thread. */
  void (*on_change)(void *user, const DeliveryDocument *document);
  void *user;
} DeliveryAggregate;

typedef struct DeliveryAggregateOptions {
  SkyStore *store;
  SkyBus *bus;
  const SkyClock *clock;
  const SkyRandom *random;
  EtaModel eta;
  void (*on_change)(void *user, const DeliveryDocument *document);
  void *user;
} DeliveryAggregateOptions;

SKY_MUST_USE SkyStatus delivery_aggregate_init(DeliveryAggregate *aggregate, const DeliveryAggregateOptions *options);
void delivery_aggregate_finish(DeliveryAggregate *aggregate); /* safe on a zeroed one; after the last change ended */

EtaModel delivery_aggregate_eta(DeliveryAggregate *aggregate);

/* The fold; NOT_FOUND with reason DELIVERY_UNKNOWN when there is none. Blocks. */
SKY_MUST_USE SkyStatus delivery_load(DeliveryAggregate *aggregate, const SkyContext *context, const char *id,
                                     SkyArena *arena, DeliveryDocument **ret);

/* That of a delivery that there is not; NULL without memory. */
DeliveryDocument *delivery_document_create(const char *id, SkyArena *arena);

/*
 * The same for who makes changes: document->delivery is NULL when there is none. *ret_stored is the version of the read
 * model's document, 0 when there is none, *ret_projected the version of the log that it has. Blocks.
 */
SKY_MUST_USE SkyStatus delivery_fold_stored(DeliveryAggregate *aggregate, const SkyContext *context, const char *id,
                                            SkyArena *arena, DeliveryDocument **ret, int64_t *ret_stored,
                                            int64_t *ret_projected);

/* ---- change.c ---- */

/* A decision on the fold; document->delivery is NULL when there is no delivery and the change may begin one. */
typedef SkyStatus (*DeliveryDecide)(const void *request, const DeliveryDocument *document, const DeliveryWork *work,
                                    DeliveryDecision *ret);

/* One change, the caller's memory until done is called; so is all that it points to. */
typedef struct DeliveryChange {
  SkyBatchJob job; /* first: the batch hands it back */
  const char *id;
  bool may_begin; /* the delivery may be new; otherwise NOT_FOUND */
  DeliveryDecide decide;
  const void *request;
  const SkyContext *context;
  SkyArena *arena; /* for the decision; nobody else uses it until done */
  /* On the changing thread, once: status is its own; document, valid during the call only and not to be changed, the
   * fold after the change, NULL after an error; changed whether there was any. */
  void (*done)(void *user, SkyStatus status, const DeliveryDocument *document, bool changed);
  void *user;

  /* change.c's own */
  DeliveryFold *fold;
  DeliveryDecision decision;
  unsigned tries;
} DeliveryChange;

/* Decides and appends, soon. RESOURCE_EXHAUSTED: not taken, and done is not called. Does not block. */
SKY_MUST_USE SkyStatus delivery_change(DeliveryAggregate *aggregate, DeliveryChange *change);

/* delivery_progress() of a DeliveryProgress. */
SKY_MUST_USE SkyStatus delivery_decide_progress(const void *progress, const DeliveryDocument *document,
                                                const DeliveryWork *work, DeliveryDecision *ret);

SKY_MUST_USE SkyStatus delivery_changes_start(DeliveryAggregate *aggregate);

/* ---- project.c ---- */

/* Brings the read model up to date: as far as the event log wants it, or with all that was changed here. Blocks. */
SKY_MUST_USE SkyStatus delivery_project(void *aggregate, const SkyContext *context, const SkyProjection *wanted,
                                        size_t count);
SKY_MUST_USE SkyStatus delivery_project_all(DeliveryAggregate *aggregate, const SkyContext *context);
