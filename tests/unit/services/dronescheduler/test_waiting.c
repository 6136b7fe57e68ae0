/* Expedited deliveries that wait keep the drones they would get. */
#include "waiting.h"

#include <stdio.h>
#include <string.h>

#include "fleet_fixture.h"

static Fleet fleet;
static Waiting waiting;
static FleetDrone *first, *second;

static void setup(void) {
  ck_assert_ptr_null(fleet_init(&fleet));
  FleetBase *home = fixture_base(&fleet, "home", fixture_seattle);
  first = fixture_drone(&fleet, "drone-1", home);
  second = fixture_drone(&fleet, "drone-2", home);
  memset(&waiting, 0, sizeof(waiting));
}

static void teardown(void) {
  fleet_finish(&fleet);
}

static size_t claims(int64_t now_ms, FleetDrone *ret[WAITING_MAX]) {
  return waiting_claims(&waiting, &fleet, &fixture_rules, now_ms, ret);
}

START_TEST(each_that_waits_claims_another_drone) {
  FleetDrone *kept[WAITING_MAX];
  const FleetNeed need = fixture_need();
  ck_assert_uint_eq(claims(FIXTURE_NOW_MS, kept), 0);
  waiting_add(&waiting, "a", &need, FIXTURE_NOW_MS);
  ck_assert_uint_eq(claims(FIXTURE_NOW_MS, kept), 1);
  ck_assert_ptr_eq(kept[0], first);
  waiting_add(&waiting, "b", &need, FIXTURE_NOW_MS);
  waiting_add(&waiting, "b", &need, FIXTURE_NOW_MS);
  waiting_add(&waiting, "c", &need, FIXTURE_NOW_MS);
  ck_assert_uint_eq(claims(FIXTURE_NOW_MS, kept), 2);
  ck_assert_ptr_eq(kept[1], second);
  FleetDrone *chosen;
  FleetPlan plan;
  ck_assert_int_eq(fleet_choose(&fleet, &fixture_rules, &need, kept, 2, FIXTURE_NOW_MS, &chosen, &plan),
                   FLEET_ALL_BUSY);
  ck_assert_int_eq(fleet_choose(&fleet, &fixture_rules, &need, kept, 1, FIXTURE_NOW_MS, &chosen, &plan), FLEET_FOUND);
  ck_assert_ptr_eq(chosen, second);
}
END_TEST

START_TEST(who_does_not_come_back_or_is_served_claims_nothing) {
  FleetDrone *kept[WAITING_MAX];
  const FleetNeed need = fixture_need();
  waiting_add(&waiting, "a", &need, FIXTURE_NOW_MS);
  waiting_add(&waiting, "b", &need, FIXTURE_NOW_MS + 1000);
  waiting_remove(&waiting, "nobody");
  ck_assert_uint_eq(claims(FIXTURE_NOW_MS + WAITING_KEEP_MS + 1, kept), 1);
  waiting_remove(&waiting, "b");
  ck_assert_uint_eq(claims(FIXTURE_NOW_MS, kept), 0);
}
END_TEST

START_TEST(it_is_bounded_and_the_oldest_goes) {
  const FleetNeed need = fixture_need();
  for (int i = 0; i < WAITING_MAX + 5; i++) {
    char id[16];
    snprintf(id, sizeof(id), "%d", i);
    waiting_add(&waiting, id, &need, FIXTURE_NOW_MS);
  }
  ck_assert_uint_eq(waiting.count, WAITING_MAX);
  ck_assert_str_eq(waiting.entry[0].delivery_id, "5");
}
END_TEST

SKY_CHECK_MAIN_WITH("dronescheduler/waiting", setup, teardown, each_that_waits_claims_another_drone,
                    who_does_not_come_back_or_is_served_claims_nothing, it_is_bounded_and_the_oldest_goes)
