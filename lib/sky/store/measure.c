#include <sky/store/measure.h>

#include <sky/core/time.h>
#include <sky/telemetry/names.h>

void sky_store_meter_init(SkyStoreMeter *meter, SkyMetrics *metrics, const char *uri) {
  meter->durations = sky_metrics_instrument(metrics, &sky_metric_db_operation_duration);
  meter->system = sky_str_starts_with(sky_str(uri), SKY_STR("sqlite:")) ? "sqlite" : "mongodb";
}

SkyStoreSpan sky_store_span_begin(const SkyStoreMeter *meter, const SkyContext *context,
                                  const SkyCollection *collection, const char *operation) {
  const int64_t now_ns = meter->durations == NULL ? 0 : sky_clock_monotonic_ns(sky_clock_system_borrow());
  return (SkyStoreSpan){meter, context, collection->name, operation, now_ns};
}

SkyStatus sky_store_span_end(const SkyStoreSpan *span, SkyStatus status) {
  if (span->meter->durations == NULL)
    return status;
  /* What a caller counts on is no failure of the store. */
  const SkyCode code = sky_status_code(status);
  const bool expected =
      code == SKY_CODE_OK || code == SKY_CODE_NOT_FOUND || code == SKY_CODE_ALREADY_EXISTS || code == SKY_CODE_ABORTED;
  SkySeries *series = SKY_SERIES(span->meter->durations, span->meter->system, span->collection, span->operation,
                                 expected ? "" : sky_code_name(code));
  sky_series_observe_ns(series, sky_clock_monotonic_ns(sky_clock_system_borrow()) - span->begun_ns,
                        &span->context->trace);
  return status;
}
