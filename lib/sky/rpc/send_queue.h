/*
 * Send queue: packed messages of one stream that wait for the transport, bounded by bytes. (internal)
 *
 * The core sends one message of a call at a time, so a quick writer is far ahead of it. Messages are packed one behind
 * the other into chunks, which the core gets slices of: no allocation per message, and memory is read in the order it
 * was written. A message with a chunk of its own (large, or alone) takes its size; the others at most twice theirs.
 *
 * Its owner locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <grpc/byte_buffer.h>

#include <protobuf-c/protobuf-c.h>

enum { SKY_SEND_OVERHEAD = 8 /* bytes that a message counts beside its own, so that empty ones are bounded, too */ };

typedef struct SkySendChunk SkySendChunk;

typedef struct SkySendQueue {
  SkySendChunk *first, *last;
  size_t chunk_bytes; /* of the last; the next may have twice as many */
  size_t bytes;       /* waiting and in flight */
  size_t in_flight;   /* of them with the core; 0: none */
  size_t max_bytes;
  grpc_byte_buffer *out; /* what is in flight */
} SkySendQueue;

void sky_send_queue_init(SkySendQueue *queue, size_t max_bytes);
/* Frees what is waiting; nothing may be in flight. */
void sky_send_queue_finish(SkySendQueue *queue);
/* True when a message of this size may be pushed: it fits, or it is the only one. */
bool sky_send_queue_has_room(const SkySendQueue *queue, size_t size);

/* Packs a large message ahead, without the lock; NULL for a small one, which sky_send_queue_push() packs. */
SkySendChunk *sky_send_prepare(const ProtobufCMessage *message, size_t packed_size);
void sky_send_chunk_destroy(SkySendChunk *chunk); /* of what is not pushed; NULL is ignored */
/* Appends the message. Takes prepared, which is what sky_send_prepare() gave for it. */
void sky_send_queue_push(SkySendQueue *queue, const ProtobufCMessage *message, size_t packed_size,
                         SkySendChunk *prepared, bool uncompressed);

/* Makes the first waiting message the one in flight, valid until it is done; NULL when there is none or one is in
 * flight already. */
grpc_byte_buffer *sky_send_queue_start(SkySendQueue *queue, bool *ret_uncompressed);
bool sky_send_queue_is_waiting(const SkySendQueue *queue); /* is there one behind that in flight? */
/* The message in flight has been sent or lost. */
void sky_send_queue_done(SkySendQueue *queue);
/* Frees what is waiting, keeps what is in flight. */
void sky_send_queue_drop(SkySendQueue *queue);
bool sky_send_queue_is_half_empty(const SkySendQueue *queue);
