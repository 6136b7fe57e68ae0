#include <sky/telemetry/metrics.h>

#include <string.h>

#include "sky_check.h"

static SkyMetrics *metrics;

static void setup(void) {
  SkyStatus status = sky_metrics_create(&metrics);
  ck_assert_ptr_null(status);
}

static void teardown(void) {
  sky_metrics_destroy(metrics);
}

static SkyCode set(const char *attributes, const char *name) {
  SkyStatus status = sky_metrics_set_resource_from(metrics, attributes, name);
  SkyCode code = sky_status_code(status);
  sky_status_free(status);
  return code;
}

static bool shows(const char *text) {
  SkyBuf out;
  sky_buf_init(&out, 1 << 20);
  sky_metrics_write(metrics, false, &out);
  sky_buf_append_byte(&out, 0);
  bool found = strstr((const char *)out.data, text) != NULL;
  sky_buf_finish(&out);
  return found;
}

START_TEST(attributes_of_the_environment_are_shown) {
  ck_assert_int_eq(set("k8s.pod.name=a-1, deployment.environment.name=pre%20prod", NULL), SKY_CODE_OK);
  ck_assert(shows("target_info{k8s_pod_name=\"a-1\",deployment_environment_name=\"pre prod\"} 1\n"));
}
END_TEST

START_TEST(the_name_goes_before_that_of_the_attributes) {
  ck_assert_int_eq(set("service.name=from-attributes", "from-name"), SKY_CODE_OK);
  ck_assert(shows("{service_name=\"from-name\"}"));
}
END_TEST

START_TEST(nothing_is_nothing) {
  ck_assert_int_eq(set(NULL, NULL), SKY_CODE_OK);
  ck_assert_int_eq(set("", ""), SKY_CODE_OK);
  ck_assert_int_eq(set(" , ", NULL), SKY_CODE_OK);
  ck_assert(!shows("target_info"));
}
END_TEST

START_TEST(what_cannot_be_read_is_refused) {
  ck_assert_int_eq(set("no-value", NULL), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_int_eq(set("=x", NULL), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_int_eq(set("a=%4", NULL), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_int_eq(set("a=%zz", NULL), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_int_eq(set("a=%ff", NULL), SKY_CODE_INVALID_ARGUMENT); /* not UTF-8 */
  char large[600] = "a=";
  memset(large + 2, 'x', sizeof(large) - 3);
  ck_assert_int_eq(set(large, NULL), SKY_CODE_INVALID_ARGUMENT);
}
END_TEST

SKY_CHECK_MAIN_WITH("telemetry/resource", setup, teardown, attributes_of_the_environment_are_shown,
                    the_name_goes_before_that_of_the_attributes, nothing_is_nothing, what_cannot_be_read_is_refused)
