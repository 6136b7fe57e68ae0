/*
 * Streams of a client, of all three kinds.
 *
 * Counted by references: the user's, and one for every operation that the core holds a tag of. The last operation to
 * end (the status is always among them) ends the stream; after the status nothing new is started.
 */
#include "client_internal.h"

#include <stdlib.h>

#include <grpc/byte_buffer.h>

#include <sky/rpc/inflate.h>
#include <sky/rpc/send_queue.h>
#include <sky/rpc/slices.h>

enum { SEND_QUEUE_BYTES = 256 << 10, MAX_MESSAGE_MEMORY = 64 << 20 };

struct SkyClientStream {
  SkyClientCall call;
  SkyTag opened, began, received, sent, half_closed, status;
  SkyClientStreamHandler handler;
  SkyClientOnBuffer on_buffer; /* of the blocking reader, else NULL */
  grpc_byte_buffer *request;
  grpc_byte_buffer *message; /* being received */
  SkyArena arena;            /* the message's */
  SkyStatus failure;         /* why we ended the call ourselves; the I/O thread's */

  pthread_mutex_t lock; /* guards what follows */
  size_t references;
  size_t operations; /* in the core's hands */
  SkySendQueue sends;
  bool ended; /* the status is known */
  bool began_receiving;
  bool receiving, in_callback, paused, at_end;
  bool close_wanted, close_sent;
  bool send_uncompressed;
  bool full; /* a write was refused; on_writable is owed */
};

/* --- life --- */

static SkyClientStream *stream_create(SkyClientStreamHandler handler, SkyClientOnBuffer on_buffer) {
  SkyClientStream *stream = calloc(1, sizeof(*stream));
  if (stream == NULL)
    return NULL;
  stream->handler = handler;
  stream->on_buffer = on_buffer;
  stream->references = 1; /* the user's */
  pthread_mutex_init(&stream->lock, NULL);
  sky_arena_init(&stream->arena, MAX_MESSAGE_MEMORY);
  sky_send_queue_init(&stream->sends, SEND_QUEUE_BYTES);
  return stream;
}

static void stream_free(SkyClientStream *stream) {
  sky_arena_finish(&stream->arena);
  pthread_mutex_destroy(&stream->lock);
  free(stream);
}

static void unref(SkyClientStream *stream) {
  pthread_mutex_lock(&stream->lock);
  const bool last = --stream->references == 0;
  pthread_mutex_unlock(&stream->lock);
  if (last)
    stream_free(stream);
}

void sky_client_stream_unref(SkyClientStream *stream) {
  if (stream != NULL)
    unref(stream);
}

SkyFunction sky_client_stream_typed_on_message(const SkyClientStream *stream) {
  return stream->handler.typed_on_message;
}

/* Counts an operation before it is started. With the lock held. */
static void begin_operation(SkyClientStream *stream) {
  stream->operations++;
  stream->references++;
}

/* The core has given back everything: the last callback. */
static void finish(SkyClientStream *stream) {
  const SkyStatus status = sky_client_call_end(&stream->call, stream->failure);
  sky_send_queue_finish(&stream->sends);
  if (stream->message != NULL)
    grpc_byte_buffer_destroy(stream->message);
  stream->message = NULL;
  sky_client_call_close(&stream->call);
  stream->handler.on_done(stream->handler.user, status);
}

/* Ends what begin_operation() began, on the I/O thread. */
static void end_operation(SkyClientStream *stream) {
  pthread_mutex_lock(&stream->lock);
  const bool last = --stream->operations == 0 && stream->ended;
  pthread_mutex_unlock(&stream->lock);
  if (last)
    finish(stream);
  unref(stream);
}

/* --- receiving --- */

/* True when the next message is to be asked for; counts the operation. With the lock held. */
static bool begin_receive(SkyClientStream *stream) {
  if (!stream->began_receiving || stream->receiving || stream->in_callback || stream->paused || stream->at_end ||
      stream->ended)
    return false;
  stream->receiving = true;
  begin_operation(stream);
  return true;
}

static void start_receive(SkyClientStream *stream) {
  const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->message};
  sky_start_batch(stream->call.core, &op, 1, &stream->received);
}

static void receive_next(SkyClientStream *stream) {
  pthread_mutex_lock(&stream->lock);
  stream->in_callback = false;
  const bool start = begin_receive(stream);
  pthread_mutex_unlock(&stream->lock);
  if (start)
    start_receive(stream);
}

static void began(SkyTag *tag, bool ok) {
  SkyClientStream *stream = SKY_CONTAINER(tag, SkyClientStream, began);
  pthread_mutex_lock(&stream->lock);
  stream->began_receiving = ok;
  pthread_mutex_unlock(&stream->lock);
  stream->call.heard = ok;
  receive_next(stream);
  end_operation(stream);
}

static void cancel_with(SkyClientStream *stream, const SkyError *status) {
  (void)grpc_call_cancel_with_status(stream->call.core, (grpc_status_code)sky_status_code(status),
                                     sky_status_message(status), NULL);
}

/* A message we cannot read ends the call. */
static void fail(SkyClientStream *stream, SkyStatus failure) {
  sky_status_free(stream->failure);
  stream->failure = failure;
  cancel_with(stream, failure);
}

static void deliver(SkyClientStream *stream, grpc_byte_buffer *buffer) {
  ProtobufCMessage *message = NULL;
  SkyStatus status =
      sky_inflate_if_compressed(&buffer, stream->call.client->max_response_bytes, &stream->call.was_compressed);
  if (status != SKY_OK) {
    grpc_byte_buffer_destroy(buffer);
    fail(stream, status);
    return;
  }
  if (stream->on_buffer != NULL) {
    stream->on_buffer(stream->handler.user, stream, buffer);
    return;
  }
  sky_arena_reset(&stream->arena);
  status = sky_client_unpack(stream->call.method, buffer, &stream->arena, &message);
  grpc_byte_buffer_destroy(buffer);
  if (status == SKY_OK)
    status = sky_client_intercept_received(&stream->call, message);
  if (status == SKY_OK)
    stream->handler.on_message(stream->handler.user, stream, message);
  else
    fail(stream, status);
}

static void received(SkyTag *tag, bool ok) {
  SkyClientStream *stream = SKY_CONTAINER(tag, SkyClientStream, received);
  grpc_byte_buffer *buffer = stream->message;
  stream->message = NULL;
  pthread_mutex_lock(&stream->lock);
  stream->receiving = false;
  stream->in_callback = buffer != NULL;
  stream->at_end = buffer == NULL;
  pthread_mutex_unlock(&stream->lock);
  if (buffer != NULL) {
    deliver(stream, buffer);
    receive_next(stream);
  }
  end_operation(stream);
}

void sky_client_stream_pause(SkyClientStream *stream) {
  pthread_mutex_lock(&stream->lock);
  stream->paused = true;
  pthread_mutex_unlock(&stream->lock);
}

void sky_client_stream_resume(SkyClientStream *stream) {
  pthread_mutex_lock(&stream->lock);
  stream->paused = false;
  const bool start = begin_receive(stream);
  pthread_mutex_unlock(&stream->lock);
  if (start)
    start_receive(stream);
}

static void status_received(SkyTag *tag, bool ok) {
  SkyClientStream *stream = SKY_CONTAINER(tag, SkyClientStream, status);
  pthread_mutex_lock(&stream->lock);
  stream->ended = true;
  sky_send_queue_drop(&stream->sends);
  pthread_mutex_unlock(&stream->lock);
  end_operation(stream);
}

/* --- sending --- */

/* What is to be sent next: a message, or the half-close behind the last one. */
typedef struct Send {
  grpc_byte_buffer *message;
  bool uncompressed;
  bool half_close;
  bool more;
} Send;

/* Counts the operation. With the lock held. */
static Send next_send(SkyClientStream *stream) {
  Send send = {0};
  if (stream->ended)
    return send;
  send.message = sky_send_queue_start(&stream->sends, &send.uncompressed);
  send.more = sky_send_queue_is_waiting(&stream->sends);
  send.half_close = send.message == NULL && stream->sends.in_flight == 0 && stream->close_wanted && !stream->close_sent;
  stream->close_sent |= send.half_close;
  if (send.message != NULL || send.half_close)
    begin_operation(stream);
  return send;
}

static void start_send(SkyClientStream *stream, Send send) {
  const grpc_op close = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
  if (send.half_close)
    sky_start_batch(stream->call.core, &close, 1, &stream->half_closed);
  if (send.message == NULL)
    return;
  const grpc_op op = {.op = GRPC_OP_SEND_MESSAGE,
                      .flags =
                          (send.more ? GRPC_WRITE_BUFFER_HINT : 0) | (send.uncompressed ? GRPC_WRITE_NO_COMPRESS : 0),
                      .data.send_message.send_message = send.message};
  sky_start_batch(stream->call.core, &op, 1, &stream->sent);
}

static SkyStatus check_writable(SkyClientStream *stream, size_t size) {
  if (stream->ended || stream->close_wanted)
    return SKY_CANCELLED("the stream has ended");
  if (sky_send_queue_has_room(&stream->sends, size))
    return SKY_OK;
  stream->full = true;
  return SKY_RESOURCE_EXHAUSTED("%zu bytes wait to be sent", stream->sends.bytes);
}

/* Takes prepared. With the lock held. */
static SkyStatus push(SkyClientStream *stream, const ProtobufCMessage *message, size_t size, SkySendChunk *prepared,
                      Send *ret_send) {
  const SkyStatus status = check_writable(stream, size);
  if (status != SKY_OK) {
    sky_send_chunk_destroy(prepared);
    return status;
  }
  sky_send_queue_push(&stream->sends, message, size, prepared, stream->send_uncompressed);
  *ret_send = next_send(stream);
  return SKY_OK;
}

/* With the lock held, because the call and its client last only until the stream has ended. */
SkyStatus sky_client_stream_intercept_write(SkyClientStream *stream, const ProtobufCMessage *message) {
  pthread_mutex_lock(&stream->lock);
  const SkyStatus status = stream->ended ? SKY_OK : sky_client_intercept_sending(&stream->call, message);
  pthread_mutex_unlock(&stream->lock);
  return status;
}

SkyStatus sky_client_stream_put(SkyClientStream *stream, const ProtobufCMessage *message) {
  const size_t size = sky_packed_size(message);
  SkySendChunk *prepared = sky_send_prepare(message, size);
  Send send = {0};
  pthread_mutex_lock(&stream->lock);
  const SkyStatus status = push(stream, message, size, prepared, &send);
  pthread_mutex_unlock(&stream->lock);
  start_send(stream, send);
  return status;
}

SkyStatus sky_client_stream_write(SkyClientStream *stream, const ProtobufCMessage *message) {
  SKY_TRY(sky_client_stream_intercept_write(stream, message));
  return sky_client_stream_put(stream, message);
}

void sky_client_stream_compress_messages(SkyClientStream *stream, bool compress) {
  pthread_mutex_lock(&stream->lock);
  stream->send_uncompressed = !compress;
  pthread_mutex_unlock(&stream->lock);
}

bool sky_client_stream_message_was_compressed(const SkyClientStream *stream) {
  return stream->call.was_compressed;
}

void sky_client_stream_close_send(SkyClientStream *stream) {
  pthread_mutex_lock(&stream->lock);
  stream->close_wanted = true;
  const Send send = next_send(stream);
  pthread_mutex_unlock(&stream->lock);
  start_send(stream, send);
}

static void sent(SkyTag *tag, bool ok) {
  SkyClientStream *stream = SKY_CONTAINER(tag, SkyClientStream, sent);
  pthread_mutex_lock(&stream->lock);
  sky_send_queue_done(&stream->sends);
  if (!ok)
    sky_send_queue_drop(&stream->sends); /* the call is over; its status is on the way */
  const Send send = next_send(stream);
  const bool writable = stream->full && ok && !stream->ended && sky_send_queue_is_half_empty(&stream->sends);
  stream->full &= !writable;
  pthread_mutex_unlock(&stream->lock);
  start_send(stream, send);
  if (writable && stream->handler.on_writable != NULL)
    stream->handler.on_writable(stream->handler.user, stream);
  end_operation(stream);
}

static void half_closed(SkyTag *tag, bool ok) {
  end_operation(SKY_CONTAINER(tag, SkyClientStream, half_closed));
}

/* --- opening and cancelling --- */

static void opened(SkyTag *tag, bool ok) {
  SkyClientStream *stream = SKY_CONTAINER(tag, SkyClientStream, opened);
  if (stream->request != NULL)
    grpc_byte_buffer_destroy(stream->request);
  stream->request = NULL;
  stream->call.sent = ok;
  end_operation(stream);
}

static void init_tags(SkyClientStream *stream) {
  stream->opened.complete = opened;
  stream->began.complete = began;
  stream->received.complete = received;
  stream->sent.complete = sent;
  stream->half_closed.complete = half_closed;
  stream->status.complete = status_received;
}

/* The status first, so that the core has somewhere to put it whatever happens. */
static void start(SkyClientStream *stream, const ProtobufCMessage *request) {
  grpc_op first[3] = {sky_client_initial_metadata_op(&stream->call)};
  size_t count = 1;
  if (request != NULL) {
    stream->request = sky_pack_byte_buffer(request, sky_packed_size(request));
    stream->close_wanted = stream->close_sent = true;
    first[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = stream->request};
    first[count++] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
  }
  const grpc_op status = sky_client_receive_status_op(&stream->call);
  const grpc_op initial = sky_client_receive_initial_metadata_op(&stream->call);
  for (int i = 0; i < 3; i++)
    begin_operation(stream);
  sky_start_batch(stream->call.core, &status, 1, &stream->status);
  sky_start_batch(stream->call.core, first, count, &stream->opened);
  sky_start_batch(stream->call.core, &initial, 1, &stream->began);
}

SkyStatus sky_client_stream_open_raw(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                     const ProtobufCMessage *request, SkyClientStreamHandler handler,
                                     SkyClientOnBuffer on_buffer, SkyClientStream **ret) {
  SkyClientStream *stream = stream_create(handler, on_buffer);
  if (stream == NULL)
    return sky_status_no_memory();
  init_tags(stream);
  const SkyStatus status = sky_client_call_begin(&stream->call, client, method, context, request);
  if (status != SKY_OK) {
    stream_free(stream);
    return status;
  }
  *ret = stream; /* before a callback can ask for it */
  start(stream, request);
  return SKY_OK;
}

SkyStatus sky_client_stream_open(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                 const ProtobufCMessage *request, SkyClientStreamHandler handler,
                                 SkyClientStream **ret) {
  return sky_client_stream_open_raw(client, method, context, request, handler, NULL, ret);
}

/* The core's call lives until the last operation has ended; after the status there is nothing to cancel. */
void sky_client_stream_cancel(SkyClientStream *stream) {
  pthread_mutex_lock(&stream->lock);
  if (!stream->ended)
    (void)grpc_call_cancel(stream->call.core, NULL);
  pthread_mutex_unlock(&stream->lock);
}

void sky_client_stream_cancel_with(SkyClientStream *stream, const SkyError *status) {
  pthread_mutex_lock(&stream->lock);
  if (!stream->ended)
    cancel_with(stream, status);
  pthread_mutex_unlock(&stream->lock);
}
