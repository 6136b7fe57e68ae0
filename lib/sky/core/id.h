/*
 * Ids: UUIDs of RFC 9562 in their canonical lower-case text form. Version 7 is ordered by time, version 5 derived from
 * a name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/str.h>

enum { SKY_UUID_BYTES = 16, SKY_UUID_TEXT_SIZE = 37 /* with the NUL */ };

/* A source of random bytes, injected. Thread-safe when its function is. */
typedef struct SkyRandom {
  void (*fill)(void *self, void *data, size_t size);
  void *self;
} SkyRandom;

/* The system's generator (getrandom, buffered per thread). */
const SkyRandom *sky_random_system_borrow(void);
/* Reproducible numbers from a seed (xoshiro256**), for tests and simulation. Not thread-safe, not for secrets. */
typedef struct SkySeededRandom {
  SkyRandom random;
  uint64_t state[4];
} SkySeededRandom;
void sky_seeded_random_init(SkySeededRandom *random, uint64_t seed);

/* Uniformly distributed. */
uint64_t sky_random_uint64(const SkyRandom *random);
double sky_random_unit(const SkyRandom *random); /* [0, 1) */

typedef struct SkyUuid {
  uint8_t bytes[SKY_UUID_BYTES];
} SkyUuid;

/* RFC 9562: v7 begins with the time, so ids sort by it; the rest is random. */
SkyUuid sky_uuid_v7(int64_t wall_ms, const SkyRandom *random);
SkyUuid sky_uuid_v5(const SkyUuid *name_space, SkyStr name); /* SHA-1 of namespace and name */
void sky_uuid_format(const SkyUuid *uuid, char text[SKY_UUID_TEXT_SIZE]);
bool sky_uuid_parse(SkyStr text, SkyUuid *ret); /* canonical form, either case */
