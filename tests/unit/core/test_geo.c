#include <sky/core/geo.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>

static const SkyPoint space_needle = {47.6205, -122.3493};
static const SkyPoint redmond = {47.6740, -122.1215};

START_TEST(distance_agrees_with_known_cities) {
  /* Great-circle distances of the same sphere, by an independent calculator. */
  ck_assert_double_eq_tol(sky_geo_distance_m((SkyPoint){52.2296756, 21.0122287}, (SkyPoint){52.406374, 16.9251681}),
                          278459, 100);
  ck_assert_double_eq_tol(sky_geo_distance_m((SkyPoint){0, 0}, (SkyPoint){0, 1}), 111195, 1);
  ck_assert_double_eq_tol(sky_geo_distance_m((SkyPoint){0, 0}, (SkyPoint){0, 180}), M_PI * SKY_EARTH_RADIUS_M, 1);
}
END_TEST

START_TEST(distance_is_symmetric_and_zero_to_itself) {
  ck_assert_double_eq(sky_geo_distance_m(redmond, redmond), 0);
  ck_assert_double_eq_tol(sky_geo_distance_m(redmond, space_needle), sky_geo_distance_m(space_needle, redmond), 1e-6);
}
END_TEST

START_TEST(bearing_is_clockwise_from_north) {
  const SkyPoint origin = {0, 0};
  ck_assert_double_eq_tol(sky_geo_bearing(origin, (SkyPoint){1, 0}), 0, 1e-9);
  ck_assert_double_eq_tol(sky_geo_bearing(origin, (SkyPoint){0, 1}), 90, 1e-9);
  ck_assert_double_eq_tol(sky_geo_bearing(origin, (SkyPoint){-1, 0}), 180, 1e-9);
  ck_assert_double_eq_tol(sky_geo_bearing(origin, (SkyPoint){0, -1}), 270, 1e-9);
  ck_assert_double_eq(sky_geo_bearing(redmond, redmond), 0);
}
END_TEST

START_TEST(towards_splits_the_way) {
  const double whole = sky_geo_distance_m(space_needle, redmond);
  for (int i = 1; i < 10; i++) {
    const SkyPoint between = sky_geo_towards(space_needle, redmond, whole * i / 10);
    ck_assert_double_eq_tol(sky_geo_distance_m(space_needle, between), whole * i / 10, 0.01);
    ck_assert_double_eq_tol(sky_geo_distance_m(between, redmond), whole * (10 - i) / 10, 0.01);
  }
}
END_TEST

START_TEST(towards_never_overshoots) {
  const SkyPoint end = sky_geo_towards(space_needle, redmond, 1e9);
  ck_assert_double_eq(end.latitude, redmond.latitude);
  ck_assert_double_eq(end.longitude, redmond.longitude);
  const SkyPoint start = sky_geo_towards(space_needle, redmond, -5);
  ck_assert_double_eq(start.latitude, space_needle.latitude);
}
END_TEST

START_TEST(longitude_wraps_at_the_date_line) {
  const SkyPoint west = {10, 179.9}, east = {10, -179.9};
  ck_assert_double_lt(sky_geo_distance_m(west, east), 22000);
  const SkyPoint across = sky_geo_towards(west, east, 15000);
  ck_assert(sky_point_is_valid(across));
  ck_assert_double_lt(across.longitude, 0);
}
END_TEST

START_TEST(points_out_of_range_are_invalid) {
  ck_assert(sky_point_is_valid(redmond));
  ck_assert(!sky_point_is_valid((SkyPoint){91, 0}));
  ck_assert(!sky_point_is_valid((SkyPoint){0, -180.5}));
  ck_assert(!sky_point_is_valid((SkyPoint){NAN, 0}));
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("geo");
  tcase_add_test(cases, distance_agrees_with_known_cities);
  tcase_add_test(cases, distance_is_symmetric_and_zero_to_itself);
  tcase_add_test(cases, bearing_is_clockwise_from_north);
  tcase_add_test(cases, towards_splits_the_way);
  tcase_add_test(cases, towards_never_overshoots);
  tcase_add_test(cases, longitude_wraps_at_the_date_line);
  tcase_add_test(cases, points_out_of_range_are_invalid);
  Suite *suite = suite_create("core/geo");
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
