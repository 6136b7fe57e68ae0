#include <sky/core/str.h>

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DOUBLE_TEXT = 1024 };

SkyStr sky_str(const char *text) {
  return text == NULL ? SKY_STR("") : (SkyStr){text, strlen(text)};
}

bool sky_str_equal(SkyStr a, SkyStr b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool sky_str_is(SkyStr str, const char *text) {
  return sky_str_equal(str, sky_str(text));
}

bool sky_str_starts_with(SkyStr str, SkyStr prefix) {
  return str.size >= prefix.size && sky_str_equal((SkyStr){str.data, prefix.size}, prefix);
}

bool sky_str_ends_with(SkyStr str, SkyStr suffix) {
  if (str.size < suffix.size)
    return false;
  return suffix.size == 0 || memcmp(str.data + str.size - suffix.size, suffix.data, suffix.size) == 0;
}

bool sky_str_cut(SkyStr *str, char separator, SkyStr *ret_head) {
  const char *found = str->size == 0 ? NULL : memchr(str->data, separator, str->size);
  if (found == NULL)
    return false;
  const size_t head_size = (size_t)(found - str->data);
  *ret_head = (SkyStr){str->data, head_size};
  *str = (SkyStr){found + 1, str->size - head_size - 1};
  return true;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* Number of decimal digits that str begins with. */
static size_t count_digits(SkyStr str) {
  size_t count = 0;
  while (count < str.size && is_digit(str.data[count]))
    count++;
  return count;
}

static SkyStr skip(SkyStr str, size_t count) {
  return (SkyStr){str.data + count, str.size - count};
}

bool sky_str_to_uint64(SkyStr str, uint64_t *ret) {
  if (str.size == 0 || count_digits(str) != str.size)
    return false;
  uint64_t value = 0;
  for (size_t i = 0; i < str.size; i++) {
    if (__builtin_mul_overflow(value, 10u, &value) ||
        __builtin_add_overflow(value, (uint64_t)(str.data[i] - '0'), &value))
      return false;
  }
  *ret = value;
  return true;
}

bool sky_str_to_int64(SkyStr str, int64_t *ret) {
  const bool negative = str.size > 0 && str.data[0] == '-';
  uint64_t magnitude;
  if (!sky_str_to_uint64(negative ? skip(str, 1) : str, &magnitude))
    return false;
  if (magnitude > (uint64_t)INT64_MAX + negative)
    return false;
  *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}

/* -?digits(.digits)?([eE][+-]?digits)? and nothing after it: strtod() alone also takes hex, "inf" and leading spaces.
 */
static bool is_decimal(SkyStr str) {
  if (str.size > 0 && str.data[0] == '-')
    str = skip(str, 1);
  size_t digits = count_digits(str);
  if (digits == 0)
    return false;
  str = skip(str, digits);
  if (str.size > 0 && str.data[0] == '.') {
    str = skip(str, 1);
    digits = count_digits(str);
    if (digits == 0)
      return false;
    str = skip(str, digits);
  }
  if (str.size == 0)
    return true;
  if (str.data[0] != 'e' && str.data[0] != 'E')
    return false;
  str = skip(str, 1);
  if (str.size > 0 && (str.data[0] == '+' || str.data[0] == '-'))
    str = skip(str, 1);
  return str.size > 0 && count_digits(str) == str.size;
}

static locale_t c_locale;

static void make_c_locale(void) {
  c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* built in: glibc allocates nothing for it */
}

bool sky_str_to_double(SkyStr str, double *ret) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  char text[MAX_DOUBLE_TEXT];
  if (str.size >= sizeof(text) || !is_decimal(str))
    return false;
  memcpy(text, str.data, str.size);
  text[str.size] = '\0';
  pthread_once(&once, make_c_locale);
  const double value = strtod_l(text, NULL, c_locale);
  if (!isfinite(value))
    return false;
  *ret = value;
  return true;
}

static bool unit_ns(SkyStr unit, int64_t *ret_ns) {
  static const struct {
    const char *name;
    int64_t ns;
  } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
  for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
    if (sky_str_is(unit, units[i].name)) {
      *ret_ns = units[i].ns;
      return true;
    }
  }
  return false;
}

/* Splits "1.5s" into "1", "5" and "s". */
static bool split_duration(SkyStr str, SkyStr *ret_whole, SkyStr *ret_fraction, SkyStr *ret_unit) {
  *ret_whole = (SkyStr){str.data, count_digits(str)};
  *ret_fraction = SKY_STR("");
  str = skip(str, ret_whole->size);
  if (str.size > 0 && str.data[0] == '.') {
    str = skip(str, 1);
    *ret_fraction = (SkyStr){str.data, count_digits(str)};
    if (ret_fraction->size == 0)
      return false;
    str = skip(str, ret_fraction->size);
  }
  *ret_unit = str;
  return ret_whole->size > 0;
}

bool sky_str_to_duration_ns(SkyStr str, int64_t *ret_ns) {
  SkyStr whole, fraction, unit;
  int64_t scale, ns;
  if (!split_duration(str, &whole, &fraction, &unit) || !unit_ns(unit, &scale) || !sky_str_to_int64(whole, &ns) ||
      __builtin_mul_overflow(ns, scale, &ns))
    return false;
  for (size_t i = 0; i < fraction.size && scale > 0; i++) {
    scale /= 10;
    if (__builtin_add_overflow(ns, scale * (fraction.data[i] - '0'), &ns))
      return false;
  }
  *ret_ns = ns;
  return true;
}

static bool is_continuation(uint8_t byte) {
  return (byte & 0xc0) == 0x80;
}

/* Table 3-7 of the Unicode standard: the first byte fixes the length and the range of the second. */
size_t sky_utf8_sequence(const void *data, size_t size) {
  const uint8_t *bytes = data;
  if (size == 0)
    return 0;
  const uint8_t first = bytes[0];
  if (first < 0x80)
    return 1;
  if (first < 0xc2 || first > 0xf4)
    return 0;
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (size < length || !is_continuation(bytes[1]))
    return 0;
  const uint8_t second = bytes[1];
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
      (first == 0xf4 && second > 0x8f))
    return 0;
  for (size_t i = 2; i < length; i++) {
    if (!is_continuation(bytes[i]))
      return 0;
  }
  return length;
}

/* How much of it, in steps of eight bytes, is ASCII: most text is. */
static size_t ascii_prefix(const uint8_t *bytes, size_t size) {
  static const uint64_t high_bits = UINT64_C(0x8080808080808080);
  uint64_t words[8], any = 0;
  size_t at = 0;
  for (; size - at >= sizeof(words); at += sizeof(words)) {
    memcpy(words, bytes + at, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
      any |= words[i];
    if ((any & high_bits) != 0)
      break;
  }
  for (; size - at >= sizeof(words[0]); at += sizeof(words[0])) {
    memcpy(words, bytes + at, sizeof(words[0]));
    if ((words[0] & high_bits) != 0)
      break;
  }
  return at;
}

bool sky_utf8_valid(const void *data, size_t size) {
  const uint8_t *bytes = data;
  size_t at = 0;
  while (at < size) {
    if (bytes[at] < 0x80)
      at += ascii_prefix(bytes + at, size - at);
    if (at == size)
      break;
    const size_t length = sky_utf8_sequence(bytes + at, size - at);
    if (length == 0)
      return false;
    at += length;
  }
  return true;
}

size_t sky_utf8_cut(const char *text, size_t size, size_t max_bytes) {
  if (size <= max_bytes)
    return size;
  /* A character that begins in the last three bytes may reach over the end. */
  for (size_t back = 1; back <= 3 && back <= max_bytes; back++) {
    const size_t at = max_bytes - back;
    const size_t length = sky_utf8_sequence(text + at, size - at);
    if (length > 0)
      return length > back ? at : max_bytes;
  }
  return max_bytes;
}
