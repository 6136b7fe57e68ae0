#include <sky/core/breaker.h>

#include "sky_check.h"

static SkyBreaker breaker;
static int64_t until_ms;

static void setup(void) {
  sky_breaker_init(&breaker, (SkyBreakerPolicy){.failures = 3, .open_ms = 100, .max_open_ms = 300, .max_calls = 4});
}

static SkyBreakerAnswer ask(int64_t now_ms) {
  return sky_breaker_begin(&breaker, now_ms, &until_ms);
}

static void call_fails(int64_t now_ms) {
  const SkyBreakerAnswer begun = ask(now_ms);
  ck_assert(begun == SKY_BREAKER_GO || begun == SKY_BREAKER_PROBE);
  sky_breaker_end(&breaker, begun, true, now_ms);
}

static void open_it(void) {
  for (int i = 0; i < 3; i++)
    call_fails(0);
}

START_TEST(no_more_calls_at_once_than_allowed) {
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(ask(0), SKY_BREAKER_GO);
  ck_assert_int_eq(ask(0), SKY_BREAKER_FULL);
  sky_breaker_end(&breaker, SKY_BREAKER_GO, false, 0);
  ck_assert_int_eq(ask(0), SKY_BREAKER_GO);
}
END_TEST

START_TEST(opens_after_failures_in_a_row) {
  call_fails(0);
  call_fails(0);
  ck_assert_int_eq(ask(0), SKY_BREAKER_GO);
  sky_breaker_end(&breaker, SKY_BREAKER_GO, false, 0);
  call_fails(0);
  call_fails(0);
  ck_assert_int_eq(ask(0), SKY_BREAKER_GO);
  sky_breaker_end(&breaker, SKY_BREAKER_GO, true, 0);
  ck_assert_int_eq(ask(50), SKY_BREAKER_OPEN);
  ck_assert_int_eq(until_ms, 100);
}
END_TEST

START_TEST(one_probe_closes_it) {
  open_it();
  ck_assert_int_eq(ask(100), SKY_BREAKER_PROBE);
  ck_assert_int_eq(ask(100), SKY_BREAKER_OPEN);
  ck_assert_int_gt(until_ms, 100);
  sky_breaker_end(&breaker, SKY_BREAKER_PROBE, false, 110);
  ck_assert_int_eq(ask(110), SKY_BREAKER_GO);
  ck_assert_int_eq(ask(110), SKY_BREAKER_GO);
}
END_TEST

START_TEST(failed_probes_wait_longer_up_to_a_limit) {
  open_it();
  const int64_t waits[] = {200, 300, 300};
  int64_t now_ms = 100;
  for (int i = 0; i < 3; i++) {
    call_fails(now_ms);
    ck_assert_int_eq(ask(now_ms), SKY_BREAKER_OPEN);
    ck_assert_int_eq(until_ms - now_ms, waits[i]);
    now_ms = until_ms;
  }
}
END_TEST

START_TEST(stragglers_do_not_lengthen_it) {
  ck_assert_int_eq(ask(0), SKY_BREAKER_GO);
  open_it();
  sky_breaker_end(&breaker, SKY_BREAKER_GO, true, 90);
  ck_assert_int_eq(ask(100), SKY_BREAKER_PROBE);
}
END_TEST

/* Three that were under way when it opened: one times out, one is given up, one is answered after all. */
START_TEST(stragglers_are_not_taken_for_the_probe) {
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(ask(0), SKY_BREAKER_GO);
  open_it();
  ck_assert_int_eq(ask(100), SKY_BREAKER_PROBE);
  sky_breaker_end(&breaker, SKY_BREAKER_GO, true, 110);
  ck_assert_int_eq(ask(400), SKY_BREAKER_OPEN);
  sky_breaker_drop(&breaker, SKY_BREAKER_GO);
  ck_assert_int_eq(ask(400), SKY_BREAKER_OPEN);
  sky_breaker_end(&breaker, SKY_BREAKER_GO, false, 410);
  ck_assert_int_eq(ask(410), SKY_BREAKER_OPEN);
  sky_breaker_end(&breaker, SKY_BREAKER_PROBE, true, 500);
  ck_assert_int_eq(ask(500), SKY_BREAKER_OPEN);
  ck_assert_int_eq(until_ms, 700); /* the wait has doubled once */
  ck_assert_uint_eq(breaker.calls, 0);
}
END_TEST

START_TEST(a_call_that_was_given_up_says_nothing) {
  open_it();
  ck_assert_int_eq(ask(100), SKY_BREAKER_PROBE);
  sky_breaker_drop(&breaker, SKY_BREAKER_PROBE);
  ck_assert_int_eq(ask(101), SKY_BREAKER_PROBE); /* the next one */
  ck_assert_int_eq(ask(101), SKY_BREAKER_OPEN);
}
END_TEST

START_TEST(without_a_limit_any_number_goes) {
  sky_breaker_init(&breaker, (SkyBreakerPolicy){.failures = 3, .open_ms = 100, .max_open_ms = 300});
  for (int i = 0; i < 1000; i++)
    ck_assert_int_eq(ask(0), SKY_BREAKER_GO);
}
END_TEST

SKY_CHECK_MAIN_WITH("core/breaker", setup, NULL, no_more_calls_at_once_than_allowed, opens_after_failures_in_a_row,
                    one_probe_closes_it, failed_probes_wait_longer_up_to_a_limit, stragglers_do_not_lengthen_it,
                    stragglers_are_not_taken_for_the_probe, a_call_that_was_given_up_says_nothing,
                    without_a_limit_any_number_goes)
