/*
 * Time, injected: code that decides by time takes a SkyClock, so that tests turn the hands themselves.
 *
 * Wall time is Unix time in ms or ns; monotonic time in ns is for deadlines and durations. Thread-safe when the clock's
 * functions are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/str.h>

enum { SKY_NS_PER_MS = 1000000, SKY_MS_PER_S = 1000 };
#define SKY_NS_PER_S INT64_C(1000000000)

typedef struct SkyClock {
  int64_t (*wall_ns)(void *self);
  int64_t (*monotonic_ns)(void *self);
  void *self;
} SkyClock;

/* The system's clock; never freed. */
const SkyClock *sky_clock_system_borrow(void);

/* wall: since 1970-01-01 UTC, may jump. monotonic: since some start, for deadlines and durations. */
int64_t sky_clock_wall_ns(const SkyClock *clock);
int64_t sky_clock_wall_ms(const SkyClock *clock);
int64_t sky_clock_monotonic_ns(const SkyClock *clock);

/* A clock that stands still until it is told; for tests. Thread-safe. */
typedef struct SkyManualClock {
  SkyClock clock;
  _Atomic int64_t wall_ns_now;
  _Atomic int64_t monotonic_ns_now;
} SkyManualClock;
void sky_manual_clock_init(SkyManualClock *clock, int64_t wall_ms);
void sky_manual_clock_advance_ms(SkyManualClock *clock, int64_t ms);

/* RFC 3339 in UTC with as many of 0, 3, 6 or 9 fractional digits as needed: "2026-11-21T03:14:18.250Z". */
enum { SKY_RFC3339_SIZE = 36 };
/* Years 0001-9999: what lies outside becomes the nearest second inside; nanos outside [0, 999999999] count as 0. */
void sky_time_format_rfc3339(int64_t seconds, int32_t nanos, char text[SKY_RFC3339_SIZE]);
/*
 * Accepts any offset and 1-9 fractional digits; years 0001-9999; false on anything else (month 13, second 61, trailing
 * text, lower-case t or z as in protobuf's JSON). A leap second, 23:59:60 UTC, counts as the midnight after it.
 */
bool sky_time_parse_rfc3339(SkyStr text, int64_t *ret_seconds, int32_t *ret_nanos);
/* Days and calendar fields in UTC, proleptic Gregorian. */
void sky_time_civil(int64_t unix_seconds, int *ret_year, int *ret_month, int *ret_day);
int64_t sky_time_from_civil(int year, int month, int day); /* Unix seconds at midnight UTC */
