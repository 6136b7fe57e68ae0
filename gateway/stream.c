/* Server streams: as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) or
 * newline-delimited JSON. */
#include "exchange.h"

enum { BUFFER_BYTES = 16 * 1024 }; /* larger than a pool's block, so that a buffer that is outgrown can be given back */

SkyStreamFormat sky_stream_format(ngx_http_request_t *r) {
  for (ngx_list_part_t *part = &r->headers_in.headers.part; part != NULL; part = part->next) {
    const ngx_table_elt_t *headers = part->elts;
    for (ngx_uint_t i = 0; i < part->nelts; i++) {
      if (headers[i].key.len != 6 || ngx_strncasecmp(headers[i].key.data, (u_char *)"accept", 6) != 0)
        continue;
      u_char *value = headers[i].value.data;
      const size_t size = headers[i].value.len;
      if (ngx_strlcasestrn(value, value + size, (u_char *)"text/event-stream", 16) != NULL)
        return SKY_FORMAT_SSE;
      if (ngx_strlcasestrn(value, value + size, (u_char *)"application/x-ndjson", 19) != NULL ||
          ngx_strlcasestrn(value, value + size, (u_char *)"application/json", 15) != NULL)
        return SKY_FORMAT_NDJSON;
    }
  }
  return SKY_FORMAT_SSE;
}

/* ---- to the client ---- */

static void fail(SkyExchange *exchange, ngx_int_t rc) {
  sky_backend_cancel(&exchange->call);
  sky_exchange_finalize(exchange, rc);
}

/* False when the exchange is gone. */
static bool after_output(SkyExchange *exchange, ngx_chain_t *out) {
  ngx_http_request_t *r = exchange->r;
  ngx_chain_update_chains(r->pool, &exchange->free, &exchange->busy, &out, (ngx_buf_tag_t)&ngx_http_sky_module);
  ngx_event_t *write = r->connection->write;
  if (exchange->busy == NULL) {
    if (write->timer_set)
      ngx_del_timer(write);
    sky_backend_resume(&exchange->call);
    return true;
  }
  /* The client is slower than the service: take no more until it has caught up. */
  sky_backend_pause(&exchange->call);
  const ngx_http_core_loc_conf_t *core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
  if (!write->timer_set)
    ngx_add_timer(write, core->send_timeout);
  if (ngx_handle_write_event(write, core->send_lowat) == NGX_OK)
    return true;
  fail(exchange, NGX_ERROR);
  return false;
}

static void on_client_writable(ngx_http_request_t *r) {
  SkyExchange *exchange = ngx_http_get_module_ctx(r, ngx_http_sky_module);
  if (r->connection->write->timedout) {
    r->connection->timedout = 1;
    fail(exchange, NGX_HTTP_REQUEST_TIME_OUT);
    return;
  }
  if (exchange->busy == NULL)
    return;
  if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
    fail(exchange, NGX_ERROR);
    return;
  }
  after_output(exchange, NULL);
}

static ngx_chain_t *buffer_for(SkyExchange *exchange, size_t size) {
  ngx_pool_t *pool = exchange->r->pool;
  ngx_chain_t *link = ngx_chain_get_free_buf(pool, &exchange->free);
  if (link == NULL)
    return NULL;
  ngx_buf_t *b = link->buf;
  if (b->start == NULL || (size_t)(b->end - b->start) < size) {
    if (b->start != NULL)
      ngx_pfree(pool, b->start);
    const size_t capacity = ngx_max(size, BUFFER_BYTES);
    u_char *memory = ngx_palloc(pool, capacity);
    if (memory == NULL)
      return NULL;
    ngx_memzero(b, sizeof(*b));
    b->start = memory;
    b->end = memory + capacity;
    b->temporary = 1;
    b->tag = (ngx_buf_tag_t)&ngx_http_sky_module;
  }
  b->pos = b->last = b->start;
  b->flush = 1;
  link->next = NULL;
  return link;
}

static bool send_header(SkyExchange *exchange) {
  ngx_http_request_t *r = exchange->r;
  if (exchange->header_sent)
    return true;
  exchange->header_sent = true;
  const SkyStr type =
      exchange->format == SKY_FORMAT_SSE ? SKY_STR("text/event-stream") : SKY_STR("application/x-ndjson");
  r->headers_out.status = NGX_HTTP_OK;
  r->headers_out.content_type.data = (u_char *)(uintptr_t)type.data;
  r->headers_out.content_type.len = r->headers_out.content_type_len = type.size;
  ngx_http_clear_content_length(r);
  r->write_event_handler = on_client_writable;
  if (!sky_answer_header(r, "Cache-Control", SKY_STR("no-store")) ||
      !sky_answer_header(r, "Traceparent", sky_str(exchange->traceparent)))
    return false;
  const ngx_int_t rc = ngx_http_send_header(r);
  return rc != NGX_ERROR && rc <= NGX_OK;
}

static void on_heartbeat(ngx_event_t *event);

static void arm_heartbeat(SkyExchange *exchange) {
  ngx_event_t *heartbeat = &exchange->heartbeat;
  heartbeat->handler = on_heartbeat;
  heartbeat->data = exchange;
  heartbeat->log = exchange->r->connection->log;
  ngx_add_timer(heartbeat, exchange->location->heartbeat);
}

/* Sends the text in exchange->json. False when the client could not be written to: the exchange is then gone. */
static bool send_text(SkyExchange *exchange) {
  const SkyStr text = sky_buf_str(&exchange->json);
  ngx_chain_t *out = exchange->json.failed ? NULL : buffer_for(exchange, text.size);
  if (out == NULL || !send_header(exchange)) {
    fail(exchange, NGX_ERROR);
    return false;
  }
  out->buf->last = ngx_cpymem(out->buf->last, text.data, text.size);
  if (ngx_http_output_filter(exchange->r, out) == NGX_ERROR) {
    fail(exchange, NGX_ERROR);
    return false;
  }
  return after_output(exchange, out);
}

/* A comment line: keeps proxies from cutting a quiet stream, and finds clients that are gone. */
static void on_heartbeat(ngx_event_t *event) {
  SkyExchange *exchange = event->data;
  arm_heartbeat(exchange);
  sky_buf_clear(&exchange->json);
  sky_buf_append_text(&exchange->json, exchange->format == SKY_FORMAT_SSE ? ": keep-alive\n\n" : "\n");
  send_text(exchange);
}

/* ---- from the service ---- */

static SkyStatus write_message(SkyExchange *exchange, SkyStr message) {
  SkyBuf *json = &exchange->json;
  SkyStr id;
  sky_buf_clear(json);
  sky_arena_reset(&exchange->arena);
  if (exchange->format == SKY_FORMAT_SSE)
    sky_buf_append_text(json, "data: ");
  SKY_TRY(sky_transcode_response_message(exchange->main->contracts, &exchange->route, message.data, message.size, NULL,
                                         &exchange->arena, json, &id));
  sky_buf_append_text(json, "\n");
  if (exchange->format == SKY_FORMAT_SSE) {
    if (id.size > 0) {
      sky_buf_append_text(json, "id: ");
      sky_buf_append_str(json, id);
      sky_buf_append_text(json, "\n");
    }
    sky_buf_append_text(json, "\n");
  }
  return SKY_OK;
}

void sky_stream_message(SkyBackendCall *call, SkyStr message) {
  SkyExchange *exchange = call->user;
  SkyStatus status = write_message(exchange, message);
  if (status != SKY_OK) {
    sky_backend_cancel(call);
    sky_stream_end(exchange, status);
    return;
  }
  if (!exchange->heartbeat.timer_set)
    arm_heartbeat(exchange);
  send_text(exchange);
}

/* The last record says how the stream ended, for a status line that was sent cannot be taken back. */
static void write_end(SkyExchange *exchange, const SkyError *status) {
  SkyBuf *json = &exchange->json;
  const bool sse = exchange->format == SKY_FORMAT_SSE;
  const SkyProblemContext context = {.instance = exchange->path, .trace_id = sky_str(exchange->trace_id)};
  sky_buf_clear(json);
  if (status == SKY_OK) {
    if (sse)
      sky_buf_append_text(json, "event: end\ndata: {}\n\n");
    return;
  }
  sky_buf_append_text(json, sse ? "event: error\ndata: " : "{\"error\":");
  sky_problem_write(status, &context, json);
  sky_buf_append_text(json, sse ? "\n\n" : "}\n");
}

/* Lines that ended well have no last record. False when the exchange is gone. */
static bool send_last(SkyExchange *exchange) {
  if (exchange->json.size > 0 || exchange->json.failed)
    return send_text(exchange);
  if (send_header(exchange))
    return true;
  fail(exchange, NGX_ERROR);
  return false;
}

void sky_stream_end(SkyExchange *exchange, SkyStatus status) {
  if (exchange->heartbeat.timer_set)
    ngx_del_timer(&exchange->heartbeat);
  if (status != SKY_OK && !exchange->header_sent) {
    sky_exchange_finalize(exchange, sky_answer_problem(exchange, status));
    return;
  }
  exchange->outcome = sky_status_code(status);
  write_end(exchange, status);
  sky_status_free(status);
  if (!send_last(exchange))
    return;
  sky_exchange_finalize(exchange, ngx_http_send_special(exchange->r, NGX_HTTP_LAST));
}
