#include <sky/core/map.h>

#include <sky/core/id.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 16 };

typedef struct Slot {
  char *key; /* NULL: free */
  size_t key_size;
  uint64_t hash;
  void *value;
} Slot;

struct SkyMap {
  Slot *slots; /* a power of two of them, at most 3/4 in use; NULL while empty */
  size_t slot_count;
  size_t size;
  size_t max_entries;
};

static uint64_t hash_key[2];

static void make_hash_key(void) {
  const SkyRandom *random = sky_random_system_borrow();
  hash_key[0] = sky_random_uint64(random);
  hash_key[1] = sky_random_uint64(random);
}

static uint64_t rotate_left(uint64_t x, int k) {
  return (x << k) | (x >> (64 - k));
}

static void sip_round(uint64_t v[4]) {
  v[0] += v[1];
  v[1] = rotate_left(v[1], 13) ^ v[0];
  v[0] = rotate_left(v[0], 32);
  v[2] += v[3];
  v[3] = rotate_left(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate_left(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate_left(v[1], 17) ^ v[2];
  v[2] = rotate_left(v[2], 32);
}

static void sip_absorb(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  sip_round(v);
  sip_round(v);
  v[0] ^= word;
}

/* SipHash-2-4, Aumasson and Bernstein, https://www.aumasson.jp/siphash/siphash.pdf (on a little-endian machine) */
uint64_t sky_map_hash(const uint64_t key[2], SkyStr text) {
  uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                   key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
  const size_t whole = text.size - text.size % 8;
  uint64_t word;
  for (size_t at = 0; at < whole; at += sizeof(word)) {
    memcpy(&word, text.data + at, sizeof(word));
    sip_absorb(v, word);
  }
  word = (uint64_t)text.size << 56;
  for (size_t i = whole; i < text.size; i++)
    word |= (uint64_t)(unsigned char)text.data[i] << (8 * (i - whole));
  sip_absorb(v, word);
  v[2] ^= 0xff;
  for (int i = 0; i < 4; i++)
    sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

SkyMap *sky_map_create(size_t max_entries) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_hash_key);
  SkyMap *map = calloc(1, sizeof(*map));
  if (map != NULL)
    map->max_entries = max_entries;
  return map;
}

void sky_map_destroy(SkyMap *map) {
  if (map == NULL)
    return;
  for (size_t i = 0; i < map->slot_count; i++)
    free(map->slots[i].key);
  free(map->slots);
  free(map);
}

/* The slot that holds the key, or the free one where it belongs. The table is never full, so the search ends. */
static Slot *find(const SkyMap *map, SkyStr key, uint64_t hash) {
  const size_t mask = map->slot_count - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot *slot = &map->slots[at];
    if (slot->key == NULL || (slot->hash == hash && sky_str_equal((SkyStr){slot->key, slot->key_size}, key)))
      return slot;
  }
}

static bool grow(SkyMap *map) {
  const size_t slot_count = map->slots == NULL ? FIRST_SLOTS : map->slot_count * 2;
  Slot *slots = calloc(slot_count, sizeof(*slots));
  if (slots == NULL)
    return false;
  SkyMap larger = {.slots = slots, .slot_count = slot_count};
  for (size_t i = 0; i < map->slot_count; i++) {
    const Slot *slot = &map->slots[i];
    if (slot->key != NULL)
      *find(&larger, (SkyStr){slot->key, slot->key_size}, slot->hash) = *slot;
  }
  free(map->slots);
  map->slots = slots;
  map->slot_count = slot_count;
  return true;
}

static SkyStatus insert(SkyMap *map, SkyStr key, uint64_t hash, void *value) {
  if (map->size >= map->max_entries)
    return SKY_RESOURCE_EXHAUSTED("more than %zu entries", map->max_entries);
  if (map->size + 1 > map->slot_count / 4 * 3 && !grow(map))
    return sky_status_no_memory();
  char *copy = malloc(key.size + 1);
  if (copy == NULL)
    return sky_status_no_memory();
  if (key.size > 0)
    memcpy(copy, key.data, key.size);
  copy[key.size] = '\0';
  Slot *slot = find(map, key, hash);
  slot->key = copy;
  slot->key_size = key.size;
  slot->hash = hash;
  slot->value = value;
  map->size++;
  return SKY_OK;
}

SkyStatus sky_map_set(SkyMap *map, SkyStr key, void *value, void **ret_old) {
  const uint64_t hash = sky_map_hash(hash_key, key);
  Slot *slot = map->slots == NULL ? NULL : find(map, key, hash);
  void *old = NULL;
  if (slot != NULL && slot->key != NULL) {
    old = slot->value;
    slot->value = value;
  } else {
    SKY_TRY(insert(map, key, hash, value));
  }
  if (ret_old != NULL)
    *ret_old = old;
  return SKY_OK;
}

void *sky_map_get(const SkyMap *map, SkyStr key) {
  return map->slots == NULL ? NULL : find(map, key, sky_map_hash(hash_key, key))->value;
}

/* Closes the gap at `free_at`: moves up every entry of the run behind it that could not be found past a free slot. */
static void close_gap(SkyMap *map, size_t free_at) {
  const size_t mask = map->slot_count - 1;
  for (size_t at = (free_at + 1) & mask; map->slots[at].key != NULL; at = (at + 1) & mask) {
    const size_t home = map->slots[at].hash & mask;
    if (((at - home) & mask) >= ((at - free_at) & mask)) {
      map->slots[free_at] = map->slots[at];
      free_at = at;
    }
  }
  map->slots[free_at] = (Slot){0};
}

void *sky_map_remove(SkyMap *map, SkyStr key) {
  Slot *slot = map->slots == NULL ? NULL : find(map, key, sky_map_hash(hash_key, key));
  if (slot == NULL || slot->key == NULL)
    return NULL;
  void *value = slot->value;
  free(slot->key);
  close_gap(map, (size_t)(slot - map->slots));
  map->size--;
  return value;
}

size_t sky_map_size(const SkyMap *map) {
  return map->size;
}

bool sky_map_next(const SkyMap *map, size_t *cursor, SkyStr *ret_key, void **ret_value) {
  for (; *cursor < map->slot_count; (*cursor)++) {
    const Slot *slot = &map->slots[*cursor];
    if (slot->key == NULL)
      continue;
    *ret_key = (SkyStr){slot->key, slot->key_size};
    *ret_value = slot->value;
    (*cursor)++;
    return true;
  }
  return false;
}
