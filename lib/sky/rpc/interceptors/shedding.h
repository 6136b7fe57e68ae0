/*
 * Shedding: a server that cannot keep up turns away what has waited too long for a worker (core/codel.h), with
 * UNAVAILABLE and the time to come back, so that it answers the others in time instead of everybody too late. Methods
 * marked as inline wait for no worker and are never shed. Thread-safe.
 */
#pragma once

#include <sky/core/time.h>
#include <sky/rpc/server.h>

typedef struct SkyShedding SkyShedding;

typedef struct SkySheddingOptions {
  int64_t target_ms;      /* the wait that is too long when all have it; twice of it is shed; 0: 100 */
  int64_t interval_ms;    /* for so long; 0: 1000 */
  int64_t retry_after_ms; /* told to who is turned away; 0: 500 */
  const SkyClock *clock;  /* NULL: the system's */
} SkySheddingOptions;

/* The options are copied. RESOURCE_EXHAUSTED without memory. */
SKY_MUST_USE SkyStatus sky_shedding_create(const SkySheddingOptions *options, SkyShedding **ret);
void sky_shedding_destroy(SkyShedding *shedding); /* after its servers; NULL-safe */
SkyServerInterceptor sky_shedding_server(SkyShedding *shedding);
uint64_t sky_shedding_count(SkyShedding *shedding); /* turned away since create */
