#include "delivery/eta.h"

#include <sky_check.h>

/* One degree of longitude on the equator is 111,195 m. */
static const double DEGREE_M = 111195;
static const EtaModel calm = {.cruise_mps = 10, .weather_factor = 1, .history_factor = 1};

static EtaInput before_pickup(double speed_mps) {
  return (EtaInput){.now_ms = 1000000, .drone = {0, 0}, .pickup = {0, 1}, .dropoff = {0, 3}, .speed_mps = speed_mps};
}

START_TEST(both_ways_are_flown_before_pickup) {
  const EtaInput input = before_pickup(20);
  const EtaEstimate estimate = eta_estimate(&calm, &input);
  ck_assert_double_eq_tol(estimate.remaining_m, 3 * DEGREE_M, 10);
  ck_assert_int_eq(llabs(estimate.pickup_ms - 1000000 - (int64_t)(DEGREE_M / 20 * 1000)) < 1000, 1);
  ck_assert_int_eq(llabs(estimate.dropoff_ms - 1000000 - (int64_t)(3 * DEGREE_M / 20 * 1000)) < 1000, 1);
}
END_TEST

START_TEST(after_pickup_only_the_dropoff_is_left) {
  EtaInput input = before_pickup(20);
  input.picked_up = true;
  input.drone = (SkyPoint){0, 2};
  const EtaEstimate estimate = eta_estimate(&calm, &input);
  ck_assert_int_eq(estimate.pickup_ms, 0);
  ck_assert_double_eq_tol(estimate.remaining_m, DEGREE_M, 10);
  ck_assert_int_eq(llabs(estimate.dropoff_ms - 1000000 - (int64_t)(DEGREE_M / 20 * 1000)) < 1000, 1);
}
END_TEST

START_TEST(cruise_speed_weather_and_history_count_while_no_speed_is_reported) {
  const EtaModel storm = {.cruise_mps = 10, .weather_factor = 1.5, .history_factor = 1.2};
  const EtaInput resting = before_pickup(0), moving = before_pickup(10);
  const int64_t calm_ms = eta_estimate(&calm, &resting).dropoff_ms - 1000000;
  const int64_t storm_ms = eta_estimate(&storm, &resting).dropoff_ms - 1000000;
  ck_assert_double_eq_tol((double)storm_ms / (double)calm_ms, 1.8, 0.001);
  ck_assert_int_eq(eta_estimate(&storm, &moving).dropoff_ms, eta_estimate(&calm, &moving).dropoff_ms);
}
END_TEST

START_TEST(confidence_grows_with_nearness_and_with_a_reported_speed) {
  EtaInput far = before_pickup(20), near = before_pickup(20);
  near.picked_up = true;
  near.drone = (SkyPoint){0, 2.99};
  ck_assert_double_gt(eta_estimate(&calm, &near).confidence, eta_estimate(&calm, &far).confidence);
  ck_assert_double_le(eta_estimate(&calm, &near).confidence, 1);
  far.speed_mps = 0;
  ck_assert_double_lt(eta_estimate(&calm, &far).confidence, 0.61);
  ck_assert_double_ge(eta_estimate(&calm, &far).confidence, 0);
}
END_TEST

START_TEST(history_settles_at_what_deliveries_really_take) {
  EtaModel model = calm;
  for (int i = 0; i < 500; i++)
    eta_learn(&model, 1000, 1300);
  ck_assert_double_eq_tol(model.history_factor, 1.3, 0.01);
  for (int i = 0; i < 500; i++)
    eta_learn(&model, 1000, 100000);
  ck_assert_double_le(model.history_factor, 2);
  eta_learn(&model, 0, 5);
  eta_learn(&model, -5, 5);
  ck_assert_double_le(model.history_factor, 2);
}
END_TEST

SKY_CHECK_MAIN("delivery/eta", both_ways_are_flown_before_pickup, after_pickup_only_the_dropoff_is_left,
               cruise_speed_weather_and_history_count_while_no_speed_is_reported,
               confidence_grows_with_nearness_and_with_a_reported_speed, history_settles_at_what_deliveries_really_take)
