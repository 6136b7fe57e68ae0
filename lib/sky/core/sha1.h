/*
 * SHA-1 (FIPS 180-4), for name-based UUIDs only: it is broken as protection against forgery. Private to core.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SKY_SHA1_BYTES = 20, SKY_SHA1_BLOCK_BYTES = 64 };

typedef struct SkySha1 {
  uint32_t state[5];
  uint64_t size_bytes;
  uint8_t block[SKY_SHA1_BLOCK_BYTES]; /* the first size_bytes % 64 are filled */
} SkySha1;

/* init, any number of updates, final; then init again. Nothing is allocated. */
void sky_sha1_init(SkySha1 *sha1);
void sky_sha1_update(SkySha1 *sha1, const void *data, size_t size);
void sky_sha1_final(SkySha1 *sha1, uint8_t digest[SKY_SHA1_BYTES]);
