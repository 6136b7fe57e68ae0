/*
 * skyhook-simulator: a fleet of drones that flies what the drone scheduler orders.
 */
#include <stdlib.h>
#include <string.h>

#include "simulator.h"

static Simulator simulator;

static const SkySetting settings[] = {
    {"drones", "SKY_DRONES", SKY_SETTING_INT, &simulator.settings.drones, "40", "size of the fleet", 1, 50000},
    {"bases", "SKY_BASES", SKY_SETTING_INT, &simulator.settings.bases, "5", "number of bases", 1, 500},
    {"center", "SKY_CENTER", SKY_SETTING_TEXT, &simulator.settings.center, "47.6062,-122.3321",
     "latitude,longitude around which the bases lie", 0, 0},
    {"radius", "SKY_RADIUS", SKY_SETTING_DOUBLE, &simulator.settings.radius_m, "6000",
     "metres around the center in which the bases lie", 0, 200000},
    {"time-factor", "SKY_TIME_FACTOR", SKY_SETTING_DOUBLE, &simulator.settings.time_factor, "1",
     "how much faster than real the drones fly, load and charge", 0.01, 100000},
    {"speed", "SKY_SPEED", SKY_SETTING_DOUBLE, &simulator.settings.speed_mps, "20",
     "real cruise speed in metres per second; registered multiplied by the time factor", 0.1, 1000},
    {"range", "SKY_RANGE", SKY_SETTING_DOUBLE, &simulator.settings.range_m, "60000",
     "metres a drone flies on a full battery", 100, 1000000},
    {"capacity", "SKY_CAPACITY", SKY_SETTING_DOUBLE, &simulator.settings.capacity_kg, "15", "kilograms a drone carries",
     0.1, 1000},
    {"charge-time", "SKY_CHARGE_TIME", SKY_SETTING_DURATION, &simulator.settings.charge_time_ns, "30m",
     "real time of a full charge; divided by the time factor", 1e9, 864e11},
    {"report-interval", "SKY_REPORT_INTERVAL", SKY_SETTING_DURATION, &simulator.settings.report_interval_ns, "1s",
     "wall time between two positions of a flying drone", 1e6, 600e9},
    {"prefix", "SKY_FLEET_PREFIX", SKY_SETTING_TEXT, &simulator.settings.prefix, "sim",
     "first part of the ids of drones and bases", 0, 0},
};

static SkyStatus parse_center(const char *text, SkyPoint *ret) {
  SkyStr rest = sky_str(text), latitude = {0};
  SkyPoint point = {0};
  if (!sky_str_cut(&rest, ',', &latitude) || !sky_str_to_double(latitude, &point.latitude) ||
      !sky_str_to_double(rest, &point.longitude) || !sky_point_is_valid(point))
    return SKY_INVALID_ARGUMENT("--center must be latitude,longitude in degrees, like 47.6062,-122.3321");
  *ret = point;
  return SKY_OK;
}

static bool is_registered(void *user) {
  return simulator.registered;
}

static SkyStatus start(void *self, SkyService *service) {
  SKY_TRY(parse_center(simulator.settings.center, &simulator.center));
  simulator.service = service;
  simulator.scheduler = sky_service_peer(service, "dronescheduler");
  simulator.clock = sky_service_clock(service);
  simulator.drone_by_id = sky_map_create(SIMULATOR_MAX_DRONES);
  sky_timer_heap_init(&simulator.timers, SIMULATOR_MAX_DRONES);
  pthread_mutex_init(&simulator.mutex, NULL);
  pthread_cond_init(&simulator.wake, NULL);
  if (simulator.drone_by_id == NULL || pthread_create(&simulator.pilot, NULL, pilot_run, &simulator) != 0)
    return sky_status_no_memory();
  simulator.pilot_runs = true;
  return sky_service_add_check(service, "fleet", is_registered, NULL);
}

static void stop(void *self, SkyService *service) {
  if (simulator.pilot_runs) {
    pthread_mutex_lock(&simulator.mutex);
    simulator.stopping = true;
    pilot_wake(&simulator);
    pthread_mutex_unlock(&simulator.mutex);
    pthread_join(simulator.pilot, NULL);
  }
  /* The streams' last callbacks may still come: drones and maps are freed when the clients are gone, with the process's
   * end. */
}

static void free_fleet(void) {
  sky_timer_heap_finish(&simulator.timers); /* before the drones, which hold the timers */
  for (size_t i = 0; i < simulator.drone_count; i++) {
    flight_finish(&simulator.drones[i]->flight);
    free(simulator.drones[i]);
  }
  free(simulator.drones);
  sky_map_destroy(simulator.drone_by_id);
}

int main(int argc, char **argv) {
  static const char *const peers[] = {"dronescheduler", NULL};
  const SkyServiceDefinition definition = {
      .name = "simulator",
      .summary = "flies a simulated fleet: registers drones, takes orders, reports telemetry",
      .settings = settings,
      .setting_count = sizeof(settings) / sizeof(settings[0]),
      .no_bus = true,
      .no_server = true,
      .peers = peers,
      .start = start,
      .stop = stop,
  };
  const int code = sky_service_main(argc, argv, &definition);
  free_fleet();
  return code;
}
