/*
 * Backend: gRPC to one peer over one multiplexed HTTP/2 connection, by nghttp2 inside nginx's event loop.
 *
 * A worker keeps one connection per peer address and opens it at the first call. A connection that is told to go away
 * (GOAWAY) ends with its last call while a new one takes the new calls. Nothing here blocks; everything runs on the
 * worker's only thread.
 *
 * A call is in the caller's memory (a request's pool). It ends by exactly one on_done(), unless sky_backend_cancel()
 * comes first. Neither callback runs inside sky_backend_start() or inside nghttp2, so both may start and cancel calls
 * and finalize requests.
 */
#pragma once

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <sky/core/buf.h>
#include <sky/core/str.h>

enum {
  SKY_BACKEND_MAX_METADATA = 32,
  SKY_BACKEND_MAX_METADATA_BYTES = 16 * 1024,
  SKY_BACKEND_MAX_CALLS = 8192, /* open calls of one connection; more are refused */
};

typedef struct SkyBackendHeader {
  SkyStr name; /* lower case */
  SkyStr value;
  bool is_unique; /* the value hardly comes again, so that HPACK need not remember it */
} SkyBackendHeader;

typedef struct SkyBackendCall SkyBackendCall;
struct SkyBackendCall {
  /* Set by the caller; must live until the call has ended. */
  ngx_pool_t *pool; /* where messages and metadata of the answer are kept */
  SkyStr path;      /* "/fabrikam.delivery.v1.DeliveryService/GetDelivery"; as authority, lives as long as the worker */
  SkyStr authority;
  SkyStr request;     /* one message with its 5-byte gRPC prefix */
  int64_t timeout_ms; /* sent as grpc-timeout; 0: none. The caller keeps the time itself. */
  const SkyBackendHeader *metadata;
  size_t metadata_count;
  size_t max_message_bytes;
  bool is_stream; /* more than one message may come: each is given to on_message and its memory used again */
  /* A whole message, valid during the callback. */
  void (*on_message)(SkyBackendCall *call, SkyStr message);
  void (*on_done)(SkyBackendCall *call);
  void *user;

  /* Valid in on_done(). */
  int grpc_status;                   /* a gRPC code; UNAVAILABLE when the peer could not be reached */
  SkyStr grpc_message;               /* still percent-encoded */
  SkyStr status_details;             /* grpc-status-details-bin, decoded; empty when absent */
  bool never_processed;              /* the peer certainly did not see the call: it may be tried again elsewhere */
  SkyBackendHeader *answer_metadata; /* of headers and trailers, without those of HTTP/2 and gRPC */
  size_t answer_metadata_count;

  /* Private. */
  struct SkyBackend *backend;
  struct SkyBackendSlot *slot;
  ngx_queue_t link; /* in backend->calls */
  ngx_queue_t due;  /* in backend->due, when is_due */
  int32_t stream_id;
  size_t sent;
  SkyBuf in; /* bytes of DATA frames that were not delivered yet */
  size_t metadata_bytes;
  uint32_t http_status;
  bool has_grpc_status;
  bool is_due, is_closed, is_paused, got_message;
  bool *cancelled_flag; /* set while messages are delivered: tells that the call is gone */
};

/* Starts the call on the peer's connection. False when nothing could be started (no memory, connection full): no
 * callback will come. */
bool sky_backend_start(SkyBackendCall *call, struct sockaddr *address, socklen_t address_size, ngx_str_t *peer_name);

/*
 * Frees what the call holds beside its pool, and cancels it when it is still open. Every call that sky_backend_start()
 * was asked for needs it once.
 */
void sky_backend_finish(SkyBackendCall *call);

/* Ends the call without a callback; tells the peer (RST_STREAM CANCEL). Does nothing when it has ended. */
void sky_backend_cancel(SkyBackendCall *call);

/* Streams: after pause() no message is delivered, and the peer feels it once the window is full; resume() goes on. */
void sky_backend_pause(SkyBackendCall *call);
void sky_backend_resume(SkyBackendCall *call);

/* Gives up all connections of this worker, at its exit, when no call is open any more. */
void sky_backend_close_all(void);
