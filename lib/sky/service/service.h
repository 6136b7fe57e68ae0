/*
 * Service: a process. Reads its settings, opens store, bus, clients and server, starts the service's own code, serves,
 * and on SIGTERM or SIGINT drains and ends; so that main() of a service is about 30 lines.
 *
 * Nothing has to be up first: store, broker and peers may come later; until then /readyz says what is missing and calls
 * get UNAVAILABLE. Order of start: settings, telemetry and admin port, store, bus, clients, server (bound),
 * definition->start, serving. Of stop: not ready, server drained, tasks and consumers stopped, definition->stop,
 * clients, bus, store. A second signal ends at once.
 */
#pragma once

#include <sky/bus/bus.h>
#include <sky/core/config.h>
#include <sky/core/id.h>
#include <sky/core/time.h>
#include <sky/rpc/client.h>
#include <sky/rpc/server.h>
#include <sky/store/store.h>
#include <sky/telemetry/metrics.h>

typedef struct SkyService SkyService;

typedef struct SkyServiceDefinition {
  const char *name;           /* "delivery": database, consumer prefix, service.name; the process is skyhook-delivery */
  const char *summary;        /* one line for --help */
  const SkySetting *settings; /* the service's own, besides the common ones */
  size_t setting_count;
  const SkyCollection *const *collections; /* none: no store is opened */
  size_t collection_count;
  const SkyStreamConfig *streams; /* streams it publishes to or consumes from; none and no_bus: no broker */
  size_t stream_count;
  bool no_bus;
  bool no_server; /* serves nothing: a client of others */
  const char *const
      *peers; /* NULL-terminated names of services it calls: "delivery" is found at SKY_DELIVERY_ADDRESS */
  /* Adds bindings to the server, starts consumers and tasks. An error ends the process with that message. */
  SkyStatus (*start)(void *self, SkyService *service);
  /* Before the drain: ends streams that would last for ever, so that it need not wait for them. May be NULL. */
  void (*draining)(void *self, SkyService *service);
  void (*stop)(void *self, SkyService *service); /* may be NULL; called once, also after a failed start */
  void *self;
} SkyServiceDefinition;

/*
 * Runs until it is told to stop; the exit code: 0 after a clean stop, 1 for a failure at start (said on stderr in one
 * line), 2 for wrong settings (the line names the setting).
 *
 * Common settings: SKY_LISTEN, SKY_ADMIN, SKY_NATS_URL, SKY_NATS_REPLICAS, SKY_STORE, SKY_WORKERS, SKY_LOG_LEVEL,
 * SKY_DRAIN_TIMEOUT, SKY_<PEER>_ADDRESS; of gRPC SKY_TLS_*, SKY_MAX_*, SKY_HANDSHAKE_TIMEOUT and SKY_CHANNELZ
 * (docs/rpc-operations.md).
 */
int sky_service_main(int argc, char **argv, const SkyServiceDefinition *definition);

/* What the service runs on; borrowed, valid from start to stop. */
SkyStore *sky_service_store(SkyService *service);
SkyBus *sky_service_bus(SkyService *service);
SkyRpc *sky_service_rpc(SkyService *service);
SkyServer *sky_service_server(SkyService *service);
SkyClient *sky_service_peer(SkyService *service, const char *name); /* asserts that it was declared */
SkyMetrics *sky_service_metrics(SkyService *service); /* for the service's own metrics; shown at /metrics */
const SkyClock *sky_service_clock(SkyService *service);
const SkyRandom *sky_service_random(SkyService *service);
const char *sky_service_instance_id(SkyService *service); /* unique per process start; for locks */

/*
 * Runs task on a worker every period (with up to 10 % jitter), never twice at once, first after one period; stopped
 * before definition->stop. An error it returns is logged and counted.
 */
SKY_MUST_USE SkyStatus sky_service_every(SkyService *service, const char *name, int64_t period_ms,
                                         SkyStatus (*task)(void *user, const SkyContext *context), void *user);
/* One more reason not to be ready. The check must not block; *ret_reason may be set to a static text. */
SKY_MUST_USE SkyStatus sky_service_add_check(SkyService *service, const char *name, bool (*ready)(void *user),
                                             void *user);
