/*
 * Call: what a handler asks of its call. Sending and receiving of streams: call_stream.c; the end: call_finish.c.
 */
#include "server_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/alloc.h>

#include <sky/core/time.h>
#include <sky/rpc/metadata.h>
#include <sky/rpc/peer.h>
#include <sky/rpc/slices.h>

static const char *principal_text(SkyCall *call, const char *key, bool *found) {
  SkyStr value;
  if (!sky_metadata_find(&call->metadata, key, &value))
    return "";
  const char *text = sky_arena_strndup(&call->arena, value.data, value.size);
  *found = true;
  return text != NULL ? text : "";
}

/* A peer that names nobody else calls for itself. */
static bool take_peer_as_principal(SkyCall *call) {
  const SkyPeerIdentity *peer = sky_call_peer_identity(call);
  if (peer != NULL)
    call->principal.subject = peer->name;
  return peer != NULL;
}

static void read_principal(SkyCall *call) {
  bool found = false;
  call->principal.subject = principal_text(call, SKY_METADATA_SUBJECT, &found);
  call->principal.owner_id = principal_text(call, SKY_METADATA_OWNER, &found);
  call->principal.scopes = principal_text(call, SKY_METADATA_SCOPES, &found);
  call->context.principal = found || take_peer_as_principal(call) ? &call->principal : NULL;
}

static SkyTrace child_of_metadata(const SkyCall *call) {
  SkyStr text;
  SkyTrace parent;
  const bool has_parent =
      sky_metadata_find(&call->metadata, SKY_METADATA_TRACEPARENT, &text) && sky_trace_parse(text, &parent);
  return sky_trace_child(has_parent ? &parent : NULL);
}

/* The client's deadline, but no later than the method allows. */
static int64_t deadline_of(const SkyCall *call) {
  const int64_t given = sky_ns_from_timespec(call->core_deadline);
  const int64_t limit_ms = call->method->descriptor != NULL ? call->method->descriptor->deadline_ms : 0;
  if (limit_ms <= 0)
    return given;
  const int64_t limit = sky_clock_monotonic_ns(sky_clock_system_borrow()) + limit_ms * SKY_NS_PER_MS;
  return given < limit ? given : limit;
}

void sky_call_prepare_context(SkyCall *call) {
  call->context = (SkyContext){.deadline_ns = deadline_of(call), .trace = child_of_metadata(call)};
  call->context.cancel = sky_cancel_create();
  read_principal(call);
}

const SkyContext *sky_call_context(const SkyCall *call) {
  return &call->context;
}

SkyArena *sky_call_arena(SkyCall *call) {
  return &call->arena;
}

const SkyMethodDescriptor *sky_call_method(const SkyCall *call) {
  return call->method->descriptor;
}

const char *sky_call_peer(const SkyCall *call) {
  if (call->peer != NULL)
    return call->peer;
  char *peer = grpc_call_get_peer(call->core);
  SkyCall *writable = (SkyCall *)call;
  if (peer != NULL)
    writable->peer = sky_arena_strndup(&writable->arena, peer, strlen(peer));
  gpr_free(peer);
  return call->peer != NULL ? call->peer : "";
}

bool sky_call_metadata(const SkyCall *call, const char *key, SkyStr *ret_value) {
  return sky_metadata_find(&call->metadata, key, ret_value);
}

SkyStatus sky_call_add_initial_metadata(SkyCall *call, const char *key, SkyStr value) {
  pthread_mutex_lock(&call->lock);
  SkyStatus status = call->initial_sent ? SKY_FAILED_PRECONDITION("the initial metadata has been sent already")
                                        : sky_metadata_list_add(&call->initial_metadata, key, value);
  pthread_mutex_unlock(&call->lock);
  return status;
}

SkyStatus sky_call_add_trailing_metadata(SkyCall *call, const char *key, SkyStr value) {
  pthread_mutex_lock(&call->lock);
  SkyStatus status = sky_metadata_list_add(&call->trailing_metadata, key, value);
  pthread_mutex_unlock(&call->lock);
  return status;
}

SkyStatus sky_call_set_compression(SkyCall *call, SkyCompression compression) {
  pthread_mutex_lock(&call->lock);
  const bool late = call->initial_sent;
  if (!late)
    call->compression = compression;
  pthread_mutex_unlock(&call->lock);
  return late ? SKY_FAILED_PRECONDITION("the call has begun to send, it cannot change its compression") : SKY_OK;
}

void sky_call_compress_messages(SkyCall *call, bool compress) {
  pthread_mutex_lock(&call->lock);
  call->send_uncompressed = !compress;
  pthread_mutex_unlock(&call->lock);
}

bool sky_call_message_was_compressed(const SkyCall *call) {
  return call->message_was_compressed;
}

char *sky_call_printf(SkyCall *call, const char *format, ...) {
  va_list values, again;
  va_start(values, format);
  va_copy(again, values);
  const int length = vsnprintf(NULL, 0, format, values);
  va_end(values);
  char *text = length < 0 ? NULL : sky_arena_alloc(&call->arena, (size_t)length + 1);
  if (text != NULL)
    vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}

char *sky_call_strdup(SkyCall *call, const char *text) {
  return sky_arena_strndup(&call->arena, text, strlen(text));
}

ProtobufCMessage *sky_call_response(SkyCall *call) {
  return call->response;
}

void **sky_call_slot(SkyCall *call, unsigned index) {
  assert(index < SKY_CALL_SLOTS);
  return &call->slots[index];
}

bool sky_call_is_cancelled(const SkyCall *call) {
  return atomic_load_explicit(&call->cancelled, memory_order_acquire);
}

/* Brings the call to the I/O thread, where posted() looks what is to be done. Called with the lock held. */
static void post(SkyCall *call) {
  if (call->post_pending)
    return;
  call->post_pending = true;
  sky_call_ref_(call);
  sky_start_batch(call->core, NULL, 0, &call->posted);
}

void sky_call_on_cancel(SkyCall *call, void (*cancelled)(void *user, SkyCall *call), void *user) {
  sky_call_watch_close(call);
  pthread_mutex_lock(&call->lock);
  call->on_cancel = cancelled;
  call->on_cancel_user = user;
  if (sky_call_is_cancelled(call) && !call->ended)
    post(call);
  pthread_mutex_unlock(&call->lock);
}

void sky_call_request_cancel(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  if (!call->ended) {
    atomic_store_explicit(&call->cancelled, true, memory_order_release);
    post(call);
  }
  pthread_mutex_unlock(&call->lock);
}

void sky_call_on_writable(SkyCall *call, void (*writable)(void *user, SkyCall *call), void *user) {
  pthread_mutex_lock(&call->lock);
  call->on_writable = writable;
  call->on_writable_user = user;
  if (sky_send_queue_is_half_empty(&call->sends) && !call->ended)
    post(call);
  pthread_mutex_unlock(&call->lock);
}

bool sky_call_begin_callback(SkyCall *call) {
  call->callback_running = !call->ended;
  return !call->ended;
}

void sky_call_end_callback(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  call->callback_running = false;
  pthread_cond_broadcast(&call->changed);
  pthread_mutex_unlock(&call->lock);
}

void sky_call_cancel_locally(SkyCall *call) {
  atomic_store_explicit(&call->cancelled, true, memory_order_release);
  pthread_mutex_lock(&call->lock);
  void (*const callback)(void *, SkyCall *) = call->on_cancel;
  void *const user = call->on_cancel_user;
  const bool run = callback != NULL && sky_call_begin_callback(call);
  call->on_cancel = NULL;
  pthread_cond_broadcast(&call->changed);
  pthread_mutex_unlock(&call->lock);
  if (call->context.cancel != NULL)
    sky_cancel_trigger(call->context.cancel);
  if (!run)
    return;
  callback(user, call);
  sky_call_end_callback(call);
}

void sky_call_run_writable(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  void (*const callback)(void *, SkyCall *) = call->on_writable;
  void *const user = call->on_writable_user;
  const bool run = callback != NULL && sky_send_queue_is_half_empty(&call->sends) && sky_call_begin_callback(call);
  if (run)
    call->on_writable = NULL;
  pthread_mutex_unlock(&call->lock);
  if (!run)
    return;
  callback(user, call);
  sky_call_end_callback(call);
}
