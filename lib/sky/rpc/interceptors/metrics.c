#include "metrics.h"

#include <sky/rpc/interceptors/duration.h>
#include <sky/telemetry/names.h>

static const char grpc_system[] = "grpc";

static SkyStatus begin_served(void *self, SkyCall *call, const ProtobufCMessage *request) {
  sky_duration_begin(sky_call_own_slot(call));
  return SKY_OK;
}

static void end_served(void *self, SkyCall *call, SkyStatus *status) {
  const SkyRpcMetrics *metrics = self;
  const SkyCode code = sky_status_code(*status);
  const int64_t duration_ns = sky_duration_ns(sky_call_own_slot(call));
  SkySeries *series = SKY_SERIES(metrics->served, grpc_system, sky_call_method(call)->path + 1, sky_code_name(code),
                                 sky_code_is_server_error(code) ? sky_code_name(code) : "");
  sky_series_observe_ns(series, duration_ns, &sky_call_context(call)->trace);
}

static SkyStatus begin_made(void *self, SkyClientCall *call) {
  sky_duration_begin(sky_client_call_own_slot(call));
  return SKY_OK;
}

static void end_made(void *self, SkyClientCall *call, const SkyError *status) {
  const SkyRpcMetrics *metrics = self;
  const SkyCode code = sky_status_code(status);
  const int64_t duration_ns = sky_duration_ns(sky_client_call_own_slot(call));
  SkySeries *series = SKY_SERIES(metrics->made, grpc_system, sky_client_call_method(call)->path + 1,
                                 sky_code_name(code), code == SKY_CODE_OK ? "" : sky_code_name(code));
  sky_series_observe_ns(series, duration_ns, &sky_client_call_context(call)->trace);
}

void sky_rpc_metrics_init(SkyRpcMetrics *metrics, SkyMetrics *registry) {
  metrics->served = sky_metrics_instrument(registry, &sky_metric_rpc_server_duration);
  metrics->made = sky_metrics_instrument(registry, &sky_metric_rpc_client_duration);
}

SkyServerInterceptor sky_rpc_metrics_server(SkyRpcMetrics *metrics) {
  return (SkyServerInterceptor){.begin = begin_served, .end = end_served, .self = metrics};
}

SkyClientInterceptor sky_rpc_metrics_client(SkyRpcMetrics *metrics) {
  return (SkyClientInterceptor){.begin = begin_made, .end = end_made, .self = metrics};
}
