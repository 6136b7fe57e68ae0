/*
 * Metrics: durations of all calls by method and code, as rpc.server.call.duration and rpc.client.call.duration of
 * OpenTelemetry's conventions, with the call's trace as exemplar.
 */
#pragma once

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>
#include <sky/telemetry/metrics.h>

/* The caller's memory; must outlive the servers and clients that use it, as the registry must. */
typedef struct SkyRpcMetrics {
  SkyInstrument *served, *made;
} SkyRpcMetrics;

/* Finds or makes the two histograms in the registry; then one interceptor for each side. */
void sky_rpc_metrics_init(SkyRpcMetrics *metrics, SkyMetrics *registry);
SkyServerInterceptor sky_rpc_metrics_server(SkyRpcMetrics *metrics);
SkyClientInterceptor sky_rpc_metrics_client(SkyRpcMetrics *metrics);
