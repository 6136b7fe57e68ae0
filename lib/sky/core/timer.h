/*
 * Timers: one thread that calls back at given times: deadlines, retries, sweeps. Times are the system's monotonic
 * clock.
 *
 * A timer is the caller's memory (SkyTimer in timer_heap.h), so scheduling allocates nothing after warm-up. It must
 * stay until it has fired or was cancelled; fire may free it or schedule it again. Callbacks run one after the other on
 * the timer's thread and must not block: hand longer work to an executor.
 *
 * Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/timer_heap.h>

typedef struct SkyTimers SkyTimers;

/* RESOURCE_EXHAUSTED without memory or thread. */
SKY_MUST_USE SkyStatus sky_timers_create(size_t max_timers, SkyTimers **ret);
/* Waits for a running callback; timers that have not fired never will. Not from a callback. NULL-safe. */
void sky_timers_destroy(SkyTimers *timers);

/*
 * Calls timer->fire(timer->user) at at_ns or as soon after as can be; a time that is over means at once. A timer that
 * is already scheduled is moved. RESOURCE_EXHAUSTED when max_timers wait.
 */
SKY_MUST_USE SkyStatus sky_timers_schedule(SkyTimers *timers, SkyTimer *timer, int64_t at_ns);

/*
 * After it returns the timer does not fire and is not running (except when called from its own callback). True when it
 * was waiting; false when it had fired or was never scheduled.
 */
bool sky_timers_cancel(SkyTimers *timers, SkyTimer *timer);

size_t sky_timers_count(SkyTimers *timers); /* waiting now */
