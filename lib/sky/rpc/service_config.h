/*
 * Service config: how a client treats calls that fail, by method, and whether it asks its servers for their health. In
 * gRPC's own format, JSON, which the core reads: https://github.com/grpc/grpc/blob/master/doc/service_config.md
 *
 * Retries are those of gRFC A6, https://github.com/grpc/proposal/blob/master/A6-client-retries.md. Safe ones only by
 * themselves: a method is retried when its contract marks it as idempotent (idempotency_level) and its service is named
 * here. What a server has never seen is sent again in any case.
 *
 * Thread-safe.
 */
#pragma once

#include <sky/codec/service.h>
#include <sky/core/buf.h>
#include <sky/core/status.h>

/* Zeros give the defaults. */
typedef struct SkyRetryPolicy {
  unsigned max_attempts;      /* with the first one; 0: 4; 1: no retries; the core makes at most 5 */
  int64_t initial_backoff_ms; /* before the first retry; 0: 50 */
  int64_t max_backoff_ms;     /* 0: 1000 */
  double multiplier;          /* of the back-off, from one retry to the next; 0: 2 */
  const SkyCode *codes;       /* that are retried; NULL: UNAVAILABLE */
  size_t code_count;
} SkyRetryPolicy;

/*
 * The budget of all retries to one target: a failure takes a token, a success gives tokens_per_success back, and there
 * are no retries while fewer than half of max_tokens are left. So a peer that is down is not called many times over.
 */
typedef struct SkyRetryThrottling {
  unsigned max_tokens;       /* at most 1000; 0: 100 */
  double tokens_per_success; /* 0: 0.1 */
} SkyRetryThrottling;

/*
 * Hedging: a call that is not answered within the delay is made again, to another server where there is one, and so on;
 * the first answer counts, the other attempts are cancelled. For the slowest calls of many: with a delay near the 95th
 * percentile it costs a twentieth more calls. A failure with one of the codes starts the next attempt at once.
 */
typedef struct SkyHedgingPolicy {
  unsigned max_attempts; /* with the first one, at most 5; 0 or 1: no hedging */
  int64_t delay_ms;      /* 0: all attempts at once */
  const SkyCode *codes;  /* not final while another attempt may follow; NULL: UNAVAILABLE. Static */
  size_t code_count;
} SkyHedgingPolicy;

typedef struct SkyServiceConfig {
  const SkyServiceDescriptor *const *services; /* NULL-terminated: the contracts spoken here; NULL: no retries */
  SkyRetryPolicy retry;                        /* of their idempotent methods */
  SkyHedgingPolicy hedging;      /* of unary methods that their contract marks as idempotent, in place of retries */
  SkyRetryThrottling throttling; /* hedged attempts have a budget of the same size, and each takes a token of it */
  /*
   * Asks every server by health v1 whether this service is serving ("" the whole server), and calls only those that
   * are. NULL: does not ask. Not through a proxy that spreads calls over servers, whose answers would be mixed up.
   */
  const char *health_service;
} SkyServiceConfig;

/* Writes the JSON, always with round_robin. INVALID_ARGUMENT for a policy that cannot be. config may be NULL. */
SKY_MUST_USE SkyStatus sky_service_config_write(const SkyServiceConfig *config, SkyBuf *out);
