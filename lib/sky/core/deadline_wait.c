#include <sky/core/deadline_wait.h>

#include <sky/core/context.h>

#include <errno.h>
#include <time.h>

void sky_deadline_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attributes);
  pthread_condattr_destroy(&attributes);
}

bool sky_deadline_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns) {
  if (deadline_ns == SKY_NO_DEADLINE)
    return pthread_cond_wait(cond, lock) == 0;
  if (deadline_ns < 0)
    deadline_ns = 0; /* pthread_cond_timedwait() refuses what lies before the clock's start */
  const struct timespec until = {.tv_sec = deadline_ns / SKY_NS_PER_S, .tv_nsec = deadline_ns % SKY_NS_PER_S};
  return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}
