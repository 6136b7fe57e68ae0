#include <sky/core/breaker.h>

#include "sky_check.h"

static SkyBreaker breaker;
static int64_t until_ms;

static void setup(void) {
  sky_breaker_init(&breaker, (SkyBreakerPolicy){.failures = 3, .open_ms = 100, .max_open_ms = 300, .max_calls = 4});
}

static void call_fails(int64_t now_ms) {
  ck_assert_int_eq(sky_breaker_begin(&breaker, now_ms, &until_ms), SKY_BREAKER_GO);
  sky_breaker_end(&breaker, true, now_ms);
}

static void open_it(void) {
  for (int i = 0; i < 3; i++)
    call_fails(0);
}

START_TEST(no_more_calls_at_once_than_allowed) {
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(sky_breaker_begin(&breaker, 0, &until_ms), SKY_BREAKER_GO);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 0, &until_ms), SKY_BREAKER_FULL);
  sky_breaker_end(&breaker, false, 0);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 0, &until_ms), SKY_BREAKER_GO);
}
END_TEST

START_TEST(opens_after_failures_in_a_row) {
  call_fails(0);
  call_fails(0);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 0, &until_ms), SKY_BREAKER_GO);
  sky_breaker_end(&breaker, false, 0);
  call_fails(0);
  call_fails(0);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 0, &until_ms), SKY_BREAKER_GO);
  sky_breaker_end(&breaker, true, 0);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 50, &until_ms), SKY_BREAKER_OPEN);
  ck_assert_int_eq(until_ms, 100);
}
END_TEST

START_TEST(one_probe_closes_it) {
  open_it();
  ck_assert_int_eq(sky_breaker_begin(&breaker, 100, &until_ms), SKY_BREAKER_GO);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 100, &until_ms), SKY_BREAKER_OPEN);
  ck_assert_int_gt(until_ms, 100);
  sky_breaker_end(&breaker, false, 110);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 110, &until_ms), SKY_BREAKER_GO);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 110, &until_ms), SKY_BREAKER_GO);
}
END_TEST

START_TEST(failed_probes_wait_longer_up_to_a_limit) {
  open_it();
  const int64_t waits[] = {200, 300, 300};
  int64_t now_ms = 100;
  for (int i = 0; i < 3; i++) {
    call_fails(now_ms);
    ck_assert_int_eq(sky_breaker_begin(&breaker, now_ms, &until_ms), SKY_BREAKER_OPEN);
    ck_assert_int_eq(until_ms - now_ms, waits[i]);
    now_ms = until_ms;
  }
}
END_TEST

START_TEST(stragglers_do_not_lengthen_it) {
  ck_assert_int_eq(sky_breaker_begin(&breaker, 0, &until_ms), SKY_BREAKER_GO);
  open_it();
  sky_breaker_end(&breaker, true, 90);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 100, &until_ms), SKY_BREAKER_GO);
}
END_TEST

START_TEST(a_call_that_was_given_up_says_nothing) {
  open_it();
  ck_assert_int_eq(sky_breaker_begin(&breaker, 100, &until_ms), SKY_BREAKER_GO);
  sky_breaker_drop(&breaker);
  ck_assert_int_eq(sky_breaker_begin(&breaker, 101, &until_ms), SKY_BREAKER_GO); /* the next probe */
  ck_assert_int_eq(sky_breaker_begin(&breaker, 101, &until_ms), SKY_BREAKER_OPEN);
}
END_TEST

START_TEST(without_a_limit_any_number_goes) {
  sky_breaker_init(&breaker, (SkyBreakerPolicy){.failures = 3, .open_ms = 100, .max_open_ms = 300});
  for (int i = 0; i < 1000; i++)
    ck_assert_int_eq(sky_breaker_begin(&breaker, 0, &until_ms), SKY_BREAKER_GO);
}
END_TEST

SKY_CHECK_MAIN_WITH("core/breaker", setup, NULL, no_more_calls_at_once_than_allowed, opens_after_failures_in_a_row,
                    one_probe_closes_it, failed_probes_wait_longer_up_to_a_limit, stragglers_do_not_lengthen_it,
                    a_call_that_was_given_up_says_nothing, without_a_limit_any_number_goes)
