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

typedef struct BreakerPolicy {
  unsigned failures; /* in a row: open */
  int64_t open_ms;   /* the first time; doubles while probes fail */
  int64_t max_open_ms;
  size_t max_calls; /* at once */
} BreakerPolicy;

extern const BreakerPolicy breaker_default_policy;

typedef struct Breaker {
  BreakerPolicy policy;
  size_t calls; /* under way */
  unsigned failures;
  int64_t open_until_ms; /* 0: closed */
  int64_t open_ms;       /* how long it was opened last */
  bool probing;
} Breaker;

typedef enum BreakerAnswer {
  BREAKER_GO,   /* counted as a call: breaker_end() must follow */
  BREAKER_OPEN, /* try again at *ret_until_ms */
  BREAKER_FULL  /* wait until a call ends */
} BreakerAnswer;

void breaker_init(Breaker *breaker, BreakerPolicy policy);
BreakerAnswer breaker_begin(Breaker *breaker, int64_t now_ms, int64_t *ret_until_ms);
/* sick: the call failed because the peer was away or broken, not because it said no. */
void breaker_end(Breaker *breaker, bool sick, int64_t now_ms);
