/*
 * The end of a call: status, details and trailing metadata in one batch, with the response of a unary call.
 */
#include "server_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <grpc/byte_buffer.h>

#include <sky/core/time.h>
#include <sky/rpc/metadata.h>
#include <sky/rpc/slices.h>
#include <sky/rpc/status_proto.h>

enum { MAX_STATUS_MESSAGE = 1024 /* three times that when every byte is escaped */, FINAL_OPS = 4 };

static char deferred_marker; /* its address is the status "not ended yet"; never dereferenced */

bool sky_call_is_deferred(SkyStatus status) {
  return status == (SkyStatus)(void *)&deferred_marker;
}

SkyStatus sky_call_defer(SkyCall *call) {
  if (sky_rpc_is_io_thread(call->server->rpc))
    sky_call_watch_deadline(call);
  sky_call_watch_close(call);
  return (SkyStatus)(void *)&deferred_marker;
}

/* From here on no callback begins, and none is running when this returns (the I/O thread cannot wait for itself). */
static void mark_ended(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  assert(!call->ended);
  call->ended = true;
  while (call->callback_running && !sky_rpc_is_io_thread(call->server->rpc))
    pthread_cond_wait(&call->changed, &call->lock);
  pthread_mutex_unlock(&call->lock);
}

/* A handler that gave up because its context was cancelled often cannot know that the deadline was the reason. */
static SkyStatus name_deadline(const SkyCall *call, SkyStatus status) {
  if (sky_status_code(status) != SKY_CODE_CANCELLED ||
      sky_clock_monotonic_ns(sky_clock_system_borrow()) < call->context.deadline_ns)
    return status;
  sky_status_free(status);
  return SKY_DEADLINE_EXCEEDED("the deadline of the call has passed");
}

/* Streams that a drain has cancelled may be opened again elsewhere, and the code says so. */
static SkyStatus name_drain(SkyCall *call, SkyStatus status) {
  if (sky_status_code(status) != SKY_CODE_CANCELLED || !atomic_load(&call->server->leaving) ||
      atomic_load(&call->client_gone))
    return status;
  sky_status_free(status);
  return SKY_UNAVAILABLE("the server is shutting down");
}

static void count(SkyCall *call, const SkyError *status) {
  if (!call->method->built_in)
    atomic_fetch_add_explicit(status == SKY_OK ? &call->server->succeeded : &call->server->failed, 1,
                              memory_order_relaxed);
}

/* True when messages are still to be sent first; then the status is kept until they are. */
static bool wait_for_sends(SkyCall *call, SkyStatus status) {
  pthread_mutex_lock(&call->lock);
  const bool wait = call->sends.in_flight > 0 || sky_send_queue_is_waiting(&call->sends);
  call->final_waits = wait;
  call->final_status = wait ? status : SKY_OK;
  pthread_mutex_unlock(&call->lock);
  return wait;
}

void sky_call_end(SkyCall *call, SkyStatus status) {
  mark_ended(call);
  status = name_drain(call, name_deadline(call, status));
  sky_call_end_interceptors(call, &status);
  count(call, status);
  if (!wait_for_sends(call, status))
    sky_call_send_final(call, status);
}

void sky_call_finish(SkyCall *call, SkyStatus status) {
  sky_call_end(call, status);
}

/* When the client's own retries may come, or a proxy's: gRFC A6. */
static void add_pushback(SkyCall *call, const SkyError *status) {
  char text[24];
  const int64_t retry_after_ms = sky_status_retry_after_ms(status);
  if (retry_after_ms < 0)
    return;
  snprintf(text, sizeof(text), "%" PRId64, retry_after_ms);
  sky_metadata_list_add_own(&call->trailing_metadata, SKY_METADATA_RETRY_PUSHBACK, sky_str(text));
}

static void add_details(SkyCall *call, const SkyError *status) {
  SkyBuf details;
  if (!sky_status_has_details(status))
    return;
  sky_buf_init(&details, SKY_STATUS_DETAILS_MAX_BYTES);
  sky_status_encode(status, &details);
  if (!details.failed)
    sky_metadata_list_add_own(&call->trailing_metadata, SKY_STATUS_DETAILS_KEY, sky_buf_str(&details));
  sky_buf_finish(&details);
  add_pushback(call, status);
}

static grpc_slice message_slice(const SkyError *status) {
  const char *message = sky_status_message(status);
  return grpc_slice_from_copied_buffer(message, strnlen(message, MAX_STATUS_MESSAGE));
}

/*
 * The core takes a level and finds the algorithm: the first or the last that the client accepts, of gzip and deflate.
 */
static grpc_compression_level level_of(SkyCompression compression) {
  switch (compression) {
  case SKY_COMPRESSION_GZIP:
    return GRPC_COMPRESS_LEVEL_LOW;
  case SKY_COMPRESSION_DEFLATE:
    return GRPC_COMPRESS_LEVEL_HIGH;
  case SKY_COMPRESSION_IDENTITY:
    break;
  }
  return GRPC_COMPRESS_LEVEL_NONE;
}

grpc_op sky_call_initial_metadata_op(SkyCall *call) {
  grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA,
                .data.send_initial_metadata = {.count = call->initial_metadata.count,
                                               .metadata = call->initial_metadata.entries}};
  op.data.send_initial_metadata.maybe_compression_level.is_set = call->compression != SKY_COMPRESSION_IDENTITY;
  op.data.send_initial_metadata.maybe_compression_level.level = level_of(call->compression);
  return op;
}

static grpc_op status_op(SkyCall *call, const SkyError *status, grpc_slice *message) {
  return (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                   .data.send_status_from_server = {.trailing_metadata_count = call->trailing_metadata.count,
                                                    .trailing_metadata = call->trailing_metadata.entries,
                                                    .status = (grpc_status_code)sky_status_code(status),
                                                    .status_details = status != SKY_OK ? message : NULL}};
}

/* As soon as the batch is started the call is the I/O thread's, so nothing of it is touched afterwards. */
static void start_final(SkyCall *call) {
  grpc_op ops[FINAL_OPS];
  size_t op_count = 0;
  const SkyStatus status = call->final_status;
  grpc_byte_buffer *const packed = call->packed;
  call->final_status = SKY_OK;
  call->packed = NULL;
  add_details(call, status);
  grpc_slice message = message_slice(status);
  if (!call->initial_sent)
    ops[op_count++] = sky_call_initial_metadata_op(call);
  if (packed != NULL)
    ops[op_count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE,
                                .flags = call->send_uncompressed ? GRPC_WRITE_NO_COMPRESS : 0,
                                .data.send_message.send_message = packed};
  ops[op_count++] = status_op(call, status, &message);
  if (!atomic_exchange(&call->close_claimed, true))
    ops[op_count++] =
        (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->core_cancelled};
  sky_start_batch(call->core, ops, op_count, &call->finished);
  grpc_slice_unref(message);
  if (packed != NULL)
    grpc_byte_buffer_destroy(packed);
  sky_status_free(status);
}

static void start_handed_over(SkyIoTask *task) {
  start_final(SKY_CONTAINER(task, SkyCall, final));
}

void sky_call_send_final(SkyCall *call, SkyStatus status) {
  if (status == SKY_OK && call->response != NULL)
    call->packed = sky_pack_byte_buffer(call->response, sky_packed_size(call->response));
  call->final_status = status;
  if (!sky_rpc_should_hand_over(call->server->rpc)) {
    start_final(call);
    return;
  }
  call->final.run = start_handed_over;
  sky_call_ref_(call); /* the I/O thread may be done with it, and the server gone, before this thread has left */
  sky_rpc_hand_over(call->server->rpc, &call->final);
  sky_call_unref_(call);
}
