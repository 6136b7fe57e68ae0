#include <sky/core/timer.h>

#include <sky/core/deadline_wait.h>
#include <sky/core/time.h>

#include <pthread.h>
#include <stdlib.h>

struct SkyTimers {
  pthread_mutex_t lock;
  pthread_cond_t changed; /* an earlier timer, or the end */
  pthread_cond_t fired;
  SkyTimerHeap heap;
  SkyTimer *running; /* only compared: its memory may be gone */
  bool stopping;
  pthread_t thread;
};

/* Called with the lock held; calls back without it. */
static void fire(SkyTimers *timers, SkyTimer *timer) {
  void (*callback)(void *user) = timer->fire;
  void *user = timer->user;
  timers->running = timer;
  pthread_mutex_unlock(&timers->lock);
  callback(user);
  pthread_mutex_lock(&timers->lock);
  timers->running = NULL;
  pthread_cond_broadcast(&timers->fired);
}

static void *timer_loop(void *user) {
  SkyTimers *timers = user;
  pthread_mutex_lock(&timers->lock);
  while (!timers->stopping) {
    SkyTimer *due = sky_timer_heap_pop_due(&timers->heap, sky_clock_monotonic_ns(sky_clock_system_borrow()));
    if (due != NULL)
      fire(timers, due);
    else
      sky_deadline_cond_wait(&timers->changed, &timers->lock, sky_timer_heap_next_ns(&timers->heap));
  }
  pthread_mutex_unlock(&timers->lock);
  return NULL;
}

static void release(SkyTimers *timers) {
  sky_timer_heap_finish(&timers->heap);
  pthread_cond_destroy(&timers->fired);
  pthread_cond_destroy(&timers->changed);
  pthread_mutex_destroy(&timers->lock);
  free(timers);
}

SkyStatus sky_timers_create(size_t max_timers, SkyTimers **ret) {
  SkyTimers *timers = calloc(1, sizeof(*timers));
  if (timers == NULL)
    return sky_status_no_memory();
  pthread_mutex_init(&timers->lock, NULL);
  sky_deadline_cond_init(&timers->changed);
  pthread_cond_init(&timers->fired, NULL);
  sky_timer_heap_init(&timers->heap, max_timers);
  if (pthread_create(&timers->thread, NULL, timer_loop, timers) != 0) {
    release(timers);
    return SKY_RESOURCE_EXHAUSTED("cannot start the timer thread");
  }
  pthread_setname_np(timers->thread, "timers");
  *ret = timers;
  return SKY_OK;
}

void sky_timers_destroy(SkyTimers *timers) {
  if (timers == NULL)
    return;
  pthread_mutex_lock(&timers->lock);
  timers->stopping = true;
  pthread_cond_signal(&timers->changed);
  pthread_mutex_unlock(&timers->lock);
  pthread_join(timers->thread, NULL);
  release(timers);
}

SkyStatus sky_timers_schedule(SkyTimers *timers, SkyTimer *timer, int64_t at_ns) {
  pthread_mutex_lock(&timers->lock);
  const int64_t next_ns = sky_timer_heap_next_ns(&timers->heap);
  SkyStatus status = sky_timer_heap_add(&timers->heap, timer, at_ns);
  if (sky_timer_heap_next_ns(&timers->heap) < next_ns)
    pthread_cond_signal(&timers->changed);
  pthread_mutex_unlock(&timers->lock);
  return status;
}

bool sky_timers_cancel(SkyTimers *timers, SkyTimer *timer) {
  pthread_mutex_lock(&timers->lock);
  bool waiting = sky_timer_heap_remove(&timers->heap, timer);
  if (!pthread_equal(timers->thread, pthread_self())) {
    while (timers->running == timer)
      pthread_cond_wait(&timers->fired, &timers->lock);
    /* The callback may have scheduled it again. */
    waiting = sky_timer_heap_remove(&timers->heap, timer) || waiting;
  }
  pthread_mutex_unlock(&timers->lock);
  return waiting;
}

size_t sky_timers_count(SkyTimers *timers) {
  pthread_mutex_lock(&timers->lock);
  const size_t count = timers->heap.size;
  pthread_mutex_unlock(&timers->lock);
  return count;
}
