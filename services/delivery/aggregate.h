/*
 * Aggregate: deliveries on their event log. Loads the fold, lets a decision be made on it, appends what was decided,
 * and tries again when somebody else was faster.
 *
 * Thread-safe. Calls block: for worker threads.
 */
#pragma once

#include <stdatomic.h>
#include <pthread.h>

#include <sky/core/time.h>
#include <sky/service/event_log.h>

#include "delivery/delivery.h"

typedef struct DeliveryAggregate {
  SkyStore *store;
  SkyEventLog *log;
  const SkyClock *clock;
  const SkyRandom *random;
  pthread_mutex_t eta_mutex;
  EtaModel eta;
  /* Told after every projection, with the fold; may be called several times for one change, and from any thread. */
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
void delivery_aggregate_finish(DeliveryAggregate *aggregate); /* safe on a zeroed one */

EtaModel delivery_aggregate_eta(DeliveryAggregate *aggregate);

/* The fold; NOT_FOUND with reason DELIVERY_UNKNOWN when there is none. */
SKY_MUST_USE SkyStatus delivery_load(DeliveryAggregate *aggregate, const SkyContext *context, const char *id,
                                     SkyArena *arena, DeliveryDocument **ret);

/* A decision on the fold; document->delivery is NULL when there is no delivery and the change may begin one. */
typedef SkyStatus (*DeliveryDecide)(const void *request, const DeliveryDocument *document, const DeliveryWork *work,
                                    DeliveryDecision *ret);

/*
 * Decides and appends. may_begin: whether the delivery may be new; otherwise NOT_FOUND. *ret is the fold after the
 * change, *ret_changed whether there was any.
 */
SKY_MUST_USE SkyStatus delivery_change(DeliveryAggregate *aggregate, const SkyContext *context, const char *id,
                                       bool may_begin, DeliveryDecide decide, const void *request, SkyArena *arena,
                                       DeliveryDocument **ret, bool *ret_changed);
