/*
 * Circuit: a circuit breaker for a client (core/breaker.h). After some failures in a row calls fail at once with
 * UNAVAILABLE and the time to come back, until one that is let through succeeds; so a sick peer is left in peace and
 * its callers do not wait for it.
 *
 * A failure is UNAVAILABLE or DEADLINE_EXCEEDED: the peer is away or too slow. What it answers, an error included,
 * shows that it is well; what its caller cancels, or what is refused on our side before it is sent, shows nothing.
 * Thread-safe.
 */
#pragma once

#include <sky/core/breaker.h>
#include <sky/core/time.h>
#include <sky/rpc/client.h>

typedef struct SkyCircuit SkyCircuit;

typedef struct SkyCircuitOptions {
  SkyBreakerPolicy policy; /* all zero: sky_breaker_default_policy */
  bool per_method;         /* a circuit for every method (256 at most, the rest share one), else one for the peer */
  const SkyClock *clock;   /* NULL: the system's */
} SkyCircuitOptions;

/* The options are copied. RESOURCE_EXHAUSTED without memory. */
SKY_MUST_USE SkyStatus sky_circuit_create(const SkyCircuitOptions *options, SkyCircuit **ret);
void sky_circuit_destroy(SkyCircuit *circuit); /* after its clients; NULL-safe */
SkyClientInterceptor sky_circuit_client(SkyCircuit *circuit);
/* Calls of this method would fail at once. */
bool sky_circuit_is_open(SkyCircuit *circuit, const SkyMethodDescriptor *method);
