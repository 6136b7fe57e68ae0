#include <sky/core/backoff.h>

#include <math.h>
#include <stdatomic.h>

enum { MILLI = 1000 };

int64_t sky_backoff_ceiling_ms(const SkyBackoff *backoff, uint32_t retry) {
  const double exponent = retry == 0 ? 0 : (double)(retry - 1);
  const double ceiling_ms = (double)backoff->initial_ms * pow(backoff->multiplier, exponent);
  /* Compared as doubles: the power may well be infinite. */
  return ceiling_ms < (double)backoff->max_ms ? (int64_t)ceiling_ms : backoff->max_ms;
}

int64_t sky_backoff_delay_ms(const SkyBackoff *backoff, uint32_t retry, const SkyRandom *random) {
  const int64_t ceiling_ms = sky_backoff_ceiling_ms(backoff, retry);
  const double delay_ms = sky_random_unit(random) * ((double)ceiling_ms + 1);
  return delay_ms < (double)ceiling_ms ? (int64_t)delay_ms : ceiling_ms;
}

void sky_retry_budget_init(SkyRetryBudget *budget, double max_tokens, double tokens_per_success) {
  budget->max_milli_tokens = llround(max_tokens * MILLI);
  budget->milli_per_success = llround(tokens_per_success * MILLI);
  atomic_init(&budget->milli_tokens, budget->max_milli_tokens);
}

void sky_retry_budget_success(SkyRetryBudget *budget) {
  int64_t now = atomic_load_explicit(&budget->milli_tokens, memory_order_relaxed);
  int64_t then;
  do {
    if (now == budget->max_milli_tokens) /* the usual case writes nothing */
      return;
    then = now + budget->milli_per_success;
    if (then > budget->max_milli_tokens)
      then = budget->max_milli_tokens;
  } while (!atomic_compare_exchange_weak(&budget->milli_tokens, &now, then));
}

bool sky_retry_budget_take(SkyRetryBudget *budget) {
  int64_t now = atomic_load_explicit(&budget->milli_tokens, memory_order_relaxed);
  do {
    if (now < MILLI)
      return false;
  } while (!atomic_compare_exchange_weak(&budget->milli_tokens, &now, now - MILLI));
  return true;
}
