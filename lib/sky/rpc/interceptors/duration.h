/* Duration: when a call began, kept in an interceptor's own slot; and whose failure a code is. (internal) */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/time.h>

_Static_assert(sizeof(void *) >= sizeof(int64_t), "a slot holds a time");

static inline void sky_duration_begin(void **slot) {
  *slot = (void *)(intptr_t)sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static inline int64_t sky_duration_ns(void *const *slot) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) - (int64_t)(intptr_t)*slot;
}

/* A server's own failure, by OpenTelemetry's conventions for gRPC; anything else is the caller's. */
static inline bool sky_code_is_server_error(SkyCode code) {
  switch (code) {
  case SKY_CODE_UNKNOWN:
  case SKY_CODE_DEADLINE_EXCEEDED:
  case SKY_CODE_UNIMPLEMENTED:
  case SKY_CODE_INTERNAL:
  case SKY_CODE_UNAVAILABLE:
  case SKY_CODE_DATA_LOSS:
    return true;
  default:
    return false;
  }
}
