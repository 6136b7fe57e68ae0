#include <sky/core/timer_heap.h>

#include <sky/core/id.h>

#include "sky_check.h"

static SkyTimerHeap heap;
static SkyTimer timers[500];

static void setup(void) {
  sky_timer_heap_init(&heap, 500);
}

static void teardown(void) {
  sky_timer_heap_finish(&heap);
}

static void add(SkyTimer *timer, int64_t at_ns) {
  ck_assert_ptr_null(sky_timer_heap_add(&heap, timer, at_ns));
}

START_TEST(an_empty_heap_has_nothing_due) {
  ck_assert(sky_timer_heap_next_ns(&heap) == INT64_MAX);
  ck_assert_ptr_null(sky_timer_heap_pop_due(&heap, INT64_MAX));
  ck_assert(!sky_timer_heap_remove(&heap, &timers[0]));
}
END_TEST

START_TEST(timers_come_out_when_they_are_due) {
  add(&timers[0], 30);
  add(&timers[1], 10);
  add(&timers[2], -20);
  ck_assert_int_eq(sky_timer_heap_next_ns(&heap), -20);
  ck_assert_ptr_null(sky_timer_heap_pop_due(&heap, -21));
  ck_assert_ptr_eq(sky_timer_heap_pop_due(&heap, -20), &timers[2]);
  ck_assert_ptr_null(sky_timer_heap_pop_due(&heap, 9));
  ck_assert_ptr_eq(sky_timer_heap_pop_due(&heap, 100), &timers[1]);
  ck_assert_ptr_eq(sky_timer_heap_pop_due(&heap, 100), &timers[0]);
  ck_assert_ptr_null(sky_timer_heap_pop_due(&heap, 100));
}
END_TEST

START_TEST(timers_of_the_same_time_keep_their_order) {
  for (int i = 0; i < 100; i++)
    add(&timers[i], 7);
  add(&timers[3], 7); /* moved: now the last */
  for (int i = 0; i < 100; i++) {
    const int expected = i < 3 ? i : i == 99 ? 3 : i + 1;
    ck_assert_ptr_eq(sky_timer_heap_pop_due(&heap, 7), &timers[expected]);
  }
}
END_TEST

START_TEST(maximum_is_exact_but_moving_works_when_full) {
  sky_timer_heap_init(&heap, 2);
  add(&timers[0], 1);
  add(&timers[1], 2);
  SkyStatus status = sky_timer_heap_add(&heap, &timers[2], 0);
  ck_assert(sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED));
  add(&timers[0], 3);
  ck_assert_ptr_eq(sky_timer_heap_pop_due(&heap, 9), &timers[1]);
  add(&timers[2], 0);
  ck_assert_uint_eq(heap.size, 2);
}
END_TEST

START_TEST(finish_sets_the_timers_free) {
  add(&timers[0], 1);
  sky_timer_heap_finish(&heap);
  add(&timers[0], 2);
  ck_assert_uint_eq(heap.size, 1);
  ck_assert_ptr_eq(sky_timer_heap_pop_due(&heap, 2), &timers[0]);
}
END_TEST

/* The first due timer among all, by looking at each. */
static SkyTimer *first_by_search(int64_t now_ns) {
  SkyTimer *first = NULL;
  for (int i = 0; i < 500; i++) {
    SkyTimer *timer = &timers[i];
    if (timer->place == 0 || timer->at_ns > now_ns)
      continue;
    if (first == NULL || timer->at_ns < first->at_ns || (timer->at_ns == first->at_ns && timer->order < first->order))
      first = timer;
  }
  return first;
}

START_TEST(random_changes_agree_with_a_search) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 4711);
  size_t size = 0;
  for (int step = 0; step < 20000; step++) {
    const uint64_t dice = sky_random_uint64(&random.random);
    SkyTimer *timer = &timers[(dice >> 8) % 500];
    const int64_t ns = (int64_t)((dice >> 32) % 1000);
    const bool scheduled = timer->place != 0;
    if (dice % 4 < 2) {
      add(timer, ns);
      size += !scheduled;
    } else if (dice % 4 == 2) {
      ck_assert(sky_timer_heap_remove(&heap, timer) == scheduled);
      size -= scheduled;
    } else {
      SkyTimer *expected = first_by_search(ns);
      ck_assert_ptr_eq(sky_timer_heap_pop_due(&heap, ns), expected);
      size -= expected != NULL;
    }
    ck_assert_uint_eq(heap.size, size);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("core/timer_heap", setup, teardown, an_empty_heap_has_nothing_due,
                    timers_come_out_when_they_are_due, timers_of_the_same_time_keep_their_order,
                    maximum_is_exact_but_moving_works_when_full, finish_sets_the_timers_free,
                    random_changes_agree_with_a_search)
