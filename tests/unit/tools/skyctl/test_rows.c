/* tools/skyctl/rows.h: what skyctl submit reads from files, and what it says of those that it cannot read. */
#include <skyctl/rows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sky_check.h"

static Rows rows;

static void teardown(void) {
  rows_finish(&rows);
}

/* Of a new file with this end of its name. */
static SkyStatus load(const char *suffix, const char *text, size_t size) {
  char path[64];
  snprintf(path, sizeof(path), "/tmp/sky-rows-XXXXXX%s", suffix);
  const int fd = mkstemps(path, (int)strlen(suffix));
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
  close(fd);
  rows_finish(&rows);
  SkyStatus status = rows_load(path, &rows);
  unlink(path);
  return status;
}

static void expect_row(size_t i, size_t line, const char *json) {
  ck_assert_uint_lt(i, rows.count);
  ck_assert_str_eq(rows.rows[i].json, json);
  ck_assert_uint_eq(rows.rows[i].line, line);
}

static void expect_csv(const char *text, const char *json) {
  SkyStatus status = load(".csv", text, strlen(text));
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  ck_assert_uint_eq(rows.count, 1);
  ck_assert_str_eq(rows.rows[0].json, json);
}

static void expect_error(const char *suffix, const char *text, size_t size, const char *part) {
  SkyStatus status = load(suffix, text, size);
  ck_assert_msg(status != SKY_OK && strstr(sky_status_message(status), part) != NULL, "no \"%s\" in \"%s\"", part,
                sky_status_message(status));
  ck_assert_uint_eq(rows.count, 0);
  sky_status_free(status);
}

static void expect_csv_error(const char *text, const char *part) {
  expect_error(".csv", text, strlen(text), part);
}

START_TEST(json_lines_are_taken_as_they_are) {
  static const char text[] = "\xef\xbb\xbf{\"a\":1}\r\n\n  \t\n{\"b\":\"x\"}  ";
  ck_assert_ptr_null(load(".jsonl", text, strlen(text)));
  ck_assert_uint_eq(rows.count, 2);
  expect_row(0, 1, "{\"a\":1}");
  expect_row(1, 4, "{\"b\":\"x\"}");
}
END_TEST

START_TEST(columns_become_fields) {
  static const char text[] = "ownerId,expedited,packageInfo.weightKg\nacme,true,0.5\r\n\nshop,,\"2\"";
  ck_assert_ptr_null(load(".csv", text, strlen(text)));
  ck_assert_uint_eq(rows.count, 2);
  expect_row(0, 2, "{\"expedited\":true,\"ownerId\":\"acme\",\"packageInfo\":{\"weightKg\":\"0.5\"}}");
  expect_row(1, 4, "{\"ownerId\":\"shop\",\"packageInfo\":{\"weightKg\":\"2\"}}");
}
END_TEST

START_TEST(fields_of_one_object_may_stand_apart) {
  expect_csv("at.y,name,at.x,b.c.d,b-c,b.c.e,b.f\n1,n,2,3,4,5,6\n",
             "{\"at\":{\"x\":\"2\",\"y\":\"1\"},\"b\":{\"c\":{\"d\":\"3\",\"e\":\"5\"},\"f\":\"6\"},\"b-c\":\"4\","
             "\"name\":\"n\"}");
  expect_csv("a.b.c,d.e,f\n,1,\n", "{\"d\":{\"e\":\"1\"}}");
  expect_csv("a,b\n,\n", "{}");
}
END_TEST

START_TEST(cells_may_be_quoted) {
  expect_csv("a,b\n\"x, \"\"y\"\"\",\" z \"\n", "{\"a\":\"x, \\\"y\\\"\",\"b\":\" z \"}");
  expect_csv("a,b\n \"x\" ,  y  \n", "{\"a\":\"x\",\"b\":\"y\"}");
  expect_csv("\xef\xbb\xbf\"a\"\n\"one\r\ntwo\"\n", "{\"a\":\"one\\r\\ntwo\"}");
}
END_TEST

START_TEST(a_record_over_several_lines_counts_from_its_first) {
  static const char text[] = "a,b\n\"1\n2\n3\",x\ny,z\n";
  ck_assert_ptr_null(load(".csv", text, strlen(text)));
  expect_row(0, 2, "{\"a\":\"1\\n2\\n3\",\"b\":\"x\"}");
  expect_row(1, 5, "{\"a\":\"y\",\"b\":\"z\"}");
}
END_TEST

START_TEST(what_is_wrong_is_said_with_its_line) {
  expect_csv_error("a,b\n1,2\n1\n", "line 3: 1 cells, but the header has 2");
  expect_csv_error("a,b\n1,2,3\n", "line 2: 3 cells, but the header has 2");
  expect_csv_error("a,b\n1,\"2\"x\n", "line 2: a quote where none may be");
  expect_csv_error("a,b\n1,2\"\n", "line 2: a quote where none may be");
  expect_csv_error("a,b\n1,2\n\"3,4\n5\n", "line 3: a cell in quotes does not end");
  expect_csv_error("a,b,a\n", "line 1: two columns are named \"a\"");
  expect_csv_error("a.b,a\n", "line 1: \"a\" cannot be a column beside \"a.b\"");
  expect_csv_error("a,,b\n", "line 1: \"\" (column 2) is not the name of a field");
  expect_csv_error("a.,b\n", "line 1: \"a.\" (column 1) is not the name of a field");
  expect_csv_error("a..b\n", "is not the name of a field");
}
END_TEST

START_TEST(nothing_is_without_bounds) {
  enum { LONG = ROWS_MAX_BYTES + 100 };
  static char text[2 * LONG];
  memset(text, ',', 2 * 65);
  for (size_t i = 0; i < 65; i++)
    text[2 * i] = (char)('A' + i % 26);
  expect_error(".csv", text, 2 * 65, "line 1: more than 64 cells");
  memset(text, 'x', sizeof(text));
  expect_error(".jsonl", text, LONG, "line 1: longer than 65536 bytes");
  expect_error(".csv", text, LONG, "line 1: longer than 65536 bytes");
  memcpy(text, "a\n\"", 3);
  for (size_t i = 100; i < sizeof(text); i += 100)
    text[i] = '\n';
  expect_error(".csv", text, LONG, "line 2: longer than 65536 bytes");
}
END_TEST

START_TEST(files_without_requests_are_refused) {
  static const char *const empty[] = {"", "\n \n", "\xef\xbb\xbf"};
  for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
    expect_error(".jsonl", empty[i], strlen(empty[i]), "there are no delivery requests in it");
    expect_csv_error(empty[i], "there are no delivery requests in it");
  }
  expect_csv_error("a,b\n", "there are no delivery requests in it");
  expect_error(".jsonl", "{}\n{\0}\n", 7, "line 2: holds a NUL byte");
  SkyStatus status = rows_load("/nowhere/at/all", &rows);
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), "cannot open /nowhere/at/all"));
  sky_status_free(status);
}
END_TEST

SKY_CHECK_MAIN_WITH("skyctl/rows", NULL, teardown, json_lines_are_taken_as_they_are, columns_become_fields,
                    fields_of_one_object_may_stand_apart, cells_may_be_quoted,
                    a_record_over_several_lines_counts_from_its_first, what_is_wrong_is_said_with_its_line,
                    nothing_is_without_bounds, files_without_requests_are_refused)
