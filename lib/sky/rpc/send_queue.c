#include "send_queue.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include <grpc/slice_buffer.h>

#include <sky/rpc/slices.h>

enum { MIN_CHUNK_BYTES = 512, MAX_CHUNK_BYTES = 8 << 10, LARGE_BYTES = MAX_CHUNK_BYTES / 2 };

/* Lies at the beginning of its own slice, which lives until the core has let go of every message in it. */
struct SkySendChunk {
  SkySendChunk *next;
  grpc_slice slice;
  size_t read, written; /* offsets in the slice: messages, each behind its header */
};

/* In front of each message, at any address. */
typedef struct Header {
  uint32_t size;
  uint32_t uncompressed; /* although the call compresses */
} Header;
_Static_assert(sizeof(Header) == SKY_SEND_OVERHEAD, "what is counted is what is taken");

/* ---- chunks ---- */

static SkySendChunk *chunk_create(size_t message_bytes) {
  const grpc_slice slice = grpc_slice_malloc(sizeof(SkySendChunk) + message_bytes);
  assert(slice.refcount != NULL); /* too large to lie in the slice itself */
  SkySendChunk *chunk = (void *)slice.data.refcounted.bytes;
  assert((uintptr_t)chunk % _Alignof(SkySendChunk) == 0);
  *chunk = (SkySendChunk){.slice = slice, .read = sizeof(*chunk), .written = sizeof(*chunk)};
  return chunk;
}

void sky_send_chunk_destroy(SkySendChunk *chunk) {
  if (chunk != NULL)
    grpc_slice_unref(chunk->slice);
}

static size_t room(const SkySendChunk *chunk) {
  return GRPC_SLICE_LENGTH(chunk->slice) - chunk->written;
}

static uint8_t *at(SkySendChunk *chunk, size_t offset) {
  return (uint8_t *)(void *)chunk + offset;
}

static void append(SkySendChunk *chunk, const ProtobufCMessage *message, size_t size) {
  const Header header = {.size = (uint32_t)size};
  memcpy(at(chunk, chunk->written), &header, sizeof(header));
  sky_pack_into(message, at(chunk, chunk->written + sizeof(header)));
  chunk->written += sizeof(header) + size;
}

/* Of the message at this offset. */
static void set_uncompressed(SkySendChunk *chunk, size_t offset, bool uncompressed) {
  const uint32_t value = uncompressed;
  memcpy(at(chunk, offset + offsetof(Header, uncompressed)), &value, sizeof(value));
}

SkySendChunk *sky_send_prepare(const ProtobufCMessage *message, size_t packed_size) {
  if (packed_size <= LARGE_BYTES)
    return NULL;
  SkySendChunk *chunk = chunk_create(sizeof(Header) + packed_size);
  append(chunk, message, packed_size);
  return chunk;
}

/* ---- the queue ---- */

void sky_send_queue_init(SkySendQueue *queue, size_t max_bytes) {
  *queue = (SkySendQueue){.max_bytes = max_bytes};
}

void sky_send_queue_finish(SkySendQueue *queue) {
  assert(queue->in_flight == 0);
  sky_send_queue_drop(queue);
  if (queue->out != NULL)
    grpc_byte_buffer_destroy(queue->out);
  queue->out = NULL;
}

bool sky_send_queue_has_room(const SkySendQueue *queue, size_t size) {
  if (queue->bytes == 0)
    return true;
  return size <= queue->max_bytes && queue->bytes + SKY_SEND_OVERHEAD <= queue->max_bytes - size;
}

static void link_chunk(SkySendQueue *queue, SkySendChunk *chunk) {
  if (queue->last != NULL)
    queue->last->next = chunk;
  else
    queue->first = chunk;
  queue->last = chunk;
}

/* A message that comes to an empty queue is probably the only one; while others wait, more are to be expected. */
static void add_chunk(SkySendQueue *queue, size_t needed) {
  size_t bytes = needed;
  if (queue->bytes > 0) {
    bytes = queue->chunk_bytes * 2;
    bytes = bytes < MIN_CHUNK_BYTES ? MIN_CHUNK_BYTES : bytes > MAX_CHUNK_BYTES ? MAX_CHUNK_BYTES : bytes;
    bytes = bytes < needed ? needed : bytes;
  }
  queue->chunk_bytes = bytes;
  link_chunk(queue, chunk_create(bytes));
}

void sky_send_queue_push(SkySendQueue *queue, const ProtobufCMessage *message, size_t packed_size,
                         SkySendChunk *prepared, bool uncompressed) {
  const size_t needed = sizeof(Header) + packed_size;
  size_t offset = sizeof(SkySendChunk);
  if (prepared != NULL) {
    link_chunk(queue, prepared);
  } else {
    if (queue->last == NULL || room(queue->last) < needed)
      add_chunk(queue, needed);
    offset = queue->last->written;
    append(queue->last, message, packed_size);
  }
  set_uncompressed(queue->last, offset, uncompressed);
  queue->bytes += needed;
}

static void unlink_first(SkySendQueue *queue) {
  SkySendChunk *chunk = queue->first;
  queue->first = chunk->next;
  if (queue->first == NULL)
    queue->last = NULL;
  sky_send_chunk_destroy(chunk);
}

grpc_byte_buffer *sky_send_queue_start(SkySendQueue *queue, bool *ret_uncompressed) {
  SkySendChunk *chunk = queue->first;
  if (chunk == NULL || queue->in_flight > 0)
    return NULL;
  Header header;
  memcpy(&header, at(chunk, chunk->read), sizeof(header));
  const size_t begin = chunk->read + sizeof(header), end = begin + header.size;
  if (queue->out == NULL)
    queue->out = grpc_raw_byte_buffer_create(NULL, 0);
  grpc_slice_buffer_add(&queue->out->data.raw.slice_buffer, grpc_slice_sub(chunk->slice, begin, end));
  *ret_uncompressed = header.uncompressed != 0;
  queue->in_flight = sizeof(header) + header.size;
  chunk->read = end;
  if (chunk->read == chunk->written)
    unlink_first(queue);
  return queue->out;
}

bool sky_send_queue_is_waiting(const SkySendQueue *queue) {
  return queue->first != NULL;
}

void sky_send_queue_done(SkySendQueue *queue) {
  assert(queue->in_flight > 0);
  grpc_slice_buffer_reset_and_unref(&queue->out->data.raw.slice_buffer);
  queue->bytes -= queue->in_flight;
  queue->in_flight = 0;
}

void sky_send_queue_drop(SkySendQueue *queue) {
  while (queue->first != NULL)
    unlink_first(queue);
  queue->bytes = queue->in_flight;
}

bool sky_send_queue_is_half_empty(const SkySendQueue *queue) {
  return queue->bytes <= queue->max_bytes / 2;
}
