#include "../../../lib/sky/transcode/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <sky/core/id.h>

#include "sky_check.h"

static char text[NUMBER_TEXT_SIZE + 1];

static const char *double_text(double value) {
  text[number_write_double(value, text)] = '\0';
  return text;
}

static const char *float_text(float value) {
  text[number_write_float(value, text)] = '\0';
  return text;
}

START_TEST(doubles_are_laid_out_as_in_ecmascript) {
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0, "0"},
               {-0.0, "-0"},
               {1, "1"},
               {-1.5, "-1.5"},
               {0.1, "0.1"},
               {47.6062, "47.6062"},
               {100, "100"},
               {123456789012345680.0, "123456789012345680"},
               {1e20, "100000000000000000000"},
               {1e21, "1e+21"},
               {1.5e300, "1.5e+300"},
               {1e-6, "0.000001"},
               {1e-7, "1e-7"},
               {1.25e-7, "1.25e-7"},
               {5e-324, "5e-324"},
               {DBL_MAX, "1.7976931348623157e+308"},
               {DBL_MIN, "2.2250738585072014e-308"},
               {9007199254740993.0, "9007199254740992"},
               {0.3, "0.3"},
               {0.1 + 0.2, "0.30000000000000004"},
               {2.0 / 3, "0.6666666666666666"},
               {9e15, "9000000000000000"}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
    ck_assert_str_eq(double_text(cases[i].value), cases[i].text);
}
END_TEST

START_TEST(floats_are_as_short_as_floats_can_be) {
  ck_assert_str_eq(float_text(0.1f), "0.1");
  ck_assert_str_eq(float_text(16777216.0f), "16777216");
  ck_assert_str_eq(float_text(FLT_MAX), "3.4028235e+38");
  ck_assert_str_eq(float_text(1e-45f), "1e-45");
  ck_assert_str_eq(float_text(-0.0f), "-0");
}
END_TEST

static size_t significant_digits(const char *number) {
  size_t count = 0;
  size_t trailing_zeros = 0;
  for (; *number != '\0' && *number != 'e'; number++) {
    if (*number < '0' || *number > '9' || (count == 0 && *number == '0'))
      continue;
    count++;
    trailing_zeros = *number == '0' ? trailing_zeros + 1 : 0;
  }
  return count - trailing_zeros;
}

/* No text of fewer digits, as printf() rounds it, may read back as the same number. */
static void check_double(double value) {
  char shorter[40];
  double back = 0;
  ck_assert(number_read_double(sky_str(double_text(value)), &back));
  ck_assert_msg(memcmp(&back, &value, sizeof(value)) == 0, "%s for %.17g", text, value);
  const size_t digits = significant_digits(text);
  for (size_t i = 1; i < digits; i++) {
    snprintf(shorter, sizeof(shorter), "%.*g", (int)i, value);
    ck_assert_msg(strtod(shorter, NULL) != value, "%s for %s", text, shorter);
  }
}

START_TEST(random_doubles_are_shortest_and_read_back_exactly) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 20261121);
  for (int i = 0; i < 15000; i++) {
    uint64_t bits = sky_random_uint64(&random.random);
    if (i % 3 == 1) /* sizes that occur in life */
      bits = (bits & ~(UINT64_C(0x7ff) << 52)) | (UINT64_C(1003) + bits % 50) << 52;
    if (i % 7 == 2) /* powers of two, where the interval is lopsided */
      bits &= UINT64_C(0xfff) << 52;
    double value = 0;
    memcpy(&value, &bits, sizeof(value));
    if (isfinite(value))
      check_double(value);
  }
}
END_TEST

START_TEST(random_floats_read_back_exactly) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 7);
  for (int i = 0; i < 50000; i++) {
    const uint32_t bits = (uint32_t)sky_random_uint64(&random.random);
    float value = 0;
    memcpy(&value, &bits, sizeof(value));
    if (!isfinite(value))
      continue;
    const float back = strtof(float_text(value), NULL);
    ck_assert_msg(memcmp(&back, &value, sizeof(value)) == 0, "%s for %.9g", text, (double)value);
    ck_assert_uint_le(significant_digits(text), 9);
  }
}
END_TEST

START_TEST(integers_are_written) {
  static const int64_t values[] = {0, 1, -1, 9, 10, 99, 100, 12345, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
    char expected[32];
    snprintf(expected, sizeof(expected), "%lld", (long long)values[i]);
    text[number_write_int64(values[i], text)] = '\0';
    ck_assert_str_eq(text, expected);
  }
  text[number_write_uint64(UINT64_MAX, text)] = '\0';
  ck_assert_str_eq(text, "18446744073709551615");
}
END_TEST

START_TEST(integers_are_read_whatever_their_form) {
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {{"0", 0},
               {"-0", 0},
               {"12", 12},
               {"-9223372036854775808", INT64_MIN},
               {"9223372036854775807", INT64_MAX},
               {"1e3", 1000},
               {"1.5e1", 15},
               {"100e-2", 1},
               {"1.000", 1},
               {"0e999999999", 0},
               {"0.0e-999999999999", 0},
               {"922337203685477580.7e1", INT64_MAX},
               {"9223372036854775807.0", INT64_MAX},
               {"10000000000000000000000e-10", 1000000000000}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    int64_t value = -77;
    ck_assert_msg(number_read_int64(sky_str(cases[i].text), &value), "%s", cases[i].text);
    ck_assert_int_eq(value, cases[i].value);
  }
  static const char *const wrong[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "1.",
                                      ".1",
                                      "1e",
                                      "1e+",
                                      "0.5",
                                      "15e-1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "1e19",
                                      "1 ",
                                      " 1",
                                      "0x1",
                                      "1e999999999",
                                      "1-",
                                      "--1",
                                      "1.5e0"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
    int64_t value = 0;
    ck_assert_msg(!number_read_int64(sky_str(wrong[i]), &value), "%s", wrong[i]);
  }
  uint64_t value = 0;
  ck_assert(number_read_uint64(SKY_STR("18446744073709551615"), &value) && value == UINT64_MAX);
  ck_assert(!number_read_uint64(SKY_STR("18446744073709551616"), &value));
  ck_assert(!number_read_uint64(SKY_STR("-1"), &value));
  ck_assert(number_read_uint64(SKY_STR("-0"), &value) && value == 0);
}
END_TEST

START_TEST(doubles_are_read_exactly_and_without_the_locale) {
  (void)setlocale(LC_NUMERIC, "de_DE.UTF-8");
  double value = 0;
  ck_assert(number_read_double(SKY_STR("0.1"), &value) && value == 0.1);
  ck_assert(number_read_double(SKY_STR("123456789.123456789123456789"), &value) &&
            value == 123456789.123456789123456789);
  ck_assert(number_read_double(SKY_STR("-0.0"), &value) && value == 0 && signbit(value));
  ck_assert(number_read_double(SKY_STR("1e-400"), &value) && value == 0);
  ck_assert(!number_read_double(SKY_STR("1e400"), &value));
  ck_assert(!number_read_double(SKY_STR("1,5"), &value));
  ck_assert(!number_read_double(SKY_STR("inf"), &value));
  ck_assert(!number_read_double(SKY_STR("0x1p3"), &value));
  char many[400] = "0.";
  memset(many + 2, '1', sizeof(many) - 3);
  ck_assert(number_read_double(sky_str(many), &value) && value == 1.0 / 9);
}
END_TEST

SKY_CHECK_MAIN("transcode/number", doubles_are_laid_out_as_in_ecmascript, floats_are_as_short_as_floats_can_be,
               random_doubles_are_shortest_and_read_back_exactly, random_floats_read_back_exactly, integers_are_written,
               integers_are_read_whatever_their_form, doubles_are_read_exactly_and_without_the_locale)
