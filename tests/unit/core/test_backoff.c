#include <sky/core/backoff.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "sky_check.h"

static const SkyBackoff backoff = {.initial_ms = 100, .max_ms = 5000, .multiplier = 2};

START_TEST(the_ceiling_grows_to_the_maximum) {
  static const int64_t expected[] = {100, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
  for (uint32_t retry = 0; retry < 9; retry++)
    ck_assert_int_eq(sky_backoff_ceiling_ms(&backoff, retry), expected[retry]);
  ck_assert_int_eq(sky_backoff_ceiling_ms(&backoff, UINT32_MAX), 5000);
  const SkyBackoff endless = {.initial_ms = 1, .max_ms = INT64_MAX, .multiplier = 10};
  ck_assert(sky_backoff_ceiling_ms(&endless, 19) == INT64_C(1000000000000000000));
  ck_assert(sky_backoff_ceiling_ms(&endless, 20) == INT64_MAX);
  const SkyBackoff constant = {.initial_ms = 50, .max_ms = 50, .multiplier = 1};
  ck_assert_int_eq(sky_backoff_ceiling_ms(&constant, 1000), 50);
}
END_TEST

/* A source of one byte value: 0x00 gives the smallest number, 0xff the largest. */
static void fill_constant(void *self, void *data, size_t size) {
  memset(data, *(int *)self, size);
}

START_TEST(the_delay_reaches_from_zero_to_the_ceiling) {
  int byte = 0;
  const SkyRandom random = {fill_constant, &byte};
  ck_assert_int_eq(sky_backoff_delay_ms(&backoff, 3, &random), 0);
  byte = 0xff;
  ck_assert_int_eq(sky_backoff_delay_ms(&backoff, 3, &random), 400);
  ck_assert_int_eq(sky_backoff_delay_ms(&backoff, 100, &random), 5000);
}
END_TEST

START_TEST(the_largest_delay_there_is_does_not_overflow) {
  int byte = 0xff;
  const SkyRandom random = {fill_constant, &byte};
  const SkyBackoff endless = {.initial_ms = 1, .max_ms = INT64_MAX, .multiplier = 10};
  ck_assert(sky_backoff_delay_ms(&endless, 30, &random) > INT64_MAX / 2);
}
END_TEST

START_TEST(delays_are_uniform) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 99);
  int quarters[4] = {0};
  for (int i = 0; i < 8000; i++) {
    const int64_t delay_ms = sky_backoff_delay_ms(&backoff, 4, &random.random);
    ck_assert(delay_ms >= 0 && delay_ms <= 800);
    quarters[delay_ms == 800 ? 3 : delay_ms / 200]++;
  }
  for (int i = 0; i < 4; i++)
    ck_assert(quarters[i] > 1800 && quarters[i] < 2200);
}
END_TEST

static int take_all(SkyRetryBudget *budget) {
  int taken = 0;
  while (sky_retry_budget_take(budget))
    taken++;
  return taken;
}

START_TEST(a_budget_starts_full_and_refills_by_successes) {
  SkyRetryBudget budget;
  sky_retry_budget_init(&budget, 10, 0.1);
  ck_assert_int_eq(take_all(&budget), 10);
  for (int i = 0; i < 9; i++)
    sky_retry_budget_success(&budget);
  ck_assert(!sky_retry_budget_take(&budget));
  sky_retry_budget_success(&budget);
  ck_assert_int_eq(take_all(&budget), 1);
  for (int i = 0; i < 1000; i++)
    sky_retry_budget_success(&budget);
  ck_assert_int_eq(take_all(&budget), 10);
}
END_TEST

START_TEST(a_budget_of_nothing_allows_nothing) {
  SkyRetryBudget budget;
  sky_retry_budget_init(&budget, 0, 1);
  sky_retry_budget_success(&budget);
  ck_assert(!sky_retry_budget_take(&budget));
  sky_retry_budget_init(&budget, 0.5, 1);
  sky_retry_budget_success(&budget);
  ck_assert(!sky_retry_budget_take(&budget));
}
END_TEST

static SkyRetryBudget shared;
static atomic_int taken;

static void *succeed_and_retry(void *user) {
  for (int i = 0; i < 10000; i++) {
    sky_retry_budget_success(&shared);
    taken += sky_retry_budget_take(&shared);
  }
  return NULL;
}

START_TEST(threads_share_a_budget_exactly) {
  pthread_t threads[4];
  sky_retry_budget_init(&shared, 5, 0.25);
  ck_assert_int_eq(take_all(&shared), 5);
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], NULL, succeed_and_retry, NULL);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  taken += take_all(&shared);
  ck_assert_int_eq(taken, 10000); /* 40000 successes at a quarter each, never near the maximum */
}
END_TEST

SKY_CHECK_MAIN("core/backoff", the_ceiling_grows_to_the_maximum, the_delay_reaches_from_zero_to_the_ceiling,
               the_largest_delay_there_is_does_not_overflow, delays_are_uniform,
               a_budget_starts_full_and_refills_by_successes, a_budget_of_nothing_allows_nothing,
               threads_share_a_budget_exactly)
