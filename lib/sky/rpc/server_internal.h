/*
 * Server and call, as the files of rpc/ that make them up share them. (internal)
 *
 * Life of a call: posted (waits for a client) -> accepted -> handler -> ended (status known) -> final batch done ->
 * released. It is counted by references: one for "not yet finally answered", one for every operation that the core
 * still holds a tag of, one for every thread that is inside a handler or about to be. Whoever gives up the last one
 * releases it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <grpc/grpc.h>

#include <sky/rpc/connection_limit.h>
#include <sky/rpc/metadata_list.h>
#include <sky/rpc/runtime_internal.h>
#include <sky/rpc/send_queue.h>
#include <sky/rpc/server.h>
#include <sky/rpc/tag.h>
#include <sky/rpc/tls_internal.h>

enum { SKY_SERVER_MAX_INTERCEPTORS = 16, SKY_SERVER_MAX_SERVICES = 64 };

typedef struct SkyHealth SkyHealth;
typedef struct SkyReflection SkyReflection;

/* One method of one bound service. */
typedef struct SkyServerMethod {
  SkyServer *server;
  const SkyMethodDescriptor *descriptor; /* NULL: calls to unknown methods */
  const SkyServiceBinding *binding;
  SkyInvoke invoke;
  void *registered;
  bool built_in;               /* health and reflection: served beyond the limits, seen by no interceptor */
  atomic_int_fast64_t mean_ns; /* how long its handler takes, smoothed; not of inline ones */
} SkyServerMethod;

struct SkyCall {
  SkyTag accepted, closed, sent, received, posted, finished; /* one for each operation in the core's hands */
  SkyServer *server;
  SkyServerMethod *method;
  grpc_call *core;
  SkyIoTask final;          /* the batch that ends the call, on its way to the I/O thread */
  grpc_byte_buffer *packed; /* the response */
  gpr_timespec core_deadline;
  grpc_metadata_array metadata; /* of the request; the memory is kept when the object is used again */
  grpc_call_details details;    /* of calls to unknown methods */
  grpc_byte_buffer *payload;
  bool message_was_compressed; /* the payload, or what was read last */
  int core_cancelled;
  atomic_int refs;

  SkyArena arena;
  ProtobufCMessage *response;
  SkyContext context;
  SkyPrincipal principal;
  char *peer;
  SkyMetadataList initial_metadata, trailing_metadata;
  void *slots[SKY_CALL_SLOTS];
  size_t begun; /* interceptors whose begin succeeded */
  void *own_slots[SKY_SERVER_MAX_INTERCEPTORS + 1];
  SkyTimer timer;
  atomic_bool close_claimed; /* somebody starts RECV_CLOSE_ON_SERVER */
  atomic_bool cancelled;
  atomic_bool client_gone; /* cancelled by the client, its connection or its deadline */

  pthread_mutex_t lock;   /* guards what follows */
  pthread_cond_t changed; /* a callback is done, a message has come or gone, the call is cancelled */
  bool ended;             /* the status is known; no callback begins any more */
  bool in_handler;        /* messages wait until the handler has returned */
  bool callback_running;  /* on the I/O thread */
  bool initial_sent;
  bool post_again; /* there was no memory for its successor, so the object itself waits for the method's next call */
  bool send_uncompressed; /* messages, although the call compresses */
  SkyCompression compression;
  void (*on_cancel)(void *user, SkyCall *call);
  void *on_cancel_user;
  void (*on_writable)(void *user, SkyCall *call);
  void *on_writable_user;
  bool post_pending; /* posted is in the core's hands */
  SkySendQueue sends;
  bool final_waits; /* final_status goes out after the queue */
  SkyStatus final_status;
  SkyOnMessageInvoke read_invoke;
  SkyFunction read_function;
  void *read_user;
  bool reading;      /* asked for a message and not yet called back */
  bool read_arrived; /* it came while the handler was running, or a thread waits for it */
  bool read_blocking;
  bool read_failed; /* no message because the call failed, not because it ended */
  grpc_byte_buffer *read_buffer;
  SkyArena read_arena;

  SkyCall *next_free;
  SkyCall *next_stream, *previous_stream; /* of the server's open streams; under its lock */
};

struct SkyServer {
  SkyRpc *rpc;
  SkyServerOptions options;
  char *listen;
  SkyTlsServer tls;
  SkyConnectionLimit *connection_limit; /* NULL: none */
  grpc_server *core;
  int port;
  SkyServiceBinding bindings[SKY_SERVER_MAX_SERVICES];
  size_t binding_count;
  SkyServerMethod *methods; /* the last one is for unknown methods */
  size_t method_count;
  SkyServerInterceptor interceptors[SKY_SERVER_MAX_INTERCEPTORS + 1]; /* validation is the last */
  size_t interceptor_count;
  SkyHealth *health;
  SkyReflection *reflection;
  SkyTag shutdown;

  SkyCall *free_calls; /* the I/O thread's */
  size_t free_count;

  atomic_bool leaving;  /* a drain has begun; calls still arrive */
  atomic_bool draining; /* no call is taken any more */
  atomic_uint_fast64_t started, succeeded, failed, shed;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t changed;
  size_t calls_alive;    /* posted or open */
  size_t calls_active;   /* open, without those of built-in services */
  size_t streams_active; /* those among them that are no unary calls */
  SkyCall *streams;      /* open streams, built-in ones among them */
  bool is_started, shutdown_begun, shutdown_done;
};

/* server_calls.c */
bool sky_server_post_call(SkyServer *server, SkyServerMethod *method); /* waits for one more call of this method */
void sky_call_ref_(SkyCall *call);
void sky_call_unref_(SkyCall *call);
void sky_server_free_calls(SkyServer *server);
void sky_server_link_stream(SkyCall *call);
/* Tells the handlers of all open streams that they are cancelled. */
void sky_server_cancel_streams(SkyServer *server);

/* request.c */
/* As sky_unpack_byte_buffer() within the server's limits: INVALID_ARGUMENT also when the arena's budget is spent. */
SKY_MUST_USE SkyStatus sky_call_unpack(const SkyCall *call, grpc_byte_buffer *buffer, SkyArena *arena,
                                       ProtobufCMessage **ret);

/* dispatch.c */
void sky_call_accepted(SkyTag *tag, bool ok);
/* Watches for the client's cancellation; at most once per call. */
void sky_call_watch_close(SkyCall *call);
void sky_call_watch_deadline(SkyCall *call); /* on the I/O thread */

/* call.c */
void sky_call_prepare_context(SkyCall *call); /* before the handler */
/* Cancels the call, for a reason of ours, from any thread. */
void sky_call_request_cancel(SkyCall *call);
/* The client cancelled or the deadline passed; on the I/O thread. */
void sky_call_cancel_locally(SkyCall *call);
/* Callbacks run on the I/O thread between these two, and not at all once the call has ended. With the lock held and
 * without. */
bool sky_call_begin_callback(SkyCall *call);
void sky_call_end_callback(SkyCall *call);

/* call_finish.c */
grpc_op sky_call_initial_metadata_op(SkyCall *call); /* with the compression in it */
void sky_call_end(SkyCall *call, SkyStatus status);
void sky_call_send_final(SkyCall *call, SkyStatus status);
bool sky_call_is_deferred(SkyStatus status);

/* intercept.c */
SKY_MUST_USE SkyStatus sky_call_begin_interceptors(SkyCall *call, const ProtobufCMessage *request);
void sky_call_end_interceptors(SkyCall *call, SkyStatus *status);
SKY_MUST_USE SkyStatus sky_call_intercept_received(SkyCall *call, const ProtobufCMessage *message);
SKY_MUST_USE SkyStatus sky_call_intercept_sending(SkyCall *call, const ProtobufCMessage *message);

/* call_stream.c */
void sky_call_sent(SkyTag *tag, bool ok);
void sky_call_received(SkyTag *tag, bool ok);
void sky_call_run_writable(SkyCall *call);
void sky_call_deliver_read(SkyCall *call); /* the message that came while the handler was running */

/* health.c */
SkyHealth *sky_health_create(SkyServer *server); /* NULL without memory */
void sky_health_destroy(SkyHealth *health);
SkyServiceBinding sky_health_binding(SkyHealth *health);
void sky_health_set_serving(SkyHealth *health, bool serving);
SKY_MUST_USE SkyStatus sky_health_set_service(SkyHealth *health, const char *service, bool serving);
/* Ends every Watch, so that a drain need not wait for them. */
void sky_health_end_watches(SkyHealth *health);

/* reflection.c */
enum { SKY_REFLECTION_VERSIONS = 2 };
SkyReflection *sky_reflection_create(const SkyServer *server);
void sky_reflection_destroy(SkyReflection *reflection);
SkyServiceBinding sky_reflection_binding(SkyReflection *reflection, size_t version);
