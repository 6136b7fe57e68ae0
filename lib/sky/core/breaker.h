/*
 * Breaker: whether a peer may be called now. A circuit breaker (after some failures in a row the peer is left alone for
 * a while, then tried with one call) and a bulkhead (no more than so many calls at once), so that one sick peer takes
 * neither time nor memory from the others.
 *
 * Pure: time comes from the caller. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct SkyBreakerPolicy {
  unsigned failures; /* in a row: open */
  int64_t open_ms;   /* the first time; doubles while probes fail */
  int64_t max_open_ms;
  size_t max_calls; /* at once; 0: any number */
} SkyBreakerPolicy;

extern const SkyBreakerPolicy sky_breaker_default_policy;

typedef struct SkyBreaker {
  SkyBreakerPolicy policy;
  size_t calls; /* under way */
  unsigned failures;
  int64_t open_until_ms; /* 0: closed */
  int64_t open_ms;       /* how long it was opened last */
  bool probing;          /* the probe is under way: one at a time */
} SkyBreaker;

/* The first two are counted as calls: sky_breaker_end() or sky_breaker_drop() must follow, and be given the answer. */
typedef enum SkyBreakerAnswer {
  SKY_BREAKER_GO,
  SKY_BREAKER_PROBE, /* go: the one call by which the peer is tried */
  SKY_BREAKER_OPEN,  /* try again at *ret_until_ms */
  SKY_BREAKER_FULL   /* wait until a call ends */
} SkyBreakerAnswer;

/* init: closed, without a failure. begin: whether a call may be made now. */
void sky_breaker_init(SkyBreaker *breaker, SkyBreakerPolicy policy);
SkyBreakerAnswer sky_breaker_begin(SkyBreaker *breaker, int64_t now_ms, int64_t *ret_until_ms);
/*
 * sick: the call failed because the peer was away or broken, not because it said no. While the circuit is open only the
 * probe tells something: what was under way when it opened is old news.
 */
void sky_breaker_end(SkyBreaker *breaker, SkyBreakerAnswer begun, bool sick, int64_t now_ms);
/* Instead of end: the call says nothing about the peer; it was never made, or its caller has given it up. */
void sky_breaker_drop(SkyBreaker *breaker, SkyBreakerAnswer begun);
