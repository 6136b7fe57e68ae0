/* What Kubernetes asks: is the process alive, and can it do its work. Readiness does not depend on other services. */
#include "internal.h"

#include <sky/telemetry/descriptors.h>

enum { STORE_TIMEOUT_MS = 500, SERVER_TIMEOUT_MS = 1000 };

static SkyStatus probe_server(SkyService *service) {
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&service->probe_lock);
  if (service->started && !service->stopping && service->server != NULL)
    status = sky_server_probe(service->server, SERVER_TIMEOUT_MS);
  pthread_mutex_unlock(&service->probe_lock);
  return status;
}

/* What only a restart mends: no descriptors left, or a server that accepts no connection any more. */
static int healthz(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  const SkyDescriptorUse descriptors = sky_descriptors_count();
  if (descriptors.exhausted) {
    sky_buf_printf(body, "descriptors: %zu of %zu are in use\n", descriptors.used, descriptors.limit);
    return 503;
  }
  SkyStatus status = probe_server(self);
  sky_buf_printf(body, "%s\n", status == SKY_OK ? "ok" : sky_status_message(status));
  const int answer = status == SKY_OK ? 200 : 503;
  sky_status_free(status);
  return answer;
}

static void write_check(SkyBuf *body, const char *name, bool ready, const char *detail, bool *all) {
  sky_buf_append_text(body, body->data[body->size - 1] == '[' ? "{\"name\":" : ",{\"name\":");
  sky_buf_append_json_string(body, name, sky_str(name).size);
  sky_buf_printf(body, ",\"ready\":%s", ready ? "true" : "false");
  if (!ready && detail[0] != '\0') {
    sky_buf_append_text(body, ",\"detail\":");
    sky_buf_append_json_string(body, detail, sky_str(detail).size);
  }
  sky_buf_append_text(body, "}");
  *all = *all && ready;
}

static void check_store(SkyService *service, SkyBuf *body, bool *all) {
  SkyContext context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, STORE_TIMEOUT_MS);
  SkyStatus status = sky_store_ping(service->store, &context);
  write_check(body, "store", status == SKY_OK, sky_status_message(status), all);
  sky_status_free(status);
}

static void check_bus(SkyService *service, SkyBuf *body, bool *all) {
  SkyStatus status = sky_bus_check(service->bus);
  write_check(body, "bus", status == SKY_OK, sky_status_message(status), all);
  sky_status_free(status);
}

static int readyz(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  SkyService *service = self;
  bool all = true;
  *content_type = "application/json";
  sky_buf_append_text(body, "{\"checks\":[");
  write_check(body, "service", service->started && !service->stopping, service->stopping ? "stopping" : "starting",
              &all);
  if (service->store != NULL)
    check_store(service, body, &all);
  if (service->bus != NULL)
    check_bus(service, body, &all);
  for (size_t i = 0; i < service->check_count; i++)
    write_check(body, service->checks[i].name, service->checks[i].ready(service->checks[i].user), "", &all);
  sky_buf_printf(body, "],\"ready\":%s}\n", all ? "true" : "false");
  return all ? 200 : 503;
}

SkyStatus sky_service_add_check(SkyService *service, const char *name, bool (*ready)(void *user), void *user) {
  if (service->check_count == SKY_SERVICE_MAX_CHECKS)
    return SKY_RESOURCE_EXHAUSTED("a service has at most %d checks of its own", SKY_SERVICE_MAX_CHECKS);
  service->checks[service->check_count++] = (SkyCheck){name, ready, user};
  return SKY_OK;
}

SkyStatus sky_service_add_probes(SkyService *service) {
  sky_descriptors_prepare();
  SKY_TRY(sky_admin_add(service->admin, "/healthz", healthz, service));
  return sky_admin_add(service->admin, "/readyz", readyz, service);
}
