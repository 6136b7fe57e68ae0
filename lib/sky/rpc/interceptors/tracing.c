#include "tracing.h"

#include <sky/rpc/interceptors/duration.h>
#include <sky/rpc/metadata.h>

static void export_span(const SkyRpcTracing *tracing, SkyRpcSpan span) {
  span.begun_unix_ns = sky_clock_wall_ns(sky_clock_system_borrow()) - span.duration_ns;
  tracing->export_span(tracing->user, &span);
}

static SkyStatus begin_served(void *self, SkyCall *call, const ProtobufCMessage *request) {
  sky_duration_begin(sky_call_own_slot(call));
  return SKY_OK;
}

static void end_served(void *self, SkyCall *call, SkyStatus *status) {
  SkyStr text;
  SkyTrace parent;
  const bool has_parent = sky_call_metadata(call, SKY_METADATA_TRACEPARENT, &text) && sky_trace_parse(text, &parent);
  export_span(self, (SkyRpcSpan){.trace = &sky_call_context(call)->trace,
                                 .parent_span_id = has_parent ? parent.span_id : NULL,
                                 .method = sky_call_method(call),
                                 .duration_ns = sky_duration_ns(sky_call_own_slot(call)),
                                 .status = *status});
}

static SkyStatus begin_made(void *self, SkyClientCall *call) {
  sky_duration_begin(sky_client_call_own_slot(call));
  return SKY_OK;
}

static void end_made(void *self, SkyClientCall *call, const SkyError *status) {
  export_span(self, (SkyRpcSpan){.trace = &sky_client_call_context(call)->trace,
                                 .parent_span_id = sky_client_call_parent_span(call),
                                 .method = sky_client_call_method(call),
                                 .is_client = true,
                                 .duration_ns = sky_duration_ns(sky_client_call_own_slot(call)),
                                 .status = status});
}

SkyServerInterceptor sky_rpc_tracing_server(const SkyRpcTracing *tracing) {
  return (SkyServerInterceptor){.begin = begin_served, .end = end_served, .self = (void *)tracing};
}

SkyClientInterceptor sky_rpc_tracing_client(const SkyRpcTracing *tracing) {
  return (SkyClientInterceptor){.begin = begin_made, .end = end_made, .self = (void *)tracing};
}
