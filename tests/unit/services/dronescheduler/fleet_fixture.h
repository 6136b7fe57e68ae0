/* A small fleet to try things on: two bases in and near Seattle. */
#pragma once

#include "fleet.h"

#include "sky_check.h"

#define FIXTURE_NOW_MS INT64_C(1790000000000)

static const FleetRules fixture_rules = {
    .reserve_fraction = 0.1, .assignable_fraction = 0.3, .handling_way_m = 600, .offline_after_ms = 60000};
static const SkyPoint fixture_seattle = {47.6062, -122.3321};

static inline SkyPoint fixture_at(double bearing, double distance_m) {
  return sky_geo_destination(fixture_seattle, bearing, distance_m);
}

static inline FleetBase *fixture_base(Fleet *fleet, const char *id, SkyPoint point) {
  FleetBase *base = NULL;
  ck_assert_ptr_null(fleet_add_base(fleet, id, &base));
  base->place = (LifePlace){.point = point, .known = true};
  return base;
}

static inline FleetDrone *fixture_drone(Fleet *fleet, const char *id, FleetBase *base) {
  FleetDrone *drone = NULL;
  ck_assert_ptr_null(fleet_add_drone(fleet, id, &drone));
  fleet_set_base(drone, base);
  drone->range_m = 20000;
  drone->capacity_kg = 5;
  drone->max_size = FLEET_SIZE_MEDIUM;
  drone->cruise_speed_mps = 20;
  drone->battery_fraction = 1;
  drone->heard_ms = FIXTURE_NOW_MS;
  drone->place = base->place;
  fleet_refresh(fleet, drone);
  return drone;
}

static inline FleetNeed fixture_need(void) {
  return (FleetNeed){
      .pickup = fixture_at(90, 1000), .dropoff = fixture_at(90, 3000), .weight_kg = 2, .size = FLEET_SIZE_SMALL};
}

static inline FleetAnswer fixture_choose(const Fleet *fleet, FleetNeed need, FleetDrone **ret) {
  FleetPlan plan;
  *ret = NULL;
  return fleet_choose(fleet, &fixture_rules, &need, NULL, 0, FIXTURE_NOW_MS, ret, &plan);
}
