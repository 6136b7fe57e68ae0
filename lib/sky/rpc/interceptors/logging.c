#include "logging.h"

#include <sky/core/log.h>
#include <sky/rpc/interceptors/duration.h>
#include <sky/telemetry/names.h>

/* Successes at debug: at hundreds of calls a second lines would cost more than the work. */
static SkySeverity severity_of(SkyCode code) {
  if (code == SKY_CODE_OK)
    return SKY_DEBUG;
  return sky_code_is_server_error(code) ? SKY_WARN : SKY_INFO;
}

/* "pkg.Service/Method" */
static const char *name_of(const SkyMethodDescriptor *method) {
  return method->path + 1;
}

static SkyStatus begin_served(void *self, SkyCall *call, const ProtobufCMessage *request) {
  sky_duration_begin(sky_call_own_slot(call));
  return SKY_OK;
}

static void end_served(void *self, SkyCall *call, SkyStatus *status) {
  const SkyCode code = sky_status_code(*status);
  const char *name = name_of(sky_call_method(call));
  sky_log(severity_of(code), sky_call_context(call), "rpc.served",
          SKY_FIELDS(SKY_F_TEXT(SKY_RPC_METHOD, name), SKY_F_TEXT(SKY_RPC_STATUS, sky_code_name(code)),
                     SKY_F_DOUBLE(SKY_DURATION, (double)sky_duration_ns(sky_call_own_slot(call)) / 1e9),
                     SKY_F_TEXT(SKY_NETWORK_PEER, sky_call_peer(call))),
          "%s: %s%s%s", name, sky_code_name(code), *status == SKY_OK ? "" : ": ", sky_status_message(*status));
}

static SkyStatus begin_made(void *self, SkyClientCall *call) {
  sky_duration_begin(sky_client_call_own_slot(call));
  return SKY_OK;
}

static void end_made(void *self, SkyClientCall *call, const SkyError *status) {
  const SkyCode code = sky_status_code(status);
  const char *name = name_of(sky_client_call_method(call));
  sky_log(SKY_DEBUG, sky_client_call_context(call), "rpc.called",
          SKY_FIELDS(SKY_F_TEXT(SKY_RPC_METHOD, name), SKY_F_TEXT(SKY_RPC_STATUS, sky_code_name(code)),
                     SKY_F_DOUBLE(SKY_DURATION, (double)sky_duration_ns(sky_client_call_own_slot(call)) / 1e9)),
          "%s: %s%s%s", name, sky_code_name(code), status == SKY_OK ? "" : ": ", sky_status_message(status));
}

SkyServerInterceptor sky_logging_server(void) {
  return (SkyServerInterceptor){.begin = begin_served, .end = end_served};
}

SkyClientInterceptor sky_logging_client(void) {
  return (SkyClientInterceptor){.begin = begin_made, .end = end_made};
}
