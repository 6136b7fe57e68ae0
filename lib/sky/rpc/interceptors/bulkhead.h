/*
 * Bulkhead: no more than so many calls of one method at once, so that one slow method does not take all workers,
 * connections or memory from the others. More get RESOURCE_EXHAUSTED at once, with the time to come back.
 *
 * One object serves one server or client or several, which then share its limits. Thread-safe.
 */
#pragma once

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

typedef struct SkyBulkhead SkyBulkhead;

typedef struct SkyBulkheadLimit {
  const SkyMethodDescriptor *method;
  size_t max_calls;
} SkyBulkheadLimit;

typedef struct SkyBulkheadOptions {
  size_t max_calls;               /* of every method that limits do not name; 0: any number */
  const SkyBulkheadLimit *limits; /* copied */
  size_t limit_count;             /* at most 64 */
  int64_t retry_after_ms;         /* told to who is turned away; 0: 100 */
} SkyBulkheadOptions;

/* INVALID_ARGUMENT for too many limits. */
SKY_MUST_USE SkyStatus sky_bulkhead_create(const SkyBulkheadOptions *options, SkyBulkhead **ret);
void sky_bulkhead_destroy(SkyBulkhead *bulkhead); /* after its servers and clients; NULL-safe */
SkyServerInterceptor sky_bulkhead_server(SkyBulkhead *bulkhead);
SkyClientInterceptor sky_bulkhead_client(SkyBulkhead *bulkhead);
/* Calls of the method that are open now. */
size_t sky_bulkhead_calls(SkyBulkhead *bulkhead, const SkyMethodDescriptor *method);
