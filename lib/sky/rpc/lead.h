/*
 * Lead: two threads of which one at a time, the leader, drives a queue of events. The leader may do a piece of work of
 * its own, which saves a change of threads when the work is short; when it turns out to be long the other thread, the
 * spare, takes the lead and drives the queue, and who did the work is the spare from then on. (internal)
 *
 * The spare looks every millisecond while the leader works now and then, and sleeps when it does not; so work that is
 * long, or blocks, holds up the queue for two milliseconds at most.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct SkyLead {
  atomic_uint_fast64_t turn; /* odd while the leader does work of its own; grows with each begin, end and taking over */
  atomic_bool spare_waits;   /* there is somebody to take over */
  atomic_bool spare_looks;   /* now and then by itself; else it must be woken */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool over;
} SkyLead;

void sky_lead_init(SkyLead *lead);
void sky_lead_finish(SkyLead *lead); /* when both threads have ended */

/* The leader's. */

/* True when there is a spare, who takes over from a leader that works for long. */
static inline bool sky_lead_has_spare(const SkyLead *lead) {
  return atomic_load_explicit(&lead->spare_waits, memory_order_relaxed);
}
/* Before work of the leader's own; there must be a spare. */
void sky_lead_begin_work(SkyLead *lead);
/* After it. False: the spare has taken over. */
bool sky_lead_end_work(SkyLead *lead);
/* Nobody leads any more: the spare's wait ends. */
void sky_lead_over(SkyLead *lead);

/* The spare's: waits until it is the leader; false when it is over. */
bool sky_lead_wait(SkyLead *lead);
