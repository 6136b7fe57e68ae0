/*
 * Call objects of a server: made, posted to the core, kept for the next call.
 */
#include "server_internal.h"

#include <stdlib.h>

#include <grpc/byte_buffer.h>

enum {
  MAX_FREE_CALLS = 512,         /* objects kept for later calls */
  MAX_KEPT_ARENA_BYTES = 65536, /* a call that used more gives its memory back */
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool reuse_calls = false; /* so that a use after the end is seen */
#else
static const bool reuse_calls = true;
#endif

static void posted(SkyTag *tag, bool ok);
static void closed(SkyTag *tag, bool ok);
static void finished(SkyTag *tag, bool ok);

static void call_init_tags(SkyCall *call) {
  call->accepted.complete = sky_call_accepted;
  call->closed.complete = closed;
  call->sent.complete = sky_call_sent;
  call->received.complete = sky_call_received;
  call->posted.complete = posted;
  call->finished.complete = finished;
}

static SkyCall *call_create(SkyServer *server) {
  SkyCall *call = calloc(1, sizeof(*call));
  if (call == NULL)
    return NULL;
  call->server = server;
  call_init_tags(call);
  pthread_mutex_init(&call->lock, NULL);
  pthread_cond_init(&call->changed, NULL);
  grpc_metadata_array_init(&call->metadata);
  grpc_call_details_init(&call->details);
  sky_arena_init(&call->arena, server->options.max_call_memory);
  sky_arena_init(&call->read_arena, server->options.max_call_memory);
  sky_send_queue_init(&call->sends, server->options.max_stream_queued_bytes);
  return call;
}

static void call_destroy(SkyCall *call) {
  grpc_metadata_array_destroy(&call->metadata);
  grpc_call_details_destroy(&call->details);
  sky_arena_finish(&call->arena);
  sky_arena_finish(&call->read_arena);
  pthread_cond_destroy(&call->changed);
  pthread_mutex_destroy(&call->lock);
  free(call);
}

static void arena_recycle(SkyArena *arena) {
  if (arena->used_bytes > MAX_KEPT_ARENA_BYTES)
    sky_arena_finish(arena);
  else
    sky_arena_reset(arena);
}

/* Makes an ended call as good as new. */
static void call_recycle(SkyCall *call) {
  arena_recycle(&call->arena);
  sky_arena_finish(&call->read_arena);
  call->metadata.count = 0;
  grpc_call_details_destroy(&call->details);
  grpc_call_details_init(&call->details);
  call->response = NULL;
  call->peer = NULL;
  for (size_t i = 0; i < SKY_CALL_SLOTS; i++)
    call->slots[i] = NULL;
  call->begun = 0;
  atomic_store_explicit(&call->close_claimed, false, memory_order_relaxed);
  atomic_store_explicit(&call->cancelled, false, memory_order_relaxed);
  atomic_store_explicit(&call->client_gone, false, memory_order_relaxed);
  call->ended = call->initial_sent = call->final_waits = call->reading = call->read_arrived = call->read_failed = false;
  call->send_uncompressed = call->message_was_compressed = false;
  call->post_again = false;
  call->core_cancelled = 0;
  call->on_cancel = NULL;
  call->on_writable = NULL;
}

static SkyCall *call_take(SkyServer *server) {
  SkyCall *call = server->free_calls;
  if (call == NULL || !sky_rpc_is_io_thread(server->rpc))
    return call_create(server);
  server->free_calls = call->next_free;
  server->free_count--;
  return call;
}

/* Keeps the object when this is the I/O thread, whose list it is. */
static void call_give_back(SkyCall *call) {
  SkyServer *server = call->server;
  if (!reuse_calls || !sky_rpc_is_io_thread(server->rpc) || server->free_count >= MAX_FREE_CALLS) {
    call_destroy(call);
    return;
  }
  call_recycle(call);
  call->next_free = server->free_calls;
  server->free_calls = call;
  server->free_count++;
}

void sky_server_free_calls(SkyServer *server) {
  while (server->free_calls != NULL) {
    SkyCall *call = server->free_calls;
    server->free_calls = call->next_free;
    call_destroy(call);
  }
}

static grpc_call_error request_call(SkyCall *call) {
  SkyServer *server = call->server;
  const SkyServerMethod *method = call->method;
  SkyTag *tag = sky_tag_publish(&call->accepted); /* the I/O thread may free the call as soon as it is requested */
  grpc_completion_queue *queue = server->rpc->queue;
  if (method->descriptor == NULL)
    return grpc_server_request_call(server->core, &call->core, &call->details, &call->metadata, queue, queue, tag);
  const bool has_payload = method->descriptor->kind == SKY_UNARY || method->descriptor->kind == SKY_SERVER_STREAMING;
  return grpc_server_request_registered_call(server->core, method->registered, &call->core, &call->core_deadline,
                                             &call->metadata, has_payload ? &call->payload : NULL, queue, queue, tag);
}

/* With the call counted as alive. */
static bool post(SkyCall *call) {
  call->compression = call->server->options.compression;
  atomic_store_explicit(&call->refs, 1, memory_order_relaxed);
  if (request_call(call) == GRPC_CALL_OK)
    return true;
  sky_call_unref_(call);
  return false;
}

bool sky_server_post_call(SkyServer *server, SkyServerMethod *method) {
  SkyCall *call = call_take(server);
  if (call == NULL)
    return false;
  call->method = method;
  pthread_mutex_lock(&server->lock);
  server->calls_alive++;
  pthread_mutex_unlock(&server->lock);
  return post(call);
}

void sky_call_ref_(SkyCall *call) {
  atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

/* Gives back what the call took from the core and elsewhere. The arena stays: the object may be used again. */
static void call_release_resources(SkyCall *call) {
  if (call->payload != NULL)
    grpc_byte_buffer_destroy(call->payload);
  if (call->read_buffer != NULL)
    grpc_byte_buffer_destroy(call->read_buffer);
  call->payload = call->read_buffer = NULL;
  sky_send_queue_finish(&call->sends);
  sky_metadata_list_finish(&call->initial_metadata);
  sky_metadata_list_finish(&call->trailing_metadata);
  if (call->context.cancel != NULL)
    sky_cancel_unref(call->context.cancel);
  call->context.cancel = NULL;
  grpc_call_unref(call->core);
  call->core = NULL;
}

static bool is_stream(const SkyCall *call) {
  return call->method->descriptor != NULL && call->method->descriptor->kind != SKY_UNARY;
}

/* Streams are on a list so that a drain can end them; off it before the last reference goes. */
void sky_server_link_stream(SkyCall *call) {
  SkyServer *server = call->server;
  pthread_mutex_lock(&server->lock);
  server->streams_active += !call->method->built_in;
  call->previous_stream = NULL;
  call->next_stream = server->streams;
  if (call->next_stream != NULL)
    call->next_stream->previous_stream = call;
  server->streams = call;
  pthread_mutex_unlock(&server->lock);
}

static void unlink_stream(SkyCall *call) {
  SkyServer *server = call->server;
  pthread_mutex_lock(&server->lock);
  if (call->previous_stream != NULL)
    call->previous_stream->next_stream = call->next_stream;
  else
    server->streams = call->next_stream;
  if (call->next_stream != NULL)
    call->next_stream->previous_stream = call->previous_stream;
  pthread_mutex_unlock(&server->lock);
}

void sky_server_cancel_streams(SkyServer *server) {
  pthread_mutex_lock(&server->lock);
  for (SkyCall *call = server->streams; call != NULL; call = call->next_stream)
    sky_call_request_cancel(call);
  pthread_mutex_unlock(&server->lock);
}

void sky_call_unref_(SkyCall *call) {
  if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) != 1)
    return;
  SkyServer *server = call->server;
  const bool was_active = call->core != NULL && !call->method->built_in;
  const bool was_stream = was_active && is_stream(call);
  if (call->core != NULL)
    call_release_resources(call);
  const bool again = call->post_again && !atomic_load(&server->draining);
  if (!again)
    call_give_back(call);
  pthread_mutex_lock(&server->lock);
  server->calls_alive -= !again;
  server->calls_active -= was_active;
  server->streams_active -= was_stream;
  if (server->calls_alive == 0 || server->shutdown_begun)
    pthread_cond_broadcast(&server->changed);
  pthread_mutex_unlock(&server->lock);
  if (!again)
    return;
  call_recycle(call);
  (void)post(call);
}

/* An empty batch brings any thread's work to the I/O thread. */
static void posted(SkyTag *tag, bool ok) {
  SkyCall *call = SKY_CONTAINER(tag, SkyCall, posted);
  pthread_mutex_lock(&call->lock);
  call->post_pending = false;
  pthread_mutex_unlock(&call->lock);
  if (sky_call_is_cancelled(call))
    sky_call_cancel_locally(call);
  sky_call_run_writable(call);
  sky_call_unref_(call);
}

static void closed(SkyTag *tag, bool ok) {
  SkyCall *call = SKY_CONTAINER(tag, SkyCall, closed);
  if (call->core_cancelled) {
    atomic_store(&call->client_gone, true);
    sky_call_cancel_locally(call);
  }
  sky_call_unref_(call);
}

static void finished(SkyTag *tag, bool ok) {
  SkyCall *call = SKY_CONTAINER(tag, SkyCall, finished);
  (void)sky_timer_heap_remove(&call->server->rpc->timers, &call->timer);
  if (is_stream(call))
    unlink_stream(call);
  sky_call_unref_(call);
}
