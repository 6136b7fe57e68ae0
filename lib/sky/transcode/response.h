/*
 * Response: the wire bytes of a gRPC answer become status, Location and body of an HTTP answer, by the contract's
 * options (sky.options.v1.HttpOptions) and the route's response_body.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/status.h>
#include <sky/core/str.h>
#include <sky/transcode/json.h>
#include <sky/transcode/route.h>

typedef struct SkyHttpAnswer {
  uint32_t status;     /* the contract's; 201 when created_field is true; 200 otherwise */
  bool created;        /* created_field was true */
  bool has_body;       /* false for 204 */
  SkyStr content_type; /* "application/json", or what a google.api.HttpBody says; in the arena or static */
  SkyStr location;     /* value of the Location header, in the arena; empty: send none */
  SkyStr etag;         /* value of the ETag header with its quotes, in the arena; empty: send none */
} SkyHttpAnswer;

/*
 * The answer of a unary call. Appends the body to ret_body (nothing when the status is 204). Location is expanded from
 * the response, each value percent-encoded; it is left out when a field it needs is empty, or when the contract has a
 * created_field and it is false. created_field is not written. INTERNAL when the backend's bytes are no valid response:
 * never the client's fault. options may be NULL: SkyJsonWriteOptions of zero with lenient_any.
 */
SKY_MUST_USE SkyStatus sky_transcode_response(const SkyContracts *contracts, const SkyRoute *route, const void *wire,
                                              size_t size, const SkyJsonWriteOptions *options, SkyArena *arena,
                                              SkyBuf *ret_body, SkyHttpAnswer *ret_answer);

/*
 * One message of a server stream, as one line of JSON without its newline (so it also fits a server-sent event's data).
 * response_body is honoured. *ret_event_id (may be NULL) gets the id for the server-sent event, a view into wire;
 * empty: none.
 */
SKY_MUST_USE SkyStatus sky_transcode_response_message(const SkyContracts *contracts, const SkyRoute *route,
                                                      const void *wire, size_t size, const SkyJsonWriteOptions *options,
                                                      SkyArena *arena, SkyBuf *ret_json, SkyStr *ret_event_id);
