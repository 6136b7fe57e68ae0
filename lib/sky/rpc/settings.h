/* Settings: what clients and servers have in common of them. (internal) */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <grpc/grpc.h>

enum { SKY_DEFAULT_MAX_MESSAGE = 4 << 20, SKY_DEFAULT_MAX_METADATA = 16 << 10 }; /* bytes */

static inline size_t sky_or_default(size_t value, size_t default_value) {
  return value != 0 ? value : default_value;
}

/* An argument of a channel or server of the core. */
static inline grpc_arg sky_integer_arg(const char *key, size_t value) {
  return (grpc_arg){
      .type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value < INT32_MAX ? (int)value : INT32_MAX};
}
