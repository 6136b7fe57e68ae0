#include "breaker.h"

const SkyBreakerPolicy sky_breaker_default_policy = {
    .failures = 5, .open_ms = 250, .max_open_ms = 5000, .max_calls = 256};

void sky_breaker_init(SkyBreaker *breaker, SkyBreakerPolicy policy) {
  *breaker = (SkyBreaker){.policy = policy};
}

static bool is_open(const SkyBreaker *breaker) {
  return breaker->open_until_ms != 0;
}

SkyBreakerAnswer sky_breaker_begin(SkyBreaker *breaker, int64_t now_ms, int64_t *ret_until_ms) {
  if (is_open(breaker)) {
    if (breaker->probing || now_ms < breaker->open_until_ms) {
      /* Who finds a probe under way comes back when its outcome may be known. */
      *ret_until_ms = breaker->open_until_ms > now_ms ? breaker->open_until_ms : now_ms + breaker->policy.open_ms;
      return SKY_BREAKER_OPEN;
    }
    breaker->probing = true;
    breaker->calls++;
    return SKY_BREAKER_PROBE;
  }
  if (breaker->policy.max_calls != 0 && breaker->calls >= breaker->policy.max_calls)
    return SKY_BREAKER_FULL;
  breaker->calls++;
  return SKY_BREAKER_GO;
}

static void open_circuit(SkyBreaker *breaker, int64_t now_ms) {
  const bool again = is_open(breaker);
  breaker->open_ms = again ? breaker->open_ms * 2 : breaker->policy.open_ms;
  if (breaker->open_ms > breaker->policy.max_open_ms)
    breaker->open_ms = breaker->policy.max_open_ms;
  breaker->open_until_ms = now_ms + breaker->open_ms;
}

static void close_circuit(SkyBreaker *breaker) {
  breaker->failures = 0;
  breaker->open_until_ms = 0;
}

/* The call counts no longer. True when the circuit is to learn from it. */
static bool leave(SkyBreaker *breaker, SkyBreakerAnswer begun) {
  const bool counts = begun == SKY_BREAKER_PROBE || !is_open(breaker);
  breaker->calls--;
  if (begun == SKY_BREAKER_PROBE)
    breaker->probing = false;
  return counts;
}

void sky_breaker_end(SkyBreaker *breaker, SkyBreakerAnswer begun, bool sick, int64_t now_ms) {
  if (!leave(breaker, begun))
    return;
  if (!sick)
    close_circuit(breaker);
  else if (++breaker->failures >= breaker->policy.failures)
    open_circuit(breaker, now_ms);
}

void sky_breaker_drop(SkyBreaker *breaker, SkyBreakerAnswer begun) {
  (void)leave(breaker, begun);
}
