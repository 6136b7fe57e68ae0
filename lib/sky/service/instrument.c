/* Metrics and access log of every call served and made, and the pages /metrics and /config. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include <sky/core/log.h>
#include <sky/core/version.h>
#include <sky/rpc/interceptors/logging.h>
#include <sky/telemetry/names.h>

static const char grpc_system[] = "grpc";

static SkyStatus add_shedding(SkyService *service) {
  const SkySheddingOptions options = {.target_ms = service->settings.rpc.shed_after_ns / SKY_NS_PER_MS};
  if (options.target_ms == 0)
    return SKY_OK;
  SKY_TRY(sky_shedding_create(&options, &service->shedding));
  return sky_server_intercept(service->server, sky_shedding_server(service->shedding));
}

SkyStatus sky_service_instrument_server(SkyService *service) {
  SKY_TRY(sky_server_intercept(service->server, sky_rpc_metrics_server(&service->rpc_metrics)));
  SKY_TRY(sky_server_intercept(service->server, sky_logging_server()));
  return add_shedding(service);
}

SkyStatus sky_service_instrument_client(SkyService *service, SkyClient *client) {
  SKY_TRY(sky_client_intercept(client, sky_rpc_metrics_client(&service->rpc_metrics)));
  return sky_client_intercept(client, sky_logging_client());
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
  sky_rpc_metrics_init(&service->rpc_metrics, service->metrics);
  service->task_durations = sky_metrics_instrument(service->metrics, &sky_metric_task_duration);
  SKY_TRY(sky_metrics_add_reader(service->metrics, &sky_metric_rpc_server_active, (const char *const[]){grpc_system},
                                 read_active, service));
  return sky_admin_add(service->admin, "/metrics", metrics_page, service);
}

SkyMetrics *sky_service_metrics(SkyService *service) {
  return service->metrics;
}
