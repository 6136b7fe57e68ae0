#include "bare.h"

#include <stdbool.h>
#include <stdlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

enum { POSTED = 16 };

typedef enum Step { STEP_POSTED, STEP_STREAMING, STEP_ENDING } Step;

typedef struct BareServer {
  grpc_server *server;
  grpc_completion_queue *queue;
  size_t streams; /* open */
} BareServer;

typedef struct BareCall {
  Step step;
  void *method; /* as registered */
  bool is_stream;
  grpc_slice text; /* of a stream: each message */
  uint32_t left;
  grpc_call *call;
  gpr_timespec deadline;
  grpc_metadata_array metadata;
  grpc_byte_buffer *payload;
  int cancelled;
} BareCall;

static void post(BareServer *server, void *method, bool is_stream) {
  BareCall *call = calloc(1, sizeof(*call));
  call->method = method;
  call->is_stream = is_stream;
  grpc_metadata_array_init(&call->metadata);
  grpc_server_request_registered_call(server->server, method, &call->call, &call->deadline, &call->metadata,
                                      &call->payload, server->queue, server->queue, call);
}

static void start(BareCall *call, const grpc_op *ops, size_t count) {
  grpc_call_start_batch(call->call, ops, count, call, NULL);
}

static void answer(BareCall *call) {
  const grpc_op ops[] = {
      {.op = GRPC_OP_SEND_INITIAL_METADATA},
      {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->payload},
      {.op = GRPC_OP_SEND_STATUS_FROM_SERVER, .data.send_status_from_server.status = GRPC_STATUS_OK},
      {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->cancelled},
  };
  call->step = STEP_ENDING;
  start(call, ops, sizeof(ops) / sizeof(ops[0]));
}

/* ---- streams ---- */

static uint32_t varint(const uint8_t **at, const uint8_t *end) {
  uint32_t value = 0;
  for (unsigned shift = 0; *at < end && shift < 32; shift += 7) {
    const uint8_t byte = *(*at)++;
    value |= (uint32_t)(byte & 0x7F) << shift;
    if (byte < 0x80)
      break;
  }
  return value;
}

/* RepeatRequest is text (1) and count (2), in this order; its first field is the whole of the answer. */
static void read_repeat(BareCall *call) {
  grpc_byte_buffer_reader reader;
  if (!grpc_byte_buffer_reader_init(&reader, call->payload))
    return;
  const grpc_slice request = grpc_byte_buffer_reader_readall(&reader);
  grpc_byte_buffer_reader_destroy(&reader);
  const uint8_t *begin = GRPC_SLICE_START_PTR(request), *end = GRPC_SLICE_END_PTR(request), *at = begin + 1;
  const uint32_t text_size = varint(&at, end);
  at += text_size;
  call->text = grpc_slice_from_copied_buffer((const char *)begin, (size_t)(at - begin));
  at++; /* the tag of count */
  call->left = varint(&at, end);
  grpc_slice_unref(request);
}

/*
 * One message, as the core takes no second one before; with the last comes the status. With the hint it goes out with
 * what other streams write; one that is alone would wait 7 ms for each message.
 */
static void send_next(const BareServer *server, BareCall *call) {
  const bool first = call->step == STEP_POSTED;
  grpc_op ops[4];
  size_t count = 0;
  grpc_byte_buffer_destroy(call->payload); /* emptied by the core */
  call->payload = grpc_raw_byte_buffer_create(&call->text, 1);
  if (first)
    ops[count++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
  if (call->left > 0)
    ops[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE,
                             .flags = server->streams > 1 ? GRPC_WRITE_BUFFER_HINT : 0,
                             .data.send_message.send_message = call->payload};
  call->step = STEP_STREAMING;
  if (call->left <= 1) {
    ops[count++] =
        (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER, .data.send_status_from_server.status = GRPC_STATUS_OK};
    ops[count++] =
        (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->cancelled};
    call->step = STEP_ENDING;
  }
  call->left -= call->left > 0;
  start(call, ops, count);
}

/* ---- the loop ---- */

static void release(BareCall *call) {
  grpc_metadata_array_destroy(&call->metadata);
  grpc_byte_buffer_destroy(call->payload);
  grpc_slice_unref(call->text); /* of a unary call: nothing */
  grpc_call_unref(call->call);
  free(call);
}

static void go_on(BareServer *server, BareCall *call) {
  switch (call->step) {
  case STEP_POSTED:
    post(server, call->method, call->is_stream);
    if (!call->is_stream) {
      answer(call);
      return;
    }
    read_repeat(call);
    server->streams++;
    send_next(server, call);
    return;
  case STEP_STREAMING:
    send_next(server, call);
    return;
  case STEP_ENDING:
    server->streams -= call->is_stream;
    release(call);
  }
}

static void *registered(BareServer *server, const char *method) {
  return grpc_server_register_method(server->server, method, NULL, GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
}

void bare_server_run(const char *echo, const char *repeat, const char *listen, void (*ready)(int port, void *user),
                     void *user) {
  grpc_init();
  BareServer server = {.server = grpc_server_create(NULL, NULL), .queue = grpc_completion_queue_create_for_next(NULL)};
  void *echo_method = registered(&server, echo), *repeat_method = repeat != NULL ? registered(&server, repeat) : NULL;
  grpc_server_register_completion_queue(server.server, server.queue, NULL);
  grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
  const int port = grpc_server_add_http2_port(server.server, listen, credentials);
  grpc_server_credentials_release(credentials);
  grpc_server_start(server.server);
  ready(port, user);
  for (int i = 0; i < POSTED; i++) {
    post(&server, echo_method, false);
    if (repeat_method != NULL)
      post(&server, repeat_method, true);
  }
  for (;;)
    go_on(&server, grpc_completion_queue_next(server.queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).tag);
}
