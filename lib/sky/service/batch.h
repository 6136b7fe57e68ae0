/*
 * Batch: work of many callers done together by one thread. Who waits for a commit of the store waits without a thread
 * of its own, and what came while the thread was busy shares the next commit.
 *
 * Thread-safe.
 */
#pragma once

#include <stddef.h>

#include <sky/core/status.h>

typedef struct SkyBatch SkyBatch;

/* Embedded in what the callers queue. */
typedef struct SkyBatchJob {
  struct SkyBatchJob *next;
} SkyBatchJob;

typedef struct SkyBatchOptions {
  /* Does the jobs, in the order in which they were added, and ends each of them in its own way. On the batch's thread.
   */
  void (*work)(void *self, SkyBatchJob *const *jobs, size_t count);
  void *self;
  const char *name;   /* of the thread; at most 15 characters are shown */
  size_t max_jobs;    /* at once; 0: 256 */
  size_t max_waiting; /* more get RESOURCE_EXHAUSTED; 0: 8192 */
} SkyBatchOptions;

/* RESOURCE_EXHAUSTED without memory or a thread. */
SKY_MUST_USE SkyStatus sky_batch_create(const SkyBatchOptions *options, SkyBatch **ret);
/* Does what waits, then ends. Nobody may add any more. NULL-safe. */
void sky_batch_destroy(SkyBatch *batch);

/* Queues a job, which stays the caller's until work ends it. RESOURCE_EXHAUSTED with a retry hint: it was not taken. */
SKY_MUST_USE SkyStatus sky_batch_add(SkyBatch *batch, SkyBatchJob *job);
