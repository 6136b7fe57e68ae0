/*
 * Codel: which of the work that has waited in a queue is to be dropped, judged by how long it waited (controlled
 * delay).
 *
 * A queue that is full now and then is doing its job; one in which even the luckiest has waited too long for a whole
 * interval only makes everybody late. Then what has waited more than twice the target is dropped, so that the rest is
 * answered while somebody still waits for it, and the queue becomes short again.
 *
 * Nichols, Jacobson: Controlling Queue Delay, ACM Queue 10 (5), 2012, https://queue.acm.org/detail.cfm?id=2209336 ; in
 * the form for servers of Maurer: Fail at Scale, ACM Queue 13 (8), 2015, https://queue.acm.org/detail.cfm?id=2839461
 *
 * Pure: time comes from the caller. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct SkyCodel {
  int64_t target_ns;   /* that the shortest wait of an interval should not pass */
  int64_t interval_ns; /* longer than bursts that are to be taken */
  int64_t interval_end_ns;
  int64_t shortest_ns; /* of the interval that is running */
  bool overloaded;     /* the interval before was too slow for everybody */
} SkyCodel;

/* Nothing has been late yet. */
void sky_codel_init(SkyCodel *codel, int64_t target_ns, int64_t interval_ns);
/* True when work that has waited this long, and is about to begin now, is to be dropped. Asked for all work. */
bool sky_codel_is_late(SkyCodel *codel, int64_t waited_ns, int64_t now_ns);
