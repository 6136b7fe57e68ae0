#include <sky/core/time.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SECONDS_PER_DAY = 86400, DAYS_PER_ERA = 146097 /* 400 years */, DAYS_0000_TO_1970 = 719468 };

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what RFC 3339 (and google.protobuf.Timestamp) can say. */
static const int64_t first_second = INT64_C(-62135596800), last_second = INT64_C(253402300799);

static int64_t read_clock(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * SKY_NS_PER_S + now.tv_nsec;
}

static int64_t system_wall_ns(void *self) {
  (void)self;
  return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic_ns(void *self) {
  (void)self;
  return read_clock(CLOCK_MONOTONIC);
}

const SkyClock *sky_clock_system_borrow(void) {
  static const SkyClock clock = {system_wall_ns, system_monotonic_ns, NULL};
  return &clock;
}

int64_t sky_clock_wall_ns(const SkyClock *clock) {
  return clock->wall_ns(clock->self);
}

int64_t sky_clock_wall_ms(const SkyClock *clock) {
  return sky_clock_wall_ns(clock) / SKY_NS_PER_MS;
}

int64_t sky_clock_monotonic_ns(const SkyClock *clock) {
  return clock->monotonic_ns(clock->self);
}

static int64_t manual_wall_ns(void *self) {
  return ((SkyManualClock *)self)->wall_ns_now;
}

static int64_t manual_monotonic_ns(void *self) {
  return ((SkyManualClock *)self)->monotonic_ns_now;
}

void sky_manual_clock_init(SkyManualClock *clock, int64_t wall_ms) {
  clock->clock = (SkyClock){manual_wall_ns, manual_monotonic_ns, clock};
  clock->wall_ns_now = wall_ms * SKY_NS_PER_MS;
  /* Never 0, so that a forgotten timestamp shows as long ago. */
  clock->monotonic_ns_now = SKY_NS_PER_S;
}

void sky_manual_clock_advance_ms(SkyManualClock *clock, int64_t ms) {
  clock->wall_ns_now += ms * SKY_NS_PER_MS;
  clock->monotonic_ns_now += ms * SKY_NS_PER_MS;
}

static int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
}

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the leap day comes last.
 */
void sky_time_civil(int64_t unix_seconds, int *ret_year, int *ret_month, int *ret_day) {
  const int64_t days = floor_div(unix_seconds, SECONDS_PER_DAY) + DAYS_0000_TO_1970;
  const int64_t era = floor_div(days, DAYS_PER_ERA);
  const int day_of_era = (int)(days - era * DAYS_PER_ERA);
  const int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int march_month = (5 * day_of_year + 2) / 153;
  *ret_day = day_of_year - (153 * march_month + 2) / 5 + 1;
  *ret_month = march_month < 10 ? march_month + 3 : march_month - 9;
  *ret_year = (int)(era * 400) + year_of_era + (*ret_month <= 2);
}

int64_t sky_time_from_civil(int year, int month, int day) {
  const int64_t march_year = (int64_t)year - (month <= 2);
  const int64_t era = floor_div(march_year, 400);
  const int64_t year_of_era = march_year - era * 400;
  const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (era * DAYS_PER_ERA + day_of_era - DAYS_0000_TO_1970) * SECONDS_PER_DAY;
}

static void format_fraction(int32_t nanos, char *text, size_t size) {
  if (nanos <= 0 || nanos >= SKY_NS_PER_S)
    text[0] = '\0';
  else if (nanos % 1000000 == 0)
    snprintf(text, size, ".%03d", nanos / 1000000);
  else if (nanos % 1000 == 0)
    snprintf(text, size, ".%06d", nanos / 1000);
  else
    snprintf(text, size, ".%09d", nanos);
}

void sky_time_format_rfc3339(int64_t seconds, int32_t nanos, char text[SKY_RFC3339_SIZE]) {
  if (seconds < first_second)
    seconds = first_second;
  if (seconds > last_second)
    seconds = last_second;
  int year, month, day;
  sky_time_civil(seconds, &year, &month, &day);
  const unsigned of_day = (unsigned)(seconds - floor_div(seconds, SECONDS_PER_DAY) * SECONDS_PER_DAY);
  char fraction[12];
  format_fraction(nanos, fraction, sizeof(fraction));
  snprintf(text, SKY_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u%sZ", (unsigned)year % 10000u, (unsigned)month % 100u,
           (unsigned)day % 100u, of_day / 3600 % 100u, of_day / 60 % 60, of_day % 60, fraction);
}

/* Reads exactly `digits` digits and steps over them. */
static bool take_number(SkyStr *text, size_t digits, int *ret) {
  uint64_t value;
  if (text->size < digits || !sky_str_to_uint64((SkyStr){text->data, digits}, &value))
    return false;
  *text = (SkyStr){text->data + digits, text->size - digits};
  *ret = (int)value;
  return true;
}

static bool take_char(SkyStr *text, char c) {
  if (text->size == 0 || text->data[0] != c)
    return false;
  *text = (SkyStr){text->data + 1, text->size - 1};
  return true;
}

static int days_in_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return days[month - 1] + (month == 2 && leap);
}

static bool take_date(SkyStr *text, int64_t *ret_seconds) {
  int year, month, day;
  if (!take_number(text, 4, &year) || !take_char(text, '-') || !take_number(text, 2, &month) || !take_char(text, '-') ||
      !take_number(text, 2, &day))
    return false;
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
    return false;
  *ret_seconds = sky_time_from_civil(year, month, day);
  return true;
}

static bool take_time_of_day(SkyStr *text, int *ret_seconds, bool *ret_leap) {
  int hour, minute, second;
  if (!take_number(text, 2, &hour) || !take_char(text, ':') || !take_number(text, 2, &minute) ||
      !take_char(text, ':') || !take_number(text, 2, &second))
    return false;
  if (hour > 23 || minute > 59 || second > 60)
    return false;
  *ret_seconds = hour * 3600 + minute * 60 + second;
  *ret_leap = second == 60;
  return true;
}

/* ".25" to 250000000; nothing to 0. */
static bool take_fraction(SkyStr *text, int32_t *ret_nanos) {
  int32_t nanos = 0;
  if (take_char(text, '.')) {
    int32_t scale = (int32_t)SKY_NS_PER_S;
    int digit;
    while (scale > 1 && take_number(text, 1, &digit)) {
      scale /= 10;
      nanos += digit * scale;
    }
    if (scale == SKY_NS_PER_S)
      return false;
  }
  *ret_nanos = nanos;
  return true;
}

static bool take_offset(SkyStr *text, int *ret_seconds) {
  if (take_char(text, 'Z')) {
    *ret_seconds = 0;
    return true;
  }
  const int sign = take_char(text, '+') ? 1 : take_char(text, '-') ? -1 : 0;
  int hour, minute;
  if (sign == 0 || !take_number(text, 2, &hour) || !take_char(text, ':') || !take_number(text, 2, &minute) ||
      hour > 23 || minute > 59)
    return false;
  *ret_seconds = sign * (hour * 3600 + minute * 60);
  return true;
}

bool sky_time_parse_rfc3339(SkyStr text, int64_t *ret_seconds, int32_t *ret_nanos) {
  int64_t seconds;
  int of_day, offset;
  int32_t nanos;
  bool leap;
  if (!take_date(&text, &seconds) || !take_char(&text, 'T') || !take_time_of_day(&text, &of_day, &leap) ||
      !take_fraction(&text, &nanos) || !take_offset(&text, &offset) || text.size > 0)
    return false;
  seconds += of_day - offset;
  /* Unix time has no leap seconds: 23:59:60 UTC counts as the midnight after it, and no other minute has 61. */
  if (leap && seconds % SECONDS_PER_DAY != 0)
    return false;
  if (seconds < first_second || seconds > last_second)
    return false;
  *ret_seconds = seconds;
  *ret_nanos = nanos;
  return true;
}
