/*
 * Problem: a failed call as application/problem+json (RFC 9457) with its HTTP status.
 *
 * {"type":"about:blank","title":"Bad
 * Request","status":400,"detail":"…","instance":"/api/v1/…","code":"INVALID_ARGUMENT",
 *  "reason":"…","violations":[{"field":"pickupLocation.latitude","description":"…"}],"traceId":"…"}
 *
 * Nothing internal gets out: messages of UNKNOWN, INTERNAL and DATA_LOSS are replaced, and so are those of UNAVAILABLE,
 * DEADLINE_EXCEEDED and CANCELLED unless the error carries a reason, which tells that a service wrote it for its
 * readers (transports put addresses there).
 */
#pragma once

#include <stdint.h>

#include <sky/core/buf.h>
#include <sky/core/status.h>
#include <sky/core/str.h>
#include <sky/transcode/route.h>

#define SKY_PROBLEM_CONTENT_TYPE "application/problem+json"

/* Reasons (google.rpc.ErrorInfo.reason) with an HTTP status of their own; a service may use them too. */
#define SKY_REASON_NO_ROUTE "ROUTE_NOT_FOUND"            /* 404 */
#define SKY_REASON_NOT_ALLOWED "METHOD_NOT_ALLOWED"      /* 405 */
#define SKY_REASON_NOT_ACCEPTABLE "NOT_ACCEPTABLE"       /* 406 */
#define SKY_REASON_TIMEOUT "REQUEST_TIMEOUT"             /* 408 */
#define SKY_REASON_GONE "GONE"                           /* 410 */
#define SKY_REASON_ETAG "ETAG_MISMATCH"                  /* 412 */
#define SKY_REASON_TOO_LARGE "REQUEST_TOO_LARGE"         /* 413 */
#define SKY_REASON_URI_TOO_LONG "URI_TOO_LONG"           /* 414 */
#define SKY_REASON_MEDIA_TYPE "UNSUPPORTED_MEDIA_TYPE"   /* 415 */
#define SKY_REASON_PRECONDITION "PRECONDITION_REQUIRED"  /* 428 */
#define SKY_REASON_HEADERS_TOO_LARGE "HEADERS_TOO_LARGE" /* 431 */

/*
 * 200 for SKY_OK. By reason as above, otherwise by code as google/rpc/code.proto says, with one difference:
 * FAILED_PRECONDITION is 409, not 400, because the state of the resource is in the way, not the form of the request.
 */
uint32_t sky_problem_http_status(const SkyError *status);
/* "Not Found"; "" for a status that is not a known one. */
const char *sky_http_status_title(uint32_t http_status);
/* Seconds for the Retry-After header, at least 1, from RetryInfo; 503 and 429 without it get 1. 0: send no header. */
uint32_t sky_problem_retry_after_s(const SkyError *status);

typedef struct SkyProblemContext {
  SkyStr instance;  /* the request's path; may be empty */
  SkyStr trace_id;  /* 32 hexadecimal digits; may be empty */
  SkyStr type_base; /* reasons are appended to it to give "type"; empty: "about:blank" */
  /* Violations of a backend name proto fields; by the route they become names of the JSON body. NULL: left as they are.
   */
  const SkyRoute *route;
} SkyProblemContext;

/* Appends the body; the status stays the caller's. context may be NULL. */
void sky_problem_write(const SkyError *status, const SkyProblemContext *context, SkyBuf *ret_body);

/*
 * A failed gRPC call as a status: grpc-status, grpc-message (still percent-encoded, as on the wire) and the decoded
 * bytes of grpc-status-details-bin (google.rpc.Status; may be empty). Details of unknown types are skipped, malformed
 * ones too: the code and the message always come through. A code that is no gRPC code becomes UNKNOWN; 0 is UNKNOWN as
 * well, for this is a failure.
 */
SKY_MUST_USE SkyStatus sky_status_from_grpc(int grpc_code, SkyStr grpc_message, const void *details,
                                            size_t details_size);
