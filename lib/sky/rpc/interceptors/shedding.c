#include "shedding.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include <sky/core/codel.h>
#include <sky/core/executor.h>

enum { DEFAULT_TARGET_MS = 100, DEFAULT_INTERVAL_MS = 1000, DEFAULT_RETRY_AFTER_MS = 500 };

struct SkyShedding {
  const SkyClock *clock;
  int64_t retry_after_ms;
  pthread_mutex_t lock; /* guards what follows */
  SkyCodel codel;
  uint64_t count;
};

static int64_t or_default(int64_t value, int64_t default_value) {
  return value != 0 ? value : default_value;
}

SkyStatus sky_shedding_create(const SkySheddingOptions *options, SkyShedding **ret) {
  SkyShedding *shedding = calloc(1, sizeof(*shedding));
  if (shedding == NULL)
    return sky_status_no_memory();
  shedding->clock = options->clock != NULL ? options->clock : sky_clock_system_borrow();
  shedding->retry_after_ms = or_default(options->retry_after_ms, DEFAULT_RETRY_AFTER_MS);
  sky_codel_init(&shedding->codel, or_default(options->target_ms, DEFAULT_TARGET_MS) * SKY_NS_PER_MS,
                 or_default(options->interval_ms, DEFAULT_INTERVAL_MS) * SKY_NS_PER_MS);
  pthread_mutex_init(&shedding->lock, NULL);
  *ret = shedding;
  return SKY_OK;
}

void sky_shedding_destroy(SkyShedding *shedding) {
  if (shedding == NULL)
    return;
  pthread_mutex_destroy(&shedding->lock);
  free(shedding);
}

static SkyStatus begin(void *self, SkyCall *call, const ProtobufCMessage *request) {
  SkyShedding *shedding = self;
  if (sky_call_method(call)->inline_handler)
    return SKY_OK;
  const int64_t waited_ns = sky_executor_queued_ns(), now_ns = sky_clock_monotonic_ns(shedding->clock);
  pthread_mutex_lock(&shedding->lock);
  const bool late = sky_codel_is_late(&shedding->codel, waited_ns, now_ns);
  shedding->count += late;
  pthread_mutex_unlock(&shedding->lock);
  if (!late)
    return SKY_OK;
  return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("the server is overloaded: the call waited %" PRId64
                                                        " ms for a worker",
                                                        waited_ns / SKY_NS_PER_MS),
                                        shedding->retry_after_ms);
}

SkyServerInterceptor sky_shedding_server(SkyShedding *shedding) {
  return (SkyServerInterceptor){.begin = begin, .self = shedding};
}

uint64_t sky_shedding_count(SkyShedding *shedding) {
  pthread_mutex_lock(&shedding->lock);
  const uint64_t count = shedding->count;
  pthread_mutex_unlock(&shedding->lock);
  return count;
}
