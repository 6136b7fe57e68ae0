#include <sky/core/arena.h>

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK_BYTES = 4096 };

struct SkyArenaChunk {
  SkyArenaChunk *previous;
  size_t capacity;
  size_t used;
  max_align_t data[];
};

static size_t align_up(size_t size) {
  const size_t mask = _Alignof(max_align_t) - 1;
  return (size + mask) & ~mask;
}

static size_t next_capacity(const SkyArena *arena, size_t wanted) {
  size_t capacity = arena->current ? arena->current->capacity * 2 : FIRST_CHUNK_BYTES;
  return capacity < wanted ? wanted : capacity;
}

static SkyArenaChunk *chunk_create(size_t capacity, SkyArenaChunk *previous) {
  SkyArenaChunk *chunk = malloc(sizeof(*chunk) + capacity);
  if (chunk == NULL)
    return NULL;
  *chunk = (SkyArenaChunk){.previous = previous, .capacity = capacity};
  return chunk;
}

static void chunks_destroy(SkyArenaChunk *chunk) {
  while (chunk != NULL) {
    SkyArenaChunk *previous = chunk->previous;
    free(chunk);
    chunk = previous;
  }
}

void sky_arena_init(SkyArena *arena, size_t budget_bytes) {
  assert(budget_bytes <= SIZE_MAX / 2);
  *arena = (SkyArena){.budget_bytes = budget_bytes};
}

void sky_arena_finish(SkyArena *arena) {
  chunks_destroy(arena->current);
  sky_arena_init(arena, arena->budget_bytes);
}

void sky_arena_reset(SkyArena *arena) {
  arena->used_bytes = 0;
  arena->over_budget = false;
  if (arena->current == NULL)
    return;
  /* Chunks double, so the newest one is the largest. */
  chunks_destroy(arena->current->previous);
  arena->current->previous = NULL;
  arena->current->used = 0;
}

void *sky_arena_alloc(SkyArena *arena, size_t size) {
  if (size > arena->budget_bytes - arena->used_bytes) { /* and so align_up() cannot overflow */
    arena->over_budget = true;
    return NULL;
  }
  const size_t wanted = align_up(size);
  SkyArenaChunk *chunk = arena->current;
  if (chunk == NULL || chunk->capacity - chunk->used < wanted) {
    chunk = chunk_create(next_capacity(arena, wanted), arena->current);
    if (chunk == NULL)
      return NULL;
    arena->current = chunk;
  }
  void *memory = (unsigned char *)chunk->data + chunk->used;
  chunk->used += wanted;
  arena->used_bytes += size;
  return memset(memory, 0, size);
}

char *sky_arena_strndup(SkyArena *arena, const char *text, size_t length) {
  if (length == SIZE_MAX)
    return NULL;
  char *copy = sky_arena_alloc(arena, length + 1);
  return copy == NULL ? NULL : memcpy(copy, text, length);
}
