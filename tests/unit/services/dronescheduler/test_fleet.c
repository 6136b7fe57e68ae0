/* Which drone is chosen, and which never is. */
#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/id.h>
#include <sky/core/time.h>

#include "fleet_fixture.h"

static Fleet fleet;
static FleetBase *home, *far_base;
static FleetDrone *near_drone, *far_drone;

static void setup(void) {
  ck_assert_ptr_null(fleet_init(&fleet));
  home = fixture_base(&fleet, "home", fixture_seattle);
  far_base = fixture_base(&fleet, "far", fixture_at(0, 4000));
  near_drone = fixture_drone(&fleet, "drone-2", home);
  far_drone = fixture_drone(&fleet, "drone-1", far_base);
}

static void teardown(void) {
  fleet_finish(&fleet);
}

static void check_choice(FleetNeed need, FleetAnswer answer, const FleetDrone *expected) {
  FleetDrone *chosen;
  ck_assert_int_eq(fixture_choose(&fleet, need, &chosen), answer);
  ck_assert_ptr_eq(chosen, expected);
}

START_TEST(the_nearest_to_the_pickup_is_chosen_and_ties_go_by_id) {
  check_choice(fixture_need(), FLEET_FOUND, near_drone);
  FleetDrone *twin = fixture_drone(&fleet, "drone-0", home);
  check_choice(fixture_need(), FLEET_FOUND, twin);
}
END_TEST

START_TEST(whatever_makes_the_nearest_unable_gives_the_next) {
  FleetDrone saved = *near_drone;
  for (int reason = 0; reason < 9; reason++) {
    switch (reason) {
    case 0:
      near_drone->life.busy = true;
      break;
    case 1:
      near_drone->life.failed = true;
      break;
    case 2:
      near_drone->life.homing = true;
      break;
    case 3:
      near_drone->maintenance = true;
      break;
    case 4:
      near_drone->held = true;
      break;
    case 5:
      near_drone->unsure = true;
      break;
    case 6:
      near_drone->heard_ms = FIXTURE_NOW_MS - 60001;
      break;
    case 7:
      near_drone->capacity_kg = 1.9;
      break;
    default:
      near_drone->battery_fraction = 0.3;
      break; /* 6 km of way, but a tenth of the battery is reserve */
    }
    fleet_refresh(&fleet, near_drone);
    check_choice(fixture_need(), FLEET_FOUND, far_drone);
    GridItem item = near_drone->item;
    *near_drone = saved;
    near_drone->item = item;
    fleet_refresh(&fleet, near_drone);
    check_choice(fixture_need(), FLEET_FOUND, near_drone);
    saved = *near_drone;
  }
}
END_TEST

START_TEST(battery_must_cover_the_whole_way_and_the_reserve) {
  FleetPlan plan;
  const FleetNeed need = fixture_need();
  near_drone->battery_fraction = 0.1 + 6000.0 / 20000 + 0.001;
  ck_assert(fleet_plan(&fleet, &fixture_rules, near_drone, &need, FIXTURE_NOW_MS, &plan));
  ck_assert_double_eq_tol(plan.distance_m, 6000, 1);
  near_drone->battery_fraction = 0.1 + 6000.0 / 20000 - 0.001;
  ck_assert(!fleet_plan(&fleet, &fixture_rules, near_drone, &need, FIXTURE_NOW_MS, &plan));
}
END_TEST

START_TEST(times_follow_from_way_and_speed) {
  FleetPlan plan;
  FleetNeed need = fixture_need();
  ck_assert(fleet_plan(&fleet, &fixture_rules, near_drone, &need, FIXTURE_NOW_MS, &plan));
  ck_assert_int_eq(plan.start_ms, 0);
  ck_assert_int_le(llabs(plan.pickup_eta_ms - FIXTURE_NOW_MS - 50000), 20); /* 1,000 m at 20 m/s */
  ck_assert_int_le(llabs(plan.delivery_eta_ms - FIXTURE_NOW_MS - 50000 - 160000),
                   40); /* load 30 s, 2,000 m, unload 30 s */
  need.pickup_ms = FIXTURE_NOW_MS + 600000;
  ck_assert(fleet_plan(&fleet, &fixture_rules, near_drone, &need, FIXTURE_NOW_MS, &plan));
  ck_assert_int_eq(plan.pickup_eta_ms, need.pickup_ms);
  ck_assert_int_le(llabs(plan.start_ms - need.pickup_ms + 50000), 20);
}
END_TEST

START_TEST(impossible_for_good_is_told_from_all_busy) {
  FleetNeed need = fixture_need();
  near_drone->life.busy = far_drone->life.busy = true;
  fleet_refresh(&fleet, near_drone);
  fleet_refresh(&fleet, far_drone);
  check_choice(need, FLEET_ALL_BUSY, NULL);
  need.weight_kg = 5.1;
  check_choice(need, FLEET_IMPOSSIBLE, NULL);
  need = fixture_need();
  need.size = FLEET_SIZE_LARGE;
  check_choice(need, FLEET_IMPOSSIBLE, NULL);
  need = fixture_need();
  need.dropoff = fixture_at(90, 9500);
  check_choice(need, FLEET_IMPOSSIBLE, NULL);
  need = fixture_need();
  need.deadline_ms = FIXTURE_NOW_MS + 200000;
  check_choice(need, FLEET_IMPOSSIBLE, NULL);
  need.deadline_ms = FIXTURE_NOW_MS + 220000;
  check_choice(need, FLEET_ALL_BUSY, NULL);
}
END_TEST

START_TEST(a_low_battery_or_maintenance_is_not_for_good) {
  near_drone->battery_fraction = far_drone->battery_fraction = 0.05;
  check_choice(fixture_need(), FLEET_ALL_BUSY, NULL);
  near_drone->battery_fraction = far_drone->battery_fraction = 1;
  near_drone->maintenance = far_drone->maintenance = true;
  fleet_refresh(&fleet, near_drone);
  fleet_refresh(&fleet, far_drone);
  check_choice(fixture_need(), FLEET_ALL_BUSY, NULL);
}
END_TEST

START_TEST(an_empty_fleet_has_not_registered_yet) {
  fleet_remove_drone(&fleet, near_drone);
  fleet_remove_drone(&fleet, far_drone);
  ck_assert_uint_eq(home->drone_count, 0);
  check_choice(fixture_need(), FLEET_ALL_BUSY, NULL);
}
END_TEST

START_TEST(a_zone_in_the_way_lengthens_it_and_one_at_the_pickup_forbids_it) {
  FleetPlan straight, around;
  const FleetNeed need = fixture_need();
  ck_assert(fleet_plan(&fleet, &fixture_rules, near_drone, &need, FIXTURE_NOW_MS, &straight));
  Zone *zone;
  ck_assert_ptr_null(fleet_add_zone(&fleet, "zone", &zone));
  const SkyPoint middle = fixture_at(90, 2000);
  zone->corner_count = 4;
  for (size_t i = 0; i < 4; i++)
    zone->corners[i] = sky_geo_destination(middle, 45 + 90 * (double)i, 500);
  zone_measure(zone);
  ck_assert(fleet_plan(&fleet, &fixture_rules, near_drone, &need, FIXTURE_NOW_MS, &around));
  ck_assert_uint_gt(around.routes[1].turn_count, 0);
  ck_assert_double_gt(around.distance_m, straight.distance_m + 50);
  for (size_t i = 0; i < 4; i++)
    zone->corners[i] = sky_geo_destination(need.pickup, 45 + 90 * (double)i, 300);
  zone_measure(zone);
  check_choice(need, FLEET_IMPOSSIBLE, NULL);
  zone->end_ms = FIXTURE_NOW_MS - 1;
  check_choice(need, FLEET_FOUND, near_drone);
}
END_TEST

START_TEST(states_as_operators_see_them) {
  FleetDrone *drone = near_drone;
  ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS), FLEET_IDLE);
  drone->battery_fraction = 0.29;
  ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS), FLEET_CHARGING);
  drone->life.homing = true;
  ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS), FLEET_RETURNING);
  drone->life.homing = false;
  drone->life.busy = true;
  for (int phase = 0; phase < 8; phase++) {
    drone->life.mission.phase = (LifePhase)phase;
    const FleetState expected = phase == 0 ? FLEET_ASSIGNED : phase < 6 ? FLEET_FLYING : FLEET_RETURNING;
    ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS), expected);
  }
  drone->maintenance = true; /* it finishes its delivery first */
  ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS), FLEET_RETURNING);
  drone->life.busy = false;
  ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS), FLEET_MAINTENANCE);
  drone->maintenance = false;
  ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS + 60001), FLEET_OFFLINE);
  drone->life.failed = true;
  ck_assert_int_eq(fleet_state(drone, &fixture_rules, FIXTURE_NOW_MS + 60001), FLEET_FAILED);
}
END_TEST

START_TEST(tables_are_ordered_and_found_by_id) {
  for (int i = 99; i >= 10; i--) {
    char id[16];
    snprintf(id, sizeof(id), "x-%02d", i);
    fixture_drone(&fleet, id, home);
  }
  for (size_t i = 1; i < fleet.drone_count; i++)
    ck_assert_int_lt(strcmp(fleet.drones[i - 1]->id, fleet.drones[i]->id), 0);
  ck_assert_str_eq(fleet.drones[fleet_drones_after(&fleet, "x-10")]->id, "x-11");
  ck_assert_str_eq(fleet.drones[fleet_drones_after(&fleet, "")]->id, "drone-1");
  ck_assert_uint_eq(fleet_drones_after(&fleet, "x-99"), fleet.drone_count);
  fleet_remove_drone(&fleet, fleet_drone(&fleet, "x-50"));
  ck_assert_ptr_null(fleet_drone(&fleet, "x-50"));
  ck_assert_ptr_nonnull(fleet_drone(&fleet, "x-51"));
  FleetDrone *again;
  ck_assert_ptr_null(fleet_add_drone(&fleet, "x-50", &again));
  ck_assert_ptr_eq(fleet_drone(&fleet, "x-50"), again);
}
END_TEST

/* Processor time: what others do on the machine does not count. */
static int64_t used_ns(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return used.tv_sec * SKY_NS_PER_S + used.tv_nsec;
}

START_TEST(ten_thousand_drones_are_chosen_from_quickly) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 5);
  for (int i = 0; i < 10000; i++) {
    char id[16];
    snprintf(id, sizeof(id), "many-%05d", i);
    FleetDrone *drone = fixture_drone(&fleet, id, i % 2 ? home : far_base);
    drone->place.point = fixture_at(360 * sky_random_unit(&random.random), 20000 * sky_random_unit(&random.random));
    fleet_refresh(&fleet, drone);
  }
  const int64_t begin_ns = used_ns();
  for (int i = 0; i < 1000; i++) {
    FleetDrone *chosen;
    FleetNeed need = fixture_need();
    need.pickup = fixture_at(i, 3000);
    ck_assert_int_eq(fixture_choose(&fleet, need, &chosen), FLEET_FOUND);
  }
  /* A thousand choices; all by hand would be 10 million distances (a second). Generous for sanitizers on a busy
   * machine. */
  ck_assert_int_lt(used_ns() - begin_ns, 5 * SKY_NS_PER_S);
}
END_TEST

SKY_CHECK_MAIN_WITH("dronescheduler/fleet", setup, teardown, the_nearest_to_the_pickup_is_chosen_and_ties_go_by_id,
                    whatever_makes_the_nearest_unable_gives_the_next, battery_must_cover_the_whole_way_and_the_reserve,
                    times_follow_from_way_and_speed, impossible_for_good_is_told_from_all_busy,
                    a_low_battery_or_maintenance_is_not_for_good, an_empty_fleet_has_not_registered_yet,
                    a_zone_in_the_way_lengthens_it_and_one_at_the_pickup_forbids_it, states_as_operators_see_them,
                    tables_are_ordered_and_found_by_id, ten_thousand_drones_are_chosen_from_quickly)
