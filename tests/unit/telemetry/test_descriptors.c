#include <sky/telemetry/descriptors.h>

#include <sys/resource.h>
#include <unistd.h>

#include "sky_check.h"

START_TEST(what_is_open_is_counted_also_when_nothing_can_be_opened) {
  enum { LIMIT = 60, MOST = 64 };
  const struct rlimit limit = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
  int opened[MOST], count = 0;
  sky_descriptors_prepare();
  const size_t before = sky_descriptors_count().used;
  opened[count++] = dup(STDIN_FILENO);
  ck_assert_uint_eq(sky_descriptors_count().used, before + 1);

  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ck_assert_uint_eq(sky_descriptors_count().limit, LIMIT);
  ck_assert(!sky_descriptors_count().exhausted);
  while (count < MOST && (opened[count] = dup(STDIN_FILENO)) >= 0)
    count++;
  ck_assert_uint_eq(sky_descriptors_count().used, LIMIT);
  ck_assert(sky_descriptors_count().exhausted);
  for (int i = 0; i < 4; i++) /* four are kept in reserve */
    close(opened[--count]);
  ck_assert(!sky_descriptors_count().exhausted);
}
END_TEST

SKY_CHECK_MAIN("telemetry/descriptors", what_is_open_is_counted_also_when_nothing_can_be_opened)
