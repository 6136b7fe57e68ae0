/*
 * Http: requests to the gateway, on libcurl. Answers are bounded; every request has a deadline, streams end by
 * themselves or by Ctrl-C.
 *
 * One thread. A failure to reach the server is UNAVAILABLE; an answer of 400 or more becomes the status that its
 * problem+json describes.
 */
#pragma once

#include <sky/core/buf.h>
#include <sky/core/status.h>

typedef struct Http Http;

/* gateway: "http://127.0.0.1:8080" without a path. */
SKY_MUST_USE SkyStatus http_create(const char *gateway, int64_t timeout_ms, Http **ret);
void http_destroy(Http *http); /* NULL-safe */

typedef struct HttpAnswer {
  long status;
  SkyBuf body;
} HttpAnswer;
void http_answer_finish(HttpAnswer *answer);

/* method with a JSON body (NULL: none). On success the answer is the caller's to finish. */
SKY_MUST_USE SkyStatus http_request(Http *http, const char *method, const char *path, const char *body,
                                    HttpAnswer *ret);

/*
 * Server-sent events: calls on_event for each "data:" line's text; false ends the stream. timeout: that of connecting
 * only; UNAVAILABLE when the gateway, which speaks every 15 s, is silent for a minute.
 */
SKY_MUST_USE SkyStatus http_events(Http *http, const char *path,
                                   bool (*on_event)(void *user, const char *event, SkyStr data), void *user);

/*
 * Many POSTs at once. next fills in the next body and key until it returns false; done is called for each with its
 * answer or its error, which it owns. Requests that met a server that was away or busy are repeated with the same
 * Idempotency-Key for as long as the timeout allows.
 */
typedef struct HttpPost {
  const char *body;            /* lives until done */
  const char *idempotency_key; /* lives until done */
  void *user;
} HttpPost;
SKY_MUST_USE SkyStatus http_post_all(Http *http, const char *path, unsigned at_once,
                                     bool (*next)(void *user, HttpPost *ret),
                                     void (*done)(void *user, const HttpPost *post, SkyStatus status, SkyStr body),
                                     void *user);

/* Text as it stands in a path or query. In a static buffer of 512 bytes. */
const char *http_escaped(const char *text);
