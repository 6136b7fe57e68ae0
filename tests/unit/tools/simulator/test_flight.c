/* One drone's flight: phases in order at the right times, battery by distance, orders and aborts at any moment. */
#include "flight.h"

#include <string.h>

#include "sky_check.h"

#define DELIVERY "00000000-0000-4000-8000-00000000000a"
static const SkyPoint home = {47.6, -122.3};
static Flight flight;
static FlightReport seen[64];
static size_t seen_count;

static void setup(void) {
  flight = (Flight){.range_m = 20000, .speed_mps = 20, .charge_per_ms = 1.0 / 1800000};
  flight_init(&flight, home, home, 1, 0);
  seen_count = 0;
}

static void teardown(void) {
  flight_finish(&flight);
}

static bool order_at(uint64_t revision, FlightPhase phase, int64_t start_ms, int64_t now_ms) {
  const FlightStop stops[] = {{sky_geo_destination(home, 90, 500), FLIGHT_NONE, 0},
                              {sky_geo_destination(home, 90, 1000), FLIGHT_AT_PICKUP, 30000},
                              {sky_geo_destination(home, 90, 3000), FLIGHT_AT_DROPOFF, 30000},
                              {home, FLIGHT_ENDED, 0}};
  const FlightOrder order = {DELIVERY, revision, stops, 4, 20, start_ms, phase};
  return flight_order(&flight, &order, now_ms);
}

static void run_until(int64_t now_ms) {
  while (flight_next_ms(&flight) <= now_ms)
    seen_count += flight_step(&flight, now_ms, seen + seen_count);
}

static void check_mission_times(int64_t start_ms) {
  const struct {
    FlightPhase phase;
    int64_t after_ms;
  } expected[] = {{FLIGHT_TO_PICKUP, 0},      {FLIGHT_AT_PICKUP, 50000},   {FLIGHT_PICKED_UP, 80000},
                  {FLIGHT_TO_DROPOFF, 80000}, {FLIGHT_AT_DROPOFF, 180000}, {FLIGHT_DELIVERED, 210000},
                  {FLIGHT_RETURNING, 210000}, {FLIGHT_ENDED, 360000}};
  ck_assert_uint_eq(seen_count, 8);
  for (size_t i = 0; i < 8; i++) {
    ck_assert_int_eq(seen[i].phase, expected[i].phase);
    ck_assert_int_le(llabs(seen[i].time_ms - start_ms - expected[i].after_ms), 10);
    ck_assert_str_eq(seen[i].delivery_id, DELIVERY);
    ck_assert_uint_eq(seen[i].revision, 1);
  }
}

START_TEST(a_mission_takes_its_time_and_its_charge) {
  ck_assert(order_at(1, FLIGHT_NONE, 0, 1000));
  ck_assert(!order_at(1, FLIGHT_NONE, 0, 1000)); /* an order may come twice */
  for (int64_t now_ms = 1000; now_ms < 400000; now_ms += 700)
    run_until(now_ms);
  check_mission_times(1000);
  ck_assert_double_eq_tol(seen[4].battery_fraction, 1 - 3000.0 / 20000, 0.001);
  ck_assert_double_eq_tol(seen[7].battery_fraction, 1 - 6000.0 / 20000, 0.001);
  ck_assert_str_eq(flight.delivery_id, "");
  const FlightReport later =
      flight_look(&flight, seen[7].time_ms + 180000); /* a tenth of the half hour of a full charge */
  ck_assert_double_eq_tol(later.battery_fraction, 0.8, 0.001);
  ck_assert_int_eq(later.mode, FLIGHT_CHARGING);
  ck_assert_double_eq(flight_look(&flight, seen[7].time_ms + 1800000).battery_fraction, 1);
}
END_TEST

START_TEST(looking_late_changes_nothing) {
  order_at(1, FLIGHT_NONE, 0, 1000);
  run_until(100000000);
  check_mission_times(1000);
}
END_TEST

START_TEST(it_waits_for_its_start) {
  order_at(1, FLIGHT_NONE, 50000, 1000);
  run_until(49999);
  ck_assert_uint_eq(seen_count, 0);
  run_until(500000);
  check_mission_times(50000);
}
END_TEST

START_TEST(between_stops_it_is_where_its_speed_has_brought_it) {
  order_at(1, FLIGHT_NONE, 0, 0);
  run_until(35000);
  const FlightReport there = flight_look(&flight, 35000);
  ck_assert_double_eq_tol(sky_geo_distance_m(home, there.place), 700, 1);
  ck_assert_double_eq_tol(there.east_mps, 20, 0.1);
  ck_assert_int_eq(there.mode, FLIGHT_CRUISE);
  ck_assert_double_eq_tol(there.battery_fraction, 1 - 700.0 / 20000, 0.001);
}
END_TEST

START_TEST(after_a_restart_it_goes_on_in_the_phase_told) {
  for (int phase = FLIGHT_TO_PICKUP; phase <= FLIGHT_RETURNING; phase++) {
    flight_finish(&flight);
    setup();
    flight_init(&flight, home, sky_geo_destination(home, 90, 1500), 0.8, 0);
    ck_assert(order_at(1, (FlightPhase)phase, 0, 0));
    run_until(1000000);
    ck_assert_uint_gt(seen_count, 0);
    for (size_t i = 0; i < seen_count; i++)
      ck_assert_int_gt(seen[i].phase, i == 0 ? phase : (int)seen[i - 1].phase);
    ck_assert_int_eq(seen[seen_count - 1].phase, FLIGHT_ENDED);
  }
}
END_TEST

START_TEST(an_aborted_one_flies_home_and_says_so) {
  flight_abort(&flight, 0);
  ck_assert_int_eq(flight_next_ms(&flight), INT64_MAX);
  order_at(1, FLIGHT_NONE, 0, 0);
  run_until(35000);
  seen_count = 0;
  flight_abort(&flight, 35000);
  ck_assert_str_eq(flight.delivery_id, "");
  run_until(69000);
  ck_assert_uint_eq(seen_count, 0);
  run_until(71000);
  ck_assert_uint_eq(seen_count, 1);
  ck_assert_int_eq(seen[0].phase, FLIGHT_NONE);
  ck_assert_int_eq(seen[0].mode, FLIGHT_CHARGING);
  ck_assert_double_eq_tol(sky_geo_distance_m(seen[0].place, home), 0, 1);
}
END_TEST

START_TEST(new_terms_begin_anew_from_where_it_is) {
  order_at(1, FLIGHT_NONE, 0, 0);
  run_until(35000);
  ck_assert(order_at(2, FLIGHT_NONE, 0, 35000));
  ck_assert(!order_at(1, FLIGHT_NONE, 0, 35000));
  seen_count = 0;
  run_until(1000000);
  ck_assert_uint_eq(seen_count, 8);
  ck_assert_uint_eq(seen[0].revision, 2);
}
END_TEST

START_TEST(one_that_is_found_in_the_field_flies_home) {
  flight_init(&flight, home, sky_geo_destination(home, 0, 2000), 0.5, 0);
  run_until(200000);
  ck_assert_uint_eq(seen_count, 1);
  ck_assert_int_le(llabs(seen[0].time_ms - 100000), 10);
  ck_assert_double_eq_tol(seen[0].battery_fraction, 0.4, 0.001);
}
END_TEST

SKY_CHECK_MAIN_WITH("simulator/flight", setup, teardown, a_mission_takes_its_time_and_its_charge,
                    looking_late_changes_nothing, it_waits_for_its_start,
                    between_stops_it_is_where_its_speed_has_brought_it, after_a_restart_it_goes_on_in_the_phase_told,
                    an_aborted_one_flies_home_and_says_so, new_terms_begin_anew_from_where_it_is,
                    one_that_is_found_in_the_field_flies_home)
