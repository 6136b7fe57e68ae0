#include <sky/core/timer.h>

#include <sky/core/time.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "sky_check.h"

static SkyTimers *timers;
static atomic_int fired;
static sem_t entered, gate;

static void setup(void) {
  sem_init(&entered, 0, 0);
  sem_init(&gate, 0, 0);
  ck_assert_ptr_null(sky_timers_create(1000, &timers));
}

static void teardown(void) {
  sky_timers_destroy(timers);
}

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static void schedule(SkyTimer *timer, int64_t at_ns) {
  ck_assert_ptr_null(sky_timers_schedule(timers, timer, at_ns));
}

static void count(void *user) {
  fired++;
}

static atomic_llong fired_at_ns;
static void note_time(void *user) {
  fired_at_ns = now_ns();
  fired++;
}

START_TEST(a_timer_fires_once_and_not_before_its_time) {
  SkyTimer timer = {.fire = note_time};
  const int64_t at_ns = now_ns() + 20 * SKY_NS_PER_MS;
  schedule(&timer, at_ns);
  SKY_CHECK_EVENTUALLY(fired == 1);
  ck_assert_int_ge(fired_at_ns, at_ns);
  ck_assert_uint_eq(sky_timers_count(timers), 0);
  ck_assert(!sky_timers_cancel(timers, &timer));
}
END_TEST

START_TEST(a_time_that_is_over_fires_at_once) {
  SkyTimer first = {.fire = count}, second = {.fire = count};
  schedule(&first, INT64_MIN);
  schedule(&second, now_ns());
  SKY_CHECK_EVENTUALLY(fired == 2);
}
END_TEST

START_TEST(an_earlier_timer_overtakes_the_one_waited_for) {
  SkyTimer late = {.fire = count}, soon = {.fire = count};
  schedule(&late, now_ns() + 3600 * SKY_NS_PER_S);
  SKY_CHECK_EVENTUALLY(sky_timers_count(timers) == 1);
  schedule(&soon, now_ns() + SKY_NS_PER_MS);
  SKY_CHECK_EVENTUALLY(fired == 1);
  ck_assert_uint_eq(sky_timers_count(timers), 1);
  schedule(&late, now_ns()); /* moved */
  SKY_CHECK_EVENTUALLY(fired == 2);
}
END_TEST

START_TEST(a_cancelled_timer_does_not_fire) {
  SkyTimer cancelled = {.fire = count}, other = {.fire = note_time}, never = {.fire = count};
  const int64_t at_ns = now_ns() + 5 * SKY_NS_PER_MS;
  schedule(&cancelled, at_ns);
  schedule(&other, at_ns + 1);
  const bool was_waiting = sky_timers_cancel(timers, &cancelled);
  SKY_CHECK_EVENTUALLY(fired_at_ns != 0);
  SKY_CHECK_EVENTUALLY(fired == (was_waiting ? 1 : 2));
  ck_assert(!sky_timers_cancel(timers, &never));
}
END_TEST

START_TEST(the_maximum_is_kept) {
  SkyTimers *few;
  ck_assert_ptr_null(sky_timers_create(1, &few));
  SkyTimer first = {.fire = count}, second = {.fire = count};
  ck_assert_ptr_null(sky_timers_schedule(few, &first, INT64_MAX));
  SkyStatus status = sky_timers_schedule(few, &second, INT64_MAX);
  ck_assert(sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED));
  ck_assert(sky_timers_cancel(few, &first));
  sky_timers_destroy(few);
  sky_timers_destroy(NULL);
  ck_assert_int_eq(fired, 0);
}
END_TEST

static void enter_and_wait(void *user) {
  sem_post(&entered);
  sem_wait(&gate);
  fired++;
}

static SkyTimer blocking = {.fire = enter_and_wait};
static atomic_bool cancel_returned;

static void *cancel_blocking(void *user) {
  ck_assert(!sky_timers_cancel(timers, &blocking));
  ck_assert_int_eq(fired, 1);
  cancel_returned = true;
  return NULL;
}

START_TEST(cancel_waits_for_a_running_callback) {
  schedule(&blocking, 0);
  sem_wait(&entered);
  pthread_t thread;
  pthread_create(&thread, NULL, cancel_blocking, NULL);
  ck_assert(!cancel_returned); /* whether it got there already or not: the gate is closed */
  sem_post(&gate);
  pthread_join(thread, NULL);
  ck_assert(cancel_returned);
}
END_TEST

static SkyTimer periodic;
static void fire_again(void *user) {
  sem_post(&entered);
  if (++fired < 1000000)
    schedule(&periodic, now_ns());
}

START_TEST(cancel_ends_a_timer_that_schedules_itself) {
  periodic.fire = fire_again;
  schedule(&periodic, 0);
  for (int i = 0; i < 5; i++)
    sem_wait(&entered);
  sky_timers_cancel(timers, &periodic);
  const int after = fired;
  SkyTimer last = {.fire = note_time};
  schedule(&last, now_ns());
  SKY_CHECK_EVENTUALLY(fired_at_ns != 0);
  SKY_CHECK_EVENTUALLY(fired == after + 1);
  ck_assert_uint_eq(sky_timers_count(timers), 0);
}
END_TEST

static void cancel_itself_and_free(void *user) {
  ck_assert(!sky_timers_cancel(timers, user));
  free(user);
  fired++;
}

START_TEST(a_callback_may_cancel_and_free_its_own_timer) {
  for (int i = 0; i < 100; i++) {
    SkyTimer *timer = calloc(1, sizeof(*timer));
    *timer = (SkyTimer){.fire = cancel_itself_and_free, .user = timer};
    schedule(timer, 0);
  }
  SKY_CHECK_EVENTUALLY(fired == 100);
}
END_TEST

START_TEST(destroy_leaves_the_rest_unfired) {
  SkyTimers *own;
  SkyTimer timer = {.fire = count};
  ck_assert_ptr_null(sky_timers_create(10, &own));
  ck_assert_ptr_null(sky_timers_schedule(own, &timer, now_ns() + 3600 * SKY_NS_PER_S));
  sky_timers_destroy(own);
  ck_assert_int_eq(fired, 0);
  schedule(&timer, 0); /* the memory is free for another use */
  SKY_CHECK_EVENTUALLY(fired == 1);
}
END_TEST

enum { USERS = 4, ROUNDS = 2000 };

typedef struct OwnTimer {
  SkyTimer timer;
  int fired; /* not atomic: cancel must order it */
} OwnTimer;

static void fire_own(void *user) {
  ((OwnTimer *)user)->fired++;
}

static void *schedule_and_cancel(void *user) {
  int both = 0;
  for (int i = 0; i < ROUNDS; i++) {
    OwnTimer own = {.timer = {.fire = fire_own, .user = &own}};
    schedule(&own.timer, now_ns() + i % 50 * 1000);
    const bool cancelled = sky_timers_cancel(timers, &own.timer);
    both += own.fired + cancelled != 1;
  }
  *(int *)user = both;
  return NULL;
}

START_TEST(a_timer_either_fires_or_is_cancelled) {
  pthread_t threads[USERS];
  int wrong[USERS];
  for (int i = 0; i < USERS; i++)
    pthread_create(&threads[i], NULL, schedule_and_cancel, &wrong[i]);
  for (int i = 0; i < USERS; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_int_eq(wrong[i], 0);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("core/timer", setup, teardown, a_timer_fires_once_and_not_before_its_time,
                    a_time_that_is_over_fires_at_once, an_earlier_timer_overtakes_the_one_waited_for,
                    a_cancelled_timer_does_not_fire, the_maximum_is_kept, cancel_waits_for_a_running_callback,
                    cancel_ends_a_timer_that_schedules_itself, a_callback_may_cancel_and_free_its_own_timer,
                    destroy_leaves_the_rest_unfired, a_timer_either_fires_or_is_cancelled)
