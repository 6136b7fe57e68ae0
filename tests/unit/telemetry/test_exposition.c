#include <sky/telemetry/names.h>

#include <string.h>

#include "sky_check.h"

static SkyMetrics *metrics;
static SkyBuf out;

static void must(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void setup(void) {
  must(sky_metrics_create(&metrics));
  sky_buf_init(&out, 1 << 20);
}

static void teardown(void) {
  sky_buf_finish(&out);
  sky_metrics_destroy(metrics);
}

static const char *shown(bool openmetrics) {
  sky_buf_clear(&out);
  sky_metrics_write(metrics, openmetrics, &out);
  sky_buf_append_byte(&out, 0);
  ck_assert(!out.failed);
  return (const char *)out.data;
}

START_TEST(prometheus_text_names_counters_by_their_samples) {
  must(sky_metrics_set_resource(metrics, SKY_SERVICE_NAME, "tester"));
  sky_series_add(SKY_SERIES(sky_metrics_instrument(metrics, &sky_metric_messaging_sent), "nats", "test.v1", ""), 3);
  ck_assert_str_eq(shown(false), "# HELP target_info Target metadata\n"
                                 "# TYPE target_info gauge\n"
                                 "target_info{service_name=\"tester\"} 1\n"
                                 "# HELP messaging_client_sent_messages_total Messages given to the broker\n"
                                 "# TYPE messaging_client_sent_messages_total counter\n"
                                 "messaging_client_sent_messages_total{messaging_system=\"nats\","
                                 "messaging_destination_template=\"test.v1\"} 3\n");
}
END_TEST

START_TEST(openmetrics_names_families_and_ends) {
  must(sky_metrics_set_resource(metrics, SKY_SERVICE_NAME, "tester"));
  sky_series_add(SKY_SERIES(sky_metrics_instrument(metrics, &sky_metric_messaging_sent), "nats", "", "UNAVAILABLE"), 3);
  ck_assert_str_eq(shown(true),
                   "# HELP target Target metadata\n"
                   "# TYPE target info\n"
                   "target_info{service_name=\"tester\"} 1\n"
                   "# HELP messaging_client_sent_messages Messages given to the broker\n"
                   "# TYPE messaging_client_sent_messages counter\n"
                   "messaging_client_sent_messages_total{messaging_system=\"nats\",error_type=\"UNAVAILABLE\"} 3\n"
                   "# EOF\n");
}
END_TEST

START_TEST(openmetrics_has_units_and_exemplars) {
  SkyTrace trace;
  ck_assert(sky_trace_parse(SKY_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), &trace));
  SkySeries *series =
      SKY_SERIES(sky_metrics_instrument(metrics, &sky_metric_db_operation_duration), "sqlite", "things", "get", "");
  sky_series_observe_ns(series, 2000000, &trace);
  const char *text = shown(true);
  ck_assert_ptr_nonnull(strstr(text, "# TYPE db_client_operation_duration_seconds histogram\n"));
  ck_assert_ptr_nonnull(strstr(text, "# UNIT db_client_operation_duration_seconds seconds\n"));
  ck_assert_ptr_nonnull(
      strstr(text, "db_operation_name=\"get\",le=\"0.005\"} 1 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\","
                   "span_id=\"b7ad6b7169203331\"} 0.002 "));
  ck_assert_ptr_nonnull(strstr(text, "le=\"1.0\"} 1\n"));
  ck_assert_ptr_null(strstr(shown(false), "trace_id"));
}
END_TEST

START_TEST(unsampled_observations_are_no_exemplars) {
  SkyTrace trace;
  ck_assert(sky_trace_parse(SKY_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), &trace));
  SkySeries *series =
      SKY_SERIES(sky_metrics_instrument(metrics, &sky_metric_db_operation_duration), "sqlite", "things", "get", "");
  sky_series_observe_ns(series, 2000000, &trace);
  ck_assert_ptr_null(strstr(shown(true), "trace_id"));
}
END_TEST

START_TEST(label_values_are_escaped) {
  sky_series_add(SKY_SERIES(sky_metrics_instrument(metrics, &sky_metric_messaging_sent), "a\"b\\c\nd", "", ""), 1);
  ck_assert_ptr_nonnull(strstr(shown(false), "{messaging_system=\"a\\\"b\\\\c\\nd\"} 1\n"));
}
END_TEST

START_TEST(accept_decides_the_format) {
  ck_assert(sky_metrics_wants_openmetrics(SKY_STR("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")));
  ck_assert(!sky_metrics_wants_openmetrics(SKY_STR("text/plain;version=0.0.4")));
  ck_assert(!sky_metrics_wants_openmetrics(SKY_STR("")));
}
END_TEST

SKY_CHECK_MAIN_WITH("telemetry/exposition", setup, teardown, prometheus_text_names_counters_by_their_samples,
                    openmetrics_names_families_and_ends, openmetrics_has_units_and_exemplars,
                    unsampled_observations_are_no_exemplars, label_values_are_escaped, accept_decides_the_format)
