/* Keeping out of no-fly zones. */
#include "zone.h"

#include "sky_check.h"

static Zone square(double south, double west, double north, double east) {
  Zone zone = {.corner_count = 4, .corners = {{south, west}, {north, west}, {north, east}, {south, east}}};
  zone_measure(&zone);
  return zone;
}

static const SkyPoint west_of = {47.0, -122.2}, east_of = {47.0, -121.8};

START_TEST(inside_outside_and_crossing) {
  const Zone zone = square(46.95, -122.05, 47.05, -121.95);
  ck_assert(zone_contains(&zone, (SkyPoint){47, -122}));
  ck_assert(!zone_contains(&zone, west_of));
  ck_assert(zone_is_crossed(&zone, west_of, east_of));
  ck_assert(zone_is_crossed(&zone, west_of, (SkyPoint){47, -122}));
  ck_assert(!zone_is_crossed(&zone, west_of, (SkyPoint){47.2, -121.8}));
  ck_assert(!zone_is_crossed(&zone, west_of, (SkyPoint){47, -122.1}));
}
END_TEST

START_TEST(it_holds_only_in_its_time) {
  Zone zone = square(0, 0, 1, 1);
  ck_assert(zone_holds(&zone, 0, 1));
  zone.start_ms = 100;
  zone.end_ms = 200;
  ck_assert(!zone_holds(&zone, 0, 100));
  ck_assert(zone_holds(&zone, 0, 101));
  ck_assert(zone_holds(&zone, 199, 300));
  ck_assert(!zone_holds(&zone, 200, 300));
}
END_TEST

START_TEST(a_low_zone_is_flown_over_but_not_landed_in) {
  Zone zone = square(46.95, -122.05, 47.05, -121.95);
  zone.ceiling_m = 50;
  ck_assert(!zone_is_crossed(&zone, west_of, east_of));
  ck_assert(zone_is_crossed(&zone, west_of, (SkyPoint){47, -122}));
}
END_TEST

START_TEST(straight_when_nothing_is_in_the_way) {
  const Zone zone = square(10, 10, 11, 11);
  const Zone *zones[] = {&zone};
  Route route;
  ck_assert(route_plan(zones, 1, west_of, east_of, 0, 1, &route));
  ck_assert_uint_eq(route.turn_count, 0);
  ck_assert_double_eq(route.distance_m, sky_geo_distance_m(west_of, east_of));
}
END_TEST

static void check_keeps_out(const Zone *const *zones, size_t count, SkyPoint from, SkyPoint to) {
  Route route;
  ck_assert(route_plan(zones, count, from, to, 0, 1, &route));
  double sum = 0;
  SkyPoint at = from;
  for (size_t i = 0; i <= route.turn_count; i++) {
    const SkyPoint next = i < route.turn_count ? route.turns[i] : to;
    for (size_t z = 0; z < count; z++)
      ck_assert(!zone_is_crossed(zones[z], at, next));
    sum += sky_geo_distance_m(at, next);
    at = next;
  }
  ck_assert_double_eq_tol(sum, route.distance_m, 1e-6);
  ck_assert_double_gt(route.distance_m, sky_geo_distance_m(from, to));
}

START_TEST(around_one_and_around_two) {
  const Zone first = square(46.95, -122.05, 47.05, -122.0), second = square(46.8, -121.95, 47.02, -121.9);
  const Zone *zones[] = {&first, &second};
  check_keeps_out(zones, 1, west_of, east_of);
  check_keeps_out(zones, 2, west_of, east_of);
}
END_TEST

START_TEST(out_of_a_hollow_of_a_bent_zone) {
  /* A horseshoe open to the west; the way starts inside the hollow and goes east. */
  Zone zone = {.corner_count = 8,
               .corners = {{46.9, -122.1},
                           {47.1, -122.1},
                           {47.1, -121.9},
                           {46.9, -121.9},
                           {46.9, -121.95},
                           {47.05, -121.95},
                           {47.05, -122.05},
                           {46.9, -122.05}}};
  zone_measure(&zone);
  const Zone *zones[] = {&zone};
  check_keeps_out(zones, 1, (SkyPoint){46.95, -122.0}, (SkyPoint){47.2, -122.0});
}
END_TEST

START_TEST(no_way_into_or_out_of_a_zone) {
  const Zone zone = square(46.95, -122.05, 47.05, -121.95);
  const Zone *zones[] = {&zone};
  Route route;
  ck_assert(!route_plan(zones, 1, west_of, (SkyPoint){47, -122}, 0, 1, &route));
  ck_assert(!route_plan(zones, 1, (SkyPoint){47, -122}, east_of, 0, 1, &route));
}
END_TEST

SKY_CHECK_MAIN("dronescheduler/zone", inside_outside_and_crossing, it_holds_only_in_its_time,
               a_low_zone_is_flown_over_but_not_landed_in, straight_when_nothing_is_in_the_way,
               around_one_and_around_two, out_of_a_hollow_of_a_bent_zone, no_way_into_or_out_of_a_zone)
