#include "backend.h"

#include <ngx_event_connect.h>
#include <nghttp2/nghttp2.h>

#include <sky/core/status.h>

#include "memory.h"

enum {
  CONNECT_TIMEOUT_MS = 2000,
  PING_AFTER_MS = 20000, /* silence with calls open, after which the peer is asked for a sign of life */
  PING_TIMEOUT_MS = 10000,
  STREAM_WINDOW = 1 << 20,
  CONNECTION_WINDOW = 1 << 24,
  OUT_BYTES = 64 * 1024,
  READ_BYTES = 64 * 1024,
};

/*
 * What nghttp2 keeps for a stream. A call may be gone while its stream still waits to be sent or closed, and nghttp2
 * cannot be told to forget the pointer of a stream that is not open yet; so it points to a slot, and the slot to the
 * call.
 */
typedef struct SkyBackendSlot {
  SkyBackendCall *call; /* NULL: gone */
  struct SkyBackendSlot *next_free;
} SkyBackendSlot;

typedef struct SkyBackend {
  ngx_queue_t link; /* in backends */
  SkyBackendSlot *free_slots;
  ngx_pool_t *pool;
  ngx_connection_t *connection;
  nghttp2_session *session;
  struct sockaddr_storage address;
  socklen_t address_size;
  ngx_str_t name;
  ngx_queue_t calls; /* every open call */
  ngx_queue_t due;   /* calls with something to deliver */
  size_t call_count;
  ngx_event_t work; /* posted: deliver what is due, send what is queued, close when at the end */
  bool is_connected, is_leaving, is_broken, is_pinged;
  size_t out_size, out_sent;
  uint8_t out[OUT_BYTES];
} SkyBackend;

static ngx_queue_t backends = {&backends, &backends};

static void post_work(SkyBackend *backend) {
  if (!backend->work.posted) {
    ngx_post_event(&backend->work, &ngx_posted_events);
  }
}

static void make_due(SkyBackendCall *call) {
  if (call->is_due)
    return;
  call->is_due = true;
  ngx_queue_insert_tail(&call->backend->due, &call->due);
  post_work(call->backend);
}

static SkyBackendSlot *slot_for(SkyBackendCall *call, SkyBackend *backend) {
  SkyBackendSlot *slot = backend->free_slots;
  if (slot != NULL)
    backend->free_slots = slot->next_free;
  else
    slot = ngx_palloc(backend->pool, sizeof(*slot));
  if (slot != NULL)
    *slot = (SkyBackendSlot){.call = call};
  return slot;
}

static void slot_free(SkyBackendSlot *slot, SkyBackend *backend) {
  slot->next_free = backend->free_slots;
  backend->free_slots = slot;
}

static SkyBackendCall *call_of(nghttp2_session *session, int32_t stream_id) {
  SkyBackendSlot *slot = nghttp2_session_get_stream_user_data(session, stream_id);
  return slot == NULL ? NULL : slot->call;
}

/* The stream, should it still say anything, says it to nobody. */
static void leave_slot(SkyBackendCall *call) {
  if (call->slot != NULL)
    call->slot->call = NULL;
  call->slot = NULL;
}

static void detach(SkyBackendCall *call) {
  SkyBackend *backend = call->backend;
  leave_slot(call);
  if (call->is_due) { /* braces: nginx's macro is two statements */
    ngx_queue_remove(&call->due);
  }
  call->is_due = false;
  ngx_queue_remove(&call->link);
  backend->call_count--;
  call->backend = NULL;
  if (backend->is_leaving)
    post_work(backend);
}

static void fail(SkyBackendCall *call, int code, const char *message) {
  call->grpc_status = code;
  call->grpc_message = sky_str(message);
  call->has_grpc_status = true;
}

/* ---- answers: header fields ---- */

static SkyStr keep(SkyBackendCall *call, const uint8_t *data, size_t size) {
  uint8_t *copy = ngx_pnalloc(call->pool, size == 0 ? 1 : size);
  if (copy == NULL)
    return (SkyStr){"", 0};
  ngx_memcpy(copy, data, size);
  return (SkyStr){(const char *)copy, size};
}

static SkyStr base64_decoded(SkyBackendCall *call, const uint8_t *data, size_t size) {
  while (size > 0 && data[size - 1] == '=')
    size--;
  ngx_str_t encoded = {size, (u_char *)(uintptr_t)data};
  ngx_str_t decoded = {0, ngx_pnalloc(call->pool, ngx_base64_decoded_length(size) + 1)};
  if (decoded.data == NULL || ngx_decode_base64(&decoded, &encoded) != NGX_OK)
    return (SkyStr){"", 0};
  return (SkyStr){(const char *)decoded.data, decoded.len};
}

static bool name_is(const uint8_t *name, size_t size, const char *literal) {
  return size == ngx_strlen(literal) && ngx_memcmp(name, literal, size) == 0;
}

static int decimal(const uint8_t *data, size_t size) {
  const ngx_int_t number = ngx_atoi((u_char *)(uintptr_t)data, size);
  return number == NGX_ERROR || number > 999 ? -1 : (int)number;
}

static void keep_metadata(SkyBackendCall *call, const uint8_t *name, size_t name_size, const uint8_t *value,
                          size_t value_size) {
  if (call->answer_metadata_count == SKY_BACKEND_MAX_METADATA ||
      call->metadata_bytes + name_size + value_size > SKY_BACKEND_MAX_METADATA_BYTES)
    return;
  if (call->answer_metadata == NULL)
    call->answer_metadata = ngx_palloc(call->pool, SKY_BACKEND_MAX_METADATA * sizeof(*call->answer_metadata));
  if (call->answer_metadata == NULL)
    return;
  call->metadata_bytes += name_size + value_size;
  call->answer_metadata[call->answer_metadata_count++] =
      (SkyBackendHeader){.name = keep(call, name, name_size), .value = keep(call, value, value_size)};
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *user) {
  SkyBackendCall *call = call_of(session, frame->hd.stream_id);
  if (call == NULL)
    return 0;
  if (name_is(name, name_size, ":status")) {
    call->http_status = (uint32_t)decimal(value, value_size);
  } else if (name_is(name, name_size, "grpc-status")) {
    const int code = decimal(value, value_size);
    call->grpc_status = code < 0 || code > SKY_CODE_UNAUTHENTICATED ? SKY_CODE_UNKNOWN : code;
    call->has_grpc_status = true;
  } else if (name_is(name, name_size, "grpc-message")) {
    call->grpc_message = keep(call, value, value_size);
  } else if (name_is(name, name_size, "grpc-status-details-bin")) {
    call->status_details = base64_decoded(call, value, value_size);
  } else if (name[0] != ':' && !name_is(name, name_size, "content-type") &&
             !(name_size >= 5 && ngx_memcmp(name, "grpc-", 5) == 0)) {
    keep_metadata(call, name, name_size, value, value_size);
  }
  return 0;
}

/* ---- answers: messages ---- */

static void reset_stream(SkyBackendCall *call) {
  leave_slot(call);
  nghttp2_submit_rst_stream(call->backend->session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
  post_work(call->backend);
}

/* Ends the call by our own judgement; on_done() follows. */
static void abandon(SkyBackendCall *call, int code, const char *message) {
  if (call->is_closed)
    return;
  fail(call, code, message);
  call->is_closed = true;
  sky_buf_clear(&call->in);
  reset_stream(call);
  make_due(call);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t size,
                   void *user) {
  nghttp2_session_consume_connection(session, size);
  SkyBackendCall *call = call_of(session, stream_id);
  if (call == NULL)
    return 0;
  sky_buf_append(&call->in, data, size);
  if (call->in.failed)
    abandon(call, SKY_CODE_INTERNAL, "the answer is larger than the gateway's limit");
  else if (call->is_stream)
    make_due(call);
  else
    nghttp2_session_consume_stream(session, stream_id, size);
  return 0;
}

static int64_t frame_size(SkyBackendCall *call, size_t at) {
  const uint8_t *p = call->in.data + at;
  if (p[0] != 0) {
    abandon(call, SKY_CODE_INTERNAL, "the backend sent a compressed message that was not asked for");
    return -1;
  }
  const int64_t size = (int64_t)p[1] << 24 | (int64_t)p[2] << 16 | (int64_t)p[3] << 8 | p[4];
  if ((size_t)size > call->max_message_bytes) {
    abandon(call, SKY_CODE_INTERNAL, "the answer is larger than the gateway's limit");
    return -1;
  }
  return size;
}

/* Gives whole messages to on_message(). False when the call was cancelled by it: the call must not be touched then. */
static bool deliver_messages(SkyBackendCall *call, bool *ret_cancelled) {
  size_t at = 0;
  while (!call->is_paused && call->in.size - at >= 5) {
    const int64_t size = frame_size(call, at);
    if (size < 0)
      return true;
    if (call->in.size - at - 5 < (size_t)size)
      break;
    const SkyStr message = {(const char *)call->in.data + at + 5, (size_t)size};
    at += 5 + (size_t)size;
    if (!call->is_stream && call->got_message) {
      abandon(call, SKY_CODE_INTERNAL, "the backend answered a unary call with more than one message");
      return true;
    }
    call->got_message = true;
    call->on_message(call, message);
    if (*ret_cancelled)
      return false;
  }
  if (at > 0) {
    ngx_memmove(call->in.data, call->in.data + at, call->in.size - at);
    call->in.size -= at;
    if (call->is_stream && !call->is_closed) {
      nghttp2_session_consume_stream(call->backend->session, call->stream_id, at);
      post_work(call->backend);
    }
  }
  return true;
}

/* A call whose stream has ended: the status that on_done() is to see. */
static void settle(SkyBackendCall *call) {
  if (!call->has_grpc_status) {
    /* https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
    switch (call->http_status) {
    case 400:
      fail(call, SKY_CODE_INTERNAL, "the backend answered without a gRPC status");
      break;
    case 401:
      fail(call, SKY_CODE_UNAUTHENTICATED, "refused in front of the backend");
      break;
    case 403:
      fail(call, SKY_CODE_PERMISSION_DENIED, "refused in front of the backend");
      break;
    case 404:
      fail(call, SKY_CODE_UNIMPLEMENTED, "the backend does not know the method");
      break;
    case 0:
    case 429:
    case 502:
    case 503:
    case 504:
      fail(call, SKY_CODE_UNAVAILABLE, "the backend is unavailable");
      break;
    default:
      fail(call, SKY_CODE_UNKNOWN, "the backend answered without a gRPC status");
    }
  } else if (call->grpc_status == SKY_CODE_OK && call->in.size > 0) {
    fail(call, SKY_CODE_INTERNAL, "the backend's answer ends inside a message");
  } else if (call->grpc_status == SKY_CODE_OK && !call->is_stream && !call->got_message) {
    fail(call, SKY_CODE_INTERNAL, "the backend answered a unary call without a message");
  }
}

static void deliver(SkyBackendCall *call) {
  bool cancelled = false;
  call->cancelled_flag = &cancelled;
  const bool alive = deliver_messages(call, &cancelled);
  if (!alive)
    return;
  call->cancelled_flag = NULL;
  if (!call->is_closed || (call->is_paused && call->in.size >= 5))
    return;
  settle(call);
  detach(call);
  call->on_done(call);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user) {
  SkyBackendSlot *slot = nghttp2_session_get_stream_user_data(session, stream_id);
  if (slot == NULL)
    return 0;
  SkyBackendCall *call = slot->call;
  slot_free(slot, user);
  if (call == NULL)
    return 0;
  call->slot = NULL;
  call->is_closed = true;
  call->never_processed = error_code == NGHTTP2_REFUSED_STREAM && !call->has_grpc_status && !call->got_message;
  if (error_code != NGHTTP2_NO_ERROR && !call->has_grpc_status)
    fail(call, error_code == NGHTTP2_CANCEL ? SKY_CODE_CANCELLED : SKY_CODE_UNAVAILABLE, "the backend reset the call");
  make_due(call);
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
  SkyBackend *backend = user;
  if (frame->hd.type == NGHTTP2_GOAWAY) {
    backend->is_leaving = true;
    post_work(backend);
  }
  return 0;
}

/* ---- the connection ---- */

static void backend_free(SkyBackend *backend) {
  ngx_queue_remove(&backend->link);
  if (backend->work.posted) { /* again more than one statement */
    ngx_delete_posted_event(&backend->work);
  }
  nghttp2_session_del(backend->session);
  if (backend->connection != NULL)
    ngx_close_connection(backend->connection);
  ngx_destroy_pool(backend->pool);
}

/* Ends every call; the connection is of no more use. */
static void backend_fail(SkyBackend *backend, const char *message) {
  backend->is_broken = true;
  for (ngx_queue_t *q = ngx_queue_head(&backend->calls); q != ngx_queue_sentinel(&backend->calls);
       q = ngx_queue_next(q)) {
    SkyBackendCall *call = ngx_queue_data(q, SkyBackendCall, link);
    if (!call->is_closed) {
      leave_slot(call);
      call->is_closed = true;
      call->never_processed = !backend->is_connected || call->sent == 0;
      fail(call, SKY_CODE_UNAVAILABLE, message);
    }
    call->is_paused = false;
    make_due(call);
  }
  post_work(backend);
}

/* Collects what nghttp2 has to send, so that one system call takes it all. False when there is nothing. */
static bool gather(SkyBackend *backend) {
  while (backend->out_size < OUT_BYTES / 2) {
    const uint8_t *data;
    const ssize_t size = nghttp2_session_mem_send(backend->session, &data);
    if (size <= 0)
      break;
    /* A frame is at most 16 KiB and 9 bytes (the peer's default SETTINGS_MAX_FRAME_SIZE is what nghttp2 keeps to). */
    ngx_memcpy(backend->out + backend->out_size, data, (size_t)size);
    backend->out_size += (size_t)size;
  }
  return backend->out_size > backend->out_sent;
}

static void send_queued(SkyBackend *backend) {
  ngx_connection_t *c = backend->connection;
  while (backend->is_connected && !backend->is_broken && gather(backend)) {
    const ssize_t sent = c->send(c, backend->out + backend->out_sent, backend->out_size - backend->out_sent);
    if (sent == NGX_AGAIN) {
      if (ngx_handle_write_event(c->write, 0) != NGX_OK)
        backend_fail(backend, "the connection to the backend failed");
      return;
    }
    if (sent < 0) {
      backend_fail(backend, "the connection to the backend broke");
      return;
    }
    backend->out_sent += (size_t)sent;
    if (backend->out_sent == backend->out_size)
      backend->out_sent = backend->out_size = 0;
  }
}

static void work(ngx_event_t *event) {
  SkyBackend *backend = event->data;
  while (!ngx_queue_empty(&backend->due)) {
    ngx_queue_t *q = ngx_queue_head(&backend->due);
    ngx_queue_remove(q);
    SkyBackendCall *call = ngx_queue_data(q, SkyBackendCall, due);
    call->is_due = false;
    deliver(call);
  }
  send_queued(backend);
  if (!ngx_queue_empty(&backend->due)) {
    post_work(backend);
    return;
  }
  if (ngx_queue_empty(&backend->calls) &&
      (backend->is_broken || (backend->is_leaving && backend->out_size == backend->out_sent)))
    backend_free(backend);
}

static void on_read(ngx_event_t *event) {
  static uint8_t bytes[READ_BYTES];
  ngx_connection_t *c = event->data;
  SkyBackend *backend = c->data;
  if (c->close) { /* the worker is told to exit: end with the last call */
    backend->is_leaving = true;
    post_work(backend);
    return;
  }
  if (event->timedout) {
    event->timedout = 0;
    if (ngx_queue_empty(&backend->calls))
      return;
    if (backend->is_pinged) {
      backend_fail(backend, "the backend does not answer");
      return;
    }
    backend->is_pinged = true;
    nghttp2_submit_ping(backend->session, NGHTTP2_FLAG_NONE, NULL);
    ngx_add_timer(event, PING_TIMEOUT_MS);
    post_work(backend);
    return;
  }
  while (!backend->is_broken) {
    const ssize_t size = c->recv(c, bytes, sizeof(bytes));
    if (size == NGX_AGAIN)
      break;
    if (size <= 0) {
      backend_fail(backend, "the backend closed the connection");
      return;
    }
    if (nghttp2_session_mem_recv(backend->session, bytes, (size_t)size) < 0) {
      backend_fail(backend, "the backend does not speak HTTP/2");
      return;
    }
    if ((size_t)size < sizeof(bytes))
      break;
  }
  backend->is_pinged = false;
  ngx_add_timer(event, PING_AFTER_MS);
  if (ngx_handle_read_event(event, 0) != NGX_OK)
    backend_fail(backend, "the connection to the backend failed");
  post_work(backend);
}

static bool connect_succeeded(ngx_connection_t *c) {
  int error = 0;
  socklen_t size = sizeof(error);
  return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

static void on_write(ngx_event_t *event) {
  ngx_connection_t *c = event->data;
  SkyBackend *backend = c->data;
  if (backend->is_broken)
    return;
  if (!backend->is_connected) {
    if (event->timedout || !connect_succeeded(c)) {
      backend_fail(backend,
                   event->timedout ? "connecting to the backend took too long" : "the backend cannot be reached");
      return;
    }
    if (event->timer_set)
      ngx_del_timer(event);
    backend->is_connected = true;
    ngx_add_timer(c->read, PING_AFTER_MS);
  }
  post_work(backend);
}

static bool session_open(SkyBackend *backend) {
  nghttp2_session_callbacks *callbacks;
  nghttp2_option *option;
  if (nghttp2_session_callbacks_new(&callbacks) != 0)
    return false;
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  if (nghttp2_option_new(&option) != 0) {
    nghttp2_session_callbacks_del(callbacks);
    return false;
  }
  nghttp2_option_set_no_auto_window_update(option, 1);
  const int opened =
      nghttp2_session_client_new3(&backend->session, callbacks, backend, option, sky_memory_for_nghttp2());
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (opened != 0)
    return false;
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
                                             {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0}};
  return nghttp2_submit_settings(backend->session, NGHTTP2_FLAG_NONE, settings, 3) == 0 &&
         nghttp2_session_set_local_window_size(backend->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0;
}

static bool connection_open(SkyBackend *backend) {
  ngx_peer_connection_t peer;
  ngx_memzero(&peer, sizeof(peer));
  peer.sockaddr = (struct sockaddr *)&backend->address;
  peer.socklen = backend->address_size;
  peer.name = &backend->name;
  peer.get = ngx_event_get_peer;
  peer.log = ngx_cycle->log;
  peer.log_error = NGX_ERROR_ERR;
  const ngx_int_t rc = ngx_event_connect_peer(&peer);
  if (rc != NGX_OK && rc != NGX_AGAIN)
    return false;
  ngx_connection_t *c = peer.connection;
  c->data = backend;
  c->pool = backend->pool;
  c->log = c->read->log = c->write->log = ngx_cycle->log;
  c->read->handler = on_read;
  c->write->handler = on_write;
  c->idle = 1; /* neither the connection nor its timer keeps an exiting worker */
  c->read->cancelable = 1;
  const int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* unix sockets refuse it, and do not need it */
  backend->connection = c;
  backend->is_connected = rc == NGX_OK;
  if (rc == NGX_AGAIN)
    ngx_add_timer(c->write, CONNECT_TIMEOUT_MS);
  else
    ngx_add_timer(c->read, PING_AFTER_MS);
  return true;
}

static SkyBackend *backend_open(struct sockaddr *address, socklen_t address_size, ngx_str_t *name) {
  ngx_pool_t *pool = ngx_create_pool(4096, ngx_cycle->log);
  if (pool == NULL)
    return NULL;
  SkyBackend *backend = ngx_pcalloc(pool, sizeof(*backend));
  if (backend == NULL || address_size > sizeof(backend->address)) {
    ngx_destroy_pool(pool);
    return NULL;
  }
  backend->pool = pool;
  ngx_memcpy(&backend->address, address, address_size);
  backend->address_size = address_size;
  backend->name.data = ngx_pstrdup(pool, name);
  backend->name.len = backend->name.data == NULL ? 0 : name->len;
  ngx_queue_init(&backend->calls);
  ngx_queue_init(&backend->due);
  backend->work.handler = work;
  backend->work.data = backend;
  backend->work.log = ngx_cycle->log;
  ngx_queue_insert_tail(&backends, &backend->link);
  if (!session_open(backend) || !connection_open(backend)) {
    backend_free(backend);
    return NULL;
  }
  return backend;
}

static SkyBackend *backend_for(struct sockaddr *address, socklen_t address_size, ngx_str_t *name) {
  for (ngx_queue_t *q = ngx_queue_head(&backends); q != ngx_queue_sentinel(&backends); q = ngx_queue_next(q)) {
    SkyBackend *backend = ngx_queue_data(q, SkyBackend, link);
    if (!backend->is_leaving && !backend->is_broken &&
        ngx_cmp_sockaddr((struct sockaddr *)&backend->address, backend->address_size, address, address_size, 1) ==
            NGX_OK) {
      if (nghttp2_session_check_request_allowed(backend->session))
        return backend;
      backend->is_leaving = true;
    }
  }
  return backend_open(address, address_size, name);
}

/* ---- requests ---- */

static ssize_t read_request(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t size, uint32_t *flags,
                            nghttp2_data_source *source, void *user) {
  SkyBackendCall *call = call_of(session, stream_id);
  if (call == NULL)
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const size_t part = ngx_min(size, call->request.size - call->sent);
  ngx_memcpy(to, call->request.data + call->sent, part);
  call->sent += part;
  if (call->sent == call->request.size)
    *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)part;
}

/* nghttp2 copies names and values, because a call may be gone before they are sent, unless the flags say otherwise. */
static nghttp2_nv field(SkyStr name, SkyStr value, uint8_t flags) {
  return (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data, name.size, value.size, flags};
}

/* A field whose text lives as long as the connection. */
static nghttp2_nv static_field(SkyStr name, SkyStr value) {
  return field(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

/* At most eight digits are allowed; that many milliseconds are 27 hours. The text ends at the end of the room. */
static SkyStr timeout_text(int64_t timeout_ms, char *room, size_t size) {
  char *at = room + size;
  *--at = 'm';
  for (int64_t left = ngx_min(timeout_ms, 99999999); at > room && (left > 0 || at == room + size - 1); left /= 10)
    *--at = (char)('0' + left % 10);
  return (SkyStr){at, (size_t)(room + size - at)};
}

static bool submit(SkyBackend *backend, SkyBackendCall *call) {
  nghttp2_nv fields[8 + SKY_BACKEND_MAX_METADATA];
  size_t count = 0;
  fields[count++] = static_field(SKY_STR(":method"), SKY_STR("POST"));
  fields[count++] = static_field(SKY_STR(":scheme"), SKY_STR("http"));
  fields[count++] = static_field(SKY_STR(":path"), call->path);
  fields[count++] = static_field(SKY_STR(":authority"), call->authority);
  fields[count++] = static_field(SKY_STR("te"), SKY_STR("trailers"));
  fields[count++] = static_field(SKY_STR("content-type"), SKY_STR("application/grpc"));
  fields[count++] = static_field(SKY_STR("user-agent"), SKY_STR("skyhook-gateway"));
  char timeout[10];
  if (call->timeout_ms > 0)
    fields[count++] = field(SKY_STR("grpc-timeout"), timeout_text(call->timeout_ms, timeout, sizeof(timeout)),
                            NGHTTP2_NV_FLAG_NO_COPY_NAME);
  for (size_t i = 0; i < call->metadata_count && i < SKY_BACKEND_MAX_METADATA; i++)
    fields[count++] = field(call->metadata[i].name, call->metadata[i].value,
                            call->metadata[i].is_unique ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
  const nghttp2_data_provider provider = {.read_callback = read_request};
  call->slot = slot_for(call, backend);
  if (call->slot == NULL)
    return false;
  call->stream_id = nghttp2_submit_request(backend->session, NULL, fields, count, &provider, call->slot);
  if (call->stream_id >= 0)
    return true;
  slot_free(call->slot, backend);
  call->slot = NULL;
  return false;
}

bool sky_backend_start(SkyBackendCall *call, struct sockaddr *address, socklen_t address_size, ngx_str_t *peer_name) {
  SkyBackend *backend = backend_for(address, address_size, peer_name);
  if (backend == NULL || backend->call_count >= SKY_BACKEND_MAX_CALLS || !submit(backend, call))
    return false;
  /* A stream's buffer holds what flow control lets in before messages are taken out. */
  call->in = sky_memory_take_buf(call->max_message_bytes + 5 + (call->is_stream ? STREAM_WINDOW : 0));
  call->backend = backend;
  ngx_queue_insert_tail(&backend->calls, &call->link);
  backend->call_count++;
  post_work(backend);
  return true;
}

void sky_backend_cancel(SkyBackendCall *call) {
  if (call->backend == NULL)
    return;
  if (call->cancelled_flag != NULL)
    *call->cancelled_flag = true;
  if (!call->is_closed)
    reset_stream(call);
  detach(call);
}

void sky_backend_finish(SkyBackendCall *call) {
  sky_backend_cancel(call);
  sky_memory_give_back_buf(&call->in);
}

void sky_backend_pause(SkyBackendCall *call) {
  call->is_paused = true;
}

void sky_backend_resume(SkyBackendCall *call) {
  if (!call->is_paused)
    return;
  call->is_paused = false;
  if (call->backend != NULL)
    make_due(call);
}

void sky_backend_close_all(void) {
  while (!ngx_queue_empty(&backends))
    backend_free(ngx_queue_data(ngx_queue_head(&backends), SkyBackend, link));
}
