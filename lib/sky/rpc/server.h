/*
 * Server: serves bound services on one port. health v1 (Check, Watch) and reflection are built in.
 *
 * Bad bytes, failed validation (SkyMessageRules) and passed deadlines are answered before a handler runs. Calls beyond
 * the limits get RESOURCE_EXHAUSTED. Unknown methods get UNIMPLEMENTED. Thread-safe except where noted.
 */
#pragma once

#include <sky/rpc/call.h>
#include <sky/rpc/runtime.h>
#include <sky/rpc/tls.h>

/* Written by protoc-gen-sky: <prefix>_<Service>_bind(&handlers, self). */
typedef SkyStatus (*SkyInvoke)(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                               ProtobufCMessage *response);
typedef struct SkyServiceBinding {
  const SkyServiceDescriptor *service;
  const void *handlers; /* the typed table; must outlive the server */
  void *self;           /* first argument of every handler */
  const SkyInvoke
      *invoke; /* one per method, in the descriptor's order; request is NULL for client and bidi streaming */
} SkyServiceBinding;

/*
 * Interceptor: begin runs before the handler in the order of registration and may end the call with an error; end runs
 * in reverse order for every begun interceptor, once, when the status is known, and may replace it (it owns *status
 * then). request is NULL for client and bidi streaming, and when the bytes that came are no such message. received sees
 * each message that a handler of these streams reads, sending each that one of server and bidi streams writes; an error
 * goes to the handler in place of the message, or as what the write returns.
 *
 * begin and the handler run on one thread, end, received and sending on any. None may block on the I/O thread. Those
 * that come with the runtime: interceptors/.
 */
typedef struct SkyServerInterceptor {
  SkyStatus (*begin)(void *self, SkyCall *call, const ProtobufCMessage *request); /* may be NULL */
  void (*end)(void *self, SkyCall *call, SkyStatus *status);                      /* may be NULL */
  void *self;
  SkyStatus (*received)(void *self, SkyCall *call, const ProtobufCMessage *message); /* may be NULL */
  SkyStatus (*sending)(void *self, SkyCall *call, const ProtobufCMessage *message);  /* may be NULL */
} SkyServerInterceptor;

/* In begin and end: a place for what this interceptor keeps of this call; at begin it holds anything. */
void **sky_call_own_slot(SkyCall *call);

/* A slot of per-call data that interceptors and handlers share; NULL at first. index < SKY_CALL_SLOTS. */
enum { SKY_CALL_SLOTS = 8 };
void **sky_call_slot(SkyCall *call, unsigned index);

typedef struct SkyServer SkyServer;

typedef struct SkyServerOptions {
  const char *listen; /* "127.0.0.1:0" picks a free port */
  SkyTls *tls;        /* NULL: plain text; the server takes a reference */
  /* What a peer may ask of us. Beyond it a call gets RESOURCE_EXHAUSTED, unless another answer is named. */
  size_t max_request_bytes;          /* of one message; 0: 4 MiB */
  size_t max_response_bytes;         /* of one message; 0: 4 MiB */
  size_t max_metadata_bytes;         /* of a request's metadata; 0: 16 KiB */
  size_t max_message_depth;          /* of messages in messages; INVALID_ARGUMENT; 0: 64, the most */
  size_t max_call_memory;            /* arena budget of one call; a request beyond it: INVALID_ARGUMENT; 0: 16 MiB */
  size_t max_concurrent_calls;       /* of the whole server; 0: 10000 */
  size_t max_streams_per_connection; /* further calls wait in the client; 0: as max_concurrent_calls */
  size_t max_stream_queued_bytes;    /* per stream; 0: 256 KiB */
  size_t max_connections;        /* further ones are closed at once: UNAVAILABLE; 0: as many as there are descriptors */
  int64_t handshake_timeout_ms;  /* until TLS and HTTP/2 are agreed, else the connection ends; 0: 10 s */
  int64_t max_connection_age_ms; /* 0: 5 min, so that clients notice new replicas */
  SkyCompression compression;    /* of what calls send, unless they say otherwise */
  bool channelz;                 /* counts what sky_channelz_read() shows */
  bool no_validation;            /* does not hold requests to the contract's rules (interceptors/validation.h) */
} SkyServerOptions;

/* Listens to nothing yet. The options are copied. RESOURCE_EXHAUSTED without memory. The rpc must outlive the server.
 */
SKY_MUST_USE SkyStatus sky_server_create(SkyRpc *rpc, const SkyServerOptions *options, SkyServer **ret);
/* Before start. */
SKY_MUST_USE SkyStatus sky_server_add(SkyServer *server, SkyServiceBinding binding);
SKY_MUST_USE SkyStatus sky_server_intercept(SkyServer *server, SkyServerInterceptor interceptor);
/* Binds the port and serves. UNAVAILABLE naming the address when it cannot be bound. */
SKY_MUST_USE SkyStatus sky_server_start(SkyServer *server);
int sky_server_port(const SkyServer *server);
/* health v1 status: service "" is the whole server. Starts as NOT_SERVING. */
void sky_server_set_serving(SkyServer *server, bool serving);
/*
 * health v1 status of one service, which need not be bound here: a name that nobody knew becomes known, and who watches
 * it is told. Until it is set, a bound service has the server's status. A server that does not serve has no service
 * that does. RESOURCE_EXHAUSTED past 64 names.
 */
SKY_MUST_USE SkyStatus sky_server_set_service_serving(SkyServer *server, const char *service, bool serving);
/*
 * For liveness: connects to the server's own port. UNAVAILABLE when nobody answers in time (a server that has run out
 * of descriptors once never accepts again), RESOURCE_EXHAUSTED when no socket can be had, SKY_OK before the start and
 * while draining. Blocks; not on the I/O thread.
 */
SKY_MUST_USE SkyStatus sky_server_probe(const SkyServer *server, int timeout_ms);
/*
 * Graceful drain: health NOT_SERVING, no new calls, open calls may end until the deadline, then they are cancelled.
 * Streams are cancelled when they outlive the unary calls by half a second, or half of the time; their clients see
 * UNAVAILABLE. Blocks.
 */
void sky_server_drain(SkyServer *server, int64_t timeout_ms);
/* Drains with timeout 0 when that has not happened. NULL-safe. */
void sky_server_destroy(SkyServer *server);

typedef struct SkyServerStats {
  uint64_t started, succeeded, failed, shed; /* calls */
  size_t active;
} SkyServerStats;
SkyServerStats sky_server_stats(const SkyServer *server);
