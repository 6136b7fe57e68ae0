/*
 * Choosing: which drone can fly a delivery, and which of those is the nearest. The other half of fleet.h.
 */
#include "fleet.h"

#include <math.h>

#include <sky/core/time.h>

double fleet_weight_kg(FleetSize size, double weight_kg) {
  static const double typical[] = {
      [FLEET_SIZE_NONE] = 1.0, [FLEET_SIZE_SMALL] = 1.0, [FLEET_SIZE_MEDIUM] = 3.0, [FLEET_SIZE_LARGE] = 6.0};
  return weight_kg > 0 ? weight_kg : typical[size];
}

static bool carries(const FleetDrone *drone, const FleetNeed *need) {
  const FleetSize size = need->size == FLEET_SIZE_NONE ? FLEET_SIZE_SMALL : need->size;
  const FleetSize holds = drone->max_size == FLEET_SIZE_NONE ? FLEET_SIZE_SMALL : drone->max_size;
  return holds >= size && drone->capacity_kg >= need->weight_kg;
}

static bool in_time(const FleetNeed *need, int64_t delivery_ms) {
  return need->deadline_ms == 0 || delivery_ms <= need->deadline_ms;
}

static int64_t travel_ms(double distance_m, double speed_mps) {
  return (int64_t)ceil(distance_m / speed_mps * SKY_MS_PER_S);
}

/* Times of a way that is known, leaving as late as the pickup time allows. */
static void set_times(const FleetRules *rules, const FleetDrone *drone, const FleetNeed *need, int64_t now_ms,
                      FleetPlan *plan) {
  const double speed = drone->cruise_speed_mps;
  const int64_t to_pickup_ms = travel_ms(plan->routes[0].distance_m, speed);
  const int64_t handling_ms = travel_ms(rules->handling_way_m, speed);
  plan->start_ms = need->pickup_ms > now_ms + to_pickup_ms ? need->pickup_ms - to_pickup_ms : 0;
  plan->pickup_eta_ms = (plan->start_ms != 0 ? plan->start_ms : now_ms) + to_pickup_ms;
  plan->delivery_eta_ms =
      plan->pickup_eta_ms + handling_ms + travel_ms(plan->routes[1].distance_m, speed) + handling_ms;
}

static bool plan_from(const Fleet *fleet, const FleetRules *rules, const FleetDrone *drone, SkyPoint from,
                      double battery_fraction, const FleetNeed *need, int64_t now_ms, FleetPlan *ret) {
  const SkyPoint stops[] = {from, need->pickup, need->dropoff, drone->base->place.point};
  const double reach_m = (battery_fraction - rules->reserve_fraction) * drone->range_m;
  FleetPlan plan = {0};
  /* First as the crow flies: most candidates fail there, and no zone makes a way shorter. */
  double straight_m = 0;
  for (size_t leg = 0; leg < 3; leg++)
    straight_m += sky_geo_distance_m(stops[leg], stops[leg + 1]);
  if (straight_m > reach_m || drone->cruise_speed_mps <= 0)
    return false;
  const int64_t end_ms = now_ms + travel_ms(straight_m * 2, drone->cruise_speed_mps);
  for (size_t leg = 0; leg < 3; leg++) {
    if (!route_plan((const Zone *const *)fleet->zones, fleet->zone_count, stops[leg], stops[leg + 1], now_ms, end_ms,
                    &plan.routes[leg]))
      return false;
    plan.distance_m += plan.routes[leg].distance_m;
  }
  set_times(rules, drone, need, now_ms, &plan);
  if (plan.distance_m > reach_m || !in_time(need, plan.delivery_eta_ms))
    return false;
  *ret = plan;
  return true;
}

bool fleet_plan(const Fleet *fleet, const FleetRules *rules, const FleetDrone *drone, const FleetNeed *need,
                int64_t now_ms, FleetPlan *ret) {
  if (!carries(drone, need) || drone->base == NULL || !drone->place.known ||
      !plan_from(fleet, rules, drone, drone->place.point, drone->battery_fraction, need, now_ms, ret))
    return false;
  ret->from = drone->place;
  ret->battery_fraction = drone->battery_fraction;
  return true;
}

typedef struct Choice {
  const Fleet *fleet;
  const FleetRules *rules;
  const FleetNeed *need;
  FleetDrone *const *spare;
  size_t spare_count;
  int64_t now_ms;
  FleetPlan plan; /* of the drone accepted last */
} Choice;

static bool is_spared(const Choice *choice, const FleetDrone *drone) {
  for (size_t i = 0; i < choice->spare_count; i++) {
    if (choice->spare[i] == drone)
      return true;
  }
  return false;
}

static bool accept_drone(void *user, GridItem *item, double distance_m) {
  Choice *choice = user;
  const FleetDrone *drone = (const FleetDrone *)item; /* item is its first member */
  if (drone->held || drone->unsure || is_spared(choice, drone) ||
      choice->now_ms - drone->heard_ms > choice->rules->offline_after_ms)
    return false;
  return fleet_plan(choice->fleet, choice->rules, drone, choice->need, choice->now_ms, &choice->plan);
}

/* Could it ever: from its base, with a full battery? Drones of one base and make differ in nothing here, so the last
 * answer is kept. */
static bool could_ever(const Choice *choice) {
  const FleetDrone *like = NULL;
  for (size_t i = 0; i < choice->fleet->drone_count; i++) {
    const FleetDrone *drone = choice->fleet->drones[i];
    if (drone->base == NULL || !carries(drone, choice->need))
      continue;
    if (like != NULL && like->base == drone->base && like->range_m >= drone->range_m &&
        like->cruise_speed_mps >= drone->cruise_speed_mps)
      continue;
    FleetPlan plan;
    if (plan_from(choice->fleet, choice->rules, drone, drone->base->place.point, 1.0, choice->need, choice->now_ms,
                  &plan))
      return true;
    like = drone;
  }
  return false;
}

FleetAnswer fleet_choose(const Fleet *fleet, const FleetRules *rules, const FleetNeed *need, FleetDrone *const *spare,
                         size_t spare_count, int64_t now_ms, FleetDrone **ret, FleetPlan *ret_plan) {
  Choice choice = {
      .fleet = fleet, .rules = rules, .need = need, .spare = spare, .spare_count = spare_count, .now_ms = now_ms};
  GridItem *item = grid_nearest(&fleet->grid, need->pickup, fleet->longest_range_m, accept_drone, &choice);
  if (item != NULL) {
    *ret = (FleetDrone *)item;
    *ret_plan = choice.plan;
    return FLEET_FOUND;
  }
  return fleet->drone_count == 0 || could_ever(&choice) ? FLEET_ALL_BUSY : FLEET_IMPOSSIBLE;
}
