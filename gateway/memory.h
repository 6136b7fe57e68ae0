/*
 * Memory: what one call gives back and the next one needs again: nghttp2's blocks, buffers, arenas. Of a worker, which
 * has one thread; what is kept is bounded.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include <sky/core/arena.h>
#include <sky/core/buf.h>

/* An allocator for nghttp2_session_client_new3(). */
nghttp2_mem *sky_memory_for_nghttp2(void);

/* An empty buffer or arena, perhaps with memory; give back instead of finish. */
SkyBuf sky_memory_take_buf(size_t max_bytes);
void sky_memory_give_back_buf(SkyBuf *buf);
SkyArena sky_memory_take_arena(void);
void sky_memory_give_back_arena(SkyArena *arena);

/* At the worker's exit, when nothing is in use any more. */
void sky_memory_free_all(void);
