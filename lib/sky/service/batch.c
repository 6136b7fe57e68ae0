#include <sky/service/batch.h>

#include <pthread.h>
#include <stdlib.h>

enum { DEFAULT_JOBS = 256, DEFAULT_WAITING = 8192, RETRY_MS = 50 };

struct SkyBatch {
  SkyBatchOptions options;
  pthread_t thread;
  SkyBatchJob **jobs; /* the thread's own: what it works on */

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t added;
  SkyBatchJob *first, **end;
  size_t waiting;
  bool idle; /* the thread sleeps */
  bool stopping;
};

/* With the lock held. */
static size_t take(SkyBatch *batch) {
  size_t count = 0;
  for (; batch->first != NULL && count < batch->options.max_jobs; count++) {
    batch->jobs[count] = batch->first;
    batch->first = batch->first->next;
  }
  if (batch->first == NULL)
    batch->end = &batch->first;
  batch->waiting -= count;
  return count;
}

static void *run(void *user) {
  SkyBatch *batch = user;
  pthread_mutex_lock(&batch->lock);
  for (;;) {
    while (batch->first == NULL && !batch->stopping) {
      batch->idle = true;
      pthread_cond_wait(&batch->added, &batch->lock);
    }
    batch->idle = false;
    const size_t count = take(batch);
    if (count == 0)
      break;
    pthread_mutex_unlock(&batch->lock);
    batch->options.work(batch->options.self, batch->jobs, count);
    pthread_mutex_lock(&batch->lock);
  }
  pthread_mutex_unlock(&batch->lock);
  return NULL;
}

static void batch_free(SkyBatch *batch) {
  pthread_cond_destroy(&batch->added);
  pthread_mutex_destroy(&batch->lock);
  free(batch->jobs);
  free(batch);
}

SkyStatus sky_batch_create(const SkyBatchOptions *options, SkyBatch **ret) {
  SkyBatch *batch = calloc(1, sizeof(*batch));
  if (batch == NULL)
    return sky_status_no_memory();
  batch->options = *options;
  if (batch->options.max_jobs == 0)
    batch->options.max_jobs = DEFAULT_JOBS;
  if (batch->options.max_waiting == 0)
    batch->options.max_waiting = DEFAULT_WAITING;
  batch->end = &batch->first;
  pthread_mutex_init(&batch->lock, NULL);
  pthread_cond_init(&batch->added, NULL);
  batch->jobs = calloc(batch->options.max_jobs, sizeof(SkyBatchJob *));
  if (batch->jobs == NULL || pthread_create(&batch->thread, NULL, run, batch) != 0) {
    batch_free(batch);
    return SKY_RESOURCE_EXHAUSTED("cannot start the thread %s", options->name);
  }
  pthread_setname_np(batch->thread, options->name);
  *ret = batch;
  return SKY_OK;
}

void sky_batch_destroy(SkyBatch *batch) {
  if (batch == NULL)
    return;
  pthread_mutex_lock(&batch->lock);
  batch->stopping = true;
  pthread_cond_signal(&batch->added);
  pthread_mutex_unlock(&batch->lock);
  pthread_join(batch->thread, NULL);
  batch_free(batch);
}

SkyStatus sky_batch_add(SkyBatch *batch, SkyBatchJob *job) {
  job->next = NULL;
  pthread_mutex_lock(&batch->lock);
  const bool has_room = batch->waiting < batch->options.max_waiting;
  if (has_room) {
    *batch->end = job;
    batch->end = &job->next;
    batch->waiting++;
    if (batch->idle) {
      batch->idle = false; /* one wake-up is enough */
      pthread_cond_signal(&batch->added);
    }
  }
  pthread_mutex_unlock(&batch->lock);
  return has_room ? SKY_OK
                  : sky_status_with_retry_after_ms(SKY_RESOURCE_EXHAUSTED("too much waits for the store"), RETRY_MS);
}
