/* What the bus tells of itself; does nothing without a registry. */
#include "internal.h"

#include <sky/telemetry/names.h>

static const char system_name[] = "nats";

static double read_redelivered(void *bus) {
  return (double)atomic_load(&((SkyBus *)bus)->redelivered);
}

static double read_dead_lettered(void *bus) {
  return (double)atomic_load(&((SkyBus *)bus)->dead_lettered);
}

static double read_dropped(void *bus) {
  return (double)atomic_load(&((SkyBus *)bus)->dropped);
}

static double read_reconnects(void *bus) {
  return (double)atomic_load(&((SkyBus *)bus)->reconnects);
}

static double read_unconfirmed(void *bus) {
  return (double)pending_count(&((SkyBus *)bus)->pending);
}

SkyStatus measure_begin(SkyBus *bus, SkyMetrics *metrics) {
  static const struct {
    const SkyMetric *metric;
    double (*read)(void *user);
  } readers[] = {
      {&sky_metric_messages_redelivered, read_redelivered},     {&sky_metric_messages_dropped, read_dropped},
      {&sky_metric_messages_dead_lettered, read_dead_lettered}, {&sky_metric_broker_reconnects, read_reconnects},
      {&sky_metric_messages_unconfirmed, read_unconfirmed},
  };
  bus->meters = (Meters){
      .registry = metrics,
      .operation = sky_metrics_instrument(metrics, &sky_metric_messaging_operation_duration),
      .sent = sky_metrics_instrument(metrics, &sky_metric_messaging_sent),
      .consumed = sky_metrics_instrument(metrics, &sky_metric_messaging_consumed),
      .process = sky_metrics_instrument(metrics, &sky_metric_messaging_process_duration),
  };
  for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
    SKY_TRY(
        sky_metrics_add_reader(metrics, readers[i].metric, (const char *const[]){system_name}, readers[i].read, bus));
  return SKY_OK;
}

void measure_end(SkyBus *bus) {
  sky_metrics_remove_readers(bus->meters.registry, bus);
}

static const char *error_type(const SkyError *status) {
  return status == SKY_OK ? "" : sky_code_name(sky_status_code(status));
}

void measure_published(SkyBus *bus, const char *destination, int64_t begun_ns, const SkyTrace *trace,
                       const SkyError *status) {
  if (bus->meters.registry == NULL)
    return;
  const char *name = destination == NULL ? "" : destination;
  sky_series_add(SKY_SERIES(bus->meters.sent, system_name, name, error_type(status)), 1);
  sky_series_observe_ns(SKY_SERIES(bus->meters.operation, system_name, "publish", name, error_type(status)),
                        now_ns() - begun_ns, trace);
}

void measure_consumed(SkyBus *bus, const char *destination, const char *group) {
  sky_series_add(SKY_SERIES(bus->meters.consumed, system_name, destination, group), 1);
}

void measure_processed(SkyBus *bus, const char *destination, const char *group, int64_t begun_ns, const SkyTrace *trace,
                       const SkyError *status) {
  if (bus->meters.registry != NULL)
    sky_series_observe_ns(SKY_SERIES(bus->meters.process, system_name, destination, group, error_type(status)),
                          now_ns() - begun_ns, trace);
}
