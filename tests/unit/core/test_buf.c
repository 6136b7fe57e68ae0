#include <sky/core/buf.h>

#include <string.h>

#include "sky_check.h"

static SkyBuf buf;

static void setup(void) {
  sky_buf_init(&buf, 1 << 20);
}

static void teardown(void) {
  sky_buf_finish(&buf);
}

static void assert_content(const char *text) {
  ck_assert_uint_eq(sky_buf_str(&buf).size, strlen(text));
  ck_assert_mem_eq(sky_buf_str(&buf).data, text, strlen(text));
}

START_TEST(appends_line_up) {
  assert_content("");
  sky_buf_append_text(&buf, "drone");
  sky_buf_append_byte(&buf, '-');
  sky_buf_append_str(&buf, SKY_STR("17"));
  sky_buf_append(&buf, NULL, 0);
  sky_buf_printf(&buf, " at %d m", 120);
  assert_content("drone-17 at 120 m");
  sky_buf_clear(&buf);
  assert_content("");
}
END_TEST

START_TEST(maximum_is_exact_and_a_failure_keeps_what_was_there) {
  sky_buf_init(&buf, 8);
  sky_buf_append_text(&buf, "12345678");
  ck_assert(!buf.failed);
  sky_buf_append(&buf, "", 0);
  sky_buf_append_text(&buf, "");
  ck_assert(!buf.failed);
  sky_buf_append_byte(&buf, '9');
  ck_assert(buf.failed);
  assert_content("12345678");
  SkyStatus status = sky_buf_status(&buf);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  sky_status_free(status);
  sky_buf_clear(&buf);
  ck_assert_ptr_null(sky_buf_status(&buf));
}
END_TEST

START_TEST(after_a_failure_appends_do_nothing) {
  sky_buf_init(&buf, 4);
  sky_buf_append_text(&buf, "12345");
  sky_buf_append_text(&buf, "1");
  sky_buf_printf(&buf, "%d", 1);
  sky_buf_append_json_string(&buf, "1", 1);
  ck_assert_ptr_null(sky_buf_reserve(&buf, 1));
  assert_content("");
}
END_TEST

START_TEST(printf_fills_up_to_the_last_byte) {
  sky_buf_init(&buf, 5);
  sky_buf_printf(&buf, "%s", "12345");
  ck_assert(!buf.failed);
  assert_content("12345");
  sky_buf_clear(&buf);
  sky_buf_printf(&buf, "%s", "123456");
  ck_assert(buf.failed);
  assert_content("");
}
END_TEST

START_TEST(printf_grows_past_the_first_capacity) {
  char text[3001];
  memset(text, 'x', 3000);
  text[3000] = '\0';
  sky_buf_printf(&buf, "%s", text);
  assert_content(text);
}
END_TEST

START_TEST(reserved_room_counts_only_when_committed) {
  uint8_t *room = sky_buf_reserve(&buf, 1000);
  ck_assert_ptr_nonnull(room);
  memcpy(room, "abc", 3);
  ck_assert_uint_eq(buf.size, 0);
  sky_buf_commit(&buf, 3);
  assert_content("abc");
  ck_assert_ptr_null(sky_buf_reserve(&buf, SIZE_MAX));
  assert_content("abc");
}
END_TEST

static void assert_json(const char *text, size_t size, const char *json) {
  sky_buf_clear(&buf);
  sky_buf_append_json_string(&buf, text, size);
  assert_content(json);
}

START_TEST(json_strings_are_escaped) {
  assert_json(NULL, 0, "\"\"");
  assert_json("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
  assert_json("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
  assert_json("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
  assert_json("Zürich 🚁", strlen("Zürich 🚁"), "\"Zürich 🚁\"");
}
END_TEST

START_TEST(invalid_utf8_becomes_the_replacement_character) {
  assert_json("a\xff"
              "b",
              3,
              "\"a\xef\xbf\xbd"
              "b\"");
  assert_json("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
  assert_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}
END_TEST

SKY_CHECK_MAIN_WITH("core/buf", setup, teardown, appends_line_up, maximum_is_exact_and_a_failure_keeps_what_was_there,
                    after_a_failure_appends_do_nothing, printf_fills_up_to_the_last_byte,
                    printf_grows_past_the_first_capacity, reserved_room_counts_only_when_committed,
                    json_strings_are_escaped, invalid_utf8_becomes_the_replacement_character)
