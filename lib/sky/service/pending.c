#include <sky/service/pending.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_TIMEOUT_MS = 10000, ARENA_BUDGET = 4 << 20, SWEEP_PAGE = 100, SWEEP_MAX_PAGES = 100 };

struct SkyPending {
  SkyPendingOptions options;
  pthread_mutex_t mutex;
  pthread_cond_t idle;
  size_t running;
};

typedef struct Job {
  SkyPending *pending;
  SkyTrace trace;
  char id[];
} Job;

SkyStatus sky_pending_create(const SkyPendingOptions *options, SkyPending **ret) {
  SkyPending *pending = calloc(1, sizeof(*pending));
  if (pending == NULL)
    return sky_status_no_memory();
  pending->options = *options;
  pthread_mutex_init(&pending->mutex, NULL);
  pthread_cond_init(&pending->idle, NULL);
  *ret = pending;
  return SKY_OK;
}

void sky_pending_destroy(SkyPending *pending) {
  if (pending == NULL)
    return;
  pthread_mutex_lock(&pending->mutex);
  while (pending->running > 0)
    pthread_cond_wait(&pending->idle, &pending->mutex);
  pthread_mutex_unlock(&pending->mutex);
  pthread_cond_destroy(&pending->idle);
  pthread_mutex_destroy(&pending->mutex);
  free(pending);
}

static void running_add(SkyPending *pending, int change) {
  pthread_mutex_lock(&pending->mutex);
  pending->running += (size_t)change;
  if (pending->running == 0)
    pthread_cond_broadcast(&pending->idle);
  pthread_mutex_unlock(&pending->mutex);
}

static SkyStatus settle(SkyPending *pending, const SkyContext *context, const ProtobufCMessage *document,
                        int64_t version, SkyArena *arena) {
  SkyStatus status = pending->options.settle(pending->options.self, context, document, version, arena);
  if (sky_status_take(&status, SKY_CODE_ABORTED) || sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return SKY_OK;
  return status;
}

static void settle_one(void *user) {
  Job *job = user;
  SkyPending *pending = job->pending;
  SkyContext context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, SETTLE_TIMEOUT_MS);
  context.trace = sky_trace_child(&job->trace);
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BUDGET);
  ProtobufCMessage *document;
  int64_t version;
  SkyStatus status = sky_store_get(pending->options.store, &context, pending->options.collection, job->id, &arena,
                                   &document, &version);
  if (status == SKY_OK)
    status = settle(pending, &context, document, version, &arena);
  sky_status_free(status); /* the document keeps its mark, and the sweep reports what goes on failing */
  sky_arena_finish(&arena);
  free(job);
  running_add(pending, -1);
}

void sky_pending_soon(SkyPending *pending, const SkyContext *context, const char *id) {
  const size_t size = strlen(id) + 1;
  Job *job = malloc(sizeof(*job) + size);
  if (job == NULL)
    return;
  job->pending = pending;
  job->trace = context->trace;
  memcpy(job->id, id, size);
  running_add(pending, 1);
  SkyStatus status = sky_rpc_run(pending->options.rpc, settle_one, job);
  if (status == SKY_OK)
    return;
  sky_status_free(status);
  free(job);
  running_add(pending, -1);
}

static SkyStatus sweep_page(SkyPending *pending, const SkyContext *context, SkyArena *arena, size_t *ret_count) {
  const SkyQuery query = {.index = pending->options.index, .equal = {SKY_V_BOOL(true)}, .page_size = SWEEP_PAGE};
  SkyPage page;
  SKY_TRY(sky_store_find(pending->options.store, context, pending->options.collection, &query, arena, &page));
  for (size_t i = 0; i < page.count; i++)
    SKY_TRY(settle(pending, context, page.documents[i], page.versions[i], arena));
  *ret_count = page.count;
  return SKY_OK;
}

/* What is settled leaves the index, so the first page is always the next one. */
SkyStatus sky_pending_sweep(SkyPending *pending, const SkyContext *context) {
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BUDGET);
  SkyStatus status = SKY_OK;
  size_t count = SWEEP_PAGE;
  for (int i = 0; i < SWEEP_MAX_PAGES && status == SKY_OK && count == SWEEP_PAGE; i++) {
    sky_arena_reset(&arena);
    status = sweep_page(pending, context, &arena, &count);
  }
  sky_arena_finish(&arena);
  return status;
}
