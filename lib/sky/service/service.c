#include "internal.h"

#include <assert.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/log.h>
#include <sky/core/version.h>
#include <sky/telemetry/names.h>

enum { EXIT_WRONG_SETTINGS = 2, BUS_CLOSE_TIMEOUT_MS = 5000 };

/* ---- accessors ---- */

SkyStore *sky_service_store(SkyService *service) {
  assert(service->store != NULL);
  return service->store;
}

SkyBus *sky_service_bus(SkyService *service) {
  assert(service->bus != NULL);
  return service->bus;
}

SkyRpc *sky_service_rpc(SkyService *service) {
  return service->rpc;
}

SkyServer *sky_service_server(SkyService *service) {
  return service->server;
}

SkyClient *sky_service_peer(SkyService *service, const char *name) {
  for (size_t i = 0; i < SKY_SERVICE_MAX_PEERS && service->peers[i] != NULL; i++)
    if (strcmp(service->definition->peers[i], name) == 0)
      return service->peers[i];
  assert(!"the peer was declared");
  return NULL;
}

const SkyClock *sky_service_clock(SkyService *service) {
  return sky_clock_system_borrow();
}

const SkyRandom *sky_service_random(SkyService *service) {
  return sky_random_system_borrow();
}

const char *sky_service_instance_id(SkyService *service) {
  return service->instance_id;
}

/* ---- start ---- */

enum { IO_THREADS = 2 }; /* which run short handlers: one, and one that has taken over from one that was not short */

static SkyStatus open_store(SkyService *service) {
  const SkyServiceDefinition *definition = service->definition;
  if (definition->collection_count == 0)
    return SKY_OK;
  const SkyStoreOptions options = {.uri = service->settings.store,
                                   .database = definition->name,
                                   .collections = definition->collections,
                                   .collection_count = definition->collection_count,
                                   .metrics = service->metrics,
                                   .connections = (size_t)service->settings.workers + IO_THREADS};
  SkyStatus status = sky_store_open(&options, &service->store);
  return status == SKY_OK ? SKY_OK : sky_status_annotate(status, "--store (SKY_STORE): ");
}

static SkyStatus open_bus(SkyService *service) {
  const SkyServiceDefinition *definition = service->definition;
  if (definition->no_bus)
    return SKY_OK;
  const SkyBusOptions options = {.url = service->settings.nats_url,
                                 .service_name = definition->name,
                                 .streams = definition->streams,
                                 .stream_count = definition->stream_count,
                                 .replicas = (int)service->settings.nats_replicas,
                                 .no_echo = true, /* a process knows what it has done itself */
                                 .metrics = service->metrics};
  SkyStatus status = sky_bus_connect(&options, &service->bus);
  return status == SKY_OK ? SKY_OK : sky_status_annotate(status, "--nats-url (SKY_NATS_URL): ");
}

static SkyStatus open_peers(SkyService *service) {
  const char *const *names = service->definition->peers;
  for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
    const SkyClientOptions options = sky_service_client_options(service, service->settings.peer_addresses[i]);
    SKY_TRY(sky_client_create(service->rpc, &options, &service->peers[i]));
    SKY_TRY(sky_service_instrument_client(service, service->peers[i]));
    sky_client_is_ready(service->peers[i]); /* begins to connect, so that the first call need not wait for it */
  }
  return SKY_OK;
}

static SkyStatus open_rpc(SkyService *service) {
  const int64_t short_us = service->settings.rpc.short_handler_ns / (SKY_NS_PER_MS / 1000);
  const SkyRpcOptions options = {.workers = (size_t)service->settings.workers,
                                 .short_handler_us = short_us > 0 ? short_us : -1};
  SKY_TRY(sky_rpc_create(&options, &service->rpc));
  SKY_TRY(sky_service_open_tls(service));
  const SkyServerOptions server_options = sky_service_server_options(service);
  if (!service->definition->no_server) {
    SKY_TRY(sky_server_create(service->rpc, &server_options, &service->server));
    SKY_TRY(sky_service_instrument_server(service));
  }
  return open_peers(service);
}

static SkyStatus open_admin(SkyService *service) {
  SkyStatus status = sky_admin_create(service->settings.admin, &service->admin);
  if (status != SKY_OK)
    return sky_status_annotate(status, "--admin (SKY_ADMIN): ");
  SKY_TRY(sky_service_add_probes(service));
  SKY_TRY(sky_service_add_config_page(service));
  SKY_TRY(sky_service_add_rpc_pages(service));
  return sky_service_open_metrics(service);
}

static SkyStatus start_server(SkyService *service) {
  SkyStatus status = sky_server_start(service->server);
  return status == SKY_OK ? SKY_OK : sky_status_annotate(status, "--listen (SKY_LISTEN): ");
}

static SkyStatus start(SkyService *service, bool *ret_called) {
  SKY_TRY(sky_tasks_init(&service->tasks));
  SKY_TRY(open_admin(service));
  SKY_TRY(open_store(service));
  SKY_TRY(open_bus(service));
  SKY_TRY(open_rpc(service));
  SKY_TRY(sky_admin_start(service->admin));
  *ret_called = true;
  SKY_TRY(service->definition->start(service->definition->self, service));
  if (service->server != NULL)
    SKY_TRY(start_server(service));
  service->started = true;
  if (service->server != NULL)
    sky_server_set_serving(service->server, true);
  return SKY_OK;
}

/* ---- stop ---- */

/* /healthz may be knocking at it. */
static void destroy_server(SkyService *service) {
  pthread_mutex_lock(&service->probe_lock);
  SkyServer *server = service->server;
  service->server = NULL;
  pthread_mutex_unlock(&service->probe_lock);
  sky_server_destroy(server);
}

static void stop(SkyService *service, bool start_was_called) {
  service->stopping = true;
  if (service->started && service->definition->draining != NULL)
    service->definition->draining(service->definition->self, service);
  if (service->server != NULL)
    sky_server_drain(service->server, service->started ? service->settings.drain_timeout_ns / SKY_NS_PER_MS : 0);
  sky_tasks_stop(&service->tasks);
  if (service->bus != NULL)
    sky_bus_stop_consumers(service->bus, service->settings.drain_timeout_ns / SKY_NS_PER_MS);
  if (start_was_called && service->definition->stop != NULL)
    service->definition->stop(service->definition->self, service);
  sky_metrics_remove_readers(service->metrics, service);
  destroy_server(service);
  sky_shedding_destroy(service->shedding);
  for (size_t i = 0; i < SKY_SERVICE_MAX_PEERS; i++)
    sky_client_destroy(service->peers[i]);
  sky_admin_destroy(service->admin); /* its pages look at all that goes now */
  sky_tls_unref(service->server_tls);
  sky_tls_unref(service->client_tls);
  sky_rpc_destroy(service->rpc);
  sky_bus_close(service->bus, BUS_CLOSE_TIMEOUT_MS);
  sky_store_close(service->store);
  sky_tasks_finish(&service->tasks);
  sky_metrics_destroy(service->metrics);
  free(service->all_settings);
}

static int wait_for_signal(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  int number = 0;
  while (sigwait(&signals, &number) != 0)
    continue;
  /* The next one ends the process at once. */
  pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
  return number;
}

static void block_signals(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, NULL); /* inherited by every thread that is started */
  signal(SIGPIPE, SIG_IGN);
}

static int fail(const char *name, SkyStatus status, int code) {
  fprintf(stderr, "skyhook-%s: %s\n", name, sky_status_message(status));
  sky_status_free(status);
  return code;
}

static int run(SkyService *service) {
  bool start_was_called = false;
  SkyStatus status = start(service, &start_was_called);
  if (status != SKY_OK) {
    stop(service, start_was_called);
    return fail(service->definition->name, status,
                sky_status_code(status) == SKY_CODE_INVALID_ARGUMENT ? EXIT_WRONG_SETTINGS : EXIT_FAILURE);
  }
  const int port = service->server == NULL ? 0 : sky_server_port(service->server);
  sky_log(SKY_INFO, NULL, "service.started",
          SKY_FIELDS(SKY_F_TEXT(SKY_SERVICE_VERSION, sky_version_borrow()), SKY_F_INT("server.port", port),
                     SKY_F_INT("admin.port", sky_admin_port(service->admin))),
          port == 0 ? "%s runs" : "%s serves gRPC on port %d", service->definition->name, port);
  const int number = wait_for_signal();
  sky_log(SKY_INFO, NULL, "service.stopping", NULL, "%s: draining", strsignal(number));
  stop(service, true);
  sky_log(SKY_INFO, NULL, "service.stopped", NULL, "%s has stopped", service->definition->name);
  return EXIT_SUCCESS;
}

static void tune_libraries(void) {
  /* What the gRPC core would write to stderr we return as a status; an operator may ask for it. */
  setenv("GRPC_VERBOSITY", "NONE", 0);
  /* Dozens of threads that allocate little: an arena each would cost more memory than it saves time. */
  mallopt(M_ARENA_MAX, 2);
}

int sky_service_main(int argc, char **argv, const SkyServiceDefinition *definition) {
  static SkyService service = {.probe_lock = PTHREAD_MUTEX_INITIALIZER};
  bool help = false;
  SkySeverity severity = SKY_INFO;
  service.definition = definition;
  SkyStatus status = sky_service_load_settings(&service, argc, argv, &help);
  if (help) {
    sky_status_free(status);
    free(service.all_settings);
    return EXIT_SUCCESS;
  }
  if (status == SKY_OK && !sky_severity_from_name(service.settings.log_level, &severity))
    status =
        SKY_INVALID_ARGUMENT("--log-level (SKY_LOG_LEVEL) must be trace, debug, info, warn, error or fatal, not \"%s\"",
                             service.settings.log_level);
  if (status != SKY_OK) {
    free(service.all_settings);
    return fail(definition->name, status, EXIT_WRONG_SETTINGS);
  }
  tune_libraries();
  const SkyUuid instance = sky_uuid_v7(sky_clock_wall_ms(sky_service_clock(&service)), sky_service_random(&service));
  sky_uuid_format(&instance, service.instance_id);
  block_signals();
  sky_log_init(definition->name, severity, 2);
  return run(&service);
}
