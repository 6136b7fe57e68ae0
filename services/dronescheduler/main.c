/*
 * skyhook-dronescheduler: the fleet, who flies what, and telemetry.
 */
#include "fabrikam/dronescheduler/v1/fleet.rpc.h"
#include "fabrikam/dronescheduler/v1/scheduler.rpc.h"
#include "fabrikam/dronescheduler/v1/telemetry.rpc.h"
#include "scheduler.h"

static Scheduler scheduler;

static const drone_DroneSchedulerServiceHandlers scheduler_handlers = {
    .assign_drone = handle_assign_drone,
    .release_drone = handle_release_drone,
    .get_assignment = handle_get_assignment,
    .get_utilization = handle_get_utilization,
};

static const drone_FleetServiceHandlers fleet_handlers = {
    .create_drone = handle_create_drone,
    .get_drone = handle_get_drone,
    .list_drones = handle_list_drones,
    .update_drone = handle_update_drone,
    .delete_drone = handle_delete_drone,
    .set_maintenance = handle_set_maintenance,
    .watch_fleet = handle_watch_fleet,
    .create_base = handle_create_base,
    .get_base = handle_get_base,
    .list_bases = handle_list_bases,
    .update_base = handle_update_base,
    .delete_base = handle_delete_base,
    .create_no_fly_zone = handle_create_zone,
    .get_no_fly_zone = handle_get_zone,
    .list_no_fly_zones = handle_list_zones,
    .update_no_fly_zone = handle_update_zone,
    .delete_no_fly_zone = handle_delete_zone,
};

static const drone_TelemetryServiceHandlers telemetry_handlers = {
    .report_telemetry = handle_report_telemetry,
    .fly_missions = handle_fly_missions,
};

static const SkySetting settings[] = {
    {"battery-reserve", "SKY_BATTERY_RESERVE", SKY_SETTING_DOUBLE, &scheduler.settings.reserve_percent, "10",
     "percent of the battery that no assignment may count on", 0, 90},
    {"assignable-charge", "SKY_ASSIGNABLE_CHARGE", SKY_SETTING_DOUBLE, &scheduler.settings.assignable_percent, "30",
     "percent of charge below which a drone at its base is shown as charging", 0, 100},
    {"handling-way", "SKY_HANDLING_WAY", SKY_SETTING_DOUBLE, &scheduler.settings.handling_way_m, "600",
     "metres a drone would fly in the time that loading or unloading takes", 0, 100000},
    {"offline-after", "SKY_OFFLINE_AFTER", SKY_SETTING_DURATION, &scheduler.settings.offline_after_ns, "60s",
     "a drone not heard of for so long is not assigned", 0, 0},
    {"lost-after", "SKY_LOST_AFTER", SKY_SETTING_DURATION, &scheduler.settings.lost_after_ns, "10m",
     "a drone not heard of for so long during a mission has failed; 0s: never", 0, 0},
    {"position-interval", "SKY_POSITION_INTERVAL", SKY_SETTING_DURATION, &scheduler.settings.position_interval_ns, "1s",
     "shortest time between two published positions of a drone", 0, 0},
};

static bool is_loaded(void *user) {
  return ((Scheduler *)user)->loaded;
}

static SkyStatus sweep(void *user, const SkyContext *context) {
  enum { MIN_AGE_MS = 2000 };
  return sky_event_log_sweep(((Scheduler *)user)->log, context, MIN_AGE_MS);
}

static SkyStatus add_tasks(SkyService *service) {
  SKY_TRY(sky_service_every(service, "load", 250, load_fleet, &scheduler));
  SKY_TRY(sky_service_every(service, "sweep", 1000, sweep, &scheduler));
  SKY_TRY(sky_service_every(service, "catch-up", 1000, claim_catch_up_unsure, &scheduler));
  SKY_TRY(sky_service_every(service, "assignments", 200, assignments_flush, &scheduler));
  SKY_TRY(sky_service_every(service, "watchers", 250, orders_show_changes, &scheduler));
  SKY_TRY(sky_service_every(service, "lost", 5000, telemetry_find_lost, &scheduler));
  SKY_TRY(sky_service_every(service, "positions", 5000, telemetry_keep_positions, &scheduler));
  return sky_service_every(service, "snapshots", 2000, drones_snapshot, &scheduler);
}

static SkyStatus add_services(SkyServer *server) {
  SKY_TRY(sky_server_add(server, drone_DroneSchedulerService_bind(&scheduler_handlers, &scheduler)));
  SKY_TRY(sky_server_add(server, drone_FleetService_bind(&fleet_handlers, &scheduler)));
  return sky_server_add(server, drone_TelemetryService_bind(&telemetry_handlers, &scheduler));
}

static SkyStatus start(void *self, SkyService *service) {
  enum { LOAD_TIMEOUT_MS = 5000 };
  SKY_TRY(scheduler_init(&scheduler, service));
  SKY_TRY(sky_service_add_check(service, "fleet", is_loaded, &scheduler));
  SKY_TRY(add_services(sky_service_server(service)));
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, LOAD_TIMEOUT_MS);
  sky_status_free(load_fleet(&scheduler, &context)); /* a store that is away: the task tries again */
  return add_tasks(service);
}

static void draining(void *self, SkyService *service) {
  orders_end_all(&scheduler);
  report_end_all(&scheduler);
}

static void stop(void *self, SkyService *service) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 2000);
  if (scheduler.loaded)
    sky_status_free(assignments_flush(&scheduler, &context)); /* otherwise the next start does it */
  scheduler_finish(&scheduler);
}

int main(int argc, char **argv) {
  /* Not positions: those are on a core subject, kept by nobody. */
  static const char *const subjects[] = {"fab.dronescheduler.drone_assigned.>", "fab.dronescheduler.drone_released.>",
                                         "fab.dronescheduler.drone_mission_progressed.>",
                                         "fab.dronescheduler.drone_failed.>", NULL};
  static const SkyStreamConfig streams[] = {
      {.name = "DRONES", .subjects = subjects, .retention = SKY_RETENTION_LIMITS}};
  const SkyServiceDefinition definition = {
      .name = "dronescheduler",
      .summary = "the drone fleet: assigns drones to deliveries, takes telemetry, gives orders",
      .settings = settings,
      .setting_count = sizeof(settings) / sizeof(settings[0]),
      .collections = scheduler_collections,
      .collection_count = SCHEDULER_COLLECTIONS,
      .streams = streams,
      .stream_count = 1,
      .start = start,
      .draining = draining,
      .stop = stop,
      .self = &scheduler,
  };
  return sky_service_main(argc, argv, &definition);
}
