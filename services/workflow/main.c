/* skyhook-workflow: runs one saga per delivery request. */
#include <sky/service/service.h>

#include "workflow/events.h"
#include "workflow/handlers.h"
#include "workflow/store.h"
#include "workflow/supervisor.h"

enum { TICK_MS = 1000, SWEEP_PERIOD_MS = 2000, SWEEP_AGE_MS = 3000 };

typedef struct Workflow {
  SkyEventLog *log;
  Driver *driver;
  Watchers watchers;
  Supervisor supervisor;
  WorkflowService service;
  int64_t max_active;
  int64_t saga_timeout_ns;
  int64_t lease_ns;
} Workflow;

static SkyStatus sweep(void *user, const SkyContext *context) {
  return sky_event_log_sweep(((Workflow *)user)->log, context, SWEEP_AGE_MS);
}

static SkyStatus tick(void *user, const SkyContext *context) {
  Workflow *workflow = user;
  watchers_clear(&workflow->watchers);
  return supervisor_tick(&workflow->supervisor, context);
}

static SkyStatus open_log(Workflow *workflow, SkyService *service) {
  const SkyEventLogOptions options = {.store = sky_service_store(service),
                                      .bus = sky_service_bus(service),
                                      .clock = sky_service_clock(service),
                                      .collection = &workflow_log,
                                      .types = workflow_log_types,
                                      .max_pending = 2 * (size_t)workflow->max_active};
  return sky_event_log_create(&options, &workflow->log);
}

static SkyStatus open_driver(Workflow *workflow, SkyService *service) {
  DriverOptions options = {.rpc = sky_service_rpc(service),
                           .store = sky_service_store(service),
                           .log = workflow->log,
                           .clock = sky_service_clock(service),
                           .random = sky_service_random(service),
                           .instance_id = sky_service_instance_id(service),
                           .max_active = (size_t)workflow->max_active,
                           .saga_timeout_ms = workflow->saga_timeout_ns / SKY_NS_PER_MS,
                           .changed = watchers_changed,
                           .user = &workflow->watchers};
  for (int i = 0; i < PEER_COUNT; i++)
    options.steps.peers[i] = sky_service_peer(service, steps_peer_names[i]);
  SKY_TRY(driver_create(&options, &workflow->driver));
  workflow->supervisor = (Supervisor){.driver = workflow->driver,
                                      .store = sky_service_store(service),
                                      .clock = sky_service_clock(service),
                                      .instance_id = sky_service_instance_id(service),
                                      .lease_ms = workflow->lease_ns / SKY_NS_PER_MS};
  return SKY_OK;
}

/* A store that is away now is tried again by the ticks; until the first succeeds orders stay in the stream. */
static void supervise_now(Workflow *workflow) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, TICK_MS);
  sky_status_free(supervisor_tick(&workflow->supervisor, &context));
}

static SkyStatus start(void *self, SkyService *service) {
  Workflow *workflow = self;
  SKY_TRY(watchers_init(&workflow->watchers, sky_service_bus(service)));
  SKY_TRY(open_log(workflow, service));
  SKY_TRY(open_driver(workflow, service));
  workflow->service = (WorkflowService){
      .driver = workflow->driver, .watchers = &workflow->watchers, .store = sky_service_store(service)};
  SKY_TRY(sky_server_add(sky_service_server(service), workflow_service_bind(&workflow->service)));
  supervise_now(workflow);
  SKY_TRY(workflow_events_consume(sky_service_bus(service), workflow->driver));
  SKY_TRY(sky_service_every(service, "look after sagas", TICK_MS, tick, workflow));
  SKY_TRY(sky_service_every(service, "look after watchers", TICK_MS, workflow_look_after_watchers, &workflow->service));
  return sky_service_every(service, "publish pending events", SWEEP_PERIOD_MS, sweep, workflow);
}

static void draining(void *self, SkyService *service) {
  watchers_end(&((Workflow *)self)->watchers);
}

static void stop(void *self, SkyService *service) {
  Workflow *workflow = self;
  driver_destroy(workflow->driver);
  watchers_finish(&workflow->watchers);
  if (workflow->supervisor.driver != NULL)
    supervisor_resign(&workflow->supervisor);
  sky_event_log_destroy(workflow->log);
}

int main(int argc, char **argv) {
  static const char *const requests[] = {"fab.ingestion.>", NULL};
  static const char *const workflows[] = {"fab.workflow.>", NULL};
  static const SkyStreamConfig streams[] = {
      {.name = "REQUESTS", .subjects = requests, .retention = SKY_RETENTION_WORK_QUEUE},
      {.name = "WORKFLOWS", .subjects = workflows}};
  static Workflow workflow;
  const SkySetting settings[] = {
      {"max-active", "SKY_MAX_ACTIVE", SKY_SETTING_INT, &workflow.max_active, "4096",
       "sagas worked on at once; more requests wait in the stream", 1, 1000000},
      {"saga-timeout", "SKY_SAGA_TIMEOUT", SKY_SETTING_DURATION, &workflow.saga_timeout_ns, "5m",
       "time to schedule a request that has no deadline", 0, 0},
      {"lease", "SKY_LEASE", SKY_SETTING_DURATION, &workflow.lease_ns, "6s",
       "after so long without a sign of life another process takes over a saga", 0, 0},
  };
  const SkyServiceDefinition definition = {.name = "workflow",
                                           .summary = "Runs the saga that turns a delivery request into a delivery.",
                                           .settings = settings,
                                           .setting_count = sizeof(settings) / sizeof(settings[0]),
                                           .collections = workflow_collections,
                                           .collection_count = 3,
                                           .streams = streams,
                                           .stream_count = 2,
                                           .peers = steps_peer_names,
                                           .start = start,
                                           .draining = draining,
                                           .stop = stop,
                                           .self = &workflow};
  return sky_service_main(argc, argv, &definition);
}
