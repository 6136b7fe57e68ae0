/*
 * The main() of a unit test: runs the named tests of one suite, each in its own process.
 *
 *     SKY_CHECK_MAIN("core/str", cut_splits_at_the_first_separator, integers_reject_overflow)
 *     SKY_CHECK_MAIN_WITH("core/arena", setup, teardown, ...)        (around every test; NULL for none)
 */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

/* What one test may take, sanitizers on a busy machine included; a file may define another before the include. */
#ifndef SKY_CHECK_TIMEOUT_S
#define SKY_CHECK_TIMEOUT_S 60
#endif

static inline int sky_check_run(const char *name, void (*setup)(void), void (*teardown)(void),
                                const TTest *const *tests, size_t count) {
  Suite *suite = suite_create(name);
  TCase *cases = tcase_create(name);
  tcase_set_timeout(cases, SKY_CHECK_TIMEOUT_S);
  tcase_add_checked_fixture(cases, setup, teardown);
  for (size_t i = 0; i < count; i++)
    tcase_add_test(cases, tests[i]);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define SKY_CHECK_MAIN_WITH(name, setup, teardown, ...)                                                                \
  int main(void) {                                                                                                     \
    const TTest *const sky_check_tests[] = {__VA_ARGS__};                                                              \
    return sky_check_run((name), (setup), (teardown), sky_check_tests,                                                 \
                         sizeof(sky_check_tests) / sizeof(sky_check_tests[0]));                                        \
  }

#define SKY_CHECK_MAIN(name, ...) SKY_CHECK_MAIN_WITH(name, NULL, NULL, __VA_ARGS__)

/* How much longer than usual everything may take: the runner says so for sanitizers, to check as well. */
static inline double sky_check_patience(void) {
  const char *said = getenv("CK_TIMEOUT_MULTIPLIER");
  const double factor = said != NULL ? strtod(said, NULL) : 1;
  return factor > 0 ? factor : 1;
}

/* Between two looks at a condition of SKY_CHECK_EVENTUALLY: false once 20 s (times the patience) have passed. */
static inline bool sky_check_wait(struct timespec *begun) {
  const struct timespec pause = {.tv_nsec = 1000000};
  struct timespec now;
  nanosleep(&pause, NULL);
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (begun->tv_sec == 0)
    *begun = now;
  return (double)(now.tv_sec - begun->tv_sec) < 20 * sky_check_patience();
}

/* Waits until the condition holds; fails when that takes too long. For what other threads or processes do. */
#define SKY_CHECK_EVENTUALLY(condition)                                                                                \
  do {                                                                                                                 \
    for (struct timespec sky_check_begun = {0}; !(condition);)                                                         \
      ck_assert_msg(sky_check_wait(&sky_check_begun), "never: %s", #condition);                                        \
  } while (0)
