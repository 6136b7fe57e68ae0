#include "sky_check.h"
#include "workflow/intake.h"

static Intake intake;

static void setup(void) {
  intake_init(&intake, (IntakePolicy){.least = 4, .first = 16, .most = 64, .target_ms = 1000});
}

/* How many are let in when none goes. */
static size_t room(void) {
  size_t busy = 0;
  while (busy < 1000 && intake_has_room(&intake, busy))
    busy++;
  return busy;
}

/* Sagas that take so long, one after another; as many under way as may be. Returns the time at the end. */
static int64_t run(int64_t begin_ms, int64_t took_ms, int count) {
  for (int i = 0; i < count; i++)
    intake_note(&intake, begin_ms + i, begin_ms + i + took_ms, room());
  return begin_ms + count + took_ms;
}

/* A quick one in a quiet hour, so that a long one is known to be long. */
static void learn(void) {
  intake_note(&intake, 0, 100, 1);
}

START_TEST(begins_with_the_first_limit) {
  ck_assert_uint_eq(room(), 16);
}
END_TEST

START_TEST(grows_while_sagas_are_quick) {
  run(1, 100, 20);
  ck_assert_uint_eq(room(), 18); /* 16.0 and 20 times about 1/16 */
  run(1, 100, 100000);
  ck_assert_uint_eq(room(), 64);
}
END_TEST

START_TEST(does_not_grow_in_a_quiet_hour) {
  for (int i = 0; i < 1000; i++)
    intake_note(&intake, i, i + 10, 1);
  ck_assert_uint_eq(room(), 16);
}
END_TEST

START_TEST(shrinks_when_sagas_take_long) {
  learn();
  intake_note(&intake, 5000, 7000, 16);
  ck_assert_uint_eq(room(), 12);
}
END_TEST

START_TEST(shrinks_once_for_all_that_began_before) {
  learn();
  intake_note(&intake, 5000, 7000, 16);
  for (int i = 0; i < 16; i++)
    intake_note(&intake, 5000 + i, 7001 + i, 16);
  ck_assert_uint_eq(room(), 12);
  intake_note(&intake, 7000, 9000, 16);
  ck_assert_uint_eq(room(), 9);
}
END_TEST

START_TEST(never_closes) {
  int64_t now_ms = 1;
  learn();
  for (int i = 0; i < 20; i++)
    now_ms = run(now_ms, 60000, 1);
  ck_assert_uint_eq(room(), 4);
  run(now_ms, 10, 100000);
  ck_assert_uint_eq(room(), 64);
}
END_TEST

START_TEST(far_away_peers_are_not_overload) {
  run(1, 3000, 100000); /* the quickest take that long, whatever the limit */
  ck_assert_uint_eq(room(), 64);
  intake_note(&intake, 200000, 212000, 64);
  ck_assert_uint_eq(room(), 48);
}
END_TEST

START_TEST(what_was_quick_is_forgotten) {
  learn();
  for (int64_t begin_ms = 1000; begin_ms < 10000000; begin_ms += 3000)
    run(begin_ms, 3000, 1);
  ck_assert_uint_eq(room(), 64);
}
END_TEST

START_TEST(who_had_to_wait_goes_on_when_there_is_room_for_some) {
  ck_assert(!intake_has_room(&intake, 16));
  ck_assert(intake_has_room(&intake, 15));
  ck_assert(!intake_has_much_room(&intake, 15));
  ck_assert(intake_has_much_room(&intake, 14));
}
END_TEST

START_TEST(a_small_most_bounds_the_others) {
  intake_init(&intake, (IntakePolicy){.least = 16, .first = 128, .most = 2, .target_ms = 1000});
  ck_assert_uint_eq(room(), 2);
  learn();
  intake_note(&intake, 0, 100000, 2);
  ck_assert_uint_eq(room(), 2);
  ck_assert(intake_has_much_room(&intake, 1));
}
END_TEST

SKY_CHECK_MAIN_WITH("workflow/intake", setup, NULL, begins_with_the_first_limit, grows_while_sagas_are_quick,
                    does_not_grow_in_a_quiet_hour, shrinks_when_sagas_take_long, shrinks_once_for_all_that_began_before,
                    never_closes, far_away_peers_are_not_overload, what_was_quick_is_forgotten,
                    who_had_to_wait_goes_on_when_there_is_room_for_some, a_small_most_bounds_the_others)
