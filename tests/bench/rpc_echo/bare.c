#include "bare.h"

#include <stdbool.h>
#include <stdlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

enum { POSTED = 16 };

typedef struct BareCall {
  bool accepted;
  grpc_call *call;
  gpr_timespec deadline;
  grpc_metadata_array metadata;
  grpc_byte_buffer *payload;
  int cancelled;
} BareCall;

typedef struct BareServer {
  grpc_server *server;
  grpc_completion_queue *queue;
  void *method;
} BareServer;

static void post(BareServer *server) {
  BareCall *call = calloc(1, sizeof(*call));
  grpc_metadata_array_init(&call->metadata);
  grpc_server_request_registered_call(server->server, server->method, &call->call, &call->deadline, &call->metadata,
                                      &call->payload, server->queue, server->queue, call);
}

static void answer(BareCall *call) {
  const grpc_op ops[] = {
      {.op = GRPC_OP_SEND_INITIAL_METADATA},
      {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->payload},
      {.op = GRPC_OP_SEND_STATUS_FROM_SERVER, .data.send_status_from_server.status = GRPC_STATUS_OK},
      {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->cancelled},
  };
  call->accepted = true;
  grpc_call_start_batch(call->call, ops, sizeof(ops) / sizeof(ops[0]), call, NULL);
}

static void release(BareCall *call) {
  grpc_metadata_array_destroy(&call->metadata);
  grpc_byte_buffer_destroy(call->payload);
  grpc_call_unref(call->call);
  free(call);
}

static void serve(BareServer *server) {
  for (int i = 0; i < POSTED; i++)
    post(server);
  for (;;) {
    const grpc_event event = grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    BareCall *call = event.tag;
    if (call->accepted) {
      release(call);
    } else {
      post(server);
      answer(call);
    }
  }
}

void bare_server_run(const char *method, const char *listen, void (*ready)(int port, void *user), void *user) {
  grpc_init();
  BareServer server = {.server = grpc_server_create(NULL, NULL), .queue = grpc_completion_queue_create_for_next(NULL)};
  server.method =
      grpc_server_register_method(server.server, method, NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
  grpc_server_register_completion_queue(server.server, server.queue, NULL);
  grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
  const int port = grpc_server_add_http2_port(server.server, listen, credentials);
  grpc_server_credentials_release(credentials);
  grpc_server_start(server.server);
  ready(port, user);
  serve(&server);
}
