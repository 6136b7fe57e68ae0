/* Periodic tasks: a timer hands each to a worker, and the worker sets the timer again when it is done. */
#include "internal.h"

#include <sky/core/log.h>
#include <sky/core/time.h>

enum { JITTER_PARTS = 10, RETRY_MS = 100 };

SkyStatus sky_tasks_init(SkyTasks *tasks) {
  pthread_mutex_init(&tasks->mutex, NULL);
  pthread_cond_init(&tasks->idle, NULL);
  return sky_timers_create(SKY_SERVICE_MAX_TASKS, &tasks->timers);
}

void sky_tasks_stop(SkyTasks *tasks) {
  pthread_mutex_lock(&tasks->mutex);
  tasks->stopping = true;
  pthread_mutex_unlock(&tasks->mutex);
  for (size_t i = 0; i < tasks->count; i++)
    sky_timers_cancel(tasks->timers, &tasks->list[i].timer);
  pthread_mutex_lock(&tasks->mutex);
  for (size_t i = 0; i < tasks->count; i++)
    while (tasks->list[i].running)
      pthread_cond_wait(&tasks->idle, &tasks->mutex);
  pthread_mutex_unlock(&tasks->mutex);
}

void sky_tasks_finish(SkyTasks *tasks) {
  sky_timers_destroy(tasks->timers);
  pthread_cond_destroy(&tasks->idle);
  pthread_mutex_destroy(&tasks->mutex);
}

/* Called without the mutex, for cancelling a timer waits for its callback. */
static void schedule(SkyTask *task, int64_t after_ms) {
  const SkyClock *clock = sky_service_clock(task->service);
  SkyStatus status = sky_timers_schedule(task->service->tasks.timers, &task->timer,
                                         sky_clock_monotonic_ns(clock) + after_ms * SKY_NS_PER_MS);
  sky_log_status(SKY_ERROR, NULL, "service.task", status, task->name);
}

static int64_t next_after_ms(const SkyTask *task) {
  const double jitter = sky_random_unit(sky_service_random(task->service)) / JITTER_PARTS;
  return task->period_ms + (int64_t)((double)task->period_ms * jitter);
}

/* True when the task goes on; false when the service stops. */
static bool end_run(SkyTask *task) {
  SkyTasks *tasks = &task->service->tasks;
  pthread_mutex_lock(&tasks->mutex);
  const bool goes_on = !tasks->stopping;
  if (goes_on)
    schedule(task, next_after_ms(task)); /* the timer thread holds no lock of ours, so this cannot block on it */
  task->running = false;
  pthread_cond_broadcast(&tasks->idle);
  pthread_mutex_unlock(&tasks->mutex);
  return goes_on;
}

static void run(void *user) {
  SkyTask *task = user;
  SkyContext context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, task->period_ms < 10000 ? 10000 : task->period_ms);
  const int64_t begun_ns = sky_clock_monotonic_ns(sky_service_clock(task->service));
  SkyStatus status = task->run(task->user, &context);
  SkySeries *series = SKY_SERIES(task->service->task_durations, task->name,
                                 status == SKY_OK ? "" : sky_code_name(sky_status_code(status)));
  sky_series_observe_ns(series, sky_clock_monotonic_ns(sky_service_clock(task->service)) - begun_ns, NULL);
  sky_log_status(SKY_WARN, &context, "service.task", status, task->name);
  end_run(task);
}

static void fire(void *user) {
  SkyTask *task = user;
  SkyTasks *tasks = &task->service->tasks;
  pthread_mutex_lock(&tasks->mutex);
  task->running = !tasks->stopping;
  const bool runs = task->running;
  pthread_mutex_unlock(&tasks->mutex);
  if (!runs)
    return;
  SkyStatus status = sky_rpc_run(task->service->rpc, run, task);
  if (status == SKY_OK)
    return;
  sky_status_free(status); /* all workers are busy: soon again */
  pthread_mutex_lock(&tasks->mutex);
  task->running = false;
  pthread_cond_broadcast(&tasks->idle);
  if (!tasks->stopping)
    schedule(task, RETRY_MS);
  pthread_mutex_unlock(&tasks->mutex);
}

SkyStatus sky_service_every(SkyService *service, const char *name, int64_t period_ms,
                            SkyStatus (*task)(void *user, const SkyContext *context), void *user) {
  SkyTasks *tasks = &service->tasks;
  if (tasks->count == SKY_SERVICE_MAX_TASKS)
    return SKY_RESOURCE_EXHAUSTED("a service has at most %d periodic tasks", SKY_SERVICE_MAX_TASKS);
  SkyTask *added = &tasks->list[tasks->count++];
  *added = (SkyTask){.service = service, .name = name, .period_ms = period_ms, .run = task, .user = user};
  added->timer = (SkyTimer){.fire = fire, .user = added};
  schedule(added, next_after_ms(added));
  return SKY_OK;
}
