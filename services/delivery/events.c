#include "delivery/events.h"

#include <stdio.h>
#include <stdlib.h>

#include <sky/core/log.h>
#include <sky/service/resource.h>

#include "fabrikam/events/v1/delivery.event.h"
#include "fabrikam/events/v1/drone.event.h"

enum {
  STRANGER_AGE_MS = 60000, /* a mission may begin before the saga has put the delivery; later it never will */
  WORKERS = 2,             /* they only queue */
  ACK_WAIT_MS = 10000,     /* a process that died must not delay what its drones told for long */
  MAX_DELIVER = 200,
  STOP_TIMEOUT_MS = 5000,
  ARENA_BYTES = 4 << 20,
  LOAD_TIMEOUT_MS = 1000,
  MAX_QUIET = 256, /* watched deliveries loaded again at once */
  TELL_TIMEOUT_MS = 5000,
  ETA_ARENA_BYTES = 1 << 20,
};

/* One message on its way through the aggregate; in the message's arena. */
typedef struct News {
  DeliveryChange change;
  DeliveryProgress progress;
  DeliveryService *service;
  SkyIncoming *incoming;
} News;

static void on_changed(void *user, SkyStatus status, const DeliveryDocument *document, bool changed) {
  const News *news = user;
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND) &&
      sky_clock_wall_ms(news->service->aggregate.clock) - news->progress.observe_ms <= STRANGER_AGE_MS)
    status = sky_status_with_retry_after_ms(SKY_UNAVAILABLE("delivery %s is not there yet", news->change.id), 50);
  /* An older one is of a saga that was undone before it came to the delivery. */
  sky_incoming_settle(news->incoming, status);
}

static SkyStatus on_progress(void *self, SkyIncoming *incoming, const events_DroneMissionProgressed *event) {
  DeliveryService *service = self;
  SkyArena *arena = sky_incoming_arena(incoming);
  if (!delivery_phase_is_news(live_stage(service->live, event->delivery_id), event->phase))
    return SKY_OK;
  News *news = sky_arena_alloc(arena, sizeof(*news));
  if (news == NULL)
    return sky_status_no_memory();
  *news = (News){.progress = {.drone_id = event->drone_id,
                              .phase = event->phase,
                              .location = event->location,
                              .speed_mps = event->speed_mps,
                              .observe_ms = sky_timestamp_ms(event->occur_time),
                              .reason = event->reason},
                 .service = service,
                 .incoming = incoming};
  news->change = (DeliveryChange){.id = event->delivery_id,
                                  .decide = delivery_decide_progress,
                                  .request = &news->progress,
                                  .context = sky_incoming_context(incoming),
                                  .arena = arena,
                                  .done = on_changed,
                                  .user = news};
  const SkyStatus deferred = sky_incoming_defer(incoming);
  SkyStatus status = delivery_change(&service->aggregate, &news->change);
  if (status != SKY_OK)
    sky_incoming_settle(incoming, status);
  return deferred;
}

/* Loads a delivery that live data does not know yet. */
static SkyStatus refresh(DeliveryService *service, const SkyContext *parent, const char *id) {
  const SkyContext context = sky_context_with_timeout_ms(parent, LOAD_TIMEOUT_MS);
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  DeliveryDocument *document;
  SkyStatus status = delivery_load(&service->aggregate, &context, id, &arena, &document);
  if (status == SKY_OK)
    live_change(service->live, document);
  sky_arena_finish(&arena);
  return status;
}

/* ---- news of the arrival ---- */

typedef struct EtaNews {
  DeliveryChange change;
  DeliveryEstimate estimate;
  DeliveryService *service;
  char id[SKY_UUID_TEXT_SIZE];
  SkyContext context;
  SkyArena arena;
} EtaNews;

static SkyStatus decide_eta(const void *estimate, const DeliveryDocument *document, const DeliveryWork *work,
                            DeliveryDecision *ret) {
  return delivery_estimate(document, estimate, work, ret);
}

/* What could not be told is news again with the next position. */
static void eta_told(void *user, SkyStatus status, const DeliveryDocument *document, bool changed) {
  EtaNews *news = user;
  if (status != SKY_OK)
    sky_log_status(SKY_WARN, &news->context, "delivery.eta", status, "news of the arrival was not told");
  sky_status_free(status);
  if (document != NULL && !changed)
    live_change(news->service->live, document); /* another replica was quicker: what it told is what was told */
  live_eta_told(news->service->live, news->id);
  sky_arena_finish(&news->arena);
  free(news);
}

static void tell_eta(DeliveryService *service, const char *id, const DeliveryEstimate *estimate) {
  EtaNews *news = calloc(1, sizeof(*news));
  if (news == NULL) {
    live_eta_told(service->live, id);
    return;
  }
  const SkyContext background = sky_context_background();
  news->estimate = *estimate;
  news->service = service;
  news->context = sky_context_with_timeout_ms(&background, TELL_TIMEOUT_MS);
  snprintf(news->id, sizeof(news->id), "%s", id);
  sky_arena_init(&news->arena, ETA_ARENA_BYTES);
  news->change = (DeliveryChange){.id = news->id,
                                  .decide = decide_eta,
                                  .request = &news->estimate,
                                  .context = &news->context,
                                  .arena = &news->arena,
                                  .done = eta_told,
                                  .user = news};
  SkyStatus status = delivery_change(&service->aggregate, &news->change);
  if (status != SKY_OK)
    eta_told(news, status, NULL, false);
}

static SkyStatus on_position(void *self, SkyIncoming *incoming, const events_DronePositionChanged *event) {
  DeliveryService *service = self;
  if (event->delivery_id[0] == '\0' || event->phase >= common_MISSION_PHASE_DELIVERED)
    return SKY_OK;
  const EtaModel model = delivery_aggregate_eta(&service->aggregate);
  DeliveryEstimate estimate;
  LivePosition taken = live_position(service->live, event, &model, &estimate);
  if (taken == LIVE_STRANGER) {
    SkyStatus status = refresh(service, sky_incoming_context(incoming), event->delivery_id);
    if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
      return SKY_OK; /* not put yet: the next position finds it */
    SKY_TRY(status);
    taken = live_position(service->live, event, &model, &estimate);
  }
  if (taken == LIVE_ETA_NEWS)
    tell_eta(service, event->delivery_id, &estimate);
  return SKY_OK;
}

/* ---- what another replica has changed: of what this one has changed the broker tells it nothing ---- */

static SkyStatus on_change(DeliveryService *service, SkyIncoming *incoming, const char *id, uint64_t version) {
  if (!live_changed_elsewhere(service->live, id, (int64_t)version))
    return SKY_OK;
  return refresh(service, sky_incoming_context(incoming), id);
}

static SkyStatus on_departed(void *self, SkyIncoming *incoming, const events_DeliveryDeparted *event) {
  return on_change(self, incoming, event->delivery_id, event->version);
}

static SkyStatus on_picked_up(void *self, SkyIncoming *incoming, const events_DeliveryPickedUp *event) {
  return on_change(self, incoming, event->delivery_id, event->version);
}

static SkyStatus on_completed(void *self, SkyIncoming *incoming, const events_DeliveryCompleted *event) {
  return on_change(self, incoming, event->delivery_id, event->version);
}

static SkyStatus on_rescheduled(void *self, SkyIncoming *incoming, const events_DeliveryRescheduled *event) {
  return on_change(self, incoming, event->delivery_id, event->version);
}

static SkyStatus on_cancelled(void *self, SkyIncoming *incoming, const events_DeliveryCancelled *event) {
  return on_change(self, incoming, event->delivery_id, event->version);
}

static SkyStatus on_failed(void *self, SkyIncoming *incoming, const events_DeliveryFailed *event) {
  return on_change(self, incoming, event->delivery_id, event->version);
}

SkyStatus delivery_forget_quiet(void *user, const SkyContext *context) {
  DeliveryService *service = user;
  char watched[MAX_QUIET][SKY_UUID_TEXT_SIZE];
  const size_t count = live_forget_quiet(service->live, watched, MAX_QUIET);
  for (size_t i = 0; i < count; i++)
    SKY_TRY(refresh(service, context, watched[i]));
  return SKY_OK;
}

/* ---- life ---- */

static SkyStatus subscribe(DeliveryEvents *events, SkyBus *bus) {
  DeliveryService *service = events->service;
  const SkyEventRoute routes[DELIVERY_SUBSCRIPTIONS] = {events_DronePositionChanged_route(on_position, service),
                                                        events_DeliveryDeparted_route(on_departed, service),
                                                        events_DeliveryPickedUp_route(on_picked_up, service),
                                                        events_DeliveryRescheduled_route(on_rescheduled, service),
                                                        events_DeliveryCompleted_route(on_completed, service),
                                                        events_DeliveryCancelled_route(on_cancelled, service),
                                                        events_DeliveryFailed_route(on_failed, service)};
  for (size_t i = 0; i < DELIVERY_SUBSCRIPTIONS; i++)
    SKY_TRY(sky_bus_subscribe(bus, &routes[i], NULL, &events->subscriptions[i]));
  return SKY_OK;
}

SkyStatus delivery_events_start(DeliveryEvents *events, SkyBus *bus, DeliveryService *service) {
  const SkyEventRoute progress = events_DroneMissionProgressed_route(on_progress, service);
  const SkyConsumerOptions options = {.stream = "DRONES",
                                      .durable = "delivery",
                                      .routes = &progress,
                                      .route_count = 1,
                                      .workers = WORKERS,
                                      .ack_wait_ms = ACK_WAIT_MS,
                                      .max_deliver = MAX_DELIVER};
  *events = (DeliveryEvents){.service = service};
  SKY_TRY(subscribe(events, bus));
  return sky_bus_consume(bus, &options, &events->progress);
}

void delivery_events_stop(DeliveryEvents *events) {
  if (events->service == NULL)
    return;
  if (events->progress != NULL)
    sky_consumer_stop(events->progress, STOP_TIMEOUT_MS);
  for (size_t i = 0; i < DELIVERY_SUBSCRIPTIONS; i++)
    sky_subscription_close(events->subscriptions[i]);
  *events = (DeliveryEvents){0};
}
