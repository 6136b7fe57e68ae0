/*
 * Names: identifiers for all names of telemetry, from the one table names.def.
 *
 *     SKY_RPC_METHOD                          "rpc.method"
 *     sky_metric_rpc_server_duration          the definition of rpc.server.call.duration
 *
 * A service declares its business metrics in the same way, with definitions of its own.
 */
#pragma once

#include <sky/telemetry/metrics.h>

#define SKY_ATTRIBUTE(identifier, name) static const char SKY_##identifier[] __attribute__((unused)) = name;
#include <sky/telemetry/names.def>
#undef SKY_ATTRIBUTE

#define SKY_METRIC(identifier, ...) extern const SkyMetric sky_metric_##identifier;
#include <sky/telemetry/names.def>
#undef SKY_METRIC
