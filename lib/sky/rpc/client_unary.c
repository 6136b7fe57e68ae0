/*
 * Unary calls of a client: all operations in one batch, so one completion per call.
 */
#include "client_internal.h"

#include <assert.h>
#include <semaphore.h>
#include <stdlib.h>

#include <grpc/byte_buffer.h>

#include <sky/rpc/hedge.h>
#include <sky/rpc/inflate.h>
#include <sky/rpc/slices.h>

enum { UNARY_OPS = 6, MAX_RESPONSE_MEMORY = 64 << 20 };

typedef struct UnaryCall {
  SkyTag tag;
  SkyClientCall call;
  grpc_byte_buffer *response;
  sem_t done;             /* of a blocking call */
  SkyOnDoneInvoke invoke; /* of an asynchronous call */
  SkyFunction function;
  void *user;
} UnaryCall;

static void start(UnaryCall *unary, const ProtobufCMessage *request) {
  SkyClientCall *call = &unary->call;
  grpc_byte_buffer *message = sky_pack_byte_buffer(request, sky_packed_size(request));
  const grpc_op ops[UNARY_OPS] = {
      sky_client_initial_metadata_op(call),
      {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message},
      {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
      sky_client_receive_initial_metadata_op(call),
      {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &unary->response},
      sky_client_receive_status_op(call),
  };
  sky_start_batch(call->core, ops, UNARY_OPS, &unary->tag);
  grpc_byte_buffer_destroy(message);
}

/* The response in the arena, or why there is none; the interceptors have seen the status. */
static SkyStatus end(UnaryCall *unary, SkyArena *arena, ProtobufCMessage **ret_response) {
  SkyClientCall *call = &unary->call;
  SkyStatus failure = SKY_OK;
  if (call->code == GRPC_STATUS_OK && unary->response == NULL)
    failure = SKY_INTERNAL("the server sent no response message");
  else if (call->code == GRPC_STATUS_OK)
    failure = sky_inflate_if_compressed(&unary->response, call->client->max_response_bytes, &call->was_compressed);
  if (call->code == GRPC_STATUS_OK && failure == SKY_OK)
    failure = sky_client_unpack(call->method, unary->response, arena, ret_response);
  if (call->code == GRPC_STATUS_OK && failure == SKY_OK)
    failure = sky_client_intercept_received(call, *ret_response);
  if (unary->response != NULL)
    grpc_byte_buffer_destroy(unary->response);
  return sky_client_call_end(call, failure);
}

/* --- blocking --- */

static void wake(SkyTag *tag, bool ok) {
  sem_post(&SKY_CONTAINER(tag, UnaryCall, tag)->done);
}

static void wait_done(UnaryCall *unary) {
  while (sem_wait(&unary->done) != 0) { /* interrupted by a signal; the core ends the call at its deadline */
  }
  sem_destroy(&unary->done);
}

SkyStatus sky_client_call(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                          const ProtobufCMessage *request, SkyArena *arena, ProtobufCMessage **ret_response) {
  assert(!sky_rpc_is_io_thread(client->rpc));
  if (sky_hedge_is_wanted(client, method))
    return sky_hedge_call(client, method, context, request, arena, ret_response);
  UnaryCall unary = {.tag.complete = wake};
  ProtobufCMessage *response = NULL;
  SKY_TRY(sky_client_call_begin(&unary.call, client, method, context, request));
  sem_init(&unary.done, 0, 0);
  start(&unary, request);
  wait_done(&unary);
  const SkyStatus status = end(&unary, arena, &response);
  sky_client_call_close(&unary.call);
  if (status == SKY_OK)
    *ret_response = response;
  return status;
}

/* --- asynchronous --- */

static void complete(SkyTag *tag, bool ok) {
  UnaryCall *unary = SKY_CONTAINER(tag, UnaryCall, tag);
  SkyArena arena;
  ProtobufCMessage *response = NULL;
  sky_arena_init(&arena, MAX_RESPONSE_MEMORY);
  const SkyStatus status = end(unary, &arena, &response);
  const SkyOnDoneInvoke invoke = unary->invoke;
  const SkyFunction function = unary->function;
  void *user = unary->user;
  sky_client_call_close(&unary->call);
  free(unary);
  invoke(function, user, status, status == SKY_OK ? response : NULL);
  sky_arena_finish(&arena);
}

static SkyStatus start_async(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                             const ProtobufCMessage *request, SkyOnDoneInvoke invoke, SkyFunction done, void *user) {
  UnaryCall *unary = malloc(sizeof(*unary));
  if (unary == NULL)
    return sky_status_no_memory();
  *unary = (UnaryCall){.tag.complete = complete, .invoke = invoke, .function = done, .user = user};
  const SkyStatus status = sky_client_call_begin(&unary->call, client, method, context, request);
  if (status != SKY_OK)
    free(unary);
  else
    start(unary, request);
  return status;
}

void sky_client_call_async_typed(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                 const ProtobufCMessage *request, SkyOnDoneInvoke invoke, SkyFunction done,
                                 void *user) {
  if (sky_hedge_is_wanted(client, method)) {
    sky_hedge_call_async(client, method, context, request, invoke, done, user);
    return;
  }
  const SkyStatus status = start_async(client, method, context, request, invoke, done, user);
  if (status != SKY_OK)
    invoke(done, user, status, NULL);
}

static void invoke_untyped(SkyFunction done, void *user, SkyStatus status, const ProtobufCMessage *response) {
  ((SkyOnDone)done)(user, status, response);
}

SkyStatus sky_client_call_once_async(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                     const ProtobufCMessage *request, SkyOnDone done, void *user) {
  return start_async(client, method, context, request, invoke_untyped, (SkyFunction)done, user);
}

void sky_client_call_async(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                           const ProtobufCMessage *request, SkyOnDone done, void *user) {
  sky_client_call_async_typed(client, method, context, request, invoke_untyped, (SkyFunction)done, user);
}
