#include "send_queue.h"

#include <assert.h>
#include <stdlib.h>

static void message_destroy(SkyQueuedMessage *message) {
  grpc_byte_buffer_destroy(message->buffer);
  free(message);
}

void sky_send_queue_init(SkySendQueue *queue, size_t max_bytes) {
  *queue = (SkySendQueue){.max_bytes = max_bytes};
  queue->end = &queue->first;
}

void sky_send_queue_finish(SkySendQueue *queue) {
  assert(queue->in_flight == NULL);
  sky_send_queue_drop(queue);
}

bool sky_send_queue_has_room(const SkySendQueue *queue, size_t size) {
  if (queue->bytes == 0)
    return true;
  return size <= queue->max_bytes && queue->bytes + sizeof(SkyQueuedMessage) <= queue->max_bytes - size;
}

bool sky_send_queue_push(SkySendQueue *queue, grpc_byte_buffer *buffer, size_t size, bool uncompressed) {
  SkyQueuedMessage *message = malloc(sizeof(*message));
  if (message == NULL) {
    grpc_byte_buffer_destroy(buffer);
    return false;
  }
  *message = (SkyQueuedMessage){.buffer = buffer,
                                .size = size + sizeof(*message), /* so empty ones are bounded, too */
                                .uncompressed = uncompressed};
  *queue->end = message;
  queue->end = &message->next;
  queue->bytes += message->size;
  return true;
}

SkyQueuedMessage *sky_send_queue_start(SkySendQueue *queue) {
  SkyQueuedMessage *message = queue->first;
  if (message == NULL || queue->in_flight != NULL)
    return NULL;
  queue->first = message->next;
  if (queue->first == NULL)
    queue->end = &queue->first;
  message->next = NULL;
  queue->in_flight = message;
  return message;
}

void sky_send_queue_done(SkySendQueue *queue) {
  SkyQueuedMessage *message = queue->in_flight;
  assert(message != NULL);
  queue->in_flight = NULL;
  queue->bytes -= message->size;
  message_destroy(message);
}

void sky_send_queue_drop(SkySendQueue *queue) {
  while (queue->first != NULL) {
    SkyQueuedMessage *message = queue->first;
    queue->first = message->next;
    queue->bytes -= message->size;
    message_destroy(message);
  }
  queue->end = &queue->first;
}

bool sky_send_queue_is_half_empty(const SkySendQueue *queue) {
  return queue->bytes <= queue->max_bytes / 2;
}
