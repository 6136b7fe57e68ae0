/*
 * Tracing: a span for every call, given to a function of yours, which exports it. The trace itself travels without
 * this: contexts carry it and the runtime sends it as traceparent.
 */
#pragma once

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

typedef struct SkyRpcSpan {
  const SkyTrace *trace;         /* ids of trace and span */
  const uint8_t *parent_span_id; /* 8 bytes; NULL for the first span of a trace */
  const SkyMethodDescriptor *method;
  bool is_client;
  int64_t begun_unix_ns;
  int64_t duration_ns;
  const SkyError *status;
} SkyRpcSpan;

/* The caller's memory; must outlive the servers and clients that use it. */
typedef struct SkyRpcTracing {
  /* Runs when a call ends, on the thread that ends it; must not block. What the span points to is borrowed. */
  void (*export_span)(void *user, const SkyRpcSpan *span);
  void *user;
} SkyRpcTracing;

/* For sky_server_intercept() and sky_client_intercept(). */
SkyServerInterceptor sky_rpc_tracing_server(const SkyRpcTracing *tracing);
SkyClientInterceptor sky_rpc_tracing_client(const SkyRpcTracing *tracing);
