/*
 * Timer heap: which of many points in time comes first. Pure: it neither reads a clock nor calls anybody, so it serves
 * an event loop, the timer thread (timer.h) and a simulator in virtual time alike. Timers of the same time come out in
 * the order they were added.
 *
 * Adding, moving and removing take O(log n). Timers are the caller's memory and must stay until they are popped or
 * removed. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>

/* Fill fire and user; leave the rest zero. */
typedef struct SkyTimer {
  void (*fire)(void *user); /* for those who run timers: the heap itself calls nothing */
  void *user;
  int64_t at_ns;  /* set by add */
  uint64_t order; /* the heap's */
  size_t place;   /* the heap's: 1 + index; 0 when not scheduled */
} SkyTimer;

typedef struct SkyTimerHeap {
  SkyTimer **timers;
  size_t size;
  size_t capacity;
  size_t max_timers;
  uint64_t next_order;
} SkyTimerHeap;

void sky_timer_heap_init(SkyTimerHeap *heap, size_t max_timers); /* allocates nothing */
void sky_timer_heap_finish(SkyTimerHeap *heap); /* forgets the timers that are left; they may be used again */

/* Adds the timer, or moves it when it is already in this heap. RESOURCE_EXHAUSTED when full or without memory (moving
 * always works). */
SKY_MUST_USE SkyStatus sky_timer_heap_add(SkyTimerHeap *heap, SkyTimer *timer, int64_t at_ns);
/* False when it was not in the heap. */
bool sky_timer_heap_remove(SkyTimerHeap *heap, SkyTimer *timer);
/* Removes and returns the first timer that is due at now_ns; NULL when none is. */
SkyTimer *sky_timer_heap_pop_due(SkyTimerHeap *heap, int64_t now_ns);
/* When the first timer is due; INT64_MAX when there is none. */
int64_t sky_timer_heap_next_ns(const SkyTimerHeap *heap);
