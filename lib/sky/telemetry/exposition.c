/*
 * Exposition: metrics as text.
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and https://github.com/prometheus/OpenMetrics (1.0);
 * names are made of OpenTelemetry's by
 * https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ .
 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sky/core/time.h>
#include <sky/telemetry/names.h>

enum { NAME_SIZE = 128 };

typedef struct Writer {
  SkyBuf *out;
  bool openmetrics;
} Writer;

/* ---- names and labels ---- */

static void append_name(SkyBuf *out, const char *name) {
  for (const char *at = name; *at != '\0'; at++)
    sky_buf_append_byte(out, *at == '.' || *at == '-' ? '_' : (uint8_t)*at);
}

static const char *unit_of(const SkyMetric *metric) {
  if (strcmp(metric->unit, "s") == 0)
    return "seconds";
  return strcmp(metric->unit, "By") == 0 ? "bytes" : NULL;
}

/* "process_cpu_time_seconds"; without the _total of counters. */
static void family_name(const SkyMetric *metric, char name[NAME_SIZE]) {
  const char *unit = unit_of(metric);
  int size = snprintf(name, NAME_SIZE, "%s%s%s", metric->name, unit == NULL ? "" : "_", unit == NULL ? "" : unit);
  for (int i = 0; i < size && i < NAME_SIZE; i++)
    if (name[i] == '.' || name[i] == '-')
      name[i] = '_';
}

static void append_label(SkyBuf *out, const char *key, const char *value, bool *first) {
  sky_buf_append_byte(out, *first ? '{' : ',');
  *first = false;
  append_name(out, key);
  sky_buf_append_text(out, "=\"");
  for (const char *at = value; *at != '\0'; at++) {
    if (*at == '\\' || *at == '"')
      sky_buf_append_byte(out, '\\');
    if (*at == '\n')
      sky_buf_append_text(out, "\\n");
    else
      sky_buf_append_byte(out, (uint8_t)*at);
  }
  sky_buf_append_byte(out, '"');
}

/* extra_key may be NULL. */
static void append_labels(SkyBuf *out, const SkyMetric *metric, char *const *values, bool overflow,
                          const char *extra_key, const char *extra_value) {
  bool first = true;
  if (overflow)
    append_label(out, SKY_METRIC_OVERFLOW, "true", &first);
  for (size_t i = 0; i < SKY_METRIC_MAX_LABELS && metric->labels[i] != NULL; i++)
    if (values[i] != NULL && values[i][0] != '\0')
      append_label(out, metric->labels[i], values[i], &first);
  if (extra_key != NULL)
    append_label(out, extra_key, extra_value, &first);
  if (!first)
    sky_buf_append_byte(out, '}');
}

/* ---- families ---- */

static void write_head(const Writer *writer, const SkyMetric *metric, const char *name) {
  static const char *const types[] = {[SKY_COUNTER] = "counter", [SKY_GAUGE] = "gauge", [SKY_HISTOGRAM] = "histogram"};
  /* In the older format the family of a counter is called like its sample. */
  const char *total = metric->kind == SKY_COUNTER && !writer->openmetrics ? "_total" : "";
  sky_buf_printf(writer->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, total, metric->help, name, total,
                 types[metric->kind]);
  if (writer->openmetrics && unit_of(metric) != NULL)
    sky_buf_printf(writer->out, "# UNIT %s %s\n", name, unit_of(metric));
}

static void write_value(const Writer *writer, const SkyMetric *metric, const char *name, char *const *labels,
                        bool overflow, double value) {
  sky_buf_printf(writer->out, "%s%s", name, metric->kind == SKY_COUNTER ? "_total" : "");
  append_labels(writer->out, metric, labels, overflow, NULL, NULL);
  sky_buf_printf(writer->out, " %.17g\n", value);
}

static void write_exemplar(const Writer *writer, Exemplar *exemplar) {
  if (!writer->openmetrics || atomic_flag_test_and_set_explicit(&exemplar->busy, memory_order_acquire))
    return;
  if (exemplar->is_set) {
    char text[SKY_TRACEPARENT_SIZE]; /* "00-<32 digits>-<16 digits>-01" */
    sky_trace_format(&exemplar->trace, text);
    sky_buf_printf(writer->out, " # {trace_id=\"%.32s\",span_id=\"%.16s\"} %.9g %" PRId64 ".%03d", text + 3, text + 36,
                   (double)exemplar->value_ns / 1e9, exemplar->wall_ms / SKY_MS_PER_S,
                   (int)(exemplar->wall_ms % SKY_MS_PER_S));
  }
  atomic_flag_clear_explicit(&exemplar->busy, memory_order_release);
}

static void write_histogram(const Writer *writer, const SkySeries *series, const char *name) {
  const SkyMetric *metric = series->instrument->metric;
  Distribution *distribution = series->distribution;
  size_t count;
  const double *bounds = sky_buckets_bounds(metric->buckets, &count);
  uint64_t total = 0;
  for (size_t i = 0; i <= count; i++) {
    char bound[32] = "+Inf";
    if (i < count)
      snprintf(bound, sizeof(bound),
               writer->openmetrics && bounds[i] >= 1 && bounds[i] == (double)(int)bounds[i] ? "%.1f" : "%g", bounds[i]);
    total += atomic_load_explicit(&distribution->counts[i], memory_order_relaxed);
    sky_buf_printf(writer->out, "%s_bucket", name);
    append_labels(writer->out, metric, series->labels, series->overflow, "le", bound);
    sky_buf_printf(writer->out, " %" PRIu64, total);
    write_exemplar(writer, &distribution->exemplars[i]);
    sky_buf_append_byte(writer->out, '\n');
  }
  sky_buf_printf(writer->out, "%s_sum", name);
  append_labels(writer->out, metric, series->labels, series->overflow, NULL, NULL);
  sky_buf_printf(writer->out, " %.17g\n%s_count", (double)atomic_load(&distribution->sum_ns) / 1e9, name);
  append_labels(writer->out, metric, series->labels, series->overflow, NULL, NULL);
  sky_buf_printf(writer->out, " %" PRIu64 "\n", total);
}

static bool was_used(const SkySeries *series) {
  if (series->distribution == NULL)
    return atomic_load(&series->value) != 0;
  for (size_t i = 0; i <= MAX_BUCKETS; i++)
    if (atomic_load(&series->distribution->counts[i]) != 0)
      return true;
  return false;
}

static void write_series(const Writer *writer, const SkySeries *series, const char *name) {
  if (series->distribution != NULL)
    write_histogram(writer, series, name);
  else
    write_value(writer, series->instrument->metric, name, series->labels, series->overflow,
                (double)atomic_load(&series->value));
}

static void write_instrument(const Writer *writer, SkyInstrument *instrument, const char *name) {
  for (size_t i = 0; i < TABLE_SIZE; i++) {
    const SkySeries *series = atomic_load_explicit(&instrument->table[i], memory_order_acquire);
    if (series != NULL)
      write_series(writer, series, name);
  }
  if (was_used(instrument->overflow))
    write_series(writer, instrument->overflow, name);
}

static bool is_first_reader(const SkyMetrics *metrics, size_t at) {
  for (size_t i = 0; i < at; i++)
    if (metrics->readers[i].metric == metrics->readers[at].metric)
      return false;
  return true;
}

/* All of one metric must stand together. */
static void write_readers(const Writer *writer, const SkyMetrics *metrics, const SkyMetric *metric, const char *name) {
  for (size_t i = 0; i < metrics->reader_count; i++) {
    const Reader *reader = &metrics->readers[i];
    if (reader->metric == metric)
      write_value(writer, metric, name, reader->labels, false, reader->read(reader->user));
  }
}

static void write_target_info(const Writer *writer, const SkyMetrics *metrics) {
  if (metrics->resource_count == 0)
    return;
  sky_buf_append_text(writer->out, writer->openmetrics
                                       ? "# HELP target Target metadata\n# TYPE target info\ntarget_info"
                                       : "# HELP target_info Target metadata\n# TYPE target_info gauge\ntarget_info");
  bool first = true;
  for (size_t i = 0; i < metrics->resource_count; i++)
    append_label(writer->out, metrics->resource[i].key, metrics->resource[i].value, &first);
  sky_buf_append_text(writer->out, "} 1\n");
}

void sky_metrics_write(SkyMetrics *metrics, bool openmetrics, SkyBuf *out) {
  const Writer writer = {.out = out, .openmetrics = openmetrics};
  char name[NAME_SIZE];
  pthread_mutex_lock(&metrics->mutex);
  write_target_info(&writer, metrics);
  for (size_t i = 0; i < metrics->instrument_count; i++) {
    SkyInstrument *instrument = metrics->instruments[i];
    if (instrument->count == 0 && !was_used(instrument->overflow))
      continue;
    family_name(instrument->metric, name);
    write_head(&writer, instrument->metric, name);
    write_instrument(&writer, instrument, name);
  }
  for (size_t i = 0; i < metrics->reader_count; i++) {
    if (!is_first_reader(metrics, i))
      continue;
    family_name(metrics->readers[i].metric, name);
    write_head(&writer, metrics->readers[i].metric, name);
    write_readers(&writer, metrics, metrics->readers[i].metric, name);
  }
  pthread_mutex_unlock(&metrics->mutex);
  if (openmetrics)
    sky_buf_append_text(out, "# EOF\n");
}

const char *sky_metrics_content_type(bool openmetrics) {
  return openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                     : "text/plain; version=0.0.4; charset=utf-8";
}

/* Prometheus puts what it prefers first and lists OpenMetrics only when it wants it. */
bool sky_metrics_wants_openmetrics(SkyStr accept) {
  static const char type[] = "application/openmetrics-text";
  for (size_t i = 0; i + sizeof(type) - 1 <= accept.size; i++)
    if (strncasecmp(accept.data + i, type, sizeof(type) - 1) == 0)
      return true;
  return false;
}
