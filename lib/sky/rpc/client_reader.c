/*
 * Reader: a stream for threads that block. Messages wait packed, bounded by bytes; then the stream is paused.
 */
#include "client_internal.h"

#include <assert.h>
#include <stdlib.h>

#include <grpc/byte_buffer.h>

#include <sky/rpc/slices.h>

enum { QUEUE_BYTES = 256 << 10 };

/* A message that was received and not yet asked for. */
typedef struct Received {
  struct Received *next;
  grpc_byte_buffer *buffer;
  size_t bytes;
} Received;

struct SkyClientReader {
  const SkyRpc *rpc;
  const SkyMethodDescriptor *method;
  SkyClientStream *stream;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  Received *first, **end;
  size_t bytes; /* of all of them */
  bool paused;
  bool writable; /* again, after a write that was refused */
  bool done;
  SkyStatus status; /* of the stream, when done; or why we have ended it before: a message that could not be read */
};

/* --- the queue; with the lock held --- */

/* Takes the buffer. */
static bool put(SkyClientReader *reader, grpc_byte_buffer *buffer) {
  Received *received = malloc(sizeof(*received));
  if (received == NULL) {
    grpc_byte_buffer_destroy(buffer);
    return false;
  }
  *received = (Received){.buffer = buffer, .bytes = grpc_byte_buffer_length(buffer) + sizeof(*received)};
  *reader->end = received;
  reader->end = &received->next;
  reader->bytes += received->bytes;
  return true;
}

/* The first, which there is; the caller destroys it. */
static grpc_byte_buffer *take(SkyClientReader *reader) {
  Received *received = reader->first;
  grpc_byte_buffer *buffer = received->buffer;
  reader->first = received->next;
  if (reader->first == NULL)
    reader->end = &reader->first;
  reader->bytes -= received->bytes;
  free(received);
  return buffer;
}

static void drop(SkyClientReader *reader) {
  while (reader->first != NULL)
    grpc_byte_buffer_destroy(take(reader));
}

/* --- callbacks --- */

/* We end the call: what is queued is not to be read as if nothing were missing. Takes the failure; with the lock held.
 */
static void fail(SkyClientReader *reader, SkyStatus failure) {
  drop(reader);
  sky_status_free(reader->status);
  reader->status = failure;
  sky_client_stream_cancel_with(reader->stream, failure);
}

/* The queue is bounded softly: the one message that fills it is taken, then no more are asked for. */
static void on_buffer(void *user, SkyClientStream *stream, grpc_byte_buffer *buffer) {
  SkyClientReader *reader = user;
  pthread_mutex_lock(&reader->lock);
  if (reader->status != SKY_OK)
    grpc_byte_buffer_destroy(buffer);
  else if (!put(reader, buffer))
    fail(reader, sky_status_no_memory());
  reader->paused = reader->bytes >= QUEUE_BYTES;
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
  drop(reader);
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
  reader->end = &reader->first;
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
  grpc_byte_buffer *buffer = take(reader);
  const SkyStatus status = sky_client_unpack(reader->method, buffer, arena, ret);
  grpc_byte_buffer_destroy(buffer);
  if (status != SKY_OK)
    fail(reader, sky_status_copy(status));
  return status;
}

/* With the lock held. */
static SkyStatus next_or_end(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret) {
  if (reader->first != NULL)
    return unpack_first(reader, arena, ret);
  if (reader->status == SKY_OK)
    *ret = NULL;
  return sky_status_copy(reader->status); /* for who asks again, too */
}

SkyStatus sky_client_reader_next(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret) {
  assert(!sky_rpc_is_io_thread(reader->rpc));
  pthread_mutex_lock(&reader->lock);
  while (reader->first == NULL && !reader->done && reader->status == SKY_OK)
    pthread_cond_wait(&reader->changed, &reader->lock);
  const SkyStatus status = next_or_end(reader, arena, ret);
  const bool resume = reader->paused && reader->bytes <= QUEUE_BYTES / 2;
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
