/*
 * Send queue: packed messages of one stream that wait for the transport, bounded by bytes. (internal)
 *
 * The core sends one message of a call at a time. Pure data; its owner locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <grpc/byte_buffer.h>

typedef struct SkyQueuedMessage {
  struct SkyQueuedMessage *next;
  grpc_byte_buffer *buffer;
  size_t size;
  bool uncompressed; /* although the call compresses */
} SkyQueuedMessage;

typedef struct SkySendQueue {
  SkyQueuedMessage *first, **end;
  SkyQueuedMessage *in_flight; /* handed to the core, not yet done */
  size_t bytes;                /* waiting and in flight */
  size_t max_bytes;
} SkySendQueue;

void sky_send_queue_init(SkySendQueue *queue, size_t max_bytes);
/* Frees what is waiting; nothing may be in flight. */
void sky_send_queue_finish(SkySendQueue *queue);
/* True when a message of this size may be pushed: it fits, or it is the only one. */
bool sky_send_queue_has_room(const SkySendQueue *queue, size_t size);
/* Takes the buffer, also on failure (no memory). */
bool sky_send_queue_push(SkySendQueue *queue, grpc_byte_buffer *buffer, size_t size, bool uncompressed);
/* Makes the first waiting message the one in flight; NULL when there is none or one is in flight already. */
SkyQueuedMessage *sky_send_queue_start(SkySendQueue *queue);
/* The message in flight has been sent or lost. */
void sky_send_queue_done(SkySendQueue *queue);
/* Frees what is waiting, keeps what is in flight. */
void sky_send_queue_drop(SkySendQueue *queue);
bool sky_send_queue_is_half_empty(const SkySendQueue *queue);
