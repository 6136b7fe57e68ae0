/* skyhook-ingestion: the front door for delivery requests. */
#include <sky/service/service.h>

#include "ingestion/handlers.h"

static SkyStatus start(void *self, SkyService *service) {
  IngestionService *ingestion = self;
  *ingestion = (IngestionService){.bus = sky_service_bus(service),
                                  .rpc = sky_service_rpc(service),
                                  .workflow = sky_service_peer(service, "workflow"),
                                  .delivery = sky_service_peer(service, "delivery"),
                                  .clock = sky_service_clock(service),
                                  .random = sky_service_random(service)};
  SKY_TRY(ingestion_watches_create(&ingestion->watches));
  return sky_server_add(sky_service_server(service), ingestion_service_bind(ingestion));
}

static void draining(void *self, SkyService *service) {
  ingestion_watches_end(((IngestionService *)self)->watches);
}

static void stop(void *self, SkyService *service) {
  ingestion_watches_destroy(((IngestionService *)self)->watches);
}

int main(int argc, char **argv) {
  static const char *const subjects[] = {"fab.ingestion.>", NULL};
  static const SkyStreamConfig streams[] = {
      {.name = "REQUESTS", .subjects = subjects, .retention = SKY_RETENTION_WORK_QUEUE}};
  static const char *const peers[] = {"workflow", "delivery", NULL};
  static IngestionService ingestion;
  const SkyServiceDefinition definition = {.name = "ingestion",
                                           .summary = "Takes delivery requests, and tells where they stand.",
                                           .streams = streams,
                                           .stream_count = 1,
                                           .peers = peers,
                                           .start = start,
                                           .draining = draining,
                                           .stop = stop,
                                           .self = &ingestion};
  return sky_service_main(argc, argv, &definition);
}
