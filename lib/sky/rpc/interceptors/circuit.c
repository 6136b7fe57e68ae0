#include "circuit.h"

#include <pthread.h>
#include <stdlib.h>

#include <sky/rpc/method_table.h>

struct SkyCircuit {
  bool per_method;
  const SkyClock *clock;
  SkyMethodTable methods;
  pthread_mutex_t lock; /* guards the breakers */
  SkyBreaker breakers[SKY_METHOD_NUMBERS];
};

static bool says_nothing(const SkyBreakerPolicy *policy) {
  return policy->failures == 0 && policy->open_ms == 0 && policy->max_open_ms == 0 && policy->max_calls == 0;
}

SkyStatus sky_circuit_create(const SkyCircuitOptions *options, SkyCircuit **ret) {
  SkyCircuit *circuit = calloc(1, sizeof(*circuit));
  if (circuit == NULL)
    return sky_status_no_memory();
  circuit->per_method = options->per_method;
  circuit->clock = options->clock != NULL ? options->clock : sky_clock_system_borrow();
  pthread_mutex_init(&circuit->lock, NULL);
  const SkyBreakerPolicy policy = says_nothing(&options->policy) ? sky_breaker_default_policy : options->policy;
  for (size_t i = 0; i < SKY_METHOD_NUMBERS; i++)
    sky_breaker_init(&circuit->breakers[i], policy);
  *ret = circuit;
  return SKY_OK;
}

void sky_circuit_destroy(SkyCircuit *circuit) {
  if (circuit == NULL)
    return;
  pthread_mutex_destroy(&circuit->lock);
  free(circuit);
}

static int64_t now_ms(const SkyCircuit *circuit) {
  return sky_clock_monotonic_ns(circuit->clock) / SKY_NS_PER_MS;
}

static SkyBreaker *breaker_of(SkyCircuit *circuit, const SkyMethodDescriptor *method) {
  return &circuit->breakers[circuit->per_method ? sky_method_number(&circuit->methods, method) : 0];
}

static SkyStatus begin(void *self, SkyClientCall *call) {
  SkyCircuit *circuit = self;
  const SkyMethodDescriptor *method = sky_client_call_method(call);
  int64_t until_ms = 0;
  const int64_t at_ms = now_ms(circuit);
  pthread_mutex_lock(&circuit->lock);
  const SkyBreakerAnswer answer = sky_breaker_begin(breaker_of(circuit, method), at_ms, &until_ms);
  pthread_mutex_unlock(&circuit->lock);
  switch (answer) {
  case SKY_BREAKER_OPEN:
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("%s: the peer has failed too often", method->name),
                                          until_ms - at_ms);
  case SKY_BREAKER_FULL:
    return SKY_RESOURCE_EXHAUSTED("%s: too many calls to the peer are open", method->name);
  case SKY_BREAKER_GO:
  case SKY_BREAKER_PROBE:
    *sky_client_call_own_slot(call) = (void *)(uintptr_t)answer;
    break;
  }
  return SKY_OK;
}

/* Nothing has been asked of the peer, or its answer is not waited for. */
static bool says_nothing_of_peer(const SkyClientCall *call, SkyCode code) {
  return !sky_client_call_was_made(call) || code == SKY_CODE_CANCELLED;
}

static void end(void *self, SkyClientCall *call, const SkyError *status) {
  SkyCircuit *circuit = self;
  const SkyCode code = sky_status_code(status);
  const bool sick = code == SKY_CODE_UNAVAILABLE || code == SKY_CODE_DEADLINE_EXCEEDED;
  const SkyBreakerAnswer begun = (SkyBreakerAnswer)(uintptr_t)*sky_client_call_own_slot(call);
  SkyBreaker *breaker = breaker_of(circuit, sky_client_call_method(call));
  const int64_t at_ms = now_ms(circuit);
  pthread_mutex_lock(&circuit->lock);
  if (says_nothing_of_peer(call, code))
    sky_breaker_drop(breaker, begun);
  else
    sky_breaker_end(breaker, begun, sick, at_ms);
  pthread_mutex_unlock(&circuit->lock);
}

SkyClientInterceptor sky_circuit_client(SkyCircuit *circuit) {
  return (SkyClientInterceptor){.begin = begin, .end = end, .self = circuit};
}

bool sky_circuit_is_open(SkyCircuit *circuit, const SkyMethodDescriptor *method) {
  const int64_t at_ms = now_ms(circuit);
  pthread_mutex_lock(&circuit->lock);
  const SkyBreaker *breaker = breaker_of(circuit, method);
  const bool open = breaker->open_until_ms > at_ms || (breaker->open_until_ms != 0 && breaker->probing);
  pthread_mutex_unlock(&circuit->lock);
  return open;
}
