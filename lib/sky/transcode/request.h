/*
 * Request: an HTTP request that has a route becomes the wire bytes of its gRPC request.
 *
 * By the rule of the route and the contract's options: headers, path variables, then body ("*": the whole request; a
 * field; none), then query for what is left. Nothing overrides a path variable: a body or query that gives it another
 * value, or another member of its oneof, is refused; the same value again is accepted, so that what was read by GET can
 * be sent back by PUT. A field that a header fills cannot be given in any other way.
 *
 * PATCH: when the request has a `google.protobuf.FieldMask update_mask` and the client gave none, it becomes the fields
 * that the body names (null clears), down to the leaves; repeated fields, maps and well-known types are leaves.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/status.h>
#include <sky/core/str.h>
#include <sky/transcode/json.h>
#include <sky/transcode/route.h>

typedef struct SkyHttpRequest {
  SkyStr query;        /* raw, without "?" */
  SkyStr content_type; /* value of the header; empty: none was sent, which means application/json */
  SkyStr body;
  /* Values of headers that the contract may take into fields (sky.options.v1.HttpOptions); empty: not sent. */
  SkyStr idempotency_key; /* Idempotency-Key; the quotes of a structured field's string are taken off */
  SkyStr if_match;        /* If-Match: one entity tag or "*" */
  SkyStr last_event_id;   /* Last-Event-ID */
} SkyHttpRequest;

/* All zero: strict with default limits. */
typedef struct SkyRequestOptions {
  SkyJsonReadOptions json;
  size_t max_body_bytes; /* 0: 1 MiB */
  bool ignore_unknown_query;
  bool ignore_unexpected_body; /* a body where the rule has none is dropped instead of refused */
} SkyRequestOptions;

/*
 * Appends the wire bytes of the request message to ret_wire (so the caller may put a frame header before them). Bodies:
 * application/json (and any +json), application/x-www-form-urlencoded as if in the query, and anything for a
 * google.api.HttpBody. All violations are collected in one INVALID_ARGUMENT. Reasons of problem.h:
 * SKY_REASON_MEDIA_TYPE, SKY_REASON_TOO_LARGE. On failure the buffer is as it was. options may be NULL.
 */
SKY_MUST_USE SkyStatus sky_transcode_request(const SkyContracts *contracts, const SkyRoute *route,
                                             const SkyHttpRequest *request, const SkyRequestOptions *options,
                                             SkyArena *arena, SkyBuf *ret_wire);

/*
 * One message of a client stream (a line of newline-delimited JSON) to wire bytes, with the route's path variables in
 * each and the query in none. The same rules and errors.
 */
SKY_MUST_USE SkyStatus sky_transcode_request_message(const SkyContracts *contracts, const SkyRoute *route, SkyStr json,
                                                     const SkyRequestOptions *options, SkyArena *arena,
                                                     SkyBuf *ret_wire);
