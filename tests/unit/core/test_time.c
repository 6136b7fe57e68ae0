#include <sky/core/time.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sky_check.h"

START_TEST(system_clock_agrees_with_the_kernel) {
  const SkyClock *clock = sky_clock_system_borrow();
  const int64_t before_s = time(NULL);
  const int64_t wall_ms = sky_clock_wall_ms(clock);
  ck_assert_int_ge(wall_ms / 1000, before_s - 1);
  ck_assert_int_le(wall_ms / 1000, time(NULL) + 1);
  const int64_t first_ns = sky_clock_monotonic_ns(clock);
  ck_assert_int_ge(sky_clock_monotonic_ns(clock), first_ns);
}
END_TEST

START_TEST(manual_clock_moves_only_when_told) {
  SkyManualClock manual;
  sky_manual_clock_init(&manual, 1000);
  const int64_t start_ns = sky_clock_monotonic_ns(&manual.clock);
  ck_assert_int_eq(sky_clock_wall_ms(&manual.clock), 1000);
  sky_manual_clock_advance_ms(&manual, 250);
  ck_assert_int_eq(sky_clock_wall_ms(&manual.clock), 1250);
  ck_assert_int_eq(sky_clock_wall_ns(&manual.clock), 1250 * INT64_C(1000000));
  ck_assert_int_eq(sky_clock_monotonic_ns(&manual.clock), start_ns + 250 * INT64_C(1000000));
}
END_TEST

static void assert_format(int64_t seconds, int32_t nanos, const char *expected) {
  char text[SKY_RFC3339_SIZE];
  sky_time_format_rfc3339(seconds, nanos, text);
  ck_assert_str_eq(text, expected);
}

START_TEST(format_uses_as_many_digits_as_needed) {
  assert_format(0, 0, "1970-01-01T00:00:00Z");
  assert_format(1795230858, 250000000, "2026-11-21T03:14:18.250Z");
  assert_format(0, 1, "1970-01-01T00:00:00.000000001Z");
  assert_format(0, 999999000, "1970-01-01T00:00:00.999999Z");
  assert_format(-1, 0, "1969-12-31T23:59:59Z");
  assert_format(951782400, 0, "2000-02-29T00:00:00Z");
}
END_TEST

START_TEST(format_keeps_to_the_years_that_exist) {
  assert_format(INT64_C(253402300799), 999999999, "9999-12-31T23:59:59.999999999Z");
  assert_format(INT64_C(-62135596800), 0, "0001-01-01T00:00:00Z");
  assert_format(INT64_MAX, 0, "9999-12-31T23:59:59Z");
  assert_format(INT64_MIN, 0, "0001-01-01T00:00:00Z");
  assert_format(0, -1, "1970-01-01T00:00:00Z");
  assert_format(0, INT32_MAX, "1970-01-01T00:00:00Z");
}
END_TEST

static void assert_parse(const char *text, int64_t seconds, int32_t nanos) {
  int64_t got_seconds = -1;
  int32_t got_nanos = -1;
  ck_assert_msg(sky_time_parse_rfc3339(sky_str(text), &got_seconds, &got_nanos), "%s", text);
  ck_assert_int_eq(got_seconds, seconds);
  ck_assert_int_eq(got_nanos, nanos);
}

START_TEST(parse_takes_offsets_and_fractions) {
  assert_parse("2026-11-21T03:14:18.250Z", 1795230858, 250000000);
  assert_parse("2026-11-21T03:14:18.000000001Z", 1795230858, 1);
  assert_parse("2026-11-21T03:14:18.9Z", 1795230858, 900000000);
  assert_parse("2026-11-21T04:44:18+01:30", 1795230858, 0);
  assert_parse("2026-11-20T19:14:18-08:00", 1795230858, 0);
  assert_parse("1970-01-01T00:00:00-00:00", 0, 0);
  assert_parse("2024-02-29T00:00:00Z", 1709164800, 0);
  assert_parse("0001-01-01T00:00:00Z", INT64_C(-62135596800), 0);
  assert_parse("9999-12-31T23:59:59.999999999Z", INT64_C(253402300799), 999999999);
}
END_TEST

START_TEST(a_leap_second_is_the_midnight_after_it) {
  assert_parse("2016-12-31T23:59:60Z", 1483228800, 0);
  assert_parse("2016-12-31T18:59:60.5-05:00", 1483228800, 500000000);
}
END_TEST

START_TEST(parse_refuses_everything_else) {
  static const char *const wrong[] = {"",
                                      "2026-11-21",
                                      "2026-11-21T03:14:18",
                                      "2026-11-21T03:14Z",
                                      "2026-11-21 03:14:18Z",
                                      "2026-11-21t03:14:18Z",
                                      "2026-11-21T03:14:18z",
                                      "2026-11-21T03:14:18Z ",
                                      " 2026-11-21T03:14:18Z",
                                      "2026-11-21T03:14:18.Z",
                                      "2026-11-21T03:14:18.0000000001Z",
                                      "2026-11-21T03:14:18,5Z",
                                      "2026-13-21T03:14:18Z",
                                      "2026-00-21T03:14:18Z",
                                      "2026-11-31T03:14:18Z",
                                      "2026-11-00T03:14:18Z",
                                      "2025-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-11-21T24:00:00Z",
                                      "2026-11-21T03:60:00Z",
                                      "2026-11-21T03:14:61Z",
                                      "2026-11-21T03:14:60Z",
                                      "2026-11-21T23:59:60+01:00",
                                      "2026-11-21T03:14:18+24:00",
                                      "2026-11-21T03:14:18+01:60",
                                      "2026-11-21T03:14:18+0100",
                                      "2026-11-21T03:14:18+01",
                                      "0000-12-31T23:59:59Z",
                                      "0001-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:59-00:01",
                                      "9999-12-31T23:59:60Z",
                                      "+2026-11-21T03:14:18Z",
                                      "2026-1-21T03:14:18Z",
                                      "12026-11-21T03:14:18Z",
                                      "2026-11-21T-3:14:18Z"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    int64_t seconds = -7;
    int32_t nanos = -7;
    ck_assert_msg(!sky_time_parse_rfc3339(sky_str(wrong[i]), &seconds, &nanos), "%s", wrong[i]);
    ck_assert(seconds == -7 && nanos == -7);
  }
  int64_t seconds;
  int32_t nanos;
  ck_assert(!sky_time_parse_rfc3339(SKY_STR("2026-11-21T03:14:18\0Z"), &seconds, &nanos));
}
END_TEST

/* The C library is the oracle for every 5th day of the years 1 to 9999. */
START_TEST(calendar_agrees_with_the_c_library) {
  for (int64_t second = INT64_C(-62135596800); second < INT64_C(253402300800); second += 5 * 86400 + 1) {
    const time_t t = (time_t)second;
    struct tm expected;
    gmtime_r(&t, &expected);
    int year, month, day;
    sky_time_civil(second, &year, &month, &day);
    const int64_t midnight = second - (expected.tm_hour * 3600 + expected.tm_min * 60 + expected.tm_sec);
    if (year != expected.tm_year + 1900 || month != expected.tm_mon + 1 || day != expected.tm_mday ||
        sky_time_from_civil(year, month, day) != midnight)
      ck_abort_msg("%lld", (long long)second);
  }
}
END_TEST

START_TEST(what_is_formatted_parses_back) {
  for (int64_t second = INT64_C(-62135596800); second < INT64_C(253402300800); second += 86400 * 365 + 12345) {
    char text[SKY_RFC3339_SIZE];
    sky_time_format_rfc3339(second, 123456789, text);
    assert_parse(text, second, 123456789);
  }
}
END_TEST

SKY_CHECK_MAIN("core/time", system_clock_agrees_with_the_kernel, manual_clock_moves_only_when_told,
               format_uses_as_many_digits_as_needed, format_keeps_to_the_years_that_exist,
               parse_takes_offsets_and_fractions, a_leap_second_is_the_midnight_after_it, parse_refuses_everything_else,
               calendar_agrees_with_the_c_library, what_is_formatted_parses_back)
