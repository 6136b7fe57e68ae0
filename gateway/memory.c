#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum {
  ARENA_BUDGET = 8 << 20,
  MAX_KEPT = 128,             /* buffers, arenas, and blocks of each class */
  MAX_KEPT_BYTES = 16 * 1024, /* of a buffer or an arena; larger ones are freed */
  CLASS_BYTES = 128,
  CLASS_COUNT = 16, /* nghttp2's streams, frames and header lists all have less than 2 KiB */
};

/* ---- blocks ---- */

/* In front of each block; as large as the alignment that malloc() promises. */
typedef union Block {
  struct {
    size_t size_class; /* CLASS_COUNT: none, the block came from malloc() and goes back to free() */
    union Block *next; /* while it is kept */
  };
  _Alignas(max_align_t) char alignment;
} Block;

typedef struct Kept {
  Block *first;
  size_t count;
} Kept;
static Kept kept_blocks[CLASS_COUNT];

static void *block_alloc(size_t size, void *user) {
  const size_t size_class = size / CLASS_BYTES;
  Block *block;
  if (size_class >= CLASS_COUNT) {
    block = size > SIZE_MAX - sizeof(Block) ? NULL : malloc(sizeof(Block) + size);
    if (block == NULL)
      return NULL;
    block->size_class = CLASS_COUNT;
    return block + 1;
  }
  Kept *kept = &kept_blocks[size_class];
  block = kept->first;
  if (block != NULL) {
    kept->first = block->next;
    kept->count--;
  } else {
    block = malloc(sizeof(Block) + (size_class + 1) * CLASS_BYTES);
    if (block == NULL)
      return NULL;
  }
  block->size_class = size_class;
  return block + 1;
}

static void block_free(void *data, void *user) {
  if (data == NULL)
    return;
  Block *block = (Block *)data - 1;
  if (block->size_class == CLASS_COUNT || kept_blocks[block->size_class].count == MAX_KEPT) {
    free(block);
    return;
  }
  Kept *kept = &kept_blocks[block->size_class];
  block->next = kept->first;
  kept->first = block;
  kept->count++;
}

static void *block_calloc(size_t count, size_t size, void *user) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes))
    return NULL;
  void *data = block_alloc(bytes, user);
  if (data != NULL)
    memset(data, 0, bytes);
  return data;
}

static void *block_realloc(void *data, size_t size, void *user) {
  if (data == NULL)
    return block_alloc(size, user);
  Block *block = (Block *)data - 1;
  if (block->size_class == CLASS_COUNT) { /* stays what it is, even when it becomes small */
    Block *moved = size > SIZE_MAX - sizeof(Block) ? NULL : realloc(block, sizeof(Block) + size);
    return moved == NULL ? NULL : moved + 1;
  }
  const size_t room = (block->size_class + 1) * CLASS_BYTES;
  if (size <= room)
    return data;
  void *larger = block_alloc(size, user);
  if (larger == NULL)
    return NULL;
  memcpy(larger, data, room);
  block_free(data, user);
  return larger;
}

nghttp2_mem *sky_memory_for_nghttp2(void) {
  static nghttp2_mem memory = {NULL, block_alloc, block_free, block_calloc, block_realloc};
  return &memory;
}

/* ---- buffers and arenas ---- */

static SkyBuf kept_bufs[MAX_KEPT];
static size_t kept_buf_count;
static SkyArena kept_arenas[MAX_KEPT];
static size_t kept_arena_count;

SkyBuf sky_memory_take_buf(size_t max_bytes) {
  SkyBuf buf;
  if (kept_buf_count == 0) {
    sky_buf_init(&buf, max_bytes);
    return buf;
  }
  buf = kept_bufs[--kept_buf_count];
  buf.max_bytes = max_bytes;
  return buf;
}

void sky_memory_give_back_buf(SkyBuf *buf) {
  if (buf->capacity == 0 || buf->capacity > MAX_KEPT_BYTES || kept_buf_count == MAX_KEPT) {
    sky_buf_finish(buf);
    return;
  }
  sky_buf_clear(buf);
  kept_bufs[kept_buf_count++] = *buf;
  sky_buf_init(buf, 0);
}

SkyArena sky_memory_take_arena(void) {
  SkyArena arena;
  if (kept_arena_count > 0)
    return kept_arenas[--kept_arena_count];
  sky_arena_init(&arena, ARENA_BUDGET);
  return arena;
}

void sky_memory_give_back_arena(SkyArena *arena) {
  if (arena->used_bytes > MAX_KEPT_BYTES || kept_arena_count == MAX_KEPT) {
    sky_arena_finish(arena);
    return;
  }
  sky_arena_reset(arena);
  kept_arenas[kept_arena_count++] = *arena;
}

void sky_memory_free_all(void) {
  for (size_t i = 0; i < CLASS_COUNT; i++) {
    while (kept_blocks[i].first != NULL) {
      Block *block = kept_blocks[i].first;
      kept_blocks[i].first = block->next;
      free(block);
    }
    kept_blocks[i].count = 0;
  }
  while (kept_buf_count > 0)
    sky_buf_finish(&kept_bufs[--kept_buf_count]);
  while (kept_arena_count > 0)
    sky_arena_finish(&kept_arenas[--kept_arena_count]);
}
