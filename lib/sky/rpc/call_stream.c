/*
 * Streams of a server call: messages out through a queue bounded by bytes, messages in one at a time.
 */
#include "server_internal.h"

#include <assert.h>

#include <grpc/byte_buffer.h>

#include <sky/rpc/inflate.h>
#include <sky/rpc/slices.h>

/* --- sending --- */

/* The message may be taken. With the lock held. */
static SkyStatus check_writable(const SkyCall *call, size_t size) {
  if (call->ended || sky_call_is_cancelled(call))
    return SKY_CANCELLED("the stream has ended");
  if (!sky_send_queue_has_room(&call->sends, size))
    return SKY_RESOURCE_EXHAUSTED("%zu bytes wait to be sent", call->sends.bytes);
  return SKY_OK;
}

/* What is to be sent next. more: others wait behind it, so the core need not flush yet. */
typedef struct Send {
  grpc_byte_buffer *message; /* NULL: nothing, or something is in flight */
  bool uncompressed;
  bool initial;
  bool more;
} Send;

/* With the lock held. Only one message is in flight, so whoever gets it is the only one to start a batch of sends. */
static Send next_send(SkyCall *call) {
  Send send = {0};
  send.message = sky_send_queue_start(&call->sends, &send.uncompressed);
  if (send.message == NULL)
    return send;
  send.initial = !call->initial_sent;
  call->initial_sent = true;
  send.more = sky_send_queue_is_waiting(&call->sends);
  return send;
}

static void start_send(SkyCall *call, Send send) {
  grpc_op ops[2];
  size_t count = 0;
  if (send.initial)
    ops[count++] = sky_call_initial_metadata_op(call);
  ops[count++] =
      (grpc_op){.op = GRPC_OP_SEND_MESSAGE,
                .flags = (send.more ? GRPC_WRITE_BUFFER_HINT : 0) | (send.uncompressed ? GRPC_WRITE_NO_COMPRESS : 0),
                .data.send_message.send_message = send.message};
  sky_start_batch(call->core, ops, count, &call->sent);
}

/* Takes prepared. With the lock held. */
static SkyStatus push(SkyCall *call, const ProtobufCMessage *message, size_t size, SkySendChunk *prepared,
                      Send *ret_send) {
  const SkyStatus status = check_writable(call, size);
  if (status != SKY_OK) {
    sky_send_chunk_destroy(prepared);
    return status;
  }
  sky_send_queue_push(&call->sends, message, size, prepared, call->send_uncompressed);
  *ret_send = next_send(call);
  if (ret_send->message != NULL)
    sky_call_ref_(call);
  return SKY_OK;
}

SkyStatus sky_call_write(SkyCall *call, const ProtobufCMessage *message) {
  SKY_TRY(sky_call_intercept_sending(call, message));
  const size_t size = sky_packed_size(message);
  SkySendChunk *prepared = sky_send_prepare(message, size);
  Send send = {0};
  pthread_mutex_lock(&call->lock);
  const SkyStatus status = push(call, message, size, prepared, &send);
  pthread_mutex_unlock(&call->lock);
  if (send.message != NULL)
    start_send(call, send);
  return status;
}

SkyStatus sky_call_write_blocking(SkyCall *call, const ProtobufCMessage *message) {
  assert(!sky_rpc_is_io_thread(call->server->rpc));
  SKY_TRY(sky_call_intercept_sending(call, message));
  const size_t size = sky_packed_size(message);
  SkySendChunk *prepared = sky_send_prepare(message, size);
  Send send = {0};
  pthread_mutex_lock(&call->lock);
  while (!call->ended && !sky_call_is_cancelled(call) && !sky_send_queue_has_room(&call->sends, size))
    pthread_cond_wait(&call->changed, &call->lock);
  const SkyStatus status = push(call, message, size, prepared, &send);
  pthread_mutex_unlock(&call->lock);
  if (send.message != NULL)
    start_send(call, send);
  return status;
}

size_t sky_call_write_queued_bytes(const SkyCall *call) {
  SkyCall *writable = (SkyCall *)call;
  pthread_mutex_lock(&writable->lock);
  const size_t bytes = call->sends.bytes;
  pthread_mutex_unlock(&writable->lock);
  return bytes;
}

void sky_call_sent(SkyTag *tag, bool ok) {
  SkyCall *call = SKY_CONTAINER(tag, SkyCall, sent);
  pthread_mutex_lock(&call->lock);
  sky_send_queue_done(&call->sends);
  if (!ok) { /* the stream is broken; the rest cannot be sent either */
    atomic_store_explicit(&call->cancelled, true, memory_order_release);
    sky_send_queue_drop(&call->sends);
  }
  pthread_cond_broadcast(&call->changed);
  const Send send = next_send(call);
  const bool end = send.message == NULL && call->final_waits;
  SkyStatus status = end ? call->final_status : SKY_OK;
  if (send.message != NULL)
    sky_call_ref_(call);
  pthread_mutex_unlock(&call->lock);
  if (send.message != NULL)
    start_send(call, send);
  else if (end)
    sky_call_send_final(call, status);
  sky_call_run_writable(call);
  sky_call_unref_(call);
}

/* --- receiving --- */

static void invoke_untyped(SkyFunction function, void *user, SkyCall *call, SkyStatus status,
                           const ProtobufCMessage *message) {
  ((SkyOnMessage)function)(user, call, status, message);
}

void sky_call_read(SkyCall *call, SkyOnMessage on_message, void *user) {
  sky_call_read_typed(call, invoke_untyped, (SkyFunction)on_message, user);
}

void sky_call_read_typed(SkyCall *call, SkyOnMessageInvoke invoke, SkyFunction on_message, void *user) {
  pthread_mutex_lock(&call->lock);
  const bool start = !call->ended;
  assert(!call->reading);
  if (start) {
    call->reading = true;
    call->read_invoke = invoke;
    call->read_function = on_message;
    call->read_user = user;
    sky_call_ref_(call);
  }
  pthread_mutex_unlock(&call->lock);
  const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->read_buffer};
  if (start)
    sky_start_batch(call->core, &op, 1, &call->received);
}

static SkyStatus unpack_received(SkyCall *call, const ProtobufCMessage **ret) {
  ProtobufCMessage *message = NULL;
  if (call->read_buffer == NULL)
    return call->read_failed ? SKY_CANCELLED("the client has gone away") : SKY_OK;
  SKY_TRY(sky_inflate_if_compressed(&call->read_buffer, call->server->options.max_request_bytes,
                                    &call->message_was_compressed));
  sky_arena_reset(&call->read_arena);
  SKY_TRY(sky_call_unpack(call, call->read_buffer, &call->read_arena, &message));
  SKY_TRY(sky_call_intercept_received(call, message));
  *ret = message;
  return SKY_OK;
}

static SkyStatus take_received(SkyCall *call, const ProtobufCMessage **ret) {
  const SkyStatus status = unpack_received(call, ret);
  if (call->read_buffer != NULL)
    grpc_byte_buffer_destroy(call->read_buffer);
  call->read_buffer = NULL;
  return status;
}

/* Calls the reader back with the message, or with failure; gives up the operation's reference. */
static void deliver(SkyCall *call, SkyStatus failure) {
  const bool on_io_thread = sky_rpc_is_io_thread(call->server->rpc);
  pthread_mutex_lock(&call->lock);
  const bool run = on_io_thread ? sky_call_begin_callback(call) : !call->ended;
  const SkyOnMessageInvoke invoke = call->read_invoke;
  const SkyFunction function = call->read_function;
  void *const user = call->read_user;
  call->reading = false;
  pthread_mutex_unlock(&call->lock);
  if (run) {
    const ProtobufCMessage *message = NULL;
    const SkyStatus status = failure != SKY_OK ? failure : take_received(call, &message);
    invoke(function, user, call, status, message);
  } else {
    sky_status_free(failure);
  }
  if (run && on_io_thread)
    sky_call_end_callback(call);
  sky_call_unref_(call);
}

static void deliver_on_worker(void *user) {
  deliver(user, SKY_OK);
}

void sky_call_deliver_read(SkyCall *call) {
  deliver(call, SKY_OK);
}

void sky_call_received(SkyTag *tag, bool ok) {
  SkyCall *call = SKY_CONTAINER(tag, SkyCall, received);
  call->read_failed = call->read_buffer == NULL && (!ok || grpc_call_failed_before_recv_message(call->core));
  pthread_mutex_lock(&call->lock);
  const bool wait = call->in_handler || call->read_blocking;
  call->read_arrived = wait;
  pthread_cond_broadcast(&call->changed);
  pthread_mutex_unlock(&call->lock);
  if (wait)
    return; /* leave_handler() delivers it, or whoever waits takes it */
  SkyStatus status = SKY_OK;
  if (!call->method->descriptor->inline_handler) {
    status = sky_rpc_run(call->server->rpc, deliver_on_worker, call);
    if (status == SKY_OK)
      return;
  }
  deliver(call, status);
}

/* --- receiving by a thread that waits --- */

/* What becomes of a message that came when nobody waited for it any longer. */
static void forget(SkyFunction function, void *user, SkyCall *call, SkyStatus status, const ProtobufCMessage *message) {
  sky_status_free(status);
}

/* Counts the operation; false when the call is over. */
static bool begin_blocking_read(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  const bool start = !call->ended && !sky_call_is_cancelled(call);
  assert(!start || !call->reading);
  if (start) {
    call->reading = call->read_blocking = true;
    call->read_invoke = forget;
    sky_call_ref_(call);
  }
  pthread_mutex_unlock(&call->lock);
  return start;
}

/* True when a message or the end has come, false when the call was cancelled before: then the operation goes on. */
static bool wait_for_message(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  while (!call->read_arrived && !sky_call_is_cancelled(call))
    pthread_cond_wait(&call->changed, &call->lock);
  const bool arrived = call->read_arrived;
  call->read_arrived = call->read_blocking = false;
  if (arrived)
    call->reading = false;
  pthread_mutex_unlock(&call->lock);
  return arrived;
}

SkyStatus sky_call_read_blocking(SkyCall *call, const ProtobufCMessage **ret) {
  assert(!sky_rpc_is_io_thread(call->server->rpc));
  const ProtobufCMessage *message = NULL;
  const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->read_buffer};
  if (!begin_blocking_read(call))
    return SKY_CANCELLED("the stream has ended");
  sky_start_batch(call->core, &op, 1, &call->received);
  if (!wait_for_message(call))
    return SKY_CANCELLED("the call has been cancelled");
  const SkyStatus status = take_received(call, &message);
  sky_call_unref_(call);
  if (status == SKY_OK)
    *ret = message;
  return status;
}
