#include <sky/core/log.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sky_check.h"

/* Datagrams keep writes apart, so that a test sees whether a line was one write(). */
static int fds[2];
static char line[32 * 1024];

static void setup(void) {
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
  sky_log_init("test", SKY_INFO, fds[0]);
}

static void teardown(void) {
  close(fds[0]);
  close(fds[1]);
}

/* The next line, without its timestamp's value; "" when there is none. */
static const char *next_line(void) {
  const ssize_t size = recv(fds[1], line, sizeof(line) - 1, MSG_DONTWAIT);
  line[size < 0 ? 0 : size] = '\0';
  return line;
}

static void assert_line_ends(const char *expected) {
  const char *severity = strstr(next_line(), ",\"severity_text\"");
  ck_assert_msg(severity != NULL, "no line");
  ck_assert_str_eq(severity, expected);
}

START_TEST(a_plain_line) {
  sky_log(SKY_INFO, NULL, NULL, NULL, "ready in %d ms", 80);
  assert_line_ends(
      ",\"severity_text\":\"INFO\",\"severity_number\":9,\"body\":\"ready in 80 ms\",\"service.name\":\"test\","
      "\"attributes\":{}}\n");
}
END_TEST

START_TEST(the_timestamp_is_rfc3339) {
  sky_log(SKY_INFO, NULL, NULL, NULL, "x");
  const char *prefix = "{\"timestamp\":\"";
  ck_assert_mem_eq(next_line(), prefix, strlen(prefix));
  const char *from = line + strlen(prefix);
  int64_t seconds;
  int32_t nanos;
  ck_assert(sky_time_parse_rfc3339((SkyStr){from, (size_t)(strchr(from, '"') - from)}, &seconds, &nanos));
  ck_assert_int_le(llabs(seconds - sky_clock_wall_ms(sky_clock_system_borrow()) / 1000), 60);
}
END_TEST

START_TEST(everything_at_once) {
  SkyContext context = sky_context_background();
  ck_assert(sky_trace_parse(SKY_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &context.trace));
  sky_log(SKY_ERROR, &context, "drone.lost",
          SKY_FIELDS(SKY_F_TEXT("skyhook.drone.id", "d\"1"), SKY_F_INT("n", INT64_MIN), SKY_F_DOUBLE("x", 1.5),
                     SKY_F_BOOL("b", true), SKY_F_DOUBLE("nan", NAN), SKY_F_TEXT("null", NULL)),
          "drone %s lost\n", "d\"1");
  assert_line_ends(
      ",\"severity_text\":\"ERROR\",\"severity_number\":17,\"body\":\"drone d\\\"1 lost\\n\",\"event_name\":"
      "\"drone.lost\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"span_id\":\"00f067aa0ba902b7\","
      "\"trace_flags\":\"01\",\"service.name\":\"test\",\"attributes\":{\"skyhook.drone.id\":\"d\\\"1\",\"n\":"
      "-9223372036854775808,\"x\":1.5,\"b\":true,\"nan\":\"nan\",\"null\":null}}\n");
}
END_TEST

static int evaluated;
static int evaluate(void) {
  return ++evaluated;
}

START_TEST(below_the_level_nothing_is_written_or_evaluated) {
  sky_log(SKY_DEBUG, NULL, NULL, NULL, "%d", evaluate());
  ck_assert_str_eq(next_line(), "");
  ck_assert_int_eq(evaluated, 0);
  ck_assert(!sky_log_enabled(SKY_DEBUG));
  sky_log_init("test", SKY_TRACE, fds[0]);
  sky_log(SKY_DEBUG, NULL, NULL, NULL, "%d", evaluate());
  ck_assert_ptr_nonnull(strstr(next_line(), "\"body\":\"1\""));
}
END_TEST

START_TEST(severities_have_names) {
  SkySeverity severity = SKY_FATAL;
  ck_assert(sky_severity_from_name("debug", &severity) && severity == SKY_DEBUG);
  ck_assert(sky_severity_from_name("fatal", &severity) && severity == SKY_FATAL);
  ck_assert(!sky_severity_from_name("DEBUG", &severity));
  ck_assert(!sky_severity_from_name("", &severity));
  ck_assert_int_eq(severity, SKY_FATAL);
}
END_TEST

/* One JSON object and a line feed: quotes pair up, braces close at the end only. */
static void assert_whole_object(const char *text) {
  bool quoted = false;
  int depth = 0;
  const size_t size = strlen(text);
  ck_assert_uint_le(size, 16 * 1024);
  ck_assert(sky_utf8_valid(text, size));
  for (size_t i = 0; i < size; i++) {
    /* Not ck_assert() for every byte: each one tells the parent process where it is. */
    if (i < size - 1 && (unsigned char)text[i] < 0x20)
      ck_abort_msg("control character at %zu", i);
    if (quoted && text[i] == '\\')
      i++;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && (text[i] == '{' || text[i] == '}'))
      depth += text[i] == '{' ? 1 : -1;
    if (depth <= 0 && i < size - 2)
      ck_abort_msg("the object ends at %zu of %zu", i, size);
  }
  ck_assert_int_eq(depth, 0);
  ck_assert_str_eq(text + size - 2, "}\n");
}

static char *repeated(const char *unit, size_t count) {
  char *text = malloc(strlen(unit) * count + 1);
  text[0] = '\0';
  char *end = text;
  for (size_t i = 0; i < count; i++)
    end = stpcpy(end, unit);
  return text;
}

START_TEST(a_long_body_is_cut_and_marked) {
  static const char *const units[] = {"a", "\"", "\x01", "🚁", "\xff", "é"};
  for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
    char *text = repeated(units[i], 20000);
    sky_log(SKY_INFO, NULL, NULL, NULL, "%s", text);
    free(text);
    assert_whole_object(next_line());
    ck_assert_uint_gt(strlen(line), 3000);
    ck_assert_ptr_nonnull(strstr(line, "\"attributes\":{\"log.truncated\":true}}\n"));
  }
}
END_TEST

START_TEST(long_attributes_are_cut_and_the_next_still_comes) {
  char *text = repeated("\x02", 10000);
  sky_log(SKY_INFO, NULL, NULL, SKY_FIELDS(SKY_F_TEXT("long", text), SKY_F_INT("next", 7)), "x");
  assert_whole_object(next_line());
  ck_assert_ptr_nonnull(strstr(line, ",\"next\":7,\"log.truncated\":true}}\n"));
  free(text);
}
END_TEST

START_TEST(what_finds_no_room_is_left_out) {
  enum { FIELDS = 40 };
  char *text = repeated("\"", 1500);
  SkyLogField fields[FIELDS + 1] = {0};
  for (int i = 0; i < FIELDS; i++)
    fields[i] = SKY_F_TEXT("key", text);
  fields[FIELDS].kind = SKY_LOG_END;
  sky_log(SKY_INFO, NULL, NULL, fields, "%s", text);
  assert_whole_object(next_line());
  ck_assert_uint_gt(strlen(line), 12 * 1024);
  ck_assert_ptr_nonnull(strstr(line, ",\"log.truncated\":true}}\n"));
  free(text);
}
END_TEST

/* Every length around the limits, so that no boundary leaves half a line. */
START_TEST(no_length_breaks_a_line) {
  for (size_t size = 0; size < 9000; size += 7) {
    char *text = repeated("\"", size);
    sky_log(SKY_INFO, NULL, text, SKY_FIELDS(SKY_F_TEXT(text, text), SKY_F_TEXT("b", text)), "%s", text);
    free(text);
    assert_whole_object(next_line());
  }
}
END_TEST

START_TEST(a_status_is_logged_and_freed) {
  sky_log_status(SKY_WARN, NULL, "store.failed", SKY_OK, "store");
  ck_assert_str_eq(next_line(), "");
  sky_log_status(SKY_WARN, NULL, "store.failed", sky_status_with_reason(SKY_UNAVAILABLE("no answer"), "AWAY"), "store");
  ck_assert_ptr_nonnull(strstr(next_line(), "\"body\":\"store: no answer\",\"event_name\":\"store.failed\""));
  ck_assert_ptr_nonnull(strstr(line, "\"attributes\":{\"error.type\":\"UNAVAILABLE\",\"error.message\":\"no answer\","
                                     "\"error.reason\":\"AWAY\"}}\n"));
  sky_log_status(SKY_DEBUG, NULL, NULL, SKY_UNAVAILABLE("freed, though not written"), "store");
  ck_assert_str_eq(next_line(), "");
}
END_TEST

START_TEST(a_closed_descriptor_is_survived) {
  close(fds[0]);
  sky_log(SKY_INFO, NULL, NULL, NULL, "x");
  ck_assert_str_eq(next_line(), "");
}
END_TEST

static void *log_a_hundred(void *user) {
  for (int i = 0; i < 100; i++)
    sky_log(SKY_INFO, NULL, "thread", SKY_FIELDS(SKY_F_INT("i", i)), "line %d", i);
  return NULL;
}

START_TEST(threads_do_not_mix_their_lines) {
  int file_fds[2];
  ck_assert_int_eq(pipe(file_fds), 0);
  fcntl(file_fds[1], F_SETPIPE_SZ, 1 << 20);
  sky_log_init("test", SKY_INFO, file_fds[1]);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], NULL, log_a_hundred, NULL);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  close(file_fds[1]);
  FILE *file = fdopen(file_fds[0], "r");
  int lines = 0;
  while (fgets(line, sizeof(line), file) != NULL) {
    assert_whole_object(line);
    lines++;
  }
  fclose(file);
  ck_assert_int_eq(lines, 400);
}
END_TEST

SKY_CHECK_MAIN_WITH("core/log", setup, teardown, a_plain_line, the_timestamp_is_rfc3339, everything_at_once,
                    below_the_level_nothing_is_written_or_evaluated, severities_have_names,
                    a_long_body_is_cut_and_marked, long_attributes_are_cut_and_the_next_still_comes,
                    what_finds_no_room_is_left_out, no_length_breaks_a_line, a_status_is_logged_and_freed,
                    a_closed_descriptor_is_survived, threads_do_not_mix_their_lines)
