#include <sky/telemetry/metrics.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sky_check.h"

static const SkyMetric counter = {
    .name = "test.things", .kind = SKY_COUNTER, .unit = "{thing}", .help = "Things", .labels = {"test.kind"}};
static const SkyMetric plain = {.name = "test.plain", .kind = SKY_GAUGE, .unit = "", .help = "Plain"};
static const SkyMetric duration = {
    .name = "test.duration", .kind = SKY_HISTOGRAM, .unit = "s", .buckets = SKY_BUCKETS_STORE, .help = "Duration"};

static SkyMetrics *metrics;
static char text[4 << 20];

static void setup(void) {
  SkyStatus status = sky_metrics_create(&metrics);
  ck_assert_ptr_null(status);
}

static void teardown(void) {
  sky_metrics_destroy(metrics);
}

static const char *shown(void) {
  SkyBuf out;
  sky_buf_init(&out, sizeof(text) - 1);
  sky_metrics_write(metrics, false, &out);
  ck_assert(!out.failed);
  memcpy(text, out.data == NULL ? (const uint8_t *)"" : out.data, out.size);
  text[out.size] = '\0';
  sky_buf_finish(&out);
  return text;
}

START_TEST(a_series_is_the_same_for_the_same_values) {
  SkyInstrument *instrument = sky_metrics_instrument(metrics, &counter);
  ck_assert_ptr_eq(sky_metrics_instrument(metrics, &counter), instrument);
  char red[] = "red"; /* another address, the same value */
  ck_assert_ptr_eq(SKY_SERIES(instrument, "red"), SKY_SERIES(instrument, red));
  ck_assert_ptr_ne(SKY_SERIES(instrument, "red"), SKY_SERIES(instrument, "blue"));
}
END_TEST

START_TEST(counters_add_up) {
  SkyInstrument *instrument = sky_metrics_instrument(metrics, &counter);
  sky_series_add(SKY_SERIES(instrument, "red"), 2);
  sky_series_add(SKY_SERIES(instrument, "red"), 3);
  sky_series_add(SKY_SERIES(instrument, ""), 1);
  ck_assert_ptr_nonnull(strstr(shown(), "test_things_total{test_kind=\"red\"} 5\n"));
  ck_assert_ptr_nonnull(strstr(shown(), "test_things_total 1\n"));
}
END_TEST

START_TEST(gauges_hold_the_last_value) {
  SkySeries *series = SKY_SERIES(sky_metrics_instrument(metrics, &plain), NULL);
  sky_series_set(series, 7);
  sky_series_add(series, -9);
  ck_assert_ptr_nonnull(strstr(shown(), "test_plain -2\n"));
}
END_TEST

START_TEST(bounds_belong_to_their_bucket) {
  SkySeries *series = SKY_SERIES(sky_metrics_instrument(metrics, &duration), NULL);
  sky_series_observe_ns(series, 1000000, NULL);       /* 0.001: its own bucket */
  sky_series_observe_ns(series, 1000001, NULL);       /* 0.005 */
  sky_series_observe_ns(series, 11000000000LL, NULL); /* +Inf */
  ck_assert_ptr_nonnull(strstr(shown(), "test_duration_seconds_bucket{le=\"0.001\"} 1\n"));
  ck_assert_ptr_nonnull(strstr(shown(), "test_duration_seconds_bucket{le=\"0.005\"} 2\n"));
  ck_assert_ptr_nonnull(strstr(shown(), "test_duration_seconds_bucket{le=\"10\"} 2\n"));
  ck_assert_ptr_nonnull(strstr(shown(), "test_duration_seconds_bucket{le=\"+Inf\"} 3\n"));
  ck_assert_ptr_nonnull(strstr(shown(), "test_duration_seconds_count 3\n"));
  ck_assert_ptr_nonnull(strstr(shown(), "test_duration_seconds_sum 11.002000001"));
}
END_TEST

START_TEST(too_many_series_flow_into_one) {
  SkyInstrument *instrument = sky_metrics_instrument(metrics, &counter);
  for (int i = 0; i < SKY_METRIC_MAX_SERIES + 44; i++) {
    char value[16];
    snprintf(value, sizeof(value), "v%d", i);
    sky_series_add(SKY_SERIES(instrument, value), 1);
  }
  ck_assert_ptr_nonnull(strstr(shown(), "test_things_total{otel_metric_overflow=\"true\"} 44\n"));
  ck_assert_ptr_nonnull(strstr(text, "test_things_total{test_kind=\"v255\"} 1\n"));
  ck_assert_ptr_null(strstr(text, "test_things_total{test_kind=\"v256\"}"));
}
END_TEST

START_TEST(without_a_registry_nothing_happens) {
  SkyInstrument *instrument = sky_metrics_instrument(NULL, &counter);
  ck_assert_ptr_null(instrument);
  SkySeries *series = SKY_SERIES(instrument, "red");
  sky_series_add(series, 1);
  sky_series_set(series, 1);
  sky_series_observe_ns(series, 1, NULL);
}
END_TEST

static double read_number(void *user) {
  return *(double *)user;
}

START_TEST(readers_are_asked_until_they_are_removed) {
  double red = 1.5, blue = 2;
  SkyStatus status = sky_metrics_add_reader(metrics, &counter, (const char *const[]){"red"}, read_number, &red);
  ck_assert_ptr_null(status);
  status = sky_metrics_add_reader(metrics, &counter, (const char *const[]){"blue"}, read_number, &blue);
  ck_assert_ptr_null(status);
  ck_assert_ptr_nonnull(
      strstr(shown(), "test_things_total{test_kind=\"red\"} 1.5\ntest_things_total{test_kind=\"blue\"} 2\n"));
  sky_metrics_remove_readers(metrics, &red);
  blue = 3;
  ck_assert_ptr_null(strstr(shown(), "red"));
  ck_assert_ptr_nonnull(strstr(text, "test_things_total{test_kind=\"blue\"} 3\n"));
}
END_TEST

START_TEST(the_process_is_measured) {
  SkyStatus status = sky_metrics_add_process(metrics);
  ck_assert_ptr_null(status);
  static const char *const names[] = {"process_cpu_time_seconds_total{cpu_mode=\"user\"} ",
                                      "process_memory_usage_bytes ",
                                      "process_thread_count ",
                                      "process_unix_file_descriptor_count ",
                                      "process_uptime_seconds ",
                                      "process_context_switches_total{process_context_switch_type=\"voluntary\"} ",
                                      "process_resident_memory_bytes ",
                                      "process_cpu_seconds_total ",
                                      "process_open_fds "};
  shown();
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    ck_assert_msg(strstr(text, names[i]) != NULL, "%s in\n%s", names[i], text);
  double resident = 0;
  ck_assert_int_eq(sscanf(strstr(text, "\nprocess_resident_memory_bytes ") + 31, "%lf", &resident), 1);
  ck_assert_double_gt(resident, 500e3);
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000 };

static void *count_things(void *user) {
  SkyInstrument *instrument = user;
  SkyInstrument *times = sky_metrics_instrument(metrics, &duration);
  SkyTrace trace = sky_trace_child(NULL);
  for (int i = 0; i < ROUNDS; i++) {
    char value[16];
    snprintf(value, sizeof(value), "v%d", i % 100);
    sky_series_add(SKY_SERIES(instrument, value), 1);
    sky_series_observe_ns(SKY_SERIES(times, NULL), i * 1000, &trace);
  }
  return NULL;
}

START_TEST(threads_lose_nothing_while_others_look) {
  SkyInstrument *instrument = sky_metrics_instrument(metrics, &counter);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, count_things, instrument), 0);
  for (int i = 0; i < 20; i++)
    shown();
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  shown();
  char line[64];
  snprintf(line, sizeof(line), "test_things_total{test_kind=\"v42\"} %d\n", THREADS * ROUNDS / 100);
  ck_assert_ptr_nonnull(strstr(text, line));
  snprintf(line, sizeof(line), "test_duration_seconds_count %d\n", THREADS * ROUNDS);
  ck_assert_ptr_nonnull(strstr(text, line));
}
END_TEST

SKY_CHECK_MAIN_WITH("telemetry/metrics", setup, teardown, a_series_is_the_same_for_the_same_values, counters_add_up,
                    gauges_hold_the_last_value, bounds_belong_to_their_bucket, too_many_series_flow_into_one,
                    without_a_registry_nothing_happens, readers_are_asked_until_they_are_removed,
                    the_process_is_measured, threads_lose_nothing_while_others_look)
