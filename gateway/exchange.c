#include "exchange.h"

#include "memory.h"

#include <sky/core/time.h>

enum {
  WIRE_MAX = 8 << 20,
  JSON_MAX = 32 << 20, /* JSON is larger than wire bytes */
  GRPC_PREFIX = 5,
};

static SkyStr str_of(ngx_str_t text) {
  return (SkyStr){(const char *)text.data, text.len};
}

static SkyStr request_header(ngx_http_request_t *r, const char *name) {
  const size_t size = ngx_strlen(name);
  ngx_list_part_t *part = &r->headers_in.headers.part;
  for (; part != NULL; part = part->next) {
    const ngx_table_elt_t *headers = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; i++) {
      if (headers[i].key.len == size && ngx_strncasecmp(headers[i].key.data, (u_char *)(uintptr_t)name, size) == 0)
        return str_of(headers[i].value);
    }
  }
  return (SkyStr){"", 0};
}

/* ---- life ---- */

static void release_peer(SkyExchange *exchange, ngx_uint_t state) {
  if (!exchange->has_peer)
    return;
  exchange->has_peer = false;
  ngx_peer_connection_t *peer = &exchange->r->upstream->peer;
  if (peer->free != NULL)
    peer->free(peer, peer->data, state);
}

static void cleanup(void *data) {
  SkyExchange *exchange = data;
  sky_backend_finish(&exchange->call);
  release_peer(exchange, 0);
  if (exchange->deadline.timer_set)
    ngx_del_timer(&exchange->deadline);
  if (exchange->heartbeat.timer_set)
    ngx_del_timer(&exchange->heartbeat);
  sky_status_free(exchange->answer_error);
  sky_memory_give_back_buf(&exchange->wire);
  sky_memory_give_back_buf(&exchange->json);
  sky_memory_give_back_arena(&exchange->arena);
}

static void begin_trace(SkyExchange *exchange) {
  SkyTrace incoming;
  const bool valid = sky_trace_parse(request_header(exchange->r, "traceparent"), &incoming);
  exchange->trace = sky_trace_child(valid ? &incoming : NULL);
  sky_trace_format(&exchange->trace, exchange->traceparent);
  ngx_memcpy(exchange->trace_id, exchange->traceparent + 3, 32); /* 00-<trace id>-… */
}

/*
 * nginx would hold If-Match against the answer, when the service has checked it and made the change. It is left to
 * answer 304 to those who read what they have.
 */
static bool is_conditional_read(const ngx_http_request_t *r) {
  return (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0 && r->headers_in.if_none_match != NULL &&
         r->headers_in.if_match == NULL;
}

static SkyExchange *exchange_create(ngx_http_request_t *r) {
  SkyExchange *exchange = ngx_pcalloc(r->pool, sizeof(*exchange));
  ngx_pool_cleanup_t *cleaner = ngx_pool_cleanup_add(r->pool, 0);
  if (exchange == NULL || cleaner == NULL)
    return NULL;
  exchange->r = r;
  exchange->main = ngx_http_get_module_main_conf(r, ngx_http_sky_module);
  exchange->location = ngx_http_get_module_loc_conf(r, ngx_http_sky_module);
  exchange->arena = sky_memory_take_arena();
  exchange->wire = sky_memory_take_buf(WIRE_MAX);
  exchange->json = sky_memory_take_buf(JSON_MAX);
  exchange->path = str_of(r->unparsed_uri);
  SkyStr rest = exchange->path, head;
  if (sky_str_cut(&rest, '?', &head))
    exchange->path = head;
  exchange->outcome = SKY_CODE_OK;
  begin_trace(exchange);
  r->disable_not_modified = !is_conditional_read(r);
  cleaner->handler = cleanup;
  cleaner->data = exchange;
  ngx_http_set_ctx(r, exchange, ngx_http_sky_module);
  return exchange;
}

void sky_exchange_finalize(SkyExchange *exchange, ngx_int_t rc) {
  ngx_connection_t *c = exchange->r->connection;
  ngx_http_finalize_request(exchange->r, rc);
  ngx_http_run_posted_requests(c);
}

static void end_with(SkyExchange *exchange, SkyStatus status) {
  sky_backend_cancel(&exchange->call);
  if (exchange->header_sent)
    sky_stream_end(exchange, status);
  else
    sky_exchange_finalize(exchange, sky_answer_problem(exchange, status));
}

/* ---- the call ---- */

static void on_deadline(ngx_event_t *event) {
  end_with(event->data,
           sky_status_with_reason(SKY_DEADLINE_EXCEEDED("the service did not answer in time"), "DEADLINE_EXCEEDED"));
}

static void try_peer(SkyExchange *exchange);

static void on_unary_message(SkyBackendCall *call, SkyStr message) {
  SkyExchange *exchange = call->user;
  exchange->answer_error =
      sky_transcode_response(exchange->main->contracts, &exchange->route, message.data, message.size, NULL,
                             &exchange->arena, &exchange->json, &exchange->answer);
}

static bool is_retried(SkyExchange *exchange) {
  SkyBackendCall *call = &exchange->call;
  if (!call->never_processed || exchange->tries_left == 0 || exchange->header_sent)
    return false;
  sky_backend_finish(call);
  return true;
}

static void on_done(SkyBackendCall *call) {
  SkyExchange *exchange = call->user;
  const bool unreachable = call->never_processed;
  release_peer(exchange, unreachable ? NGX_PEER_FAILED : 0);
  if (is_retried(exchange)) {
    try_peer(exchange);
    return;
  }
  if (exchange->deadline.timer_set)
    ngx_del_timer(&exchange->deadline);
  SkyStatus status = SKY_OK;
  if (call->grpc_status != SKY_CODE_OK)
    status = sky_status_from_grpc(call->grpc_status, call->grpc_message, call->status_details.data,
                                  call->status_details.size);
  if (call->is_stream) {
    sky_stream_end(exchange, status);
  } else if (status != SKY_OK) {
    sky_exchange_finalize(exchange, sky_answer_problem(exchange, status));
  } else if (exchange->answer_error != SKY_OK) {
    status = exchange->answer_error;
    exchange->answer_error = SKY_OK;
    sky_exchange_finalize(exchange, sky_answer_problem(exchange, status));
  } else {
    sky_exchange_finalize(exchange, sky_answer_unary(exchange));
  }
}

static void prepare_call(SkyExchange *exchange) {
  SkyBackendCall *call = &exchange->call;
  ngx_memzero(call, sizeof(*call));
  call->pool = exchange->r->pool;
  call->path = exchange->route.method->grpc_path;
  call->authority = str_of(exchange->upstream->host);
  call->request = sky_buf_str(&exchange->wire);
  call->metadata = exchange->metadata.elts;
  call->metadata_count = exchange->metadata.nelts;
  call->max_message_bytes = exchange->location->max_message_bytes;
  call->is_stream = exchange->route.method->server_streaming;
  call->on_message = call->is_stream ? sky_stream_message : on_unary_message;
  call->on_done = on_done;
  call->user = exchange;
  if (exchange->deadline_at != 0)
    call->timeout_ms = ngx_max((ngx_msec_int_t)(exchange->deadline_at - ngx_current_msec), 1);
}

static void try_peer(SkyExchange *exchange) {
  ngx_peer_connection_t *peer = &exchange->r->upstream->peer;
  while (exchange->tries_left > 0) {
    exchange->tries_left--;
    if (peer->get(peer, peer->data) != NGX_OK)
      break;
    exchange->has_peer = true;
    prepare_call(exchange);
    if (sky_backend_start(&exchange->call, peer->sockaddr, peer->socklen, peer->name))
      return;
    release_peer(exchange, NGX_PEER_FAILED);
  }
  end_with(exchange, sky_status_with_retry_after_ms(
                         sky_status_with_reason(SKY_UNAVAILABLE("the service is not reachable at the moment"),
                                                "SERVICE_UNAVAILABLE"),
                         1000));
}

static bool choose_upstream(SkyExchange *exchange) {
  size_t low = 0, high = exchange->main->route_count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const SkyGatewayRoute *route = &exchange->main->routes[middle];
    if (route->method == exchange->route.method) {
      exchange->upstream = route->upstream;
      return true;
    }
    if ((uintptr_t)route->method < (uintptr_t)exchange->route.method)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

/* The peer of nginx's upstream {} block is chosen as its own proxies do, which needs their structure in the request. */
static bool init_peer(SkyExchange *exchange) {
  ngx_http_request_t *r = exchange->r;
  if (!choose_upstream(exchange) || ngx_http_upstream_create(r) != NGX_OK)
    return false;
  ngx_http_upstream_t *u = r->upstream;
  static ngx_http_upstream_conf_t no_limits; /* peer.init reads next_upstream_tries */
  u->conf = &no_limits;
  u->peer.log = r->connection->log;
  u->peer.start_time = ngx_current_msec;
  u->upstream = exchange->upstream;
  if (exchange->upstream->peer.init(r, exchange->upstream) != NGX_OK)
    return false;
  exchange->tries_left = ngx_max(exchange->location->tries, 1);
  return true;
}

/* ---- the request ---- */

/* Deadline: the contract's; a caller may shorten it by grpc-timeout ("500m") or Request-Timeout (seconds). Streams have
 * only the caller's. */
static int64_t caller_timeout_ms(ngx_http_request_t *r) {
  SkyStr text = request_header(r, "request-timeout");
  double seconds;
  if (text.size > 0 && sky_str_to_double(text, &seconds) && seconds > 0 && seconds < 1e6)
    return (int64_t)(seconds * 1000) + 1;
  text = request_header(r, "grpc-timeout");
  int64_t number;
  if (text.size < 2 || text.size > 9 || !sky_str_to_int64((SkyStr){text.data, text.size - 1}, &number) || number <= 0)
    return 0;
  switch (text.data[text.size - 1]) {
  case 'H':
    return number * 3600000;
  case 'M':
    return number * 60000;
  case 'S':
    return number * 1000;
  case 'm':
    return number;
  case 'u':
    return number / 1000 + 1;
  case 'n':
    return number / 1000000 + 1;
  default:
    return 0;
  }
}

static void begin_deadline(SkyExchange *exchange) {
  int64_t timeout_ms = exchange->route.method->server_streaming ? 0 : exchange->route.method->deadline_ms;
  const int64_t asked_ms = caller_timeout_ms(exchange->r);
  if (asked_ms > 0 && (timeout_ms == 0 || asked_ms < timeout_ms))
    timeout_ms = asked_ms;
  if (timeout_ms == 0)
    return;
  exchange->deadline.handler = on_deadline;
  exchange->deadline.data = exchange;
  exchange->deadline.log = exchange->r->connection->log;
  exchange->deadline_at = ngx_current_msec + (ngx_msec_t)timeout_ms;
  ngx_add_timer(&exchange->deadline, (ngx_msec_t)timeout_ms);
}

/* False without memory. What is more than a call may carry is left out. */
static bool add_metadata(SkyExchange *exchange, SkyStr name, SkyStr value, bool is_unique) {
  if (exchange->metadata.nelts == SKY_BACKEND_MAX_METADATA)
    return true;
  SkyBackendHeader *header = ngx_array_push(&exchange->metadata);
  if (header == NULL)
    return false;
  *header = (SkyBackendHeader){name, value, is_unique};
  return true;
}

/* Names that the gateway itself speaks by: no client may forge them. */
static bool is_reserved(SkyStr name) {
  return name.size == 0 || sky_str_starts_with(name, SKY_STR("grpc-")) || sky_str_starts_with(name, SKY_STR("sky-")) ||
         sky_str_is(name, "traceparent") || sky_str_is(name, "te") || sky_str_is(name, "content-type") ||
         sky_str_is(name, "host") || sky_str_is(name, "connection") || sky_str_is(name, "user-agent") ||
         sky_str_is(name, "transfer-encoding") || sky_str_is(name, "content-length") ||
         sky_str_ends_with(name, SKY_STR("-bin"));
}

/* Grpc-Metadata-Name: value becomes the metadata name: value. nginx gives lower-case copies of names in lowcase_key. */
static bool collect_metadata(SkyExchange *exchange) {
  static const SkyStr prefix = {"grpc-metadata-", 14};
  if (ngx_array_init(&exchange->metadata, exchange->r->pool, 2, sizeof(SkyBackendHeader)) != NGX_OK ||
      !add_metadata(exchange, SKY_STR("traceparent"), sky_str(exchange->traceparent), true))
    return false;
  const SkyStr tracestate = request_header(exchange->r, "tracestate");
  if (tracestate.size > 0 && tracestate.size <= 512 && !add_metadata(exchange, SKY_STR("tracestate"), tracestate, true))
    return false;
  for (ngx_list_part_t *part = &exchange->r->headers_in.headers.part; part != NULL; part = part->next) {
    const ngx_table_elt_t *headers = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; i++) {
      SkyStr name = {(const char *)headers[i].lowcase_key, headers[i].key.len};
      if (headers[i].lowcase_key == NULL || !sky_str_starts_with(name, prefix))
        continue;
      name = (SkyStr){name.data + prefix.size, name.size - prefix.size};
      if (!is_reserved(name) && !add_metadata(exchange, name, str_of(headers[i].value), false))
        return false;
    }
  }
  return true;
}

/* The body in one piece. nginx has put what did not fit its buffer into a file. */
static bool collect_body(ngx_http_request_t *r, SkyBuf *body) {
  if (r->request_body == NULL)
    return true;
  for (ngx_chain_t *link = r->request_body->bufs; link != NULL; link = link->next) {
    ngx_buf_t *b = link->buf;
    if (!b->in_file) {
      sky_buf_append(body, b->pos, (size_t)(b->last - b->pos));
      continue;
    }
    const size_t size = (size_t)(b->file_last - b->file_pos);
    uint8_t *room = sky_buf_reserve(body, size);
    if (room == NULL || ngx_read_file(b->file, room, size, b->file_pos) != (ssize_t)size)
      return false;
    sky_buf_commit(body, size);
  }
  return !body->failed;
}

static void write_prefix(SkyBuf *wire, size_t at) {
  const size_t size = wire->size - at - GRPC_PREFIX;
  uint8_t *p = wire->data + at;
  p[0] = 0;
  p[1] = (uint8_t)(size >> 24);
  p[2] = (uint8_t)(size >> 16);
  p[3] = (uint8_t)(size >> 8);
  p[4] = (uint8_t)size;
}

static SkyStatus transcode_one(SkyExchange *exchange, SkyStr body) {
  static const uint8_t prefix[GRPC_PREFIX];
  const SkyHttpRequest request = {
      .query = str_of(exchange->r->args),
      .content_type = request_header(exchange->r, "content-type"),
      .body = body,
      .idempotency_key = request_header(exchange->r, "idempotency-key"),
      .if_match = request_header(exchange->r, "if-match"),
      .last_event_id = request_header(exchange->r, "last-event-id"),
  };
  sky_buf_append(&exchange->wire, prefix, sizeof(prefix));
  SKY_TRY(sky_transcode_request(exchange->main->contracts, &exchange->route, &request, NULL, &exchange->arena,
                                &exchange->wire));
  SKY_TRY(sky_buf_status(&exchange->wire));
  write_prefix(&exchange->wire, 0);
  return SKY_OK;
}

/* A client stream comes as one message per line, or as JSON that is its only message. */
static bool is_ndjson(ngx_http_request_t *r) {
  return sky_str_starts_with(request_header(r, "content-type"), SKY_STR("application/x-ndjson"));
}

static SkyStatus transcode_lines(SkyExchange *exchange, SkyStr body) {
  static const uint8_t prefix[GRPC_PREFIX];
  while (body.size > 0) {
    SkyStr line;
    if (!sky_str_cut(&body, '\n', &line)) {
      line = body;
      body.size = 0;
    }
    if (line.size > 0 && line.data[line.size - 1] == '\r')
      line.size--;
    if (line.size == 0)
      continue;
    const size_t at = exchange->wire.size;
    sky_buf_append(&exchange->wire, prefix, sizeof(prefix));
    SKY_TRY(sky_transcode_request_message(exchange->main->contracts, &exchange->route, line, NULL, &exchange->arena,
                                          &exchange->wire));
    SKY_TRY(sky_buf_status(&exchange->wire));
    write_prefix(&exchange->wire, at);
  }
  return SKY_OK;
}

static bool has_body(const ngx_http_request_t *r) {
  return r->headers_in.chunked || r->headers_in.content_length_n > 0;
}

/* Bodies are not unpacked. */
static SkyStatus check_encoding(ngx_http_request_t *r) {
  const SkyStr encoding = has_body(r) ? request_header(r, "content-encoding") : SKY_STR("");
  SkyStatus status = SKY_OK;
  if (encoding.size == 0 || sky_str_is(encoding, "identity"))
    return SKY_OK;
  if (!sky_answer_header(r, "Accept-Encoding", SKY_STR("identity")))
    return sky_status_no_memory();
  sky_violations_add(&status, "Content-Encoding", "is not supported: the body must be sent as it is");
  return sky_status_with_reason(status, SKY_REASON_MEDIA_TYPE);
}

static SkyStatus transcode(SkyExchange *exchange) {
  SKY_TRY(check_encoding(exchange->r));
  SkyBuf body = sky_memory_take_buf(WIRE_MAX);
  SkyStatus status = SKY_OK;
  if (!collect_body(exchange->r, &body))
    status = sky_status_with_reason(SKY_RESOURCE_EXHAUSTED("the request body is too large"), SKY_REASON_TOO_LARGE);
  else if (exchange->route.method->client_streaming && is_ndjson(exchange->r))
    status = transcode_lines(exchange, sky_buf_str(&body));
  else
    status = transcode_one(exchange, sky_buf_str(&body));
  sky_memory_give_back_buf(&body);
  return status;
}

static void body_ready(ngx_http_request_t *r) {
  SkyExchange *exchange = ngx_http_get_module_ctx(r, ngx_http_sky_module);
  SkyStatus status = transcode(exchange);
  if (status != SKY_OK) {
    ngx_http_finalize_request(r, sky_answer_problem(exchange, status));
    return;
  }
  if (!init_peer(exchange)) {
    ngx_http_finalize_request(
        r, sky_answer_problem(exchange, SKY_INTERNAL("no upstream for %s", exchange->route.method->grpc_path.data)));
    return;
  }
  r->read_event_handler = ngx_http_test_reading; /* sees a client that goes away */
  if (!collect_metadata(exchange)) {
    ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    return;
  }
  begin_deadline(exchange);
  try_peer(exchange);
}

ngx_int_t sky_exchange_handler(ngx_http_request_t *r) {
  SkyExchange *exchange = exchange_create(r);
  if (exchange == NULL)
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  SkyStatus status =
      sky_transcode_route(exchange->main->contracts, str_of(r->method_name), exchange->path, &exchange->route);
  if (status == SKY_OK && exchange->route.outcome == SKY_ROUTE_FOUND && exchange->route.method->client_streaming &&
      exchange->route.method->server_streaming)
    status = SKY_UNIMPLEMENTED("bidirectional streams are not offered over REST; use gRPC");
  if (status != SKY_OK || exchange->route.outcome != SKY_ROUTE_FOUND) {
    const ngx_int_t rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
      sky_status_free(status);
      return rc;
    }
    return status == SKY_OK ? sky_answer_options(exchange) : sky_answer_problem(exchange, status);
  }
  exchange->format = sky_stream_format(r);
  const ngx_int_t rc = ngx_http_read_client_request_body(r, body_ready);
  return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

/* nginx's own code for it would come here as 400; the configuration makes it this. */
enum { HEADERS_TOO_LARGE = 431 };

/* nginx itself refused the request: say so in the form of every other error. */
ngx_int_t sky_problem_handler(ngx_http_request_t *r) {
  SkyExchange *exchange = ngx_http_get_module_ctx(r, ngx_http_sky_module);
  if (exchange == NULL && (exchange = exchange_create(r)) == NULL)
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  SkyStatus status;
  switch (r->err_status) {
  case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
    status = sky_status_with_reason(SKY_RESOURCE_EXHAUSTED("the request body is too large"), SKY_REASON_TOO_LARGE);
    break;
  case NGX_HTTP_REQUEST_URI_TOO_LARGE:
    status = sky_status_with_reason(SKY_INVALID_ARGUMENT("the request's address is too long"), SKY_REASON_URI_TOO_LONG);
    break;
  case HEADERS_TOO_LARGE:
    status = sky_status_with_reason(SKY_INVALID_ARGUMENT("the request's headers are too large"),
                                    SKY_REASON_HEADERS_TOO_LARGE);
    break;
  case NGX_HTTP_NOT_FOUND:
    status = sky_status_with_reason(SKY_NOT_FOUND("there is nothing at this path"), SKY_REASON_NO_ROUTE);
    break;
  case NGX_HTTP_NOT_ALLOWED:
    status = sky_status_with_reason(SKY_UNIMPLEMENTED("this method is not allowed here"), SKY_REASON_NOT_ALLOWED);
    break;
  case NGX_HTTP_SERVICE_UNAVAILABLE:
  case NGX_HTTP_TOO_MANY_REQUESTS:
    status = sky_status_with_retry_after_ms(SKY_RESOURCE_EXHAUSTED("too many requests"), 1000);
    break;
  case NGX_HTTP_REQUEST_TIME_OUT:
    status = sky_status_with_reason(SKY_DEADLINE_EXCEEDED("the request did not arrive in time"), SKY_REASON_TIMEOUT);
    break;
  default:
    status = r->err_status >= 500 ? SKY_INTERNAL("the gateway failed")
                                  : SKY_INVALID_ARGUMENT("the request is not valid HTTP");
  }
  return sky_answer_problem(exchange, status);
}
