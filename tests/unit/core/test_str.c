#include <sky/core/str.h>

#include <math.h>
#include <string.h>

#include "sky_check.h"

START_TEST(null_and_empty_are_equal_slices) {
  ck_assert(sky_str_equal(sky_str(NULL), sky_str("")));
  ck_assert(sky_str_equal((SkyStr){0}, SKY_STR("")));
  ck_assert(sky_str_is((SkyStr){0}, ""));
  ck_assert(!sky_str_is(SKY_STR("a"), ""));
}
END_TEST

START_TEST(comparison_is_by_bytes_not_by_terminator) {
  ck_assert(!sky_str_equal(SKY_STR("a\0b"), SKY_STR("a\0c")));
  ck_assert(sky_str_equal(SKY_STR("a\0b"), SKY_STR("a\0b")));
  ck_assert(!sky_str_is(SKY_STR("a\0"), "a"));
}
END_TEST

START_TEST(prefix_and_suffix) {
  const SkyStr text = SKY_STR("drone-17");
  ck_assert(sky_str_starts_with(text, SKY_STR("drone")));
  ck_assert(sky_str_starts_with(text, (SkyStr){0}));
  ck_assert(!sky_str_starts_with(text, SKY_STR("drone-17x")));
  ck_assert(sky_str_ends_with(text, SKY_STR("-17")));
  ck_assert(sky_str_ends_with(text, (SkyStr){0}));
  ck_assert(!sky_str_ends_with(text, SKY_STR("-18")));
  ck_assert(!sky_str_ends_with(SKY_STR("7"), SKY_STR("17")));
}
END_TEST

START_TEST(cut_splits_at_the_first_separator) {
  SkyStr rest = SKY_STR("a,b,");
  SkyStr head;
  ck_assert(sky_str_cut(&rest, ',', &head) && sky_str_is(head, "a"));
  ck_assert(sky_str_cut(&rest, ',', &head) && sky_str_is(head, "b"));
  ck_assert(sky_str_is(rest, ""));
  head = SKY_STR("untouched");
  ck_assert(!sky_str_cut(&rest, ',', &head));
  ck_assert(sky_str_is(head, "untouched"));
  rest = (SkyStr){0};
  ck_assert(!sky_str_cut(&rest, ',', &head));
}
END_TEST

START_TEST(int64_takes_its_whole_range_and_no_more) {
  int64_t number = 7;
  ck_assert(sky_str_to_int64(SKY_STR("-9223372036854775808"), &number) && number == INT64_MIN);
  ck_assert(sky_str_to_int64(SKY_STR("9223372036854775807"), &number) && number == INT64_MAX);
  ck_assert(sky_str_to_int64(SKY_STR("-0"), &number) && number == 0);
  ck_assert(sky_str_to_int64(SKY_STR("0042"), &number) && number == 42);
  const char *const wrong[] = {"",
                               "-",
                               "+1",
                               " 1",
                               "1 ",
                               "1.0",
                               "0x10",
                               "1e3",
                               "--1",
                               "9223372036854775808",
                               "-9223372036854775809",
                               "99999999999999999999999"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
    ck_assert_msg(!sky_str_to_int64(sky_str(wrong[i]), &number), "%s", wrong[i]);
  ck_assert_int_eq(number, 42);
}
END_TEST

START_TEST(uint64_takes_its_whole_range_and_no_more) {
  uint64_t number = 7;
  ck_assert(sky_str_to_uint64(SKY_STR("18446744073709551615"), &number) && number == UINT64_MAX);
  ck_assert(!sky_str_to_uint64(SKY_STR("18446744073709551616"), &number));
  ck_assert(!sky_str_to_uint64(SKY_STR("-1"), &number));
  ck_assert(!sky_str_to_uint64((SkyStr){0}, &number));
  ck_assert(number == UINT64_MAX);
}
END_TEST

START_TEST(doubles_follow_json_grammar) {
  static const struct {
    const char *text;
    double number;
  } right[] = {
      {"0", 0},        {"-1.5", -1.5},       {"1e3", 1000}, {"1E-3", 0.001},
      {"2.5e+2", 250}, {"47.6062", 47.6062}, {"1e-400", 0}, {"1.7976931348623157e308", 1.7976931348623157e308}};
  for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
    double number = -1;
    ck_assert_msg(sky_str_to_double(sky_str(right[i].text), &number), "%s", right[i].text);
    ck_assert(number == right[i].number);
  }
  static const char *const wrong[] = {"",    "-",   ".5", "5.", "1e",    "1e+",    "+1",    "0x1p3", "inf",
                                      "nan", "1,5", "1 ", " 1", "1e999", "-1e999", "1.5.2", "1e5.0", "Infinity"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    double number = -1;
    ck_assert_msg(!sky_str_to_double(sky_str(wrong[i]), &number), "%s", wrong[i]);
    ck_assert(number == -1);
  }
}
END_TEST

START_TEST(double_length_is_bounded) {
  char text[2000];
  memset(text, '1', sizeof(text));
  text[1] = '.';
  double number;
  ck_assert(sky_str_to_double((SkyStr){text, 1023}, &number));
  ck_assert(fabs(number - 1.1111111111111111) < 1e-15);
  ck_assert(!sky_str_to_double((SkyStr){text, 1024}, &number));
}
END_TEST

START_TEST(durations_have_a_unit) {
  static const struct {
    const char *text;
    int64_t ns;
  } right[] = {{"0s", 0},
               {"7ns", 7},
               {"3us", 3000},
               {"250ms", 250000000},
               {"5s", 5000000000},
               {"1.5s", 1500000000},
               {"0.1ns", 0},
               {"1.000000001s", 1000000001},
               {"1.0000000019s", 1000000001},
               {"2m", 120000000000},
               {"0.5h", 1800000000000},
               {"9223372036854775807ns", INT64_MAX},
               {"9223372036.854775807s", INT64_MAX}};
  for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
    int64_t ns = -1;
    ck_assert_msg(sky_str_to_duration_ns(sky_str(right[i].text), &ns), "%s", right[i].text);
    ck_assert_int_eq(ns, right[i].ns);
  }
  static const char *const wrong[] = {"",
                                      "s",
                                      "5",
                                      "-5s",
                                      "5 s",
                                      "5.s",
                                      ".5s",
                                      "1h30m",
                                      "5S",
                                      "5d",
                                      "5sec",
                                      "1e3s",
                                      "9223372036854775808ns",
                                      "9223372036.854775808s",
                                      "3000000h"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    int64_t ns = -1;
    ck_assert_msg(!sky_str_to_duration_ns(sky_str(wrong[i]), &ns), "%s", wrong[i]);
    ck_assert_int_eq(ns, -1);
  }
}
END_TEST

/* Writes the code point as UTF-8 without any check, surrogates too. */
static size_t encode(uint32_t c, char *text) {
  if (c < 0x80) {
    text[0] = (char)c;
    return 1;
  }
  const size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--, c >>= 6)
    text[i] = (char)(0x80 | (c & 0x3f));
  text[0] = (char)((0xf00u >> length) | c);
  return length;
}

START_TEST(every_code_point_but_surrogates_is_valid_utf8) {
  for (uint32_t c = 0; c < 0x110000; c++) {
    char text[4];
    const size_t length = encode(c, text);
    const bool surrogate = c >= 0xd800 && c <= 0xdfff;
    if (sky_utf8_sequence(text, length) != (surrogate ? 0 : length) || sky_utf8_valid(text, length) == surrogate ||
        (length > 1 && sky_utf8_valid(text, length - 1)))
      ck_abort_msg("U+%04X", c);
  }
}
END_TEST

/* Long ASCII is looked at in blocks: wherever something else stands, it is seen. */
START_TEST(one_byte_in_long_ascii_counts) {
  enum { LONGEST = 200 };
  char text[LONGEST];
  for (size_t size = 1; size <= LONGEST; size++) {
    memset(text, 'x', size);
    ck_assert(sky_utf8_valid(text, size));
    for (size_t at = 0; at < size; at++) {
      text[at] = (char)0xff;
      ck_assert_msg(!sky_utf8_valid(text, size), "%zu of %zu", at, size);
      text[at] = 'x';
    }
    for (size_t at = 0; at + 2 <= size; at++) {
      memcpy(text + at, "\xc3\xbc", 2);
      ck_assert_msg(sky_utf8_valid(text, size), "%zu of %zu", at, size);
      memcpy(text + at, "xx", 2);
    }
  }
}
END_TEST

START_TEST(ill_formed_utf8_is_refused) {
  static const char *const wrong[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3(",
                                      "\xe2\x82",
                                      "\xe2(\xa1",
                                      "12345678\xe2\x82",
                                      "1234567\xc3"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
    ck_assert_msg(!sky_utf8_valid(wrong[i], strlen(wrong[i])), "%zu", i);
  ck_assert(sky_utf8_valid("", 0));
  ck_assert(sky_utf8_valid("a\0b", 3));
  ck_assert(sky_utf8_valid("Zürich → 北京 🚁 12345678", strlen("Zürich → 北京 🚁 12345678")));
}
END_TEST

START_TEST(cutting_never_splits_a_character) {
  const char *text = "aé€🚁z";
  const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
  for (size_t max = 0; max < sizeof(ends) / sizeof(ends[0]); max++)
    ck_assert_uint_eq(sky_utf8_cut(text, strlen(text), max), ends[max]);
  ck_assert_uint_eq(sky_utf8_cut("\xff\xff\xff\xff\xff", 5, 4), 4);
}
END_TEST

SKY_CHECK_MAIN("core/str", null_and_empty_are_equal_slices, comparison_is_by_bytes_not_by_terminator, prefix_and_suffix,
               cut_splits_at_the_first_separator, int64_takes_its_whole_range_and_no_more,
               uint64_takes_its_whole_range_and_no_more, doubles_follow_json_grammar, double_length_is_bounded,
               durations_have_a_unit, every_code_point_but_surrogates_is_valid_utf8, one_byte_in_long_ascii_counts,
               ill_formed_utf8_is_refused, cutting_never_splits_a_character)
