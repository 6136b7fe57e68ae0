/*
 * Every allocation of core fails once: the n-th call of malloc and its kin, for each n until a scenario gets through.
 * Nothing may leak, crash or be half done.
 */
#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/context.h>
#include <sky/core/executor.h>
#include <sky/core/log.h>
#include <sky/core/map.h>
#include <sky/core/timer.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "failing_malloc.h"
#include "sky_check.h"

static bool has_failed(void) {
  return failing_malloc_failures() > 0;
}

/* Instead of ck_assert(), which allocates: check is a static library, so its calls are wrapped as well. */
#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      failing_malloc_disarm();                                                                                         \
      ck_abort_msg("%s", #condition);                                                                                  \
    }                                                                                                                  \
  } while (0)

/* Runs the scenario with the first, second, … allocation failing, until none is left that could. */
static void fail_each(void (*scenario)(void), int least) {
  int count = 0;
  for (;; count++) {
    failing_malloc_arm(count, 0);
    scenario();
    failing_malloc_disarm();
    if (!has_failed())
      break;
  }
  ck_assert_int_ge(count, least); /* else the wrapping does not work */
}

static void use_status(void) {
  SkyStatus status = SKY_ABORTED("first %d", 1);
  status = sky_status_with_reason(status, "REASON");
  status = sky_status_with_reason(status, "OTHER");
  status = sky_status_with_metadata(status, "key", "value");
  status = sky_status_with_metadata(status, "key", "other");
  status = sky_status_with_violation(status, "field", "is %d", 1);
  status = sky_status_with_domain(sky_status_with_domain(status, "a.test"), "b.test");
  status = sky_status_with_precondition(status, (SkyPrecondition){.type = "T", .subject = "s"});
  status = sky_status_with_resource(status, (SkyResourceInfo){.name = "n"});
  status = sky_status_with_detail(status, "test.v1.Thing", SKY_STR("bytes"));
  status = sky_status_annotate(status, "context: ");
  SkyStatus copy = sky_status_copy(status);
  const SkyCode code = sky_status_code(status);
  MUST(code == SKY_CODE_ABORTED || code == SKY_CODE_RESOURCE_EXHAUSTED);
  MUST(sky_status_message(copy) != NULL);
  const char *reason = sky_status_reason(status);
  MUST(reason == NULL || strcmp(reason, "OTHER") == 0 || strcmp(reason, "REASON") == 0);
  sky_status_free(copy);
  sky_status_free(status);
}

static void use_violations(void) {
  SkyStatus status = SKY_OK;
  sky_violations_add(&status, "field", "is %d", 1);
  sky_violations_add(&status, "other", "is %d", 2);
  MUST(status != NULL);
  MUST(has_failed() || sky_status_violation_count(status) == 2);
  sky_status_free(status);
}

static void use_map(void) {
  SkyMap *map = sky_map_create(100);
  if (map == NULL)
    return;
  size_t stored = 0;
  for (int i = 0; i < 30; i++) {
    char key[16];
    snprintf(key, sizeof(key), "%d", i);
    SkyStatus status = sky_map_set(map, sky_str(key), &map, NULL);
    MUST((status == SKY_OK) == (sky_map_get(map, sky_str(key)) == &map));
    stored += status == SKY_OK;
    sky_status_free(status);
  }
  MUST(sky_map_size(map) == (stored));
  MUST(stored == (has_failed() ? 29 : 30));
  sky_map_destroy(map);
}

static void use_buf(void) {
  SkyBuf buf;
  sky_buf_init(&buf, 10000);
  for (int i = 0; i < 100; i++)
    sky_buf_printf(&buf, "%d,", i);
  sky_buf_append_json_string(&buf, "\"\n", 2);
  MUST(buf.failed == has_failed());
  MUST(sky_utf8_valid(buf.data, buf.size));
  SkyStatus status = sky_buf_status(&buf);
  MUST((status != SKY_OK) == has_failed());
  sky_status_free(status);
  sky_buf_finish(&buf);
}

static void use_arena(void) {
  SkyArena arena;
  sky_arena_init(&arena, 1 << 20);
  size_t used = 0;
  for (int i = 0; i < 20; i++) {
    if (sky_arena_alloc(&arena, 1000) != NULL)
      used += 1000;
    MUST(arena.used_bytes == (used));
  }
  MUST(used == (has_failed() ? 19000 : 20000));
  sky_arena_finish(&arena);
}

static void use_log(void) {
  static char text[3000];
  memset(text, 'x', sizeof(text) - 1);
  sky_log(SKY_INFO, NULL, "event", SKY_FIELDS(SKY_F_TEXT("a", text), SKY_F_TEXT("b", text)), "%s", text);
}

static void use_cancel(void) {
  SkyCancel *cancel = sky_cancel_create();
  MUST((cancel == NULL) == has_failed());
  sky_cancel_unref(cancel);
}

static void use_executor(void) {
  SkyExecutor *executor = NULL;
  SkyStatus status = sky_executor_create(NULL, &executor);
  MUST((executor == NULL) == (status != SKY_OK));
  sky_status_free(status);
  sky_executor_destroy(executor);
}

static void use_timers(void) {
  SkyTimers *timers = NULL;
  SkyStatus status = sky_timers_create(100, &timers);
  MUST((timers == NULL) == (status != SKY_OK));
  SkyTimer timer = {0};
  if (timers != NULL) {
    status = sky_timers_schedule(timers, &timer, INT64_MAX);
    MUST((status == SKY_OK) == sky_timers_cancel(timers, &timer));
  }
  sky_status_free(status);
  sky_timers_destroy(timers);
}

START_TEST(status) {
  fail_each(use_status, 10);
  fail_each(use_violations, 5);
}
END_TEST

START_TEST(map) {
  fail_each(use_map, 33);
}
END_TEST

START_TEST(buf) {
  fail_each(use_buf, 2);
}
END_TEST

START_TEST(arena) {
  fail_each(use_arena, 3);
}
END_TEST

START_TEST(log_line) {
  int fds[2];
  ck_assert_int_eq(pipe(fds), 0);
  sky_log_init("test", SKY_INFO, fds[1]);
  fail_each(use_log, 3);
  close(fds[1]);
  static char text[65536];
  const ssize_t size = read(fds[0], text, sizeof(text));
  /* A line that found no memory is missing; none is broken. */
  ck_assert_int_gt(size, 3000);
  ck_assert(text[0] == '{');
  for (ssize_t i = 0; i < size; i++) {
    if (text[i] == '\n')
      ck_assert(i + 1 == size || text[i + 1] == '{');
  }
  ck_assert(text[size - 1] == '\n');
}
END_TEST

START_TEST(threads) {
  fail_each(use_cancel, 1);
  fail_each(use_executor, 2);
  fail_each(use_timers, 2);
}
END_TEST

SKY_CHECK_MAIN("core/no_memory", status, map, buf, arena, log_line, threads)
