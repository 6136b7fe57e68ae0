/* skyhook-package: packages by id, owner and tag. */
#include <sky/service/service.h>

#include "fabrikam/events/v1/package.event.h"
#include "package/handlers.h"
#include "package/store.h"

enum { SWEEP_PERIOD_MS = 2000 };

typedef struct Package {
  PackageService service;
  PackageEvents events;
} Package;

static SkyStatus sweep(void *user, const SkyContext *context) {
  return sky_pending_sweep(((Package *)user)->events.pending, context);
}

static SkyStatus start(void *self, SkyService *service) {
  Package *package = self;
  SKY_TRY(package_events_init(&package->events, sky_service_rpc(service), sky_service_store(service),
                              sky_service_bus(service)));
  package->service = (PackageService){.store = sky_service_store(service),
                                      .events = &package->events,
                                      .clock = sky_service_clock(service),
                                      .random = sky_service_random(service)};
  SKY_TRY(sky_server_add(sky_service_server(service), package_service_bind(&package->service)));
  return sky_service_every(service, "publish pending events", SWEEP_PERIOD_MS, sweep, package);
}

static void stop(void *self, SkyService *service) {
  package_events_finish(&((Package *)self)->events);
}

int main(int argc, char **argv) {
  static const char *const subjects[] = {"fab.package.>", NULL};
  static const SkyStreamConfig streams[] = {{.name = "PACKAGES", .subjects = subjects}};
  static Package package;
  const SkyServiceDefinition definition = {.name = "package",
                                           .summary = "Keeps the packages that are delivered.",
                                           .collections = package_collections,
                                           .collection_count = 1,
                                           .streams = streams,
                                           .stream_count = 1,
                                           .start = start,
                                           .stop = stop,
                                           .self = &package};
  return sky_service_main(argc, argv, &definition);
}
