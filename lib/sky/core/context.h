/*
 * Context: what travels with a piece of work: deadline, cancellation, trace, principal.
 *
 * A plain value, copied freely; what it points to must outlive the copies (a call's context lives as long as the call).
 * Every operation that may block takes one and gives up at its deadline or cancellation. A child call inherits all of
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/str.h>
#include <sky/core/time.h>

/* W3C Trace Context, https://www.w3.org/TR/trace-context/ */
typedef struct SkyTrace {
  uint8_t trace_id[16]; /* all zero: no trace */
  uint8_t span_id[8];
  uint8_t flags; /* bit 0: sampled */
} SkyTrace;

enum { SKY_TRACEPARENT_SIZE = 56 }; /* "00-…-…-01" with the NUL */
bool sky_trace_is_valid(const SkyTrace *trace);
bool sky_trace_parse(SkyStr traceparent, SkyTrace *ret);
void sky_trace_format(const SkyTrace *trace, char text[SKY_TRACEPARENT_SIZE]);
/* A new root (sampled) when parent is NULL or invalid; otherwise the same trace with a new span id. */
SkyTrace sky_trace_child(const SkyTrace *parent);

/* Who the work is done for. Strings are borrowed. */
typedef struct SkyPrincipal {
  const char *subject;  /* "" when unknown */
  const char *owner_id; /* the account acted for */
  const char *scopes;   /* space-separated */
} SkyPrincipal;

/* Cancellation: a flag with listeners. Reference-counted, thread-safe. */
typedef struct SkyCancel SkyCancel;
SkyCancel *sky_cancel_create(void); /* NULL without memory */
SkyCancel *sky_cancel_ref(SkyCancel *cancel);
void sky_cancel_unref(SkyCancel *cancel);
void sky_cancel_trigger(SkyCancel *cancel); /* runs the listeners once, on this thread */
bool sky_cancel_is_set(const SkyCancel *cancel);
/*
 * A listener in the caller's memory; runs at once, on the caller's thread, when already cancelled. remove() returns
 * after a running listener has ended, except inside the listener itself; it may be called after the listener has run.
 * Without a cancel (NULL) both do nothing.
 */
typedef struct SkyCancelListener {
  void (*cancelled)(void *user);
  void *user;
  struct SkyCancelListener *next, *previous;
} SkyCancelListener;
void sky_cancel_add(SkyCancel *cancel, SkyCancelListener *listener);
void sky_cancel_remove(SkyCancel *cancel, SkyCancelListener *listener);

#define SKY_NO_DEADLINE INT64_MAX

struct SkyCallOptions; /* sky/rpc/client.h */

typedef struct SkyContext {
  int64_t deadline_ns; /* monotonic; SKY_NO_DEADLINE: none */
  SkyTrace trace;
  const SkyPrincipal *principal;             /* may be NULL */
  SkyCancel *cancel;                         /* may be NULL; borrowed */
  const struct SkyCallOptions *call_options; /* of the one call that is made with this value; NULL. Not inherited */
} SkyContext;

/* No deadline, a new trace, nobody's work: where a process starts something by itself. */
SkyContext sky_context_background(void);
/* The same with a deadline of at most timeout_ms from now; an earlier one stays. */
SkyContext sky_context_with_timeout_ms(const SkyContext *parent, int64_t timeout_ms);
/* A child span of the same work. */
SkyContext sky_context_child(const SkyContext *parent);
/* Milliseconds left, rounded up; 0 when over, INT64_MAX without deadline. */
int64_t sky_context_remaining_ms(const SkyContext *context);
/* SKY_OK, CANCELLED or DEADLINE_EXCEEDED: asked before work is begun. */
SKY_MUST_USE SkyStatus sky_context_check(const SkyContext *context);
