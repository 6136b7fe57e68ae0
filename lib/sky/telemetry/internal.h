/* What metrics.c and exposition.c share. (internal) */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <sky/telemetry/metrics.h>

enum {
  MAX_BUCKETS = 16,
  MAX_RESOURCE = 32,
  MAX_READERS = 256,
  TABLE_SIZE = 512 /* a power of two, twice the series */
};

/* The last traced observation of a bucket. Writers that find it locked skip: it is only an example. */
typedef struct Exemplar {
  atomic_flag busy;
  bool is_set;
  SkyTrace trace;
  int64_t value_ns;
  int64_t wall_ms;
} Exemplar;

typedef struct Distribution {
  atomic_uint_fast64_t counts[MAX_BUCKETS + 1]; /* not cumulative; the last is +Inf */
  atomic_int_fast64_t sum_ns;
  Exemplar exemplars[MAX_BUCKETS + 1];
} Distribution;

struct SkySeries {
  SkyInstrument *instrument;
  uint32_t hash;
  bool overflow;
  atomic_int_fast64_t value;
  Distribution *distribution; /* of a histogram */
  char *labels[SKY_METRIC_MAX_LABELS];
};

struct SkyInstrument {
  SkyMetrics *metrics;
  const SkyMetric *metric;
  size_t label_count;
  _Atomic(SkySeries *) table[TABLE_SIZE]; /* open addressing; entries are never removed, so readers need no lock */
  size_t count;                           /* metrics->mutex */
  SkySeries *overflow;
};

typedef struct Reader {
  const SkyMetric *metric;
  char *labels[SKY_METRIC_MAX_LABELS];
  double (*read)(void *user);
  void *user;
} Reader;

struct SkyMetrics {
  pthread_mutex_t mutex; /* registering and showing */
  SkyInstrument *instruments[SKY_METRICS_MAX];
  size_t instrument_count;
  Reader readers[MAX_READERS];
  size_t reader_count;
  struct {
    char *key, *value;
  } resource[MAX_RESOURCE];
  size_t resource_count;
};

/* The upper bounds in seconds, ascending, without +Inf. */
const double *sky_buckets_bounds(SkyBuckets buckets, size_t *ret_count);
