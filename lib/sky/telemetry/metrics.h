/*
 * Metrics: counters, gauges and histograms with labels, shown as Prometheus text or OpenMetrics.
 *
 * A metric is declared by a constant SkyMetric (names.def has those of the libraries). It is registered once; its
 * series, one per combination of label values, are made when first used. Updates are lock-free. Every metric has at
 * most SKY_METRIC_MAX_SERIES series; what goes beyond is counted in one series that is marked
 * otel_metric_overflow="true". Label values must come from bounded sets: never ids.
 *
 * Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/buf.h>
#include <sky/core/context.h>
#include <sky/core/status.h>

enum { SKY_METRIC_MAX_LABELS = 5, SKY_METRIC_MAX_SERIES = 256, SKY_METRICS_MAX = 128 };

typedef enum SkyMetricKind { SKY_COUNTER, SKY_GAUGE, SKY_HISTOGRAM } SkyMetricKind;
typedef enum SkyBuckets { SKY_BUCKETS_NONE, SKY_BUCKETS_CALL, SKY_BUCKETS_STORE } SkyBuckets;

typedef struct SkyMetric {
  const char *name; /* "rpc.server.call.duration" */
  SkyMetricKind kind;
  const char *unit;   /* UCUM: "s", "By", "{call}"; shown as suffix when it is s or By */
  SkyBuckets buckets; /* of a histogram */
  const char *help;
  const char *labels[SKY_METRIC_MAX_LABELS + 1]; /* "rpc.method"; unused: NULL */
} SkyMetric;

typedef struct SkyMetrics SkyMetrics;
typedef struct SkyInstrument SkyInstrument;
typedef struct SkySeries SkySeries;

/* A registry without instruments. RESOURCE_EXHAUSTED without memory. */
SKY_MUST_USE SkyStatus sky_metrics_create(SkyMetrics **ret);
void sky_metrics_destroy(SkyMetrics *metrics); /* NULL-safe; nothing may use it any more */

/* What describes the process, shown as target_info: "service.name". Both are copied; at most 32; a later value replaces
 * an earlier one. */
SKY_MUST_USE SkyStatus sky_metrics_set_resource(SkyMetrics *metrics, const char *key, const char *value);

/*
 * The same from the environment: OTEL_RESOURCE_ATTRIBUTES ("key=value,key2=value2", values percent-encoded; texts are
 * passed in) and OTEL_SERVICE_NAME, which goes before it. Either may be NULL. INVALID_ARGUMENT when they cannot be
 * read. https://opentelemetry.io/docs/specs/otel/resource/sdk/
 */
SKY_MUST_USE SkyStatus sky_metrics_set_resource_from(SkyMetrics *metrics, const char *attributes,
                                                     const char *service_name);

/*
 * The instrument of a metric (registered the first time; the metric must outlive the registry). NULL when there is no
 * registry (metrics is NULL) or no room: every call below accepts that and does nothing, so that code need not care
 * whether it is measured.
 */
SkyInstrument *sky_metrics_instrument(SkyMetrics *metrics, const SkyMetric *metric);

/* The series with these label values, in the order of the metric's labels ("" leaves a label out). */
SkySeries *sky_instrument_series(SkyInstrument *instrument, const char *const *label_values);
#define SKY_SERIES(instrument, ...) sky_instrument_series((instrument), (const char *const[]){__VA_ARGS__, NULL})

void sky_series_add(SkySeries *series, int64_t amount); /* counter, gauge */
void sky_series_set(SkySeries *series, int64_t value);  /* gauge */
void sky_series_observe_ns(SkySeries *series, int64_t duration_ns,
                           const SkyTrace *trace); /* histogram of seconds; trace may be NULL */

/*
 * A value that is asked for when the metrics are shown. read must not block; label values are copied. A later
 * registration with the same metric, labels and user replaces nothing: values are shown in the order they were added.
 */
SKY_MUST_USE SkyStatus sky_metrics_add_reader(SkyMetrics *metrics, const SkyMetric *metric,
                                              const char *const *label_values, double (*read)(void *user), void *user);
/* Forgets all readers with this user; after it returns none runs. Called before user goes away. */
void sky_metrics_remove_readers(SkyMetrics *metrics, const void *user);

/* Appends all metrics. openmetrics: with units, exemplars and "# EOF". */
void sky_metrics_write(SkyMetrics *metrics, bool openmetrics, SkyBuf *out);
const char *sky_metrics_content_type(bool openmetrics);
/* Whether an Accept header prefers OpenMetrics. */
bool sky_metrics_wants_openmetrics(SkyStr accept);

/* Registers process.* (getrusage and /proc/self). */
SKY_MUST_USE SkyStatus sky_metrics_add_process(SkyMetrics *metrics);
