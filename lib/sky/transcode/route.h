/*
 * Route: which method a request line means, by all google.api.http rules of the contracts.
 *
 * Rules (google/api/http.proto): a literal goes before `*`, which goes before `**`, segment by segment, with
 * backtracking; `*` takes one segment that is not empty, `**` any number. A verb (`:cancel`) that some route has is
 * never part of a variable: GET /jobs/7:cancel is 405 when only POST has the verb. "%2F" inside a segment does not
 * separate; a dot segment
 * (".", "..", also percent-encoded) is refused, for what stands before us may have resolved it otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sky/core/str.h>
#include <sky/transcode/contracts.h>

enum { SKY_ROUTE_MAX_VARIABLES = 16, SKY_ROUTE_MAX_SEGMENTS = 64, SKY_ROUTE_ALLOW_SIZE = 128 };

typedef enum SkyRouteOutcome {
  SKY_ROUTE_FOUND,
  SKY_ROUTE_NOT_FOUND,   /* 404 */
  SKY_ROUTE_NOT_ALLOWED, /* 405; allow says what is */
  SKY_ROUTE_OPTIONS,     /* OPTIONS on a path that has no rule for it: 204 with allow */
  SKY_ROUTE_BAD_PATH,    /* 400: percent-encoding that is none, a dot segment, more than SKY_ROUTE_MAX_SEGMENTS */
} SkyRouteOutcome;

typedef struct SkyRoute {
  SkyRouteOutcome outcome;
  const SkyMethod *method;   /* when found */
  const SkyBinding *binding; /* when found */
  bool head;                 /* HEAD answered by a GET rule: send no body */
  /* Text of each path variable as it stood in the path, still percent-encoded. Views into the path. */
  SkyStr values[SKY_ROUTE_MAX_VARIABLES];
  size_t value_count;
  char allow[SKY_ROUTE_ALLOW_SIZE]; /* "GET, HEAD, OPTIONS": value of the Allow header; "" when not found */
} SkyRoute;

/*
 * Fills *ret, which borrows path. path is the raw path of the request: still percent-encoded, without query. Allocates
 * nothing. SKY_OK and FOUND for a route; otherwise an error that is ready for sky_problem_write() (reasons in
 * problem.h) with *ret telling the outcome; OPTIONS is not an error.
 */
SKY_MUST_USE SkyStatus sky_transcode_route(const SkyContracts *contracts, SkyStr http_method, SkyStr path,
                                           SkyRoute *ret);
