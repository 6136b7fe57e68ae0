/*
 * Executor: a fixed number of worker threads behind a bounded queue, first in, first out.
 *
 * Full means no, at once: submit never blocks. How long work waited is visible to the work itself
 * (sky_executor_queued_ns) and from outside (oldest_wait_ns), so that a server can shed load before deadlines are
 * missed.
 *
 * Thread-safe. Drain and destroy must not be called from a worker.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/time.h>

typedef struct SkyExecutor SkyExecutor;

typedef struct SkyExecutorOptions {
  size_t threads;        /* 0: 4 */
  size_t max_queued;     /* waiting, not counting those that run; 0: 1024 */
  const char *name;      /* of the threads, for top and debuggers; at most 15 characters are shown; NULL: "worker" */
  const SkyClock *clock; /* measures the time in the queue; NULL: the system's. Must outlive the executor */
} SkyExecutorOptions;

typedef struct SkyExecutorStats {
  size_t threads;
  size_t queued;          /* waiting now */
  size_t running;         /* running now */
  uint64_t done;          /* ran to their end since create */
  uint64_t rejected;      /* refused since create */
  int64_t oldest_wait_ns; /* how long the first in the queue has been waiting; 0 when none waits */
} SkyExecutorStats;

/* Starts all threads. RESOURCE_EXHAUSTED without memory or threads. options may be NULL. */
SKY_MUST_USE SkyStatus sky_executor_create(const SkyExecutorOptions *options, SkyExecutor **ret);

/* Runs what is still queued, waits for all of it and frees. NULL-safe. To bound the wait, drain first. */
void sky_executor_destroy(SkyExecutor *executor);

/* Runs run(user) on a worker. RESOURCE_EXHAUSTED when the queue is full, UNAVAILABLE after drain or destroy began: not
 * taken. */
SKY_MUST_USE SkyStatus sky_executor_submit(SkyExecutor *executor, void (*run)(void *user), void *user);

/*
 * The same for a caller that submits many pieces in a row and then calls sky_executor_flush(): when work is short (the
 * executor measures it), one worker is woken for several pieces, because waking costs more than the work. Work that
 * takes long wakes a worker for each piece as sky_executor_submit() does.
 */
SKY_MUST_USE SkyStatus sky_executor_submit_soon(SkyExecutor *executor, void (*run)(void *user), void *user);
/*
 * Wakes the workers that the work now waiting needs; how many pieces wait. While there are any the caller must come
 * again in about a millisecond: the workers it counted on may hang in work that is long for once.
 */
size_t sky_executor_flush(SkyExecutor *executor);

/*
 * Takes no more work and waits until all that was taken has run. DEADLINE_EXCEEDED at deadline_ns (system's monotonic
 * time; SKY_NO_DEADLINE waits for ever): the rest goes on running, and drain may be called again.
 */
SKY_MUST_USE SkyStatus sky_executor_drain(SkyExecutor *executor, int64_t deadline_ns);

/* A snapshot. Thread-safe. */
SkyExecutorStats sky_executor_stats(SkyExecutor *executor);

/* Inside work: how long this work waited in the queue. 0 on a thread that is no worker. */
int64_t sky_executor_queued_ns(void);
