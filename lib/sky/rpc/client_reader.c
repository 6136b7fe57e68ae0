/*
 * Reader: a stream for threads that block. Messages wait packed, bounded by bytes; then the stream is paused.
 */
#include "client_internal.h"

#include <assert.h>
#include <stdlib.h>

#include <grpc/byte_buffer.h>

#include <sky/rpc/send_queue.h>
#include <sky/rpc/slices.h>

enum { QUEUE_BYTES = 256 << 10 };

struct SkyClientReader {
  const SkyRpc *rpc;
  const SkyMethodDescriptor *method;
  SkyClientStream *stream;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  SkySendQueue messages; /* received, not yet asked for */
  bool paused;
  bool writable; /* again, after a write that was refused */
  bool done;
  SkyStatus status; /* of the stream, when done; or why we have ended it before: a message that could not be read */
};

/* We end the call: what is queued is not to be read as if nothing were missing. Takes the failure; with the lock held.
 */
static void fail(SkyClientReader *reader, SkyStatus failure) {
  sky_send_queue_drop(&reader->messages);
  sky_status_free(reader->status);
  reader->status = failure;
  sky_client_stream_cancel_with(reader->stream, failure);
}

/* The queue is bounded softly: the one message that fills it is taken, then no more are asked for. */
static void on_buffer(void *user, SkyClientStream *stream, grpc_byte_buffer *buffer) {
  SkyClientReader *reader = user;
  const size_t size = grpc_byte_buffer_length(buffer);
  pthread_mutex_lock(&reader->lock);
  if (reader->status != SKY_OK)
    grpc_byte_buffer_destroy(buffer);
  else if (!sky_send_queue_push(&reader->messages, buffer, size, false))
    fail(reader, sky_status_no_memory());
  reader->paused = reader->messages.bytes >= QUEUE_BYTES;
  if (reader->paused)
    sky_client_stream_pause(stream);
  pthread_cond_broadcast(&reader->changed);
  pthread_mutex_unlock(&reader->lock);
}

static void on_writable(void *user, SkyClientStream *stream) {
  SkyClientReader *reader = user;
  pthread_mutex_lock(&reader->lock);
  reader->writable = true;
  pthread_cond_broadcast(&reader->changed);
  pthread_mutex_unlock(&reader->lock);
}

static void on_done(void *user, SkyStatus status) {
  SkyClientReader *reader = user;
  pthread_mutex_lock(&reader->lock);
  reader->done = true;
  if (reader->status == SKY_OK)
    reader->status = status;
  else
    sky_status_free(status); /* it says no more than that we have ended the call */
  pthread_cond_broadcast(&reader->changed);
  pthread_mutex_unlock(&reader->lock);
}

static void reader_free(SkyClientReader *reader) {
  sky_send_queue_finish(&reader->messages);
  sky_status_free(reader->status);
  pthread_cond_destroy(&reader->changed);
  pthread_mutex_destroy(&reader->lock);
  free(reader);
}

SkyStatus sky_client_reader_open(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                 const ProtobufCMessage *request, SkyClientReader **ret) {
  SkyClientReader *reader = calloc(1, sizeof(*reader));
  if (reader == NULL)
    return sky_status_no_memory();
  reader->rpc = client->rpc;
  reader->method = method;
  pthread_mutex_init(&reader->lock, NULL);
  pthread_cond_init(&reader->changed, NULL);
  sky_send_queue_init(&reader->messages, QUEUE_BYTES);
  const SkyClientStreamHandler handler = {.on_done = on_done, .on_writable = on_writable, .user = reader};
  const SkyStatus status =
      sky_client_stream_open_raw(client, method, context, request, handler, on_buffer, &reader->stream);
  if (status != SKY_OK) {
    reader_free(reader);
    return status;
  }
  *ret = reader;
  return SKY_OK;
}

static SkyStatus unpack_first(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret) {
  SkyQueuedMessage *message = sky_send_queue_start(&reader->messages);
  const SkyStatus status = sky_client_unpack(reader->method, message->buffer, arena, ret);
  sky_send_queue_done(&reader->messages);
  if (status != SKY_OK)
    fail(reader, sky_status_copy(status));
  return status;
}

/* With the lock held. */
static SkyStatus next_or_end(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret) {
  if (reader->messages.first != NULL)
    return unpack_first(reader, arena, ret);
  if (reader->status == SKY_OK)
    *ret = NULL;
  return sky_status_copy(reader->status); /* for who asks again, too */
}

SkyStatus sky_client_reader_next(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret) {
  assert(!sky_rpc_is_io_thread(reader->rpc));
  pthread_mutex_lock(&reader->lock);
  while (reader->messages.first == NULL && !reader->done && reader->status == SKY_OK)
    pthread_cond_wait(&reader->changed, &reader->lock);
  const SkyStatus status = next_or_end(reader, arena, ret);
  const bool resume = reader->paused && sky_send_queue_is_half_empty(&reader->messages);
  reader->paused &= !resume;
  pthread_mutex_unlock(&reader->lock);
  if (resume)
    sky_client_stream_resume(reader->stream);
  return status;
}

static void set_writable(SkyClientReader *reader, bool writable) {
  pthread_mutex_lock(&reader->lock);
  reader->writable = writable;
  pthread_mutex_unlock(&reader->lock);
}

static void wait_writable(SkyClientReader *reader) {
  pthread_mutex_lock(&reader->lock);
  while (!reader->writable && !reader->done)
    pthread_cond_wait(&reader->changed, &reader->lock);
  pthread_mutex_unlock(&reader->lock);
}

SkyStatus sky_client_reader_write(SkyClientReader *reader, const ProtobufCMessage *message) {
  assert(!sky_rpc_is_io_thread(reader->rpc));
  SKY_TRY(sky_client_stream_intercept_write(reader->stream, message));
  for (;;) {
    set_writable(reader, false); /* a refusal sets it true in its time */
    SkyStatus status = sky_client_stream_put(reader->stream, message);
    if (status == sky_status_no_memory() || !sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED))
      return status;
    wait_writable(reader);
  }
}

void sky_client_reader_close_send(SkyClientReader *reader) {
  sky_client_stream_close_send(reader->stream);
}

static SkyStatus read_only_response(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret) {
  ProtobufCMessage *none = NULL;
  SKY_TRY(sky_client_reader_next(reader, arena, ret));
  if (*ret == NULL)
    return SKY_INTERNAL("the server sent no response message");
  SKY_TRY(sky_client_reader_next(reader, arena, &none));
  return none == NULL ? SKY_OK : SKY_INTERNAL("the server sent more than one response message");
}

SkyStatus sky_client_reader_finish(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret) {
  ProtobufCMessage *response = NULL;
  sky_client_reader_close_send(reader);
  const SkyStatus status = read_only_response(reader, arena, &response);
  sky_client_reader_close(reader);
  if (status == SKY_OK)
    *ret = response;
  return status;
}

void sky_client_reader_close(SkyClientReader *reader) {
  if (reader == NULL)
    return;
  assert(!sky_rpc_is_io_thread(reader->rpc));
  sky_client_stream_cancel(reader->stream);
  pthread_mutex_lock(&reader->lock);
  while (!reader->done)
    pthread_cond_wait(&reader->changed, &reader->lock);
  pthread_mutex_unlock(&reader->lock);
  sky_client_stream_unref(reader->stream);
  reader_free(reader);
}
