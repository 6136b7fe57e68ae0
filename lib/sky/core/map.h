/*
 * Map: text to pointer, open addressing, with a mandatory maximum of entries. Keys are copied; values are borrowed.
 * Hash: SipHash-2-4 with a per-process key, so that outsiders cannot make keys collide. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/str.h>

typedef struct SkyMap SkyMap;

SkyMap *sky_map_create(size_t max_entries); /* NULL without memory */
void sky_map_destroy(SkyMap *map);          /* the values are the caller's */
/* Sets or replaces; *ret_old (may be NULL) gets the value that was there. RESOURCE_EXHAUSTED when full. value must not
 * be NULL. */
SKY_MUST_USE SkyStatus sky_map_set(SkyMap *map, SkyStr key, void *value, void **ret_old);
void *sky_map_get(const SkyMap *map, SkyStr key); /* NULL when absent */
void *sky_map_remove(SkyMap *map, SkyStr key);    /* the value, or NULL */
size_t sky_map_size(const SkyMap *map);
/* Walks all entries in no order: start with *cursor = 0; false at the end. The map must not change meanwhile. */
bool sky_map_next(const SkyMap *map, size_t *cursor, SkyStr *ret_key, void **ret_value);

/* SipHash-2-4 of text under a 128-bit key. For other tables that outsiders can fill; the map uses a random key of the
 * process. */
uint64_t sky_map_hash(const uint64_t key[2], SkyStr text);
