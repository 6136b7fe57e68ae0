/* How long operations on the store take; does nothing without a registry. */
#pragma once

#include <sky/store/store.h>

typedef struct SkyStoreMeter {
  SkyInstrument *durations; /* NULL: nothing is measured */
  const char *system;       /* "sqlite", "mongodb" */
} SkyStoreMeter;

/* metrics may be NULL; the uri tells the system. */
void sky_store_meter_init(SkyStoreMeter *meter, SkyMetrics *metrics, const char *uri);

/* One operation, from its begin to its status. */
typedef struct SkyStoreSpan {
  const SkyStoreMeter *meter;
  const SkyContext *context;
  const char *collection;
  const char *operation;
  int64_t begun_ns;
} SkyStoreSpan;

/* All of it is borrowed until the end. */
SkyStoreSpan sky_store_span_begin(const SkyStoreMeter *meter, const SkyContext *context,
                                  const SkyCollection *collection, const char *operation);
/* Returns the status it was given. */
SKY_MUST_USE SkyStatus sky_store_span_end(const SkyStoreSpan *span, SkyStatus status);
