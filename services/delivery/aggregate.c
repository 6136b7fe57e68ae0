#include "delivery/aggregate.h"

#include <sky/service/resource.h>

#include "delivery/store.h"
#include "fabrikam/events/v1/delivery.event.h"

enum { MAX_TRIES = 10, PROJECT_ARENA_BYTES = 4 << 20 };

/* ---- folding ---- */

typedef struct Fold {
  DeliveryDocument *document;
  SkyArena *arena;
} Fold;

static SkyStatus visit(void *user, const SkyLogged *logged) {
  Fold *fold = user;
  return delivery_fold(fold->document, logged, fold->arena);
}

/* The snapshot, if there is one, and what the log has after it. *ret_stored is the snapshot's document version, 0 when
 * there is none. */
static SkyStatus fold(DeliveryAggregate *aggregate, const SkyContext *context, const char *id, SkyArena *arena,
                      DeliveryDocument **ret, int64_t *ret_stored, int64_t *ret_snapshot) {
  ProtobufCMessage *message = NULL;
  int64_t stored = 0;
  SkyStatus status = sky_store_get(aggregate->store, context, &delivery_documents, id, arena, &message, &stored);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND)) {
    message = (ProtobufCMessage *)delivery_store_DeliveryDocument_create(arena);
    if (message == NULL)
      return sky_status_no_memory();
    ((DeliveryDocument *)message)->id = sky_arena_strndup(arena, id, sky_str(id).size);
  }
  SKY_TRY(status);
  DeliveryDocument *document = (DeliveryDocument *)message;
  Fold folding = {document, arena};
  int64_t version = 0;
  *ret_snapshot = document->log_version;
  SKY_TRY(
      sky_event_log_load_after(aggregate->log, context, id, document->log_version, arena, visit, &folding, &version));
  *ret = document;
  *ret_stored = stored;
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

static SkyStatus project_once(DeliveryAggregate *aggregate, const SkyContext *context, const char *id,
                              SkyArena *arena) {
  DeliveryDocument *document;
  int64_t stored, snapshot;
  SKY_TRY(fold(aggregate, context, id, arena, &document, &stored, &snapshot));
  if (document->delivery == NULL || document->log_version == snapshot)
    return SKY_OK;
  SKY_TRY(stored == 0
              ? sky_store_insert(aggregate->store, context, &delivery_documents, &document->base)
              : sky_store_replace(aggregate->store, context, &delivery_documents, &document->base, stored, NULL));
  learn(aggregate, document);
  aggregate->on_change(aggregate->user, document);
  return SKY_OK;
}

static SkyStatus project(void *self, const SkyContext *context, const char *id) {
  SkyArena arena;
  sky_arena_init(&arena, PROJECT_ARENA_BYTES);
  SkyStatus status = SKY_OK;
  for (int i = 0; i < MAX_TRIES; i++) {
    sky_arena_reset(&arena);
    status = project_once(self, context, id, &arena);
    if (!sky_status_take(&status, SKY_CODE_ABORTED) && !sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
      break;
  }
  sky_arena_finish(&arena);
  return status;
}

/* ---- life ---- */

SkyStatus delivery_aggregate_init(DeliveryAggregate *aggregate, const DeliveryAggregateOptions *options) {
  static const SkyEventType *types[8];
  types[0] = &events_DeliveryScheduled_event;
  types[1] = &events_DeliveryDeparted_event;
  types[2] = &events_DeliveryPickedUp_event;
  types[3] = &events_DeliveryRescheduled_event;
  types[4] = &events_DeliveryCompleted_event;
  types[5] = &events_DeliveryCancelled_event;
  types[6] = &events_DeliveryFailed_event;
  *aggregate = (DeliveryAggregate){.store = options->store,
                                   .clock = options->clock,
                                   .random = options->random,
                                   .eta = options->eta,
                                   .on_change = options->on_change,
                                   .user = options->user};
  pthread_mutex_init(&aggregate->eta_mutex, NULL);
  const SkyEventLogOptions log = {.store = options->store,
                                  .bus = options->bus,
                                  .clock = options->clock,
                                  .collection = &delivery_log,
                                  .types = types,
                                  .project = project,
                                  .self = aggregate};
  return sky_event_log_create(&log, &aggregate->log);
}

void delivery_aggregate_finish(DeliveryAggregate *aggregate) {
  if (aggregate->log == NULL)
    return;
  sky_event_log_destroy(aggregate->log);
  aggregate->log = NULL;
  pthread_mutex_destroy(&aggregate->eta_mutex);
}

EtaModel delivery_aggregate_eta(DeliveryAggregate *aggregate) {
  pthread_mutex_lock(&aggregate->eta_mutex);
  const EtaModel model = aggregate->eta;
  pthread_mutex_unlock(&aggregate->eta_mutex);
  return model;
}

/* ---- load and change ---- */

static SkyStatus unknown(const char *id) {
  return sky_status_with_reason(SKY_NOT_FOUND("there is no delivery %s", id), "DELIVERY_UNKNOWN");
}

SkyStatus delivery_load(DeliveryAggregate *aggregate, const SkyContext *context, const char *id, SkyArena *arena,
                        DeliveryDocument **ret) {
  ProtobufCMessage *message;
  SkyStatus status = sky_store_get(aggregate->store, context, &delivery_documents, id, arena, &message, NULL);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return unknown(id);
  SKY_TRY(status);
  *ret = (DeliveryDocument *)message;
  return SKY_OK;
}

static SkyStatus fold_decision(DeliveryDocument *document, const DeliveryDecision *decision, int64_t now_ms,
                               SkyArena *arena) {
  const int64_t version = document->log_version + 1;
  for (size_t i = 0; i < decision->count; i++) {
    const SkyLogged logged = {decision->events[i].type, decision->events[i].event, version, now_ms};
    SKY_TRY(delivery_fold(document, &logged, arena));
  }
  return SKY_OK;
}

static SkyStatus change_once(DeliveryAggregate *aggregate, const SkyContext *context, const char *id, bool may_begin,
                             DeliveryDecide decide, const void *request, SkyArena *arena, DeliveryDocument **ret,
                             bool *ret_changed) {
  const EtaModel eta = delivery_aggregate_eta(aggregate);
  const DeliveryWork work = {arena, aggregate->random, sky_clock_wall_ms(aggregate->clock), &eta};
  DeliveryDocument *document;
  DeliveryDecision decision;
  int64_t stored, snapshot;
  SKY_TRY(fold(aggregate, context, id, arena, &document, &stored, &snapshot));
  if (document->delivery == NULL && !may_begin)
    return unknown(id);
  SKY_TRY(decide(request, document, &work, &decision));
  if (decision.count > 0) {
    SKY_TRY(sky_event_log_append(aggregate->log, context, id, document->log_version, decision.events, decision.count));
    SKY_TRY(fold_decision(document, &decision, work.now_ms, arena));
  }
  *ret = document;
  *ret_changed = decision.count > 0;
  return SKY_OK;
}

SkyStatus delivery_change(DeliveryAggregate *aggregate, const SkyContext *context, const char *id, bool may_begin,
                          DeliveryDecide decide, const void *request, SkyArena *arena, DeliveryDocument **ret,
                          bool *ret_changed) {
  for (int i = 0; i < MAX_TRIES; i++) {
    SkyStatus status = change_once(aggregate, context, id, may_begin, decide, request, arena, ret, ret_changed);
    if (!sky_status_take(&status, SKY_CODE_ABORTED))
      return status;
  }
  return SKY_ABORTED("delivery %s is being changed by others", id);
}
