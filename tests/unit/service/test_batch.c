/* Jobs are worked on in order, together when they wait together, and all before the end. */
#include "sky_check.h"

#include <pthread.h>
#include <stdatomic.h>

#include <sky/service/batch.h>

typedef struct Job {
  SkyBatchJob job; /* first */
  int number;
} Job;

enum { JOBS = 2000, THREADS = 4 };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: work waits */
static int seen[JOBS];
static atomic_int seen_count, batches, largest;

static void work(void *self, SkyBatchJob *const *jobs, size_t count) {
  pthread_mutex_lock(&gate);
  atomic_fetch_add(&batches, 1);
  if ((int)count > largest)
    largest = (int)count;
  for (size_t i = 0; i < count; i++)
    seen[seen_count++] = ((Job *)(void *)jobs[i])->number;
  pthread_mutex_unlock(&gate);
}

static SkyBatch *create(size_t max_jobs, size_t max_waiting) {
  const SkyBatchOptions options = {.work = work, .name = "test", .max_jobs = max_jobs, .max_waiting = max_waiting};
  SkyBatch *batch = NULL;
  ck_assert_ptr_null(sky_batch_create(&options, &batch));
  return batch;
}

START_TEST(what_waits_together_is_done_together_in_order) {
  static Job jobs[100];
  SkyBatch *batch = create(64, 0);
  pthread_mutex_lock(&gate);
  for (int i = 0; i < 100; i++) {
    jobs[i].number = i;
    ck_assert_ptr_null(sky_batch_add(batch, &jobs[i].job));
  }
  pthread_mutex_unlock(&gate);
  sky_batch_destroy(batch); /* does the rest first */
  ck_assert_int_eq(seen_count, 100);
  for (int i = 0; i < 100; i++)
    ck_assert_int_eq(seen[i], i);
  ck_assert_int_le(largest, 64);
  ck_assert_int_le(batches, 4); /* one may have begun before the others came */
}
END_TEST

START_TEST(more_than_may_wait_is_refused) {
  static Job jobs[16];
  SkyBatch *batch = create(1, 4);
  pthread_mutex_lock(&gate);
  size_t taken = 0;
  for (int i = 0; i < 16; i++) {
    SkyStatus status = sky_batch_add(batch, &jobs[i].job);
    taken += status == SKY_OK ? 1 : 0;
    ck_assert(status == SKY_OK ||
              (sky_status_code(status) == SKY_CODE_RESOURCE_EXHAUSTED && sky_status_retry_after_ms(status) > 0));
    sky_status_free(status);
  }
  ck_assert_uint_ge(taken, 4);
  ck_assert_uint_le(taken, 5); /* one of them at work */
  pthread_mutex_unlock(&gate);
  sky_batch_destroy(batch);
  ck_assert_int_eq(seen_count, (int)taken);
}
END_TEST

static SkyBatch *shared;
static Job many[JOBS];

static void *add_share(void *user) {
  const int first = *(int *)user;
  for (int i = first; i < JOBS; i += THREADS) {
    many[i].number = i;
    ck_assert_ptr_null(sky_batch_add(shared, &many[i].job));
  }
  return NULL;
}

START_TEST(many_threads_lose_nothing) {
  pthread_t threads[THREADS];
  int first[THREADS];
  shared = create(0, 0);
  for (int i = 0; i < THREADS; i++) {
    first[i] = i;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, add_share, &first[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  sky_batch_destroy(shared);
  ck_assert_int_eq(seen_count, JOBS);
  int last[THREADS] = {-1, -1, -1, -1};
  for (int i = 0; i < JOBS; i++) {
    ck_assert_int_gt(seen[i], last[seen[i] % THREADS]);
    last[seen[i] % THREADS] = seen[i];
  }
}
END_TEST

SKY_CHECK_MAIN("service/batch", what_waits_together_is_done_together_in_order, more_than_may_wait_is_refused,
               many_threads_lose_nothing)
