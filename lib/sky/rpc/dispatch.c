/*
 * Dispatch: from the moment a call arrives until its handler has returned.
 */
#include "server_internal.h"

#include <grpc/byte_buffer.h>

#include <sky/core/time.h>
#include <sky/rpc/inflate.h>
#include <sky/rpc/slices.h>

enum { RETRY_AFTER_MS = 100 }; /* told to callers who are turned away because we are full */

void sky_call_watch_close(SkyCall *call) {
  if (atomic_exchange(&call->close_claimed, true))
    return;
  const grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->core_cancelled};
  sky_call_ref_(call);
  sky_start_batch(call->core, &op, 1, &call->closed);
}

static SkyStatus check_payload(SkyCall *call) {
  const SkyCallKind kind = call->method->descriptor->kind;
  if (call->payload == NULL && (kind == SKY_UNARY || kind == SKY_SERVER_STREAMING))
    return SKY_INTERNAL("the call brought no request message");
  return SKY_OK;
}

static SkyStatus unpack_request(SkyCall *call, ProtobufCMessage **ret_request) {
  if (call->payload == NULL)
    return SKY_OK;
  SKY_TRY(sky_inflate_if_compressed(&call->payload, call->server->options.max_request_bytes,
                                    &call->message_was_compressed));
  return sky_call_unpack(call, call->payload, &call->arena, ret_request);
}

static SkyStatus create_response(SkyCall *call) {
  const SkyMethodDescriptor *descriptor = call->method->descriptor;
  if (descriptor->kind == SKY_SERVER_STREAMING || descriptor->kind == SKY_BIDI_STREAMING)
    return SKY_OK;
  call->response = sky_create_message(descriptor->response.descriptor, &call->arena);
  return call->response != NULL ? SKY_OK : SKY_RESOURCE_EXHAUSTED("the memory budget of the call is spent");
}

static bool deadline_has_passed(const SkyCall *call) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) >= call->context.deadline_ns;
}

/* What the call brought; the request stays NULL when it is none. */
static SkyStatus take_request(SkyCall *call, ProtobufCMessage **ret_request) {
  SKY_TRY(check_payload(call));
  SKY_TRY(create_response(call));
  return unpack_request(call, ret_request);
}

/* Interceptors see calls with unreadable requests too: they are logged and counted, and refused to who may not call. */
static SkyStatus begin(SkyCall *call, ProtobufCMessage **ret_request) {
  const SkyStatus unreadable = take_request(call, ret_request);
  const SkyStatus refused = sky_call_begin_interceptors(call, *ret_request);
  if (refused == SKY_OK)
    return unreadable;
  sky_status_free(unreadable);
  return refused;
}

/* Everything from the bytes to the handler's answer. */
static SkyStatus handle(SkyCall *call) {
  const SkyServerMethod *method = call->method;
  ProtobufCMessage *request = NULL;
  if (sky_call_is_cancelled(call))
    return SKY_CANCELLED("the client has cancelled the call");
  if (deadline_has_passed(call))
    return SKY_DEADLINE_EXCEEDED("the deadline passed before the call was begun");
  SKY_TRY(begin(call, &request));
  return method->invoke(method->binding->handlers, method->binding->self, call, request, call->response);
}

/* Messages that came while the handler ran are delivered now. */
static void leave_handler(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  call->in_handler = false;
  const bool arrived = call->read_arrived && !call->read_blocking; /* else another thread waits for it */
  if (arrived)
    call->read_arrived = false;
  pthread_mutex_unlock(&call->lock);
  if (arrived)
    sky_call_deliver_read(call);
}

/* One call that takes long outweighs dozens of short ones: a method that may block stays on the workers. */
static void learn(SkyServerMethod *method, int64_t took_ns) {
  const int64_t mean_ns = atomic_load_explicit(&method->mean_ns, memory_order_relaxed);
  atomic_store_explicit(&method->mean_ns, mean_ns + (took_ns - mean_ns) / 8, memory_order_relaxed);
}

static SkyStatus handle_measured(SkyCall *call) {
  const int64_t began_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  const SkyStatus status = handle(call);
  learn(call->method, sky_clock_monotonic_ns(sky_clock_system_borrow()) - began_ns);
  return status;
}

static void run_handler(void *user) {
  SkyCall *call = user;
  const SkyStatus status = call->method->descriptor->inline_handler ? handle(call) : handle_measured(call);
  if (!sky_call_is_deferred(status))
    sky_call_end(call, status);
  leave_handler(call);
  sky_call_unref_(call);
}

static void turn_away(SkyCall *call, SkyStatus status) {
  atomic_fetch_add_explicit(&call->server->shed, 1, memory_order_relaxed);
  sky_call_end(call, sky_status_with_retry_after_ms(status, RETRY_AFTER_MS));
  sky_call_unref_(call);
}

static void deadline_expired(void *user) {
  sky_call_cancel_locally(user);
}

/* The core watches the client's deadline; a method's own, earlier one is ours to watch. */
void sky_call_watch_deadline(SkyCall *call) {
  if (call->timer.place != 0 || call->context.deadline_ns >= sky_ns_from_timespec(call->core_deadline))
    return;
  call->timer.fire = deadline_expired;
  call->timer.user = call;
  sky_status_free(sky_timer_heap_add(&call->server->rpc->timers, &call->timer, call->context.deadline_ns));
}

static bool has_ended(SkyCall *call) {
  pthread_mutex_lock(&call->lock);
  const bool ended = call->ended;
  pthread_mutex_unlock(&call->lock);
  return ended;
}

/* A call that the handler has deferred, or is still at, should hear of its deadline and of the client's cancellation.
 */
static void settle_short(void *user, bool goes_on) {
  SkyCall *call = user;
  if (goes_on || !has_ended(call)) {
    sky_call_watch_deadline(call);
    sky_call_watch_close(call);
  }
  sky_call_unref_(call);
}

/* Has the I/O thread run the handler itself when that is mostly short. */
static bool run_here(SkyCall *call) {
  const int64_t short_ns = call->server->rpc->short_ns;
  if (short_ns < 0 || atomic_load_explicit(&call->method->mean_ns, memory_order_relaxed) > short_ns)
    return false;
  sky_call_ref_(call);
  const SkyShortWork work = {run_handler, settle_short, call};
  if (sky_rpc_run_here(call->server->rpc, work))
    return true;
  sky_call_unref_(call);
  return false;
}

static void run_on_worker(SkyCall *call) {
  sky_call_watch_deadline(call);
  sky_call_watch_close(call);
  const SkyStatus status = sky_rpc_run(call->server->rpc, run_handler, call);
  if (status != SKY_OK)
    turn_away(call, status);
}

static void run_inline(SkyCall *call) {
  if (call->method->descriptor->kind != SKY_UNARY) { /* else only if the handler defers the call */
    sky_call_watch_deadline(call);
    sky_call_watch_close(call);
  }
  run_handler(call);
}

static void dispatch(SkyCall *call) {
  const SkyMethodDescriptor *descriptor = call->method->descriptor;
  sky_call_prepare_context(call);
  call->in_handler = true;
  sky_call_ref_(call); /* the handler's */
  if (descriptor->inline_handler)
    run_inline(call);
  else if (descriptor->kind != SKY_UNARY || !run_here(call))
    run_on_worker(call);
}

static void answer_unknown_method(SkyCall *call) {
  const SkyStr method = sky_slice_str(&call->details.method);
  sky_call_ref_(call);
  sky_call_end(call, SKY_UNIMPLEMENTED("unknown method %.*s", SKY_STR_ARGS(method)));
  sky_call_unref_(call);
}

/* Counts the call; false when there are too many. */
static bool admit(SkyCall *call) {
  SkyServer *server = call->server;
  if (call->method->built_in)
    return true;
  atomic_fetch_add_explicit(&server->started, 1, memory_order_relaxed);
  pthread_mutex_lock(&server->lock);
  const bool admitted = ++server->calls_active <= server->options.max_concurrent_calls;
  pthread_mutex_unlock(&server->lock);
  return admitted;
}

void sky_call_accepted(SkyTag *tag, bool ok) {
  SkyCall *call = SKY_CONTAINER(tag, SkyCall, accepted);
  if (!ok) {
    sky_call_unref_(call); /* the server is shutting down */
    return;
  }
  SkyServer *server = call->server;
  call->post_again =
      !atomic_load_explicit(&server->draining, memory_order_relaxed) && !sky_server_post_call(server, call->method);
  const bool admitted = admit(call);
  if (call->method->descriptor != NULL && call->method->descriptor->kind != SKY_UNARY)
    sky_server_link_stream(call);
  if (call->post_again) {
    sky_call_ref_(call);
    turn_away(call, sky_status_no_memory());
  } else if (call->method->descriptor == NULL) {
    answer_unknown_method(call);
  } else if (admitted) {
    dispatch(call);
  } else {
    sky_call_ref_(call);
    turn_away(call, SKY_RESOURCE_EXHAUSTED("the server has too many open calls"));
  }
}
