#include "internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/time.h>
#include <sky/telemetry/names.h>

static const double call_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10};
static const double store_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10};

const double *sky_buckets_bounds(SkyBuckets buckets, size_t *ret_count) {
  switch (buckets) {
  case SKY_BUCKETS_CALL:
    *ret_count = sizeof(call_bounds) / sizeof(call_bounds[0]);
    return call_bounds;
  case SKY_BUCKETS_STORE:
    *ret_count = sizeof(store_bounds) / sizeof(store_bounds[0]);
    return store_bounds;
  case SKY_BUCKETS_NONE:
  default:
    *ret_count = 0;
    return NULL;
  }
}

/* ---- registry ---- */

SkyStatus sky_metrics_create(SkyMetrics **ret) {
  SkyMetrics *metrics = calloc(1, sizeof(*metrics));
  if (metrics == NULL)
    return sky_status_no_memory();
  pthread_mutex_init(&metrics->mutex, NULL);
  *ret = metrics;
  return SKY_OK;
}

static void series_destroy(SkySeries *series) {
  if (series == NULL)
    return;
  for (size_t i = 0; i < SKY_METRIC_MAX_LABELS; i++)
    free(series->labels[i]);
  free(series->distribution);
  free(series);
}

static void instrument_destroy(SkyInstrument *instrument) {
  if (instrument == NULL)
    return;
  for (size_t i = 0; i < TABLE_SIZE; i++)
    series_destroy(atomic_load(&instrument->table[i]));
  series_destroy(instrument->overflow);
  free(instrument);
}

static void reader_finish(Reader *reader) {
  for (size_t i = 0; i < SKY_METRIC_MAX_LABELS; i++)
    free(reader->labels[i]);
}

void sky_metrics_destroy(SkyMetrics *metrics) {
  if (metrics == NULL)
    return;
  for (size_t i = 0; i < metrics->instrument_count; i++)
    instrument_destroy(metrics->instruments[i]);
  for (size_t i = 0; i < metrics->reader_count; i++)
    reader_finish(&metrics->readers[i]);
  for (size_t i = 0; i < metrics->resource_count; i++) {
    free(metrics->resource[i].key);
    free(metrics->resource[i].value);
  }
  pthread_mutex_destroy(&metrics->mutex);
  free(metrics);
}

static size_t find_resource_locked(const SkyMetrics *metrics, const char *key) {
  size_t i = 0;
  while (i < metrics->resource_count && strcmp(metrics->resource[i].key, key) != 0)
    i++;
  return i;
}

static SkyStatus set_resource_locked(SkyMetrics *metrics, const char *key, const char *value) {
  size_t at = find_resource_locked(metrics, key);
  if (at == MAX_RESOURCE)
    return SKY_RESOURCE_EXHAUSTED("more than %d resource attributes", MAX_RESOURCE);
  char *value_copy = strdup(value);
  if (value_copy == NULL)
    return sky_status_no_memory();
  if (at == metrics->resource_count) {
    metrics->resource[at].key = strdup(key);
    if (metrics->resource[at].key == NULL) {
      free(value_copy);
      return sky_status_no_memory();
    }
    metrics->resource_count++;
  }
  free(metrics->resource[at].value);
  metrics->resource[at].value = value_copy;
  return SKY_OK;
}

SkyStatus sky_metrics_set_resource(SkyMetrics *metrics, const char *key, const char *value) {
  pthread_mutex_lock(&metrics->mutex);
  SkyStatus status = set_resource_locked(metrics, key, value);
  pthread_mutex_unlock(&metrics->mutex);
  return status;
}

/* ---- series ---- */

static size_t count_labels(const SkyMetric *metric) {
  size_t count = 0;
  while (count < SKY_METRIC_MAX_LABELS && metric->labels[count] != NULL)
    count++;
  return count;
}

static Distribution *distribution_create(void) {
  Distribution *distribution = calloc(1, sizeof(*distribution));
  for (size_t i = 0; distribution != NULL && i <= MAX_BUCKETS; i++)
    atomic_flag_clear(&distribution->exemplars[i].busy);
  return distribution;
}

static SkySeries *series_create(SkyInstrument *instrument, uint32_t hash, const char *const *values) {
  SkySeries *series = calloc(1, sizeof(*series));
  if (series == NULL)
    return NULL;
  series->instrument = instrument;
  series->hash = hash;
  bool whole = true;
  for (size_t i = 0; values != NULL && i < instrument->label_count; i++)
    whole = (series->labels[i] = strdup(values[i])) != NULL && whole;
  if (instrument->metric->kind == SKY_HISTOGRAM)
    whole = (series->distribution = distribution_create()) != NULL && whole;
  if (whole)
    return series;
  series_destroy(series);
  return NULL;
}

static SkyInstrument *instrument_create(SkyMetrics *metrics, const SkyMetric *metric) {
  SkyInstrument *instrument = calloc(1, sizeof(*instrument));
  if (instrument == NULL)
    return NULL;
  instrument->metrics = metrics;
  instrument->metric = metric;
  instrument->label_count = count_labels(metric);
  instrument->overflow = series_create(instrument, 0, NULL);
  if (instrument->overflow == NULL) {
    free(instrument);
    return NULL;
  }
  instrument->overflow->overflow = true;
  return instrument;
}

static SkyInstrument *find_or_create_locked(SkyMetrics *metrics, const SkyMetric *metric) {
  for (size_t i = 0; i < metrics->instrument_count; i++)
    if (metrics->instruments[i]->metric == metric)
      return metrics->instruments[i];
  if (metrics->instrument_count == SKY_METRICS_MAX)
    return NULL;
  SkyInstrument *instrument = instrument_create(metrics, metric);
  if (instrument != NULL)
    metrics->instruments[metrics->instrument_count++] = instrument;
  return instrument;
}

SkyInstrument *sky_metrics_instrument(SkyMetrics *metrics, const SkyMetric *metric) {
  if (metrics == NULL)
    return NULL;
  pthread_mutex_lock(&metrics->mutex);
  SkyInstrument *instrument = find_or_create_locked(metrics, metric);
  pthread_mutex_unlock(&metrics->mutex);
  return instrument;
}

/* FNV-1a; label values are ours, so nobody can aim at collisions. */
static uint32_t hash_values(const char *const *values, size_t count) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < count; i++)
    for (const char *at = values[i];; at++) {
      hash = (hash ^ (uint8_t)*at) * 16777619u;
      if (*at == '\0')
        break;
    }
  return hash;
}

static bool has_values(const SkySeries *series, const char *const *values, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(series->labels[i], values[i]) != 0)
      return false;
  return true;
}

/* The series, or NULL and the free place where it would stand. The table is never more than half full. */
static SkySeries *look_up(SkyInstrument *instrument, uint32_t hash, const char *const *values, size_t *ret_place) {
  for (size_t place = hash % TABLE_SIZE;; place = (place + 1) % TABLE_SIZE) {
    SkySeries *series = atomic_load_explicit(&instrument->table[place], memory_order_acquire);
    if (series == NULL) {
      *ret_place = place;
      return NULL;
    }
    if (series->hash == hash && has_values(series, values, instrument->label_count))
      return series;
  }
}

static SkySeries *insert(SkyInstrument *instrument, uint32_t hash, const char *const *values) {
  size_t place;
  pthread_mutex_lock(&instrument->metrics->mutex);
  SkySeries *series = look_up(instrument, hash, values, &place); /* somebody may have been quicker */
  if (series == NULL && instrument->count < SKY_METRIC_MAX_SERIES &&
      (series = series_create(instrument, hash, values)) != NULL) {
    instrument->count++;
    atomic_store_explicit(&instrument->table[place], series, memory_order_release);
  }
  pthread_mutex_unlock(&instrument->metrics->mutex);
  return series != NULL ? series : instrument->overflow;
}

SkySeries *sky_instrument_series(SkyInstrument *instrument, const char *const *label_values) {
  if (instrument == NULL)
    return NULL;
  size_t place;
  uint32_t hash = hash_values(label_values, instrument->label_count);
  SkySeries *series = look_up(instrument, hash, label_values, &place);
  return series != NULL ? series : insert(instrument, hash, label_values);
}

/* ---- updates ---- */

void sky_series_add(SkySeries *series, int64_t amount) {
  if (series != NULL)
    atomic_fetch_add_explicit(&series->value, amount, memory_order_relaxed);
}

void sky_series_set(SkySeries *series, int64_t value) {
  if (series != NULL)
    atomic_store_explicit(&series->value, value, memory_order_relaxed);
}

static size_t bucket_of(const SkySeries *series, int64_t duration_ns) {
  size_t count;
  const double *bounds = sky_buckets_bounds(series->instrument->metric->buckets, &count);
  double seconds = (double)duration_ns / 1e9;
  size_t bucket = 0;
  while (bucket < count && seconds > bounds[bucket])
    bucket++;
  return bucket;
}

static void keep_exemplar(Exemplar *exemplar, int64_t value_ns, const SkyTrace *trace) {
  if (atomic_flag_test_and_set_explicit(&exemplar->busy, memory_order_acquire))
    return;
  exemplar->is_set = true;
  exemplar->trace = *trace;
  exemplar->value_ns = value_ns;
  exemplar->wall_ms = sky_clock_wall_ms(sky_clock_system_borrow());
  atomic_flag_clear_explicit(&exemplar->busy, memory_order_release);
}

void sky_series_observe_ns(SkySeries *series, int64_t duration_ns, const SkyTrace *trace) {
  if (series == NULL)
    return;
  assert(series->distribution != NULL);
  size_t bucket = bucket_of(series, duration_ns);
  atomic_fetch_add_explicit(&series->distribution->counts[bucket], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&series->distribution->sum_ns, duration_ns, memory_order_relaxed);
  if (trace != NULL && (trace->flags & 1) != 0 && sky_trace_is_valid(trace))
    keep_exemplar(&series->distribution->exemplars[bucket], duration_ns, trace);
}

/* ---- readers ---- */

static SkyStatus fill_reader(Reader *reader, const char *const *label_values) {
  for (size_t i = 0; i < count_labels(reader->metric); i++)
    if ((reader->labels[i] = strdup(label_values[i])) == NULL)
      return sky_status_no_memory();
  return SKY_OK;
}

SkyStatus sky_metrics_add_reader(SkyMetrics *metrics, const SkyMetric *metric, const char *const *label_values,
                                 double (*read)(void *user), void *user) {
  if (metrics == NULL)
    return SKY_OK;
  Reader reader = {.metric = metric, .read = read, .user = user};
  SkyStatus status = fill_reader(&reader, label_values);
  pthread_mutex_lock(&metrics->mutex);
  if (status == SKY_OK && metrics->reader_count == MAX_READERS)
    status = SKY_RESOURCE_EXHAUSTED("more than %d metric readers", MAX_READERS);
  if (status == SKY_OK)
    metrics->readers[metrics->reader_count++] = reader;
  pthread_mutex_unlock(&metrics->mutex);
  if (status != SKY_OK)
    reader_finish(&reader);
  return status;
}

void sky_metrics_remove_readers(SkyMetrics *metrics, const void *user) {
  if (metrics == NULL)
    return;
  pthread_mutex_lock(&metrics->mutex);
  size_t kept = 0;
  for (size_t i = 0; i < metrics->reader_count; i++) {
    if (metrics->readers[i].user == user)
      reader_finish(&metrics->readers[i]);
    else
      metrics->readers[kept++] = metrics->readers[i];
  }
  metrics->reader_count = kept;
  pthread_mutex_unlock(&metrics->mutex);
}
