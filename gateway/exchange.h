/*
 * Exchange: one HTTP request on its way through the gateway: route, body, gRPC call, answer.
 *
 * Lives in the request's pool and ends with it, so a client that goes away cancels the call. Single-threaded, as
 * nginx's workers are.
 */
#pragma once

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "backend.h"

#include <sky/core/context.h>
#include <sky/transcode/contracts.h>
#include <sky/transcode/problem.h>
#include <sky/transcode/request.h>
#include <sky/transcode/response.h>
#include <sky/transcode/route.h>

extern ngx_module_t ngx_http_sky_module;

typedef struct SkyGatewayService {
  SkyStr name; /* "fabrikam.delivery.v1.DeliveryService", or a prefix that ended in "*" */
  bool is_prefix;
  ngx_http_upstream_srv_conf_t *upstream;
} SkyGatewayService;

typedef struct SkyGatewayRoute {
  const SkyMethod *method;
  ngx_http_upstream_srv_conf_t *upstream;
} SkyGatewayRoute;

typedef struct SkyGatewayMain {
  SkyContracts *contracts;
  ngx_str_t contracts_file;
  ngx_array_t services;    /* SkyGatewayService */
  SkyGatewayRoute *routes; /* every public method, sorted by address */
  size_t route_count;
} SkyGatewayMain;

typedef struct SkyGatewayLocation {
  size_t max_message_bytes;
  ngx_msec_t heartbeat;
  ngx_uint_t tries;
} SkyGatewayLocation;

typedef enum SkyStreamFormat { SKY_FORMAT_SSE, SKY_FORMAT_NDJSON } SkyStreamFormat;

typedef struct SkyExchange {
  ngx_http_request_t *r;
  const SkyGatewayMain *main;
  const SkyGatewayLocation *location;
  SkyStr path;
  SkyRoute route;
  SkyTrace trace;
  char traceparent[SKY_TRACEPARENT_SIZE];
  char trace_id[33];
  SkyArena arena;
  SkyBuf wire;          /* the request's gRPC frames */
  ngx_array_t metadata; /* SkyBackendHeader, for the call */
  SkyBuf json;          /* the answer's body, or one message of a stream */
  SkyBackendCall call;
  ngx_http_upstream_srv_conf_t *upstream;
  bool has_peer;
  ngx_uint_t tries_left;
  ngx_msec_t deadline_at; /* ngx_current_msec, 0: none */
  ngx_event_t deadline;
  SkyHttpAnswer answer;
  SkyStatus answer_error; /* a backend's message that cannot be transcoded */
  SkyCode outcome;        /* for the log */

  /* Streams. */
  SkyStreamFormat format;
  ngx_event_t heartbeat;
  ngx_chain_t *free, *busy;
  bool header_sent;
} SkyExchange;

/* Content handler of a location with sky_pass. */
ngx_int_t sky_exchange_handler(ngx_http_request_t *r);
/* Content handler of a location with sky_problem: nginx's own errors (413, 414, 400 …) as problem+json. */
ngx_int_t sky_problem_handler(ngx_http_request_t *r);

/* answer.c: the whole answer of a unary call or of an error; the result is for ngx_http_finalize_request(). Takes the
 * status. */
ngx_int_t sky_answer_unary(SkyExchange *exchange);
ngx_int_t sky_answer_problem(SkyExchange *exchange, SkyStatus status);
ngx_int_t sky_answer_options(SkyExchange *exchange);
bool sky_answer_header(ngx_http_request_t *r, const char *name, SkyStr value);

/* stream.c */
SkyStreamFormat sky_stream_format(ngx_http_request_t *r);
void sky_stream_message(SkyBackendCall *call, SkyStr message);
/* The stream has ended with this status, which it takes. */
void sky_stream_end(SkyExchange *exchange, SkyStatus status);

/* exchange.c: finalizes and goes on with what the request held up; the exchange may be gone afterwards. */
void sky_exchange_finalize(SkyExchange *exchange, ngx_int_t rc);
