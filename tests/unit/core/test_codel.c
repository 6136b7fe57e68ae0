#include <sky/core/codel.h>

#include "sky_check.h"

enum { TARGET = 10, INTERVAL = 100 };

static SkyCodel codel;

static void setup(void) {
  sky_codel_init(&codel, TARGET, INTERVAL);
}

/* Work every 10 ns, each of which has waited this long; how many were dropped. */
static int pass(int64_t from_ns, int64_t to_ns, int64_t waited_ns) {
  int dropped = 0;
  for (int64_t now_ns = from_ns; now_ns < to_ns; now_ns += 10)
    dropped += sky_codel_is_late(&codel, waited_ns, now_ns);
  return dropped;
}

START_TEST(a_burst_within_an_interval_is_taken) {
  ck_assert_int_eq(pass(1000, 1100, 500), 0);
}
END_TEST

START_TEST(a_standing_queue_is_cut) {
  (void)pass(1000, 1100, 500);
  ck_assert_int_eq(pass(1100, 1200, 500), 10);
}
END_TEST

START_TEST(what_has_not_waited_long_is_taken_from_a_standing_queue) {
  (void)pass(1000, 1100, 500);
  ck_assert_int_eq(pass(1100, 1200, 2 * TARGET), 0);
}
END_TEST

START_TEST(one_that_need_not_wait_shows_that_the_queue_moves) {
  (void)pass(1000, 1050, 500);
  ck_assert(!sky_codel_is_late(&codel, TARGET, 1050));
  (void)pass(1060, 1100, 500);
  ck_assert_int_eq(pass(1100, 1200, 500), 0);
}
END_TEST

START_TEST(it_ends_an_interval_after_the_queue_has_gone) {
  (void)pass(1000, 1200, 500);
  (void)pass(1200, 1300, 1);
  ck_assert_int_eq(pass(1300, 1400, 500), 0);
}
END_TEST

START_TEST(a_pause_ends_it_too) {
  (void)pass(1000, 1200, 500);
  ck_assert_int_eq(pass(5000, 5100, 500), 0);
}
END_TEST

SKY_CHECK_MAIN_WITH("core/codel", setup, NULL, a_burst_within_an_interval_is_taken, a_standing_queue_is_cut,
                    what_has_not_waited_long_is_taken_from_a_standing_queue,
                    one_that_need_not_wait_shows_that_the_queue_moves, it_ends_an_interval_after_the_queue_has_gone,
                    a_pause_ends_it_too)
