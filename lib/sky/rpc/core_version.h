/*
 * Core version: whether the core is the one whose insides are known, for what its C interface does not offer.
 * (internal)
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include <grpc/grpc.h>

/* gRPC 1.51: the version of its core's interface begins with 29. */
static inline bool sky_core_is_known(void) {
  return strncmp(grpc_version_string(), "29.", 3) == 0;
}
