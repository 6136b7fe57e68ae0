#include <sky/core/executor.h>

#include <sky/core/context.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "sky_check.h"

static SkyExecutor *executor;
static SkyManualClock manual;
static sem_t gate;
static atomic_int ran;
static int order[64];

static void setup(void) {
  sem_init(&gate, 0, 0);
  sky_manual_clock_init(&manual, 0);
}

static void create(size_t threads, size_t max_queued) {
  const SkyExecutorOptions options = {.threads = threads, .max_queued = max_queued, .clock = &manual.clock};
  SkyStatus status = sky_executor_create(&options, &executor);
  ck_assert_ptr_null(status);
}

static void submit(void (*run)(void *), void *user) {
  SkyStatus status = sky_executor_submit(executor, run, user);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void wait_at_gate(void *user) {
  sem_wait(&gate);
  ran++;
}

static void count(void *user) {
  order[ran++] = (int)(intptr_t)user;
}

/* Keeps the only worker busy until the gate opens. */
static void occupy_worker(void) {
  submit(wait_at_gate, NULL);
  SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).running == 1);
}

START_TEST(all_work_runs_and_destroy_waits_for_it) {
  ck_assert_ptr_null(sky_executor_create(NULL, &executor));
  ck_assert_uint_eq(sky_executor_stats(executor).threads, 4);
  sem_post(&gate);
  for (int i = 0; i < 50; i++) {
    submit(wait_at_gate, NULL);
    sem_post(&gate);
  }
  sky_executor_destroy(executor);
  ck_assert_int_eq(ran, 50);
  sky_executor_destroy(NULL);
}
END_TEST

START_TEST(one_worker_keeps_the_order_round_the_ring) {
  create(1, 5);
  for (int i = 0; i < 40; i++) {
    submit(count, (void *)(intptr_t)i);
    SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).queued < 5);
  }
  sky_executor_destroy(executor);
  ck_assert_int_eq(ran, 40);
  for (int i = 0; i < 40; i++)
    ck_assert_int_eq(order[i], i);
}
END_TEST

START_TEST(a_full_queue_refuses_at_once) {
  create(1, 2);
  occupy_worker();
  submit(count, NULL);
  submit(count, NULL);
  SkyStatus status = sky_executor_submit(executor, count, NULL);
  ck_assert(sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED));
  SkyExecutorStats stats = sky_executor_stats(executor);
  ck_assert_uint_eq(stats.queued, 2);
  ck_assert_uint_eq(stats.running, 1);
  ck_assert_uint_eq(stats.rejected, 1);
  ck_assert_uint_eq(stats.done, 0);
  sem_post(&gate);
  SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).done == 3);
  submit(count, NULL);
  sky_executor_destroy(executor);
  ck_assert_int_eq(ran, 4);
}
END_TEST

static int64_t seen_ns = -1;
static void see_queue_time(void *user) {
  seen_ns = sky_executor_queued_ns();
}

START_TEST(time_in_the_queue_is_visible_inside_and_outside) {
  create(1, 10);
  occupy_worker();
  ck_assert_int_eq(sky_executor_stats(executor).oldest_wait_ns, 0);
  submit(see_queue_time, NULL);
  sky_manual_clock_advance_ms(&manual, 70);
  submit(count, NULL);
  sky_manual_clock_advance_ms(&manual, 30);
  ck_assert_int_eq(sky_executor_stats(executor).oldest_wait_ns, 100 * SKY_NS_PER_MS);
  sem_post(&gate);
  sky_executor_destroy(executor);
  ck_assert_int_eq(seen_ns, 100 * SKY_NS_PER_MS);
  ck_assert_int_eq(sky_executor_queued_ns(), 0);
}
END_TEST

START_TEST(drain_waits_for_what_was_taken_and_takes_no_more) {
  create(2, 100);
  for (int i = 0; i < 50; i++)
    sem_post(&gate);
  for (int i = 0; i < 50; i++)
    submit(wait_at_gate, NULL);
  ck_assert_ptr_null(sky_executor_drain(executor, SKY_NO_DEADLINE));
  ck_assert_int_eq(ran, 50);
  SkyStatus status = sky_executor_submit(executor, count, NULL);
  ck_assert(sky_status_take(&status, SKY_CODE_UNAVAILABLE));
  ck_assert_uint_eq(sky_executor_stats(executor).rejected, 1);
  sky_executor_destroy(executor);
  ck_assert_int_eq(ran, 50);
}
END_TEST

START_TEST(drain_gives_up_at_its_deadline_and_may_go_on) {
  create(1, 10);
  occupy_worker();
  submit(count, NULL);
  const int64_t now_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  static const int64_t offsets_ns[] = {INT64_MIN / 2, 0, 5000000};
  for (size_t i = 0; i < 3; i++) {
    SkyStatus status = sky_executor_drain(executor, now_ns + offsets_ns[i]);
    ck_assert_str_eq(sky_status_message(status), "worker: 2 still run or wait");
    ck_assert(sky_status_take(&status, SKY_CODE_DEADLINE_EXCEEDED));
  }
  ck_assert_int_eq(ran, 0);
  sem_post(&gate);
  ck_assert_ptr_null(sky_executor_drain(executor, now_ns + 60 * SKY_NS_PER_S));
  ck_assert_int_eq(ran, 2);
  sky_executor_destroy(executor);
}
END_TEST

static void submit_another(void *user) {
  SkyStatus status = sky_executor_submit(executor, count, NULL);
  sky_status_free(status);
  ran++;
}

START_TEST(work_may_submit_work) {
  create(1, 10);
  submit(submit_another, NULL);
  SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).done == 2);
  sky_executor_destroy(executor);
}
END_TEST

enum { PRODUCERS = 4, PER_PRODUCER = 5000 };
static atomic_int taken;

static void *produce(void *user) {
  for (int i = 0; i < PER_PRODUCER; i++) {
    SkyStatus status = sky_executor_submit(executor, wait_at_gate, NULL);
    taken += status == SKY_OK;
    sky_status_free(status);
    sem_post(&gate);
  }
  return NULL;
}

START_TEST(what_is_taken_runs_once_under_load) {
  create(3, 16);
  pthread_t threads[PRODUCERS];
  for (int i = 0; i < PRODUCERS; i++)
    pthread_create(&threads[i], NULL, produce, NULL);
  for (int i = 0; i < PRODUCERS; i++)
    pthread_join(threads[i], NULL);
  ck_assert_ptr_null(sky_executor_drain(executor, SKY_NO_DEADLINE));
  const SkyExecutorStats stats = sky_executor_stats(executor);
  ck_assert_int_eq(ran, taken);
  ck_assert_uint_eq(stats.done, (uint64_t)taken);
  ck_assert_uint_eq(stats.done + stats.rejected, PRODUCERS * PER_PRODUCER);
  sky_executor_destroy(executor);
}
END_TEST

static void submit_soon(void (*run)(void *), void *user) {
  SkyStatus status = sky_executor_submit_soon(executor, run, user);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void take_ms(void *user) {
  sky_manual_clock_advance_ms(&manual, (int64_t)(intptr_t)user);
}

/* So often that the executor knows how long its work takes. */
static void teach(intptr_t ms) {
  for (uint64_t i = 1; i <= 40; i++) {
    submit(take_ms, (void *)ms);
    SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).done == i);
  }
}

START_TEST(short_work_that_was_submitted_soon_runs_after_the_flush) {
  create(4, 100);
  teach(0);
  for (int i = 0; i < 30; i++)
    submit_soon(count, NULL);
  (void)sky_executor_flush(executor);
  SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).done == 70);
  ck_assert_uint_eq(sky_executor_flush(executor), 0);
  sky_executor_destroy(executor);
  ck_assert_int_eq(ran, 30);
}
END_TEST

START_TEST(long_work_has_a_worker_for_each_piece_without_a_flush) {
  create(3, 100);
  teach(1);
  for (int i = 0; i < 3; i++)
    submit_soon(wait_at_gate, NULL);
  SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).running == 3);
  for (int i = 0; i < 3; i++)
    sem_post(&gate);
  sky_executor_destroy(executor);
}
END_TEST

START_TEST(work_behind_a_piece_that_hangs_gets_another_worker) {
  create(2, 100);
  teach(0);
  submit_soon(wait_at_gate, NULL);
  (void)sky_executor_flush(executor);
  SKY_CHECK_EVENTUALLY(sky_executor_stats(executor).running == 1);
  submit_soon(count, NULL);
  sky_manual_clock_advance_ms(&manual, 1);
  (void)sky_executor_flush(executor);
  SKY_CHECK_EVENTUALLY(ran == 1);
  sem_post(&gate);
  sky_executor_destroy(executor);
}
END_TEST

SKY_CHECK_MAIN_WITH("core/executor", setup, NULL, all_work_runs_and_destroy_waits_for_it,
                    one_worker_keeps_the_order_round_the_ring, a_full_queue_refuses_at_once,
                    time_in_the_queue_is_visible_inside_and_outside, drain_waits_for_what_was_taken_and_takes_no_more,
                    drain_gives_up_at_its_deadline_and_may_go_on, work_may_submit_work,
                    what_is_taken_runs_once_under_load, short_work_that_was_submitted_soon_runs_after_the_flush,
                    long_work_has_a_worker_for_each_piece_without_a_flush,
                    work_behind_a_piece_that_hangs_gets_another_worker)
