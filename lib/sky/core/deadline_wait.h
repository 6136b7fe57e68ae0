/*
 * Condition variables whose waits end at a time of the system's monotonic clock: setting the wall clock moves no
 * deadline.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A condition for sky_deadline_cond_wait(); pthread_cond_destroy() ends it. */
void sky_deadline_cond_init(pthread_cond_t *cond);

/* Waits with the lock held, as pthread_cond_wait(); false at deadline_ns. SKY_NO_DEADLINE waits for ever. */
bool sky_deadline_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns);
