#include <sky/core/id.h>

#include "sha1.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { POOL_BYTES = 512 };

/* Random bytes fetched ahead. A forked child must not hand out what its parent hands out: hence the generation. */
static _Thread_local struct {
  uint8_t bytes[POOL_BYTES];
  size_t left;
  unsigned generation;
} pool;
static atomic_uint generation = 1;

static void count_fork(void) {
  generation++;
}

static void watch_forks(void) {
  pthread_atfork(NULL, NULL, count_fork);
}

/* The kernel's generator cannot fail once it is seeded; without it no id is safe to make. */
static void read_kernel(void *data, size_t size) {
  uint8_t *bytes = data;
  while (size > 0) {
    const ssize_t got = getrandom(bytes, size, 0);
    if (got < 0 && errno != EINTR)
      abort();
    if (got > 0) {
      bytes += got;
      size -= (size_t)got;
    }
  }
}

static void system_fill(void *self, void *data, size_t size) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)self;
  if (size > POOL_BYTES) {
    read_kernel(data, size);
    return;
  }
  pthread_once(&once, watch_forks);
  const unsigned now = generation;
  if (pool.left < size || pool.generation != now) {
    read_kernel(pool.bytes, POOL_BYTES);
    pool.left = POOL_BYTES;
    pool.generation = now;
  }
  pool.left -= size;
  memcpy(data, pool.bytes + pool.left, size);
  memset(pool.bytes + pool.left, 0, size); /* what was handed out cannot be read from us later */
}

const SkyRandom *sky_random_system_borrow(void) {
  static const SkyRandom random = {system_fill, NULL};
  return &random;
}

static uint64_t rotate_left(uint64_t x, int k) {
  return (x << k) | (x >> (64 - k));
}

/* xoshiro256**, Blackman and Vigna, https://prng.di.unimi.it/ */
static uint64_t seeded_next(uint64_t state[4]) {
  const uint64_t result = rotate_left(state[1] * 5, 7) * 9;
  const uint64_t shifted = state[1] << 17;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate_left(state[3], 45);
  return result;
}

static void seeded_fill(void *self, void *data, size_t size) {
  SkySeededRandom *random = self;
  uint8_t *bytes = data;
  while (size > 0) {
    const uint64_t number = seeded_next(random->state);
    const size_t part = size < sizeof(number) ? size : sizeof(number);
    memcpy(bytes, &number, part);
    bytes += part;
    size -= part;
  }
}

/* splitmix64 spreads the seed over the state, as the authors advise: the state is never all zero. */
void sky_seeded_random_init(SkySeededRandom *random, uint64_t seed) {
  random->random = (SkyRandom){seeded_fill, random};
  for (size_t i = 0; i < 4; i++) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    random->state[i] = z ^ (z >> 31);
  }
}

uint64_t sky_random_uint64(const SkyRandom *random) {
  uint64_t number;
  random->fill(random->self, &number, sizeof(number));
  return number;
}

double sky_random_unit(const SkyRandom *random) {
  return (double)(sky_random_uint64(random) >> 11) * 0x1p-53;
}

static void set_version(SkyUuid *uuid, unsigned version) {
  uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | (version << 4));
  uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

SkyUuid sky_uuid_v7(int64_t wall_ms, const SkyRandom *random) {
  SkyUuid uuid;
  random->fill(random->self, uuid.bytes + 6, SKY_UUID_BYTES - 6);
  for (int i = 0; i < 6; i++)
    uuid.bytes[i] = (uint8_t)((uint64_t)wall_ms >> (8 * (5 - i)));
  set_version(&uuid, 7);
  return uuid;
}

SkyUuid sky_uuid_v5(const SkyUuid *name_space, SkyStr name) {
  SkySha1 sha1;
  uint8_t digest[SKY_SHA1_BYTES];
  sky_sha1_init(&sha1);
  sky_sha1_update(&sha1, name_space->bytes, SKY_UUID_BYTES);
  sky_sha1_update(&sha1, name.data, name.size);
  sky_sha1_final(&sha1, digest);
  SkyUuid uuid;
  memcpy(uuid.bytes, digest, SKY_UUID_BYTES);
  set_version(&uuid, 5);
  return uuid;
}

static bool has_dash_before(size_t byte) {
  return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void sky_uuid_format(const SkyUuid *uuid, char text[SKY_UUID_TEXT_SIZE]) {
  for (size_t i = 0; i < SKY_UUID_BYTES; i++) {
    if (has_dash_before(i))
      *text++ = '-';
    *text++ = "0123456789abcdef"[uuid->bytes[i] >> 4];
    *text++ = "0123456789abcdef"[uuid->bytes[i] & 15];
  }
  *text = '\0';
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool sky_uuid_parse(SkyStr text, SkyUuid *ret) {
  if (text.size != SKY_UUID_TEXT_SIZE - 1)
    return false;
  SkyUuid uuid;
  const char *at = text.data;
  for (size_t i = 0; i < SKY_UUID_BYTES; i++) {
    if (has_dash_before(i) && *at++ != '-')
      return false;
    const int high = hex_value(at[0]), low = hex_value(at[1]);
    if (high < 0 || low < 0)
      return false;
    uuid.bytes[i] = (uint8_t)(high << 4 | low);
    at += 2;
  }
  *ret = uuid;
  return true;
}
