/* Metrics and access log of every call served and made, and the pages /metrics and /config. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include <sky/core/log.h>
#include <sky/core/version.h>
#include <sky/telemetry/names.h>

enum { SLOT = SKY_CALL_SLOTS - 1 };

static const char grpc_system[] = "grpc";

/* When a call began, in the call's slot itself: nothing is allocated. */
_Static_assert(sizeof(void *) >= sizeof(int64_t), "a slot holds a time");

static void set_begun(void **slot) {
  *slot = (void *)(intptr_t)sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static int64_t elapsed_ns(void *const *slot) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) - (int64_t)(intptr_t)*slot;
}

/* "pkg.Service/Method" */
static const char *method_name(const SkyMethodDescriptor *method) {
  return method->path + 1;
}

/* A server's own failure, by the conventions; anything else is the caller's. */
static bool is_server_error(SkyCode code) {
  switch (code) {
  case SKY_CODE_UNKNOWN:
  case SKY_CODE_DEADLINE_EXCEEDED:
  case SKY_CODE_UNIMPLEMENTED:
  case SKY_CODE_INTERNAL:
  case SKY_CODE_UNAVAILABLE:
  case SKY_CODE_DATA_LOSS:
    return true;
  default:
    return false;
  }
}

/* Successes at debug: at hundreds of workflows a second lines would cost more than the work. */
static SkySeverity severity_of(SkyCode code) {
  if (code == SKY_CODE_OK)
    return SKY_DEBUG;
  return is_server_error(code) ? SKY_WARN : SKY_INFO;
}

/* ---- calls served ---- */

static SkyStatus begin_served(void *self, SkyCall *call, const ProtobufCMessage *request) {
  set_begun(sky_call_slot(call, SLOT));
  return SKY_OK;
}

static void log_served(SkyCall *call, const SkyError *status, int64_t duration_ns) {
  const SkyCode code = sky_status_code(status);
  const char *method = method_name(sky_call_method(call));
  sky_log(severity_of(code), sky_call_context(call), "rpc.served",
          SKY_FIELDS(SKY_F_TEXT(SKY_RPC_METHOD, method), SKY_F_TEXT(SKY_RPC_STATUS, sky_code_name(code)),
                     SKY_F_DOUBLE(SKY_DURATION, (double)duration_ns / 1e9),
                     SKY_F_TEXT(SKY_NETWORK_PEER, sky_call_peer(call))),
          "%s: %s%s%s", method, sky_code_name(code), status == SKY_OK ? "" : ": ", sky_status_message(status));
}

static void end_served(void *self, SkyCall *call, SkyStatus *status) {
  SkyService *service = self;
  const SkyCode code = sky_status_code(*status);
  const int64_t duration_ns = elapsed_ns(sky_call_slot(call, SLOT));
  SkySeries *series = SKY_SERIES(service->served, grpc_system, method_name(sky_call_method(call)), sky_code_name(code),
                                 is_server_error(code) ? sky_code_name(code) : "");
  sky_series_observe_ns(series, duration_ns, &sky_call_context(call)->trace);
  log_served(call, *status, duration_ns);
}

/* ---- calls made ---- */

static SkyStatus begin_made(void *self, SkyClientCall *call) {
  set_begun(sky_client_call_slot(call, SLOT));
  return SKY_OK;
}

static void end_made(void *self, SkyClientCall *call, const SkyError *status) {
  SkyService *service = self;
  const SkyCode code = sky_status_code(status);
  const char *method = method_name(sky_client_call_method(call));
  const int64_t duration_ns = elapsed_ns(sky_client_call_slot(call, SLOT));
  SkySeries *series = SKY_SERIES(service->made, grpc_system, method, sky_code_name(code),
                                 code == SKY_CODE_OK ? "" : sky_code_name(code));
  sky_series_observe_ns(series, duration_ns, &sky_client_call_context(call)->trace);
  /* At debug whatever it was: who called it decides what a failure means, and says so. */
  sky_log(SKY_DEBUG, sky_client_call_context(call), "rpc.called",
          SKY_FIELDS(SKY_F_TEXT(SKY_RPC_METHOD, method), SKY_F_TEXT(SKY_RPC_STATUS, sky_code_name(code)),
                     SKY_F_DOUBLE(SKY_DURATION, (double)duration_ns / 1e9)),
          "%s: %s%s%s", method, sky_code_name(code), status == SKY_OK ? "" : ": ", sky_status_message(status));
}

SkyStatus sky_service_instrument_server(SkyService *service) {
  const SkyServerInterceptor interceptor = {.begin = begin_served, .end = end_served, .self = service};
  return sky_server_intercept(service->server, interceptor);
}

SkyStatus sky_service_instrument_client(SkyService *service, SkyClient *client) {
  return sky_client_intercept(client, (SkyClientInterceptor){.begin = begin_made, .end = end_made, .self = service});
}

/* ---- the registry and its page ---- */

static int metrics_page(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  const SkyService *service = self;
  const bool openmetrics = sky_metrics_wants_openmetrics(request->accept);
  *content_type = sky_metrics_content_type(openmetrics);
  sky_metrics_write(service->metrics, openmetrics, body);
  return 200;
}

static double read_active(void *user) {
  const SkyService *service = user;
  return service->server == NULL ? 0 : (double)sky_server_stats(service->server).active;
}

static SkyStatus set_resource(SkyService *service) {
  SKY_TRY(sky_metrics_set_resource(service->metrics, SKY_SERVICE_NAME, service->definition->name));
  SKY_TRY(sky_metrics_set_resource(service->metrics, SKY_SERVICE_NAMESPACE, "skyhook"));
  SKY_TRY(sky_metrics_set_resource(service->metrics, SKY_SERVICE_VERSION, sky_version_borrow()));
  SKY_TRY(sky_metrics_set_resource(service->metrics, SKY_SERVICE_INSTANCE_ID, service->instance_id));
  return sky_metrics_set_resource_from(service->metrics, getenv("OTEL_RESOURCE_ATTRIBUTES"),
                                       getenv("OTEL_SERVICE_NAME"));
}

SkyStatus sky_service_open_metrics(SkyService *service) {
  SKY_TRY(sky_metrics_create(&service->metrics));
  SKY_TRY(set_resource(service));
  SKY_TRY(sky_metrics_add_process(service->metrics));
  service->served = sky_metrics_instrument(service->metrics, &sky_metric_rpc_server_duration);
  service->made = sky_metrics_instrument(service->metrics, &sky_metric_rpc_client_duration);
  service->task_durations = sky_metrics_instrument(service->metrics, &sky_metric_task_duration);
  SKY_TRY(sky_metrics_add_reader(service->metrics, &sky_metric_rpc_server_active, (const char *const[]){grpc_system},
                                 read_active, service));
  return sky_admin_add(service->admin, "/metrics", metrics_page, service);
}

SkyMetrics *sky_service_metrics(SkyService *service) {
  return service->metrics;
}
