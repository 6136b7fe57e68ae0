/*
 * Fleet: drones, bases and zones in memory, and which drone is best for a delivery. Pure: no I/O, no clock, no locks
 * (the scheduler's mutex is around every call).
 *
 * Built at start from the stored documents and the drones' event logs; afterwards it is what the service decides by.
 * Drones, bases and zones are owned by the fleet; a pointer to one stays good until it is removed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/map.h>
#include <sky/core/status.h>

#include "grid.h"
#include "life.h"
#include "zone.h"

enum { FLEET_MAX_DRONES = 200000, FLEET_MAX_BASES = 20000, FLEET_MAX_ZONES = 2000 };

/* Numbered as in fabrikam.common.v1.PackageSize. */
typedef enum FleetSize {
  FLEET_SIZE_NONE = 0,
  FLEET_SIZE_SMALL = 1,
  FLEET_SIZE_MEDIUM = 2,
  FLEET_SIZE_LARGE = 3
} FleetSize;

/* Numbered as in fabrikam.dronescheduler.v1.DroneState. */
typedef enum FleetState {
  FLEET_IDLE = 1,
  FLEET_ASSIGNED = 2,
  FLEET_FLYING = 3,
  FLEET_RETURNING = 4,
  FLEET_CHARGING = 5,
  FLEET_MAINTENANCE = 6,
  FLEET_OFFLINE = 7,
  FLEET_FAILED = 8,
} FleetState;

typedef struct FleetBase {
  char id[LIFE_ID_SIZE];
  char *display_name;
  LifePlace place;
  int capacity;
  double charge_rate_per_s;
  int64_t create_ms, update_ms;
  uint64_t edit;
  int64_t document_version;
  size_t drone_count;
} FleetBase;

typedef struct FleetDrone {
  GridItem item; /* in the grid while it has no delivery and no fault */
  char id[LIFE_ID_SIZE];
  char *display_name;
  FleetBase *base;
  double range_m, capacity_kg, cruise_speed_mps;
  FleetSize max_size;
  bool maintenance;
  LifeReason maintenance_reason;
  int64_t create_ms, update_ms;
  uint64_t edit; /* etag */
  int64_t document_version;
  int64_t snapshot_version; /* of the log, when the document was written: the fold starts there, without a delivery */

  Life life;
  int64_t log_version;
  bool held;   /* somebody is about to append to its log */
  bool unsure; /* an append may or may not have happened: the log must be read again before the next one */

  /* As last heard; what is durable of it is in life. */
  LifePlace place;
  double battery_fraction;
  double north_mps, east_mps, up_mps;
  int flight_mode;
  int64_t place_ms, heard_ms;
  uint64_t sequence, key_stream, dropped_count;
  uint64_t gap_stream; /* on which a phase was refused that has not come again; 0: none. See intake_refuse() */
  LifePhase gap_phase;
  char gap_delivery_id[SKY_UUID_TEXT_SIZE];
  double flown_m;
  int64_t kept_ms;      /* place_ms of the position in the bucket */
  int64_t published_ms; /* last DronePositionChanged */
  Route routes[3];      /* of the delivery: to the pickup, to the drop-off, home */
  int64_t start_ms;     /* leave not before; 0: at once */
  size_t slot;          /* index in drones[] */
  void *attachment;     /* of the telemetry intake */
} FleetDrone;

typedef struct Fleet {
  SkyMap *drone_by_id, *base_by_id, *zone_by_id;
  FleetDrone **drones; /* ordered by id */
  size_t drone_count, drone_capacity;
  FleetBase **bases; /* ordered by id */
  size_t base_count, base_capacity;
  Zone **zones; /* ordered by id */
  size_t zone_count, zone_capacity;
  double longest_range_m;
  Grid grid;
} Fleet;

typedef struct FleetRules {
  double reserve_fraction;    /* part of the battery that stays untouched */
  double assignable_fraction; /* with less charge a drone at its base is CHARGING */
  double handling_way_m;      /* loading and unloading take as long as flying this far: holds under time compression */
  int64_t offline_after_ms;   /* not heard of for so long: not assigned */
} FleetRules;

SKY_MUST_USE SkyStatus fleet_init(Fleet *fleet);
void fleet_finish(Fleet *fleet);

/* RESOURCE_EXHAUSTED when full. The new one is zeroed but for its id; fleet_refresh() when it is filled in. */
SKY_MUST_USE SkyStatus fleet_add_drone(Fleet *fleet, const char *id, FleetDrone **ret);
SKY_MUST_USE SkyStatus fleet_add_base(Fleet *fleet, const char *id, FleetBase **ret);
SKY_MUST_USE SkyStatus fleet_add_zone(Fleet *fleet, const char *id, Zone **ret);
void fleet_remove_drone(Fleet *fleet, FleetDrone *drone);
void fleet_remove_base(Fleet *fleet, FleetBase *base);
void fleet_remove_zone(Fleet *fleet, Zone *zone);
void fleet_set_base(FleetDrone *drone, FleetBase *base);

FleetDrone *fleet_drone(const Fleet *fleet, const char *id); /* NULL when absent */
FleetBase *fleet_base(const Fleet *fleet, const char *id);
Zone *fleet_zone(const Fleet *fleet, const char *id);
/* Index of the first with an id greater than after; for paging. */
size_t fleet_drones_after(const Fleet *fleet, const char *after);

/* After a change of a drone: puts it into the grid or takes it out. */
void fleet_refresh(Fleet *fleet, FleetDrone *drone);
FleetState fleet_state(const FleetDrone *drone, const FleetRules *rules, int64_t now_ms);

/* What a delivery asks of a drone. */
typedef struct FleetNeed {
  SkyPoint pickup, dropoff;
  double weight_kg;
  FleetSize size;
  int64_t pickup_ms;   /* not before; 0: at once */
  int64_t deadline_ms; /* 0: none */
} FleetNeed;

typedef struct FleetPlan {
  /* Where the drone was and how full when it was made: telemetry goes on, also while the drone is held. */
  LifePlace from;
  double battery_fraction;
  Route routes[3];
  double distance_m;
  int64_t start_ms; /* 0: at once */
  int64_t pickup_eta_ms, delivery_eta_ms;
} FleetPlan;

typedef enum FleetAnswer {
  FLEET_FOUND,
  FLEET_ALL_BUSY,   /* another time: those that could are busy, charging or out of service */
  FLEET_IMPOSSIBLE, /* no drone of the fleet could, even from its base with a full battery */
} FleetAnswer;

/* True when the drone could, from where it is with the charge it has. */
bool fleet_plan(const Fleet *fleet, const FleetRules *rules, const FleetDrone *drone, const FleetNeed *need,
                int64_t now_ms, FleetPlan *ret);

/*
 * The nearest able drone to the pickup; among equally near ones that with the smallest id. spare: drones that are kept
 * for somebody else. An empty fleet is ALL_BUSY: it has not registered yet.
 */
FleetAnswer fleet_choose(const Fleet *fleet, const FleetRules *rules, const FleetNeed *need, FleetDrone *const *spare,
                         size_t spare_count, int64_t now_ms, FleetDrone **ret, FleetPlan *ret_plan);

/* Size and weight a package counts as when its owner did not say. */
double fleet_weight_kg(FleetSize size, double weight_kg);
