/*
 * Tag: what the completion queue hands back when an operation is done. (internal)
 *
 * Every operation of the gRPC core carries a pointer to one; the I/O thread calls its function. The core is not
 * instrumented, so the thread that starts an operation publishes its writes through the tag: that is the happens-before
 * edge between the two threads.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct SkyTag SkyTag;
struct SkyTag {
  void (*complete)(SkyTag *tag, bool ok);
  atomic_uint published;
};

#define SKY_CONTAINER(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* To be called right before the operation is started. */
static inline SkyTag *sky_tag_publish(SkyTag *tag) {
  atomic_store_explicit(&tag->published, 1, memory_order_release);
  return tag;
}

static inline void sky_tag_complete(SkyTag *tag, bool ok) {
  (void)atomic_load_explicit(&tag->published, memory_order_acquire);
  tag->complete(tag, ok);
}
