/*
 * Client: a channel to one service. The typed functions that users call are written by protoc-gen-sky on top of this.
 *
 * A call takes deadline, cancellation and trace from its context; without a deadline it gets the method's. Thread-safe.
 */
#pragma once

#include <sky/codec/service.h>
#include <sky/core/arena.h>
#include <sky/core/context.h>
#include <sky/rpc/compression.h>
#include <sky/rpc/runtime.h>
#include <sky/rpc/service_config.h>
#include <sky/rpc/tls.h>

typedef struct SkyClient SkyClient;

#define SKY_WAIT_UNTIL_DEADLINE INT64_MAX

/*
 * Interceptor: begin may add metadata or refuse the call; end sees the status of every begun call, once, in reverse
 * order. sending sees each message before it is sent, the request of a unary call among them, and received each that
 * has come (not those of a blocking reader); an error of the first is what the call or the write returns, one of the
 * second ends the call.
 *
 * begin and sending run on the caller's thread, end and received on any. Those that come with the runtime:
 * interceptors/.
 */
typedef struct SkyClientCall SkyClientCall;
typedef struct SkyClientInterceptor {
  SkyStatus (*begin)(void *self, SkyClientCall *call);                  /* may be NULL */
  void (*end)(void *self, SkyClientCall *call, const SkyError *status); /* may be NULL */
  void *self;
  SkyStatus (*sending)(void *self, SkyClientCall *call, const ProtobufCMessage *message);  /* may be NULL */
  SkyStatus (*received)(void *self, SkyClientCall *call, const ProtobufCMessage *message); /* may be NULL */
} SkyClientInterceptor;
const SkyMethodDescriptor *sky_client_call_method(const SkyClientCall *call);
const SkyContext *sky_client_call_context(const SkyClientCall *call); /* the call's own span */
SKY_MUST_USE SkyStatus sky_client_call_add_metadata(SkyClientCall *call, const char *key, SkyStr value);
/* A slot of per-call data for an interceptor; NULL at first. index < SKY_CALL_SLOTS. */
void **sky_client_call_slot(SkyClientCall *call, unsigned index);
/* In begin and end: a place for what this interceptor keeps of this call; at begin it holds anything. */
void **sky_client_call_own_slot(SkyClientCall *call);
/* In end: the call was made; false when it was refused before anything was sent, by another interceptor or for want of
 * room. */
bool sky_client_call_was_made(const SkyClientCall *call);
/* The span of the caller, 8 bytes; NULL when the call is the first of its trace. */
const uint8_t *sky_client_call_parent_span(const SkyClientCall *call);
/* In end: metadata of the response, initial or trailing. The value lives as long as end runs. */
bool sky_client_call_metadata(const SkyClientCall *call, const char *key, SkyStr *ret_value);

/*
 * What one call wants beyond its context's deadline and cancellation. To be set as context.call_options; all of it is
 * borrowed until the call has begun (the function has returned or, when it blocks, been entered).
 *
 *     const SkyCallOptions options = {.compression = SKY_COMPRESSION_GZIP};
 *     SkyContext context = sky_context_child(sky_call_context(call));
 *     context.call_options = &options;
 */
typedef struct SkyMetadataEntry {
  const char *key; /* lower case; "-bin" at the end: any bytes, else printable ASCII */
  SkyStr value;
} SkyMetadataEntry;
typedef struct SkyCallOptions {
  const SkyMetadataEntry *metadata; /* INVALID_ARGUMENT for what may not be sent, RESOURCE_EXHAUSTED past 8 KiB */
  size_t metadata_count;
  SkyCompression compression; /* of the messages we send; identity: as SkyClientOptions says */
  int64_t connect_wait_ms;    /* as in SkyClientOptions; 0: as it says there */
  /*
   * May be NULL. Runs once, before the call's done or on_done, where sky_client_call_metadata() tells what came; not
   * for a call that was refused before it was begun.
   */
  void (*on_end)(void *user, const SkyClientCall *call, const SkyError *status);
  void *user;
} SkyCallOptions;
/* Of a unary call, in end or on_end: the response came compressed. */
bool sky_client_call_was_compressed(const SkyClientCall *call);

typedef struct SkyClientOptions {
  const char *target;          /* "127.0.0.1:9001" or "dns:///delivery:50051" (round_robin over its addresses) */
  const char *service_name;    /* our own name, sent as user agent */
  SkyTls *tls;                 /* NULL: plain text; the client takes a reference */
  const char *tls_server_name; /* that the server's certificate must hold; NULL: the target's host */
  /* Beyond these a call gets RESOURCE_EXHAUSTED. */
  size_t max_request_bytes;    /* of one message; 0: 4 MiB */
  size_t max_response_bytes;   /* of one message; 0: 4 MiB */
  size_t max_metadata_bytes;   /* of a response's metadata; 0: 16 KiB */
  size_t max_concurrent_calls; /* 0: 4096 */
  SkyCompression compression;  /* of what calls send, unless they say otherwise */
  bool channelz;               /* counts what sky_channelz_read() shows */
  /*
   * How long a call that finds no connection waits for one before it fails with UNAVAILABLE, never beyond its deadline;
   * 0: 500 ms; negative: not at all; SKY_WAIT_UNTIL_DEADLINE. So a peer that is being started again costs no errors.
   */
  int64_t connect_wait_ms;
  /*
   * A call whose connection ends without a word of the server about it may be with a server that drains, or be made
   * again by the core because no server has seen it. It fails with UNAVAILABLE when there is no connection for this
   * long, or for as long as calls wait for one when that is longer. To be longer than servers drain; 0: 15 s.
   */
  int64_t drain_wait_ms;
  const SkyServiceConfig *config; /* retries and health checks; NULL: none of them. Borrowed by create */
} SkyClientOptions;

/*
 * Begins to connect and does not wait for it: a target that cannot be reached shows in calls and in
 * sky_client_is_ready(). The options are copied. RESOURCE_EXHAUSTED without memory. The rpc must outlive the client.
 */
SKY_MUST_USE SkyStatus sky_client_create(SkyRpc *rpc, const SkyClientOptions *options, SkyClient **ret);
/* Before the first call; not thread-safe. RESOURCE_EXHAUSTED past 16. What self points to must outlive the client. */
SKY_MUST_USE SkyStatus sky_client_intercept(SkyClient *client, SkyClientInterceptor interceptor);
/* Cancels what is open and waits for it. NULL-safe. */
void sky_client_destroy(SkyClient *client);
bool sky_client_is_ready(SkyClient *client); /* the channel is connected; also starts connecting */

/*
 * Unary, blocking: for worker threads, never on the I/O thread (asserted). The response is unpacked into the arena.
 */
SKY_MUST_USE SkyStatus sky_client_call(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                       const ProtobufCMessage *request, SkyArena *arena,
                                       ProtobufCMessage **ret_response);

/*
 * Unary, asynchronous: done runs once, on the I/O thread, also when the call could not be started (then possibly before
 * this returns). done owns the status; response (NULL on error) is valid during done.
 */
typedef void (*SkyOnDone)(void *user, SkyStatus status, const ProtobufCMessage *response);
void sky_client_call_async(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                           const ProtobufCMessage *request, SkyOnDone done, void *user);

/* For generated code: the same with a typed function, which invoke casts back, so that no call allocates for the sake
 * of its types. */
typedef void (*SkyOnDoneInvoke)(SkyFunction done, void *user, SkyStatus status, const ProtobufCMessage *response);
void sky_client_call_async_typed(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                 const ProtobufCMessage *request, SkyOnDoneInvoke invoke, SkyFunction done, void *user);

/*
 * Streams of all three kinds. Callbacks run on the I/O thread, one at a time. on_message is given each message (valid
 * during the callback); after it returns the next one is read, unless the stream is paused. on_done is the last
 * callback: it owns the status.
 */
typedef struct SkyClientStream SkyClientStream;
typedef struct SkyClientStreamHandler {
  void (*on_message)(void *user, SkyClientStream *stream, const ProtobufCMessage *message);
  void (*on_done)(void *user, SkyStatus status);
  void (*on_writable)(void *user, SkyClientStream *stream); /* may be NULL; the queue is half empty again */
  void *user;
  SkyFunction typed_on_message; /* for generated code, see sky_client_stream_typed_on_message(); else NULL */
} SkyClientStreamHandler;
/* What the handler brought: generated code's on_message casts it back and calls it. */
SkyFunction sky_client_stream_typed_on_message(const SkyClientStream *stream);

/*
 * Opens a stream. request: the one message of a server-streaming call, else NULL. On success the caller holds a
 * reference that it gives up with sky_client_stream_unref(); on error no callback runs.
 */
SKY_MUST_USE SkyStatus sky_client_stream_open(SkyClient *client, const SkyMethodDescriptor *method,
                                              const SkyContext *context, const ProtobufCMessage *request,
                                              SkyClientStreamHandler handler, SkyClientStream **ret);
/* RESOURCE_EXHAUSTED when the queue (256 KiB) is full and the message was not taken; CANCELLED when the call has ended.
 * Thread-safe. */
SKY_MUST_USE SkyStatus sky_client_stream_write(SkyClientStream *stream, const ProtobufCMessage *message);
/* Of a call that compresses: whether the messages written from now on are (at first they are). Thread-safe. */
void sky_client_stream_compress_messages(SkyClientStream *stream, bool compress);
/* In on_message: the message came compressed. */
bool sky_client_stream_message_was_compressed(const SkyClientStream *stream);
void sky_client_stream_close_send(SkyClientStream *stream); /* half-close after what is queued */
void sky_client_stream_pause(SkyClientStream *stream);      /* stop reading: the peer feels flow control */
void sky_client_stream_resume(SkyClientStream *stream);
void sky_client_stream_cancel(SkyClientStream *stream);
void sky_client_stream_unref(SkyClientStream *stream);

/*
 * Streams of all three kinds, blocking: for worker threads and command-line tools, never on the I/O thread (asserted).
 * One thread at a time; writing and reading may be two threads.
 *
 * next: the next message into the arena; *ret is NULL at the regular end, an error is the status of the call, now and
 * whenever it is asked again. A message that cannot be read, for the arena's budget perhaps, ends the call. Without a
 * deadline it waits as long as the server takes.
 */
typedef struct SkyClientReader SkyClientReader;
SKY_MUST_USE SkyStatus sky_client_reader_open(SkyClient *client, const SkyMethodDescriptor *method,
                                              const SkyContext *context, const ProtobufCMessage *request,
                                              SkyClientReader **ret);
SKY_MUST_USE SkyStatus sky_client_reader_next(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret);
/* Waits for room in the queue. CANCELLED when the call has ended: next or finish tell why. */
SKY_MUST_USE SkyStatus sky_client_reader_write(SkyClientReader *reader, const ProtobufCMessage *message);
void sky_client_reader_close_send(SkyClientReader *reader); /* half-close after what was written */
/* Client streaming: half-closes, waits for the one response and the status, and closes. */
SKY_MUST_USE SkyStatus sky_client_reader_finish(SkyClientReader *reader, SkyArena *arena, ProtobufCMessage **ret);
void sky_client_reader_close(SkyClientReader *reader); /* cancels when not at the end; NULL-safe */
