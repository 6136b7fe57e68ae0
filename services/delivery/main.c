/* skyhook-delivery: the life of deliveries, from the assigned drone to the drop-off. */
#include <sky/service/service.h>

#include "delivery/events.h"
#include "delivery/store.h"

enum { SWEEP_PERIOD_MS = 1000, SWEEP_MIN_AGE_MS = 2000, QUIET_PERIOD_MS = 60000, START_TIMEOUT_MS = 10000 };

typedef struct Delivery {
  DeliveryService service;
  DeliveryEvents events;
  EtaModel eta;
} Delivery;

static void on_change(void *user, const DeliveryDocument *document) {
  live_change(((Delivery *)user)->service.live, document);
}

static SkyStatus sweep(void *user, const SkyContext *context) {
  return sky_event_log_sweep(((Delivery *)user)->service.aggregate.log, context, SWEEP_MIN_AGE_MS);
}

static SkyStatus start(void *self, SkyService *service) {
  Delivery *delivery = self;
  const DeliveryAggregateOptions options = {.store = sky_service_store(service),
                                            .bus = sky_service_bus(service),
                                            .clock = sky_service_clock(service),
                                            .random = sky_service_random(service),
                                            .eta = delivery->eta,
                                            .on_change = on_change,
                                            .user = delivery};
  SKY_TRY(live_create(&delivery->service.live));
  SKY_TRY(delivery_aggregate_init(&delivery->service.aggregate, &options));
  SkyContext context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, START_TIMEOUT_MS);
  SKY_TRY(
      tracking_load(&delivery->service.tracking, sky_service_store(service), &context, sky_service_random(service)));
  SKY_TRY(delivery_events_start(&delivery->events, sky_service_bus(service), &delivery->service));
  SKY_TRY(sky_server_add(sky_service_server(service), delivery_service_bind(&delivery->service)));
  SKY_TRY(sky_service_every(service, "forget what nobody hears of", QUIET_PERIOD_MS, delivery_forget_quiet,
                            &delivery->service));
  return sky_service_every(service, "publish what was left unpublished", SWEEP_PERIOD_MS, sweep, delivery);
}

static void draining(void *self, SkyService *service) {
  live_end_watches(((Delivery *)self)->service.live);
}

static void stop(void *self, SkyService *service) {
  Delivery *delivery = self;
  delivery_events_stop(&delivery->events);
  delivery_aggregate_finish(&delivery->service.aggregate);
  live_destroy(delivery->service.live);
}

int main(int argc, char **argv) {
  static const char *const delivery_subjects[] = {"fab.delivery.>", NULL};
  /* The drone scheduler's stream, declared as it declares it: whoever comes first makes it. */
  static const char *const drone_subjects[] = {
      "fab.dronescheduler.drone_assigned.>", "fab.dronescheduler.drone_released.>",
      "fab.dronescheduler.drone_mission_progressed.>", "fab.dronescheduler.drone_failed.>", NULL};
  static const SkyStreamConfig streams[] = {{.name = "DELIVERIES", .subjects = delivery_subjects},
                                            {.name = "DRONES", .subjects = drone_subjects}};
  static Delivery delivery = {.eta = {.history_factor = 1}};
  static const SkySetting settings[] = {
      {"weather-factor", "SKY_WEATHER_FACTOR", SKY_SETTING_DOUBLE, &delivery.eta.weather_factor, "1",
       "how much longer flights take in this weather; 1 is calm air", 0.5, 5},
      {"cruise-speed", "SKY_CRUISE_SPEED", SKY_SETTING_DOUBLE, &delivery.eta.cruise_mps, "20",
       "speed assumed before a drone reports one, in m/s", 1, 100000},
  };
  const SkyServiceDefinition definition = {.name = "delivery",
                                           .summary = "Follows deliveries from the assigned drone to the drop-off.",
                                           .settings = settings,
                                           .setting_count = sizeof(settings) / sizeof(settings[0]),
                                           .collections = delivery_collections,
                                           .collection_count = DELIVERY_COLLECTIONS,
                                           .streams = streams,
                                           .stream_count = sizeof(streams) / sizeof(streams[0]),
                                           .start = start,
                                           .draining = draining,
                                           .stop = stop,
                                           .self = &delivery};
  return sky_service_main(argc, argv, &definition);
}
