#include "sha1.h"

#include <string.h>

static uint32_t rotate_left(uint32_t x, int k) {
  return (x << k) | (x >> (32 - k));
}

static void load_words(const uint8_t *block, uint32_t words[80]) {
  for (int i = 0; i < 16; i++) {
    const uint8_t *b = block + 4 * i;
    words[i] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
  }
  for (int i = 16; i < 80; i++)
    words[i] = rotate_left(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
}

/* f and K of section 4.1.1 and 4.2.1, added. */
static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d) {
  if (round < 20)
    return ((b & c) | (~b & d)) + 0x5a827999u;
  if (round < 40)
    return (b ^ c ^ d) + 0x6ed9eba1u;
  if (round < 60)
    return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
  return (b ^ c ^ d) + 0xca62c1d6u;
}

static void compress(uint32_t state[5], const uint8_t *block) {
  uint32_t words[80];
  load_words(block, words);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int i = 0; i < 80; i++) {
    const uint32_t next = rotate_left(a, 5) + mix(i, b, c, d) + e + words[i];
    e = d;
    d = c;
    c = rotate_left(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

void sky_sha1_init(SkySha1 *sha1) {
  *sha1 = (SkySha1){.state = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u}};
}

void sky_sha1_update(SkySha1 *sha1, const void *data, size_t size) {
  const uint8_t *bytes = data;
  while (size > 0) {
    const size_t filled = sha1->size_bytes % SKY_SHA1_BLOCK_BYTES;
    const size_t room = SKY_SHA1_BLOCK_BYTES - filled;
    const size_t part = size < room ? size : room;
    memcpy(sha1->block + filled, bytes, part);
    sha1->size_bytes += part;
    bytes += part;
    size -= part;
    if (part == room)
      compress(sha1->state, sha1->block);
  }
}

void sky_sha1_final(SkySha1 *sha1, uint8_t digest[SKY_SHA1_BYTES]) {
  static const uint8_t padding[SKY_SHA1_BLOCK_BYTES] = {0x80};
  const uint64_t size_bits = sha1->size_bytes * 8;
  const size_t filled = sha1->size_bytes % SKY_SHA1_BLOCK_BYTES;
  sky_sha1_update(sha1, padding, filled < 56 ? 56 - filled : 120 - filled);
  uint8_t length[8];
  for (int i = 0; i < 8; i++)
    length[i] = (uint8_t)(size_bits >> (8 * (7 - i)));
  sky_sha1_update(sha1, length, sizeof(length));
  for (int i = 0; i < SKY_SHA1_BYTES; i++)
    digest[i] = (uint8_t)(sha1->state[i / 4] >> (8 * (3 - i % 4)));
}
