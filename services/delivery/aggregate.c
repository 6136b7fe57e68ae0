#include "delivery/aggregate.h"

#include <sky/core/deadline_wait.h>
#include <sky/service/resource.h>

#include "delivery/store.h"
#include "fabrikam/events/v1/delivery.event.h"

enum { LAST_PROJECTION_MS = 5000 };

/* ---- life ---- */

static SkyStatus open_log(DeliveryAggregate *aggregate, const DeliveryAggregateOptions *options) {
  static const SkyEventType *types[9]; /* ends with NULL */
  types[0] = &events_DeliveryScheduled_event;
  types[1] = &events_DeliveryDeparted_event;
  types[2] = &events_DeliveryPickedUp_event;
  types[3] = &events_DeliveryRescheduled_event;
  types[4] = &events_DeliveryCompleted_event;
  types[5] = &events_DeliveryCancelled_event;
  types[6] = &events_DeliveryFailed_event;
  types[7] = &events_EtaChanged_event;
  const SkyEventLogOptions log = {.store = options->store,
                                  .bus = options->bus,
                                  .clock = options->clock,
                                  .collection = &delivery_log,
                                  .types = types,
                                  .project_later = delivery_project,
                                  .self = aggregate};
  return sky_event_log_create(&log, &aggregate->log);
}

SkyStatus delivery_aggregate_init(DeliveryAggregate *aggregate, const DeliveryAggregateOptions *options) {
  *aggregate = (DeliveryAggregate){.store = options->store,
                                   .clock = options->clock,
                                   .random = options->random,
                                   .eta = options->eta,
                                   .on_change = options->on_change,
                                   .user = options->user};
  SKY_TRY(folds_create(&aggregate->folds));
  pthread_mutex_init(&aggregate->eta_mutex, NULL);
  pthread_mutex_init(&aggregate->projecting, NULL);
  sky_deadline_cond_init(&aggregate->folded);
  SKY_TRY(open_log(aggregate, options));
  return delivery_changes_start(aggregate);
}

/* Also what the broker has not taken, so that lists have it while the broker is away. */
static void project_the_rest(DeliveryAggregate *aggregate) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, LAST_PROJECTION_MS);
  sky_status_free(delivery_project_all(aggregate, &context)); /* it is unpublished then: the sweeper projects it */
}

void delivery_aggregate_finish(DeliveryAggregate *aggregate) {
  if (aggregate->folds == NULL)
    return;
  sky_batch_destroy(aggregate->changes);
  project_the_rest(aggregate);
  sky_event_log_destroy(aggregate->log); /* which marks what was published and projected */
  folds_destroy(aggregate->folds);
  pthread_cond_destroy(&aggregate->folded);
  pthread_mutex_destroy(&aggregate->projecting);
  pthread_mutex_destroy(&aggregate->eta_mutex);
  *aggregate = (DeliveryAggregate){0};
}

EtaModel delivery_aggregate_eta(DeliveryAggregate *aggregate) {
  pthread_mutex_lock(&aggregate->eta_mutex);
  const EtaModel model = aggregate->eta;
  pthread_mutex_unlock(&aggregate->eta_mutex);
  return model;
}

/* ---- loading ---- */

typedef struct Folding {
  DeliveryDocument *document;
  SkyArena *arena;
} Folding;

static SkyStatus visit(void *user, const SkyLogged *logged) {
  Folding *folding = user;
  return delivery_fold(folding->document, logged, folding->arena);
}

DeliveryDocument *delivery_document_create(const char *id, SkyArena *arena) {
  DeliveryDocument *document = delivery_store_DeliveryDocument_create(arena);
  if (document != NULL)
    document->id = sky_arena_strndup(arena, id, sky_str(id).size);
  return document == NULL || document->id == NULL ? NULL : document;
}

static SkyStatus read_model(DeliveryAggregate *aggregate, const SkyContext *context, const char *id, SkyArena *arena,
                            DeliveryDocument **ret, int64_t *ret_stored) {
  ProtobufCMessage *message = NULL;
  *ret_stored = 0;
  SkyStatus status = sky_store_get(aggregate->store, context, &delivery_documents, id, arena, &message, ret_stored);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND)) {
    message = (ProtobufCMessage *)delivery_document_create(id, arena);
    if (message == NULL)
      return sky_status_no_memory();
  }
  SKY_TRY(status);
  *ret = (DeliveryDocument *)message;
  return SKY_OK;
}

SkyStatus delivery_fold_stored(DeliveryAggregate *aggregate, const SkyContext *context, const char *id, SkyArena *arena,
                               DeliveryDocument **ret, int64_t *ret_stored, int64_t *ret_projected) {
  DeliveryDocument *document;
  SKY_TRY(read_model(aggregate, context, id, arena, &document, ret_stored));
  Folding folding = {document, arena};
  int64_t version = 0;
  *ret_projected = document->log_version;
  SKY_TRY(
      sky_event_log_load_after(aggregate->log, context, id, document->log_version, arena, visit, &folding, &version));
  *ret = document;
  return SKY_OK;
}

SkyStatus delivery_load(DeliveryAggregate *aggregate, const SkyContext *context, const char *id, SkyArena *arena,
                        DeliveryDocument **ret) {
  DeliveryDocument *document;
  int64_t stored, projected;
  SKY_TRY(delivery_fold_stored(aggregate, context, id, arena, &document, &stored, &projected));
  if (document->delivery == NULL)
    return sky_status_with_reason(SKY_NOT_FOUND("there is no delivery %s", id), "DELIVERY_UNKNOWN");
  *ret = document;
  return SKY_OK;
}
