#include <sky/telemetry/names.h>

#define SKY_METRIC(identifier, metric_name, metric_kind, metric_unit, metric_buckets, metric_help, ...)                \
  const SkyMetric sky_metric_##identifier = {.name = metric_name,                                                      \
                                             .kind = metric_kind,                                                      \
                                             .unit = metric_unit,                                                      \
                                             .buckets = metric_buckets,                                                \
                                             .help = metric_help,                                                      \
                                             .labels = {__VA_ARGS__}};
#include <sky/telemetry/names.def>
