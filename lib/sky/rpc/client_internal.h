/*
 * Client, as the files of rpc/ that make it up share it. (internal)
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <grpc/grpc.h>

#include <sky/core/backoff.h>
#include <sky/rpc/client.h>
#include <sky/rpc/metadata_list.h>
#include <sky/rpc/method_table.h>
#include <sky/rpc/runtime_internal.h>
#include <sky/rpc/server.h>
#include <sky/rpc/tls_internal.h>

enum { SKY_CLIENT_DEADLINE_MS = 30 * 1000 }; /* of a unary call whose method has none: nothing waits for ever */
enum { SKY_CLIENT_MAX_INTERCEPTORS = 16 };

/* What unary calls and streams have in common: from the interceptors' begin to their end. */
struct SkyClientCall {
  SkyClient *client;
  const SkyMethodDescriptor *method;
  grpc_call *core;
  SkyContext context; /* the call's own span */
  SkyMetadataList metadata;
  void (*on_end)(void *user, const SkyClientCall *call, const SkyError *status); /* of the call's options */
  void *on_end_user;
  SkyCancelListener listener;
  bool listening;
  size_t begun; /* interceptors */
  void *own_slots[SKY_CLIENT_MAX_INTERCEPTORS];
  uint8_t parent_span_id[8];
  bool has_parent_span;
  void *slots[SKY_CALL_SLOTS];
  grpc_metadata_array initial_metadata, trailing_metadata; /* received */
  grpc_status_code code;
  grpc_slice message;
  bool was_compressed; /* the message last received */
  bool made;           /* begun to its end: the core has it */
  bool wait_for_ready;
  bool sent;  /* a stream whose beginning has gone out; the I/O thread's */
  bool heard; /* a stream of which the server has said something; the I/O thread's */
  int64_t connect_wait_ms;
  int64_t connect_by_ns; /* gives up then, when there is no connection; 0: need not wait. Under the client's lock */
  bool adrift;           /* waits because its connection has ended. Under the client's lock */
  SkyClientCall *previous, *next; /* of the client's open calls */
};

struct SkyClient {
  SkyRpc *rpc;
  grpc_channel *channel;
  SkyTls *tls;     /* a reference, or NULL */
  char target[64]; /* for messages */
  size_t max_concurrent_calls, max_response_bytes;
  int64_t connect_wait_ms, drain_wait_ms;
  SkyHedgingPolicy hedging;
  SkyRetryBudget hedging_budget;
  SkyCompression compression;
  SkyClientInterceptor interceptors[SKY_CLIENT_MAX_INTERCEPTORS];
  size_t interceptor_count;
  SkyMethodTable methods;
  void *_Atomic registered[SKY_METHOD_TABLE_SIZE]; /* by the method's number, as the channel knows it */
  SkyTag connectivity;
  SkyTag wait_posted;
  SkyTimer wait_timer; /* the I/O thread's */

  pthread_mutex_t lock; /* guards what follows, and the writing of registered */
  pthread_cond_t changed;
  SkyClientCall *open_calls;
  size_t open_count;
  size_t hedged_count;                /* calls that are made as several attempts */
  grpc_connectivity_state last_state; /* as the watcher saw it */
  bool wait_scheduled;                /* wait_posted or wait_timer is under way */
  bool closing;
  bool watching; /* connectivity is in the core's hands */
};

/*
 * Begins a call: counts it, makes its span, asks the interceptors, creates the core's call and listens for
 * cancellation. On failure nothing is left to be ended.
 */
SKY_MUST_USE SkyStatus sky_client_call_begin(SkyClientCall *call, SkyClient *client, const SkyMethodDescriptor *method,
                                             const SkyContext *context, const ProtobufCMessage *request);
SKY_MUST_USE SkyStatus sky_client_intercept_sending(SkyClientCall *call, const ProtobufCMessage *message);
SKY_MUST_USE SkyStatus sky_client_intercept_received(SkyClientCall *call, const ProtobufCMessage *message);
/* Everything has come from the core: the status of the call; interceptors have seen it. failure replaces OK. */
SKY_MUST_USE SkyStatus sky_client_call_end(SkyClientCall *call, SkyStatus failure);
/* Gives up what the call holds, the core's call included. The client may be gone when this returns. */
void sky_client_call_close(SkyClientCall *call);

/* service_config.c */
SkyHedgingPolicy sky_hedging_with_defaults(const SkyServiceConfig *config);
void sky_hedging_init_budget(SkyRetryBudget *budget, const SkyServiceConfig *config);

/* client_unary.c: a call as it is, not hedged. An error: it could not be begun, and done is not called. */
SKY_MUST_USE SkyStatus sky_client_call_once_async(SkyClient *client, const SkyMethodDescriptor *method,
                                                  const SkyContext *context, const ProtobufCMessage *request,
                                                  SkyOnDone done, void *user);

/* client_wait.c; with the client's lock held, but for init. */
void sky_client_wait_init(SkyClient *client);
void sky_client_wait_begin(SkyClientCall *call, int64_t wait_ms); /* < 0: fails at once without a connection */
void sky_client_wait_connected(SkyClient *client);
void sky_client_wait_disconnected(SkyClient *client);

/* response.c: as sky_unpack_byte_buffer(), but INTERNAL when it cannot be read. */
SKY_MUST_USE SkyStatus sky_client_unpack(const SkyMethodDescriptor *method, grpc_byte_buffer *buffer, SkyArena *arena,
                                         ProtobufCMessage **ret);

grpc_op sky_client_initial_metadata_op(SkyClientCall *call);
grpc_op sky_client_receive_initial_metadata_op(SkyClientCall *call);
grpc_op sky_client_receive_status_op(SkyClientCall *call);

/*
 * The two halves of sky_client_stream_write(), for writers that wait: asking the interceptors, once, and putting the
 * message into the queue. RESOURCE_EXHAUSTED of put, unless without memory, means that on_writable will be called.
 */
SKY_MUST_USE SkyStatus sky_client_stream_intercept_write(SkyClientStream *stream, const ProtobufCMessage *message);
SKY_MUST_USE SkyStatus sky_client_stream_put(SkyClientStream *stream, const ProtobufCMessage *message);

/* The call ends with this status, unless it has ended. */
void sky_client_stream_cancel_with(SkyClientStream *stream, const SkyError *status);

/* For the blocking reader: messages as they come, instead of on_message; takes the buffer. */
typedef void (*SkyClientOnBuffer)(void *user, SkyClientStream *stream, grpc_byte_buffer *buffer);
SKY_MUST_USE SkyStatus sky_client_stream_open_raw(SkyClient *client, const SkyMethodDescriptor *method,
                                                  const SkyContext *context, const ProtobufCMessage *request,
                                                  SkyClientStreamHandler handler, SkyClientOnBuffer on_buffer,
                                                  SkyClientStream **ret);
