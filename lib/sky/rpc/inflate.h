/*
 * Inflate: compressed messages as they come from the core, made readable within a bound. (internal)
 *
 * The core could do this itself, but with no limit to the result: a few kilobytes would become gigabytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <grpc/byte_buffer.h>

#include <sky/core/status.h>

/*
 * Replaces the buffer by its decompressed bytes. RESOURCE_EXHAUSTED when they are more than max_bytes, INTERNAL when
 * they are malformed; then the buffer stays as it was.
 */
SKY_MUST_USE SkyStatus sky_inflate(grpc_byte_buffer **buffer, size_t max_bytes);

/* The same for a buffer that may be compressed or not; tells which. */
SKY_MUST_USE static inline SkyStatus sky_inflate_if_compressed(grpc_byte_buffer **buffer, size_t max_bytes,
                                                               bool *ret_was_compressed) {
  *ret_was_compressed = (*buffer)->data.raw.compression != GRPC_COMPRESS_NONE;
  return *ret_was_compressed ? sky_inflate(buffer, max_bytes) : SKY_OK;
}
