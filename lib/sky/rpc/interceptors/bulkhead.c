#include "bulkhead.h"

#include <stdlib.h>
#include <string.h>

#include <sky/rpc/method_table.h>

enum { MAX_LIMITS = 64, DEFAULT_RETRY_AFTER_MS = 100 };

struct SkyBulkhead {
  SkyBulkheadOptions options;
  SkyBulkheadLimit limits[MAX_LIMITS];
  SkyMethodTable methods;
  atomic_size_t calls[SKY_METHOD_NUMBERS];
};

SkyStatus sky_bulkhead_create(const SkyBulkheadOptions *options, SkyBulkhead **ret) {
  if (options->limit_count > MAX_LIMITS)
    return SKY_INVALID_ARGUMENT("a bulkhead has at most %d limits", MAX_LIMITS);
  SkyBulkhead *bulkhead = calloc(1, sizeof(*bulkhead));
  if (bulkhead == NULL)
    return sky_status_no_memory();
  bulkhead->options = *options;
  if (bulkhead->options.retry_after_ms == 0)
    bulkhead->options.retry_after_ms = DEFAULT_RETRY_AFTER_MS;
  if (options->limit_count > 0)
    memcpy(bulkhead->limits, options->limits, options->limit_count * sizeof(options->limits[0]));
  *ret = bulkhead;
  return SKY_OK;
}

void sky_bulkhead_destroy(SkyBulkhead *bulkhead) {
  free(bulkhead);
}

static size_t limit_of(const SkyBulkhead *bulkhead, const SkyMethodDescriptor *method) {
  for (size_t i = 0; i < bulkhead->options.limit_count; i++) {
    if (bulkhead->limits[i].method == method)
      return bulkhead->limits[i].max_calls;
  }
  return bulkhead->options.max_calls != 0 ? bulkhead->options.max_calls : SIZE_MAX;
}

static atomic_size_t *calls_of(SkyBulkhead *bulkhead, const SkyMethodDescriptor *method) {
  return &bulkhead->calls[sky_method_number(&bulkhead->methods, method)];
}

static SkyStatus enter(SkyBulkhead *bulkhead, const SkyMethodDescriptor *method) {
  atomic_size_t *calls = calls_of(bulkhead, method);
  const size_t limit = limit_of(bulkhead, method);
  if (atomic_fetch_add(calls, 1) < limit)
    return SKY_OK;
  atomic_fetch_sub(calls, 1);
  return sky_status_with_retry_after_ms(SKY_RESOURCE_EXHAUSTED("%s has %zu open calls", method->name, limit),
                                        bulkhead->options.retry_after_ms);
}

static void leave(SkyBulkhead *bulkhead, const SkyMethodDescriptor *method) {
  atomic_fetch_sub(calls_of(bulkhead, method), 1);
}

static SkyStatus begin_served(void *self, SkyCall *call, const ProtobufCMessage *request) {
  return enter(self, sky_call_method(call));
}

static void end_served(void *self, SkyCall *call, SkyStatus *status) {
  leave(self, sky_call_method(call));
}

static SkyStatus begin_made(void *self, SkyClientCall *call) {
  return enter(self, sky_client_call_method(call));
}

static void end_made(void *self, SkyClientCall *call, const SkyError *status) {
  leave(self, sky_client_call_method(call));
}

SkyServerInterceptor sky_bulkhead_server(SkyBulkhead *bulkhead) {
  return (SkyServerInterceptor){.begin = begin_served, .end = end_served, .self = bulkhead};
}

SkyClientInterceptor sky_bulkhead_client(SkyBulkhead *bulkhead) {
  return (SkyClientInterceptor){.begin = begin_made, .end = end_made, .self = bulkhead};
}

size_t sky_bulkhead_calls(SkyBulkhead *bulkhead, const SkyMethodDescriptor *method) {
  return atomic_load(calls_of(bulkhead, method));
}
