#include <sky/core/executor.h>

#include <sky/core/context.h>

#include <sky/core/deadline_wait.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  DEFAULT_THREADS = 4,
  DEFAULT_MAX_QUEUED = 1024,
  THREAD_NAME_SIZE = 16,
  SHARE_NS = 100000,   /* one worker is given work for so long before the next is woken */
  MAX_SHARE = 16,      /* but no more pieces than this */
  LONGEST_NS = 400000, /* what longer work counts as, so that one piece does not make the mean for long */
  LATE_NS = 500000     /* work that waits longer needs another worker */
};

typedef struct Work {
  void (*run)(void *user);
  void *user;
  int64_t queued_at_ns;
} Work;

struct SkyExecutor {
  pthread_mutex_t lock;
  pthread_cond_t work_arrived;
  pthread_cond_t all_done;
  const SkyClock *clock;
  Work *queue; /* a ring of max_queued */
  size_t first, queued, max_queued;
  size_t running, idle;
  size_t waking;   /* idle workers that were signalled and are on their way */
  int64_t mean_ns; /* how long work takes, smoothed */
  uint64_t done, rejected;
  bool draining, stopping;
  char name[THREAD_NAME_SIZE];
  size_t thread_count;
  pthread_t threads[];
};

static _Thread_local int64_t current_queued_ns;

int64_t sky_executor_queued_ns(void) {
  return current_queued_ns;
}

static int64_t now_ns(const SkyExecutor *executor) {
  return sky_clock_monotonic_ns(executor->clock);
}

static Work take_first(SkyExecutor *executor) {
  const Work work = executor->queue[executor->first];
  executor->first = (executor->first + 1) % executor->max_queued;
  executor->queued--;
  return work;
}

static void count_duration(SkyExecutor *executor, int64_t took_ns) {
  const int64_t sample_ns = took_ns < LONGEST_NS ? took_ns : LONGEST_NS;
  executor->mean_ns += (sample_ns - executor->mean_ns) / 8;
}

/* Called with the lock held; runs the work without it. now_ns is brought up to date. */
static void run_first(SkyExecutor *executor, int64_t *now) {
  const int64_t began_ns = *now;
  const Work work = take_first(executor);
  executor->running++;
  pthread_mutex_unlock(&executor->lock);
  current_queued_ns = began_ns > work.queued_at_ns ? began_ns - work.queued_at_ns : 0;
  work.run(work.user);
  *now = now_ns(executor);
  pthread_mutex_lock(&executor->lock);
  executor->running--;
  executor->done++;
  count_duration(executor, *now - began_ns);
  if (executor->draining && executor->running == 0 && executor->queued == 0)
    pthread_cond_broadcast(&executor->all_done);
}

/* Called with the lock held. */
static void wait_for_work(SkyExecutor *executor) {
  executor->idle++;
  pthread_cond_wait(&executor->work_arrived, &executor->lock);
  executor->idle--;
  executor->waking -= executor->waking > 0;
}

static void *work_loop(void *user) {
  SkyExecutor *executor = user;
  pthread_mutex_lock(&executor->lock);
  while (executor->queued > 0 || !executor->stopping) {
    int64_t now = executor->queued > 0 ? now_ns(executor) : 0;
    while (executor->queued > 0)
      run_first(executor, &now);
    if (!executor->stopping)
      wait_for_work(executor);
  }
  pthread_mutex_unlock(&executor->lock);
  return NULL;
}

static SkyExecutor *allocate(const SkyExecutorOptions *options) {
  const size_t threads = options->threads == 0 ? DEFAULT_THREADS : options->threads;
  SkyExecutor *executor = calloc(1, sizeof(*executor) + threads * sizeof(executor->threads[0]));
  if (executor == NULL)
    return NULL;
  executor->mean_ns = SHARE_NS; /* nothing is known yet: each piece wakes a worker */
  executor->max_queued = options->max_queued == 0 ? DEFAULT_MAX_QUEUED : options->max_queued;
  executor->queue = calloc(executor->max_queued, sizeof(Work));
  if (executor->queue == NULL) {
    free(executor);
    return NULL;
  }
  executor->clock = options->clock == NULL ? sky_clock_system_borrow() : options->clock;
  snprintf(executor->name, sizeof(executor->name), "%s", options->name == NULL ? "worker" : options->name);
  pthread_mutex_init(&executor->lock, NULL);
  pthread_cond_init(&executor->work_arrived, NULL);
  sky_deadline_cond_init(&executor->all_done);
  return executor;
}

SkyStatus sky_executor_create(const SkyExecutorOptions *options, SkyExecutor **ret) {
  static const SkyExecutorOptions defaults = {0};
  if (options == NULL)
    options = &defaults;
  SkyExecutor *executor = allocate(options);
  if (executor == NULL)
    return sky_status_no_memory();
  const size_t wanted = options->threads == 0 ? DEFAULT_THREADS : options->threads;
  while (executor->thread_count < wanted) {
    pthread_t *thread = &executor->threads[executor->thread_count];
    if (pthread_create(thread, NULL, work_loop, executor) != 0) {
      sky_executor_destroy(executor);
      return SKY_RESOURCE_EXHAUSTED("cannot start %zu threads", wanted);
    }
    pthread_setname_np(*thread, executor->name);
    executor->thread_count++;
  }
  *ret = executor;
  return SKY_OK;
}

void sky_executor_destroy(SkyExecutor *executor) {
  if (executor == NULL)
    return;
  pthread_mutex_lock(&executor->lock);
  executor->draining = executor->stopping = true;
  pthread_cond_broadcast(&executor->work_arrived);
  pthread_mutex_unlock(&executor->lock);
  for (size_t i = 0; i < executor->thread_count; i++)
    pthread_join(executor->threads[i], NULL);
  pthread_cond_destroy(&executor->all_done);
  pthread_cond_destroy(&executor->work_arrived);
  pthread_mutex_destroy(&executor->lock);
  free(executor->queue);
  free(executor);
}

static void append(SkyExecutor *executor, Work work) {
  executor->queue[(executor->first + executor->queued) % executor->max_queued] = work;
  executor->queued++;
}

/* How many pieces one worker is counted on for. */
static size_t share(const SkyExecutor *executor) {
  if (executor->mean_ns <= SHARE_NS / MAX_SHARE)
    return MAX_SHARE;
  return executor->mean_ns < SHARE_NS ? (size_t)(SHARE_NS / executor->mean_ns) : 1;
}

static size_t sleeping(const SkyExecutor *executor) {
  return executor->idle > executor->waking ? executor->idle - executor->waking : 0;
}

/* How many more workers the waiting work needs: those that run now are counted on only while work is short. */
static size_t workers_needed(const SkyExecutor *executor, int64_t now) {
  const size_t pieces = share(executor);
  const size_t wanted = (executor->queued + pieces - 1) / pieces;
  const size_t available = executor->waking + (pieces > 1 ? executor->running : 0);
  if (wanted > available)
    return wanted - available;
  return executor->queued > 0 && executor->waking == 0 && now - executor->queue[executor->first].queued_at_ns > LATE_NS;
}

/* Returns how many workers are to be signalled, which is done without the lock. */
static size_t mark_waking(SkyExecutor *executor, size_t wanted) {
  const size_t possible = sleeping(executor);
  const size_t count = wanted < possible ? wanted : possible;
  executor->waking += count;
  return count;
}

static void wake(SkyExecutor *executor, size_t count) {
  for (; count > 0; count--)
    pthread_cond_signal(&executor->work_arrived);
}

static SkyStatus refuse(const SkyExecutor *executor, bool draining) {
  if (draining)
    return SKY_UNAVAILABLE("%s: shutting down", executor->name);
  return SKY_RESOURCE_EXHAUSTED("%s: %zu are waiting already", executor->name, executor->max_queued);
}

static SkyStatus submit(SkyExecutor *executor, void (*run)(void *user), void *user, bool soon) {
  const Work work = {run, user, now_ns(executor)};
  size_t woken = 0;
  pthread_mutex_lock(&executor->lock);
  const bool draining = executor->draining;
  const bool taken = !draining && executor->queued < executor->max_queued;
  if (taken) {
    append(executor, work);
    if (!soon)
      woken = mark_waking(executor, 1);
    else if (executor->queued >= share(executor))
      woken = mark_waking(executor, workers_needed(executor, work.queued_at_ns));
  } else {
    executor->rejected++;
  }
  pthread_mutex_unlock(&executor->lock);
  wake(executor, woken);
  return taken ? SKY_OK : refuse(executor, draining);
}

SkyStatus sky_executor_submit(SkyExecutor *executor, void (*run)(void *user), void *user) {
  return submit(executor, run, user, false);
}

SkyStatus sky_executor_submit_soon(SkyExecutor *executor, void (*run)(void *user), void *user) {
  return submit(executor, run, user, true);
}

size_t sky_executor_flush(SkyExecutor *executor) {
  pthread_mutex_lock(&executor->lock);
  const size_t queued = executor->queued;
  const size_t woken = queued > 0 ? mark_waking(executor, workers_needed(executor, now_ns(executor))) : 0;
  pthread_mutex_unlock(&executor->lock);
  wake(executor, woken);
  return queued;
}

SkyStatus sky_executor_drain(SkyExecutor *executor, int64_t deadline_ns) {
  bool in_time = true;
  pthread_mutex_lock(&executor->lock);
  executor->draining = true;
  while (in_time && (executor->queued > 0 || executor->running > 0))
    in_time = sky_deadline_cond_wait(&executor->all_done, &executor->lock, deadline_ns);
  const size_t left = executor->queued + executor->running;
  pthread_mutex_unlock(&executor->lock);
  if (left == 0)
    return SKY_OK;
  return SKY_DEADLINE_EXCEEDED("%s: %zu still run or wait", executor->name, left);
}

SkyExecutorStats sky_executor_stats(SkyExecutor *executor) {
  pthread_mutex_lock(&executor->lock);
  SkyExecutorStats stats = {.threads = executor->thread_count,
                            .queued = executor->queued,
                            .running = executor->running,
                            .done = executor->done,
                            .rejected = executor->rejected};
  if (executor->queued > 0)
    stats.oldest_wait_ns = now_ns(executor) - executor->queue[executor->first].queued_at_ns;
  pthread_mutex_unlock(&executor->lock);
  return stats;
}
