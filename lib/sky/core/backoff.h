/*
 * Backoff: when to try again, and whether.
 *
 * Delays grow exponentially with full jitter (a random part of the whole delay), which spreads the retries of many
 * clients best: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ . The budget bounds retries
 * to a share of what succeeds, so that retries cannot multiply the load of a peer that is down.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/id.h>

typedef struct SkyBackoff {
  int64_t initial_ms; /* the longest first delay; at least 1 */
  int64_t max_ms;     /* no delay is longer; at least initial_ms */
  double multiplier;  /* from one retry to the next; at least 1 */
} SkyBackoff;

/* The longest delay before retry number `retry`, counted from 1: min(max_ms, initial_ms * multiplier^(retry - 1)). */
int64_t sky_backoff_ceiling_ms(const SkyBackoff *backoff, uint32_t retry);

/* The delay before that retry: uniform from 0 to the ceiling, both included. */
int64_t sky_backoff_delay_ms(const SkyBackoff *backoff, uint32_t retry, const SkyRandom *random);

/*
 * A bucket of retries: a retry takes one token, a success gives back a fraction of one, never above the maximum. With
 * max_tokens 10 and tokens_per_success 0.1 retries are at most a tenth of the successes, after a first burst of ten.
 * Thread-safe.
 */
typedef struct SkyRetryBudget {
  _Atomic int64_t milli_tokens;
  int64_t max_milli_tokens;
  int64_t milli_per_success;
} SkyRetryBudget;

/* Starts full. Both are kept in thousandths of a token. */
void sky_retry_budget_init(SkyRetryBudget *budget, double max_tokens, double tokens_per_success);
void sky_retry_budget_success(SkyRetryBudget *budget);
/* Takes a token and returns true, or returns false: do not retry. */
bool sky_retry_budget_take(SkyRetryBudget *budget);
