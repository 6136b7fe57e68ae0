#include <sky/core/executor.h>

#include <sky/core/context.h>

#include <sky/core/deadline_wait.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_THREADS = 4, DEFAULT_MAX_QUEUED = 1024, THREAD_NAME_SIZE = 16 };

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

/* Called with the lock held; runs the work without it. */
static void run_first(SkyExecutor *executor) {
  const Work work = take_first(executor);
  executor->running++;
  pthread_mutex_unlock(&executor->lock);
  current_queued_ns = now_ns(executor) - work.queued_at_ns;
  work.run(work.user);
  pthread_mutex_lock(&executor->lock);
  executor->running--;
  executor->done++;
  if (executor->draining && executor->running == 0 && executor->queued == 0)
    pthread_cond_broadcast(&executor->all_done);
}

static void *work_loop(void *user) {
  SkyExecutor *executor = user;
  pthread_mutex_lock(&executor->lock);
  while (executor->queued > 0 || !executor->stopping) {
    if (executor->queued > 0) {
      run_first(executor);
      continue;
    }
    executor->idle++;
    pthread_cond_wait(&executor->work_arrived, &executor->lock);
    executor->idle--;
  }
  pthread_mutex_unlock(&executor->lock);
  return NULL;
}

static SkyExecutor *allocate(const SkyExecutorOptions *options) {
  const size_t threads = options->threads == 0 ? DEFAULT_THREADS : options->threads;
  SkyExecutor *executor = calloc(1, sizeof(*executor) + threads * sizeof(executor->threads[0]));
  if (executor == NULL)
    return NULL;
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
  if (executor->idle > 0)
    pthread_cond_signal(&executor->work_arrived);
}

SkyStatus sky_executor_submit(SkyExecutor *executor, void (*run)(void *user), void *user) {
  const Work work = {run, user, now_ns(executor)};
  pthread_mutex_lock(&executor->lock);
  const bool draining = executor->draining;
  const bool taken = !draining && executor->queued < executor->max_queued;
  if (taken)
    append(executor, work);
  else
    executor->rejected++;
  pthread_mutex_unlock(&executor->lock);
  if (taken)
    return SKY_OK;
  if (draining)
    return SKY_UNAVAILABLE("%s: shutting down", executor->name);
  return SKY_RESOURCE_EXHAUSTED("%s: %zu are waiting already", executor->name, executor->max_queued);
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
