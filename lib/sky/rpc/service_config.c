#include "service_config.h"

#include <inttypes.h>
#include <string.h>

#include <sky/rpc/client_internal.h>

enum { DEFAULT_TOKENS = 100, MAX_HEDGED_ATTEMPTS = 5 /* as of retries, gRFC A6 */ };
static const double default_refund = 0.1;
static const SkyCode default_codes[] = {SKY_CODE_UNAVAILABLE};

SkyHedgingPolicy sky_hedging_with_defaults(const SkyServiceConfig *config) {
  SkyHedgingPolicy policy = config != NULL ? config->hedging : (SkyHedgingPolicy){0};
  if (policy.codes == NULL) {
    policy.codes = default_codes;
    policy.code_count = sizeof(default_codes) / sizeof(default_codes[0]);
  }
  return policy;
}

void sky_hedging_init_budget(SkyRetryBudget *budget, const SkyServiceConfig *config) {
  const SkyRetryThrottling throttling = config != NULL ? config->throttling : (SkyRetryThrottling){0};
  sky_retry_budget_init(budget, throttling.max_tokens != 0 ? throttling.max_tokens : DEFAULT_TOKENS,
                        throttling.tokens_per_success != 0 ? throttling.tokens_per_success : default_refund);
}

static SkyRetryPolicy with_defaults(SkyRetryPolicy policy) {
  if (policy.max_attempts == 0)
    policy.max_attempts = 4;
  if (policy.initial_backoff_ms == 0)
    policy.initial_backoff_ms = 50;
  if (policy.max_backoff_ms == 0)
    policy.max_backoff_ms = 1000;
  if (policy.multiplier == 0)
    policy.multiplier = 2;
  if (policy.codes == NULL) {
    policy.codes = default_codes;
    policy.code_count = sizeof(default_codes) / sizeof(default_codes[0]);
  }
  return policy;
}

static SkyStatus check_codes(const SkyCode *codes, size_t count) {
  if (count == 0)
    return SKY_INVALID_ARGUMENT("a policy names the codes that are tried again");
  for (size_t i = 0; i < count; i++) {
    if (codes[i] == SKY_CODE_OK)
      return SKY_INVALID_ARGUMENT("OK is not tried again");
  }
  return SKY_OK;
}

static SkyStatus check_policy(const SkyRetryPolicy *policy) {
  if (policy->initial_backoff_ms < 0 || policy->max_backoff_ms < 0 || policy->multiplier < 0)
    return SKY_INVALID_ARGUMENT("a retry's back-off is not negative");
  return check_codes(policy->codes, policy->code_count);
}

static SkyStatus check_hedging(const SkyHedgingPolicy *policy) {
  if (policy->max_attempts > MAX_HEDGED_ATTEMPTS)
    return SKY_INVALID_ARGUMENT("a call is hedged with at most %d attempts", MAX_HEDGED_ATTEMPTS);
  if (policy->delay_ms < 0)
    return SKY_INVALID_ARGUMENT("the delay between hedged attempts is not negative");
  return check_codes(policy->codes, policy->code_count);
}

static SkyStatus check_throttling(const SkyRetryThrottling *throttling) {
  if (throttling->max_tokens > 1000 || throttling->tokens_per_success < 0)
    return SKY_INVALID_ARGUMENT("a retry budget has at most 1000 tokens, and successes give some back");
  return SKY_OK;
}

static bool is_retried(const SkyServiceConfig *config, const SkyMethodDescriptor *method) {
  const bool is_hedged = config->hedging.max_attempts > 1 && method->kind == SKY_UNARY;
  return method->idempotency != SKY_IDEMPOTENCY_UNKNOWN && !is_hedged;
}

/* [{"service":"a.B","method":"C"},…]; false and nothing written when no method is idempotent. */
static bool write_names(const SkyServiceConfig *config, SkyBuf *out) {
  bool any = false;
  for (const SkyServiceDescriptor *const *services = config->services; *services != NULL; services++) {
    for (size_t i = 0; i < (*services)->method_count; i++) {
      if (!is_retried(config, &(*services)->methods[i]))
        continue;
      sky_buf_printf(out, "%s{\"service\":\"%s\",\"method\":\"%s\"}", any ? "," : "", (*services)->name,
                     (*services)->methods[i].name);
      any = true;
    }
  }
  return any;
}

static void write_duration(const char *key, int64_t ms, SkyBuf *out) {
  sky_buf_printf(out, "\"%s\":\"%" PRId64 ".%03ds\",", key, ms / 1000, (int)(ms % 1000));
}

static void write_policy(const SkyRetryPolicy *policy, SkyBuf *out) {
  sky_buf_printf(out, "\"retryPolicy\":{\"maxAttempts\":%u,", policy->max_attempts);
  write_duration("initialBackoff", policy->initial_backoff_ms, out);
  write_duration("maxBackoff", policy->max_backoff_ms, out);
  sky_buf_printf(out, "\"backoffMultiplier\":%.3f,\"retryableStatusCodes\":[", policy->multiplier);
  for (size_t i = 0; i < policy->code_count; i++)
    sky_buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", sky_code_name(policy->codes[i]));
  sky_buf_append_text(out, "]}");
}

static void write_throttling(SkyRetryThrottling throttling, SkyBuf *out) {
  sky_buf_printf(out, ",\"retryThrottling\":{\"maxTokens\":%u,\"tokenRatio\":%.3f}",
                 throttling.max_tokens != 0 ? throttling.max_tokens : DEFAULT_TOKENS,
                 throttling.tokens_per_success != 0 ? throttling.tokens_per_success : default_refund);
}

static void write_retries(const SkyServiceConfig *config, const SkyRetryPolicy *policy, SkyBuf *out) {
  const size_t before = out->size;
  sky_buf_append_text(out, ",\"methodConfig\":[{\"name\":[");
  if (!write_names(config, out)) {
    out->size = before;
    return;
  }
  sky_buf_append_text(out, "],");
  write_policy(policy, out);
  sky_buf_append_text(out, "}]");
  write_throttling(config->throttling, out);
}

static void write_health(const char *service, SkyBuf *out) {
  sky_buf_append_text(out, ",\"healthCheckConfig\":{\"serviceName\":");
  sky_buf_append_json_string(out, service, strlen(service));
  sky_buf_append_text(out, "}");
}

SkyStatus sky_service_config_write(const SkyServiceConfig *config, SkyBuf *out) {
  const SkyServiceConfig none = {0};
  config = config != NULL ? config : &none;
  const SkyRetryPolicy policy = with_defaults(config->retry);
  const SkyHedgingPolicy hedging = sky_hedging_with_defaults(config);
  SKY_TRY(check_policy(&policy));
  SKY_TRY(check_hedging(&hedging));
  SKY_TRY(check_throttling(&config->throttling));
  sky_buf_append_text(out, "{\"loadBalancingConfig\":[{\"round_robin\":{}}]");
  if (config->services != NULL && policy.max_attempts > 1)
    write_retries(config, &policy, out);
  if (config->health_service != NULL)
    write_health(config->health_service, out);
  sky_buf_append_text(out, "}");
  return sky_buf_status(out);
}
