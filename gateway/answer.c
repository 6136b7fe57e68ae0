#include "exchange.h"

static ngx_table_elt_t *add_header(ngx_http_request_t *r, const char *name, SkyStr value) {
  ngx_table_elt_t *header = ngx_list_push(&r->headers_out.headers);
  if (header == NULL)
    return NULL;
  ngx_memzero(header, sizeof(*header));
  header->hash = 1;
  header->key.data = (u_char *)(uintptr_t)name;
  header->key.len = ngx_strlen(name);
  header->value.data = (u_char *)(uintptr_t)value.data;
  header->value.len = value.size;
  return header;
}

bool sky_answer_header(ngx_http_request_t *r, const char *name, SkyStr value) {
  return add_header(r, name, value) != NULL;
}

/* The body stays in the exchange's buffer, which lives as long as the request. */
static ngx_int_t send_answer(SkyExchange *exchange, ngx_uint_t http_status, SkyStr content_type) {
  ngx_http_request_t *r = exchange->r;
  const SkyStr body = sky_buf_str(&exchange->json);
  r->headers_out.status = http_status;
  r->headers_out.content_length_n = (off_t)body.size;
  if (body.size > 0) {
    r->headers_out.content_type.data = (u_char *)(uintptr_t)content_type.data;
    r->headers_out.content_type.len = content_type.size;
    r->headers_out.content_type_len = content_type.size;
  } else if (http_status == NGX_HTTP_NO_CONTENT) {
    r->header_only = 1;
  }
  if (!sky_answer_header(r, "Traceparent", sky_str(exchange->traceparent)))
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  const ngx_int_t rc = ngx_http_send_header(r);
  if (rc == NGX_ERROR || rc > NGX_OK || r->header_only)
    return rc;
  ngx_buf_t *b = ngx_calloc_buf(r->pool);
  if (b == NULL)
    return NGX_ERROR;
  b->pos = b->start = (u_char *)(uintptr_t)body.data;
  b->last = b->end = b->pos + body.size;
  b->memory = body.size > 0;
  b->last_buf = r == r->main;
  b->last_in_chain = 1;
  ngx_chain_t out = {.buf = b};
  return ngx_http_output_filter(r, &out);
}

ngx_int_t sky_answer_unary(SkyExchange *exchange) {
  ngx_http_request_t *r = exchange->r;
  const SkyHttpAnswer *answer = &exchange->answer;
  if (answer->location.size > 0 && !sky_answer_header(r, "Location", answer->location))
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  if (answer->etag.size > 0 && (r->headers_out.etag = add_header(r, "ETag", answer->etag)) == NULL)
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  return send_answer(exchange, answer->status, answer->content_type);
}

ngx_int_t sky_answer_options(SkyExchange *exchange) {
  if (!sky_answer_header(exchange->r, "Allow", sky_str(exchange->route.allow)))
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  return send_answer(exchange, NGX_HTTP_NO_CONTENT, SKY_STR(""));
}

static bool add_problem_headers(SkyExchange *exchange, const SkyError *status) {
  ngx_http_request_t *r = exchange->r;
  if (exchange->route.outcome == SKY_ROUTE_NOT_ALLOWED &&
      !sky_answer_header(r, "Allow", sky_str(exchange->route.allow)))
    return false;
  const uint32_t retry_after_s = sky_problem_retry_after_s(status);
  if (retry_after_s == 0)
    return true;
  u_char *text = ngx_pnalloc(r->pool, NGX_INT32_LEN);
  if (text == NULL)
    return false;
  const u_char *end = ngx_sprintf(text, "%uD", retry_after_s);
  return sky_answer_header(r, "Retry-After", (SkyStr){(const char *)text, (size_t)(end - text)});
}

ngx_int_t sky_answer_problem(SkyExchange *exchange, SkyStatus status) {
  const SkyProblemContext context = {
      .instance = exchange->path,
      .trace_id = sky_str(exchange->trace_id),
      .route = exchange->route.method == NULL ? NULL : &exchange->route,
  };
  exchange->outcome = sky_status_code(status);
  if (exchange->outcome == SKY_CODE_INTERNAL || exchange->outcome == SKY_CODE_UNKNOWN ||
      exchange->outcome == SKY_CODE_DATA_LOSS)
    ngx_log_error(NGX_LOG_ERR, exchange->r->connection->log, 0, "trace %s: %s", exchange->trace_id,
                  sky_status_message(status));
  sky_buf_clear(&exchange->json);
  sky_problem_write(status, &context, &exchange->json);
  const ngx_uint_t http_status = sky_problem_http_status(status);
  const bool has_headers = add_problem_headers(exchange, status);
  sky_status_free(status);
  if (!has_headers)
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  exchange->r->err_status = 0; /* inside an error_page nginx would put its own status in place of this one */
  return send_answer(exchange, http_status, SKY_STR(SKY_PROBLEM_CONTENT_TYPE));
}
