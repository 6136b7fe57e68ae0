/* Text forms of Timestamp, Duration and FieldMask. */
#include "well_known.h"

#include <string.h>

#include <sky/core/time.h>

#include "number.h"

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* "5" is 500,000,000 ns; 1 to 9 digits. */
static bool read_fraction(SkyStr digits, int32_t *ret) {
  if (digits.size == 0 || digits.size > 9)
    return false;
  int32_t value = 0;
  for (size_t i = 0; i < 9; i++) {
    if (i < digits.size && !is_digit(digits.data[i]))
      return false;
    value = value * 10 + (i < digits.size ? digits.data[i] - '0' : 0);
  }
  *ret = value;
  return true;
}

static bool all_digits(SkyStr text) {
  for (size_t i = 0; i < text.size; i++)
    if (!is_digit(text.data[i]))
      return false;
  return text.size > 0;
}

bool duration_read(SkyStr text, int64_t *ret_seconds, int32_t *ret_nanos) {
  int64_t seconds = 0;
  int32_t nanos = 0;
  if (text.size < 2 || text.data[text.size - 1] != 's')
    return false;
  text.size--;
  const bool negative = *text.data == '-';
  text.data += negative;
  text.size -= negative;
  SkyStr whole = text;
  if (sky_str_cut(&text, '.', &whole) && !read_fraction(text, &nanos))
    return false;
  if (!all_digits(whole) || whole.size > 12 || !sky_str_to_int64(whole, &seconds) || seconds > DURATION_MAX_SECONDS)
    return false;
  *ret_seconds = negative ? -seconds : seconds;
  *ret_nanos = negative ? -nanos : nanos;
  return true;
}

bool timestamp_read(SkyStr text, int64_t *ret_seconds, int32_t *ret_nanos) {
  if (text.size < sizeof("0001-01-01T00:00:00Z") - 1 || text.data[10] != 'T' || text.data[text.size - 1] == 'z')
    return false;
  return sky_time_parse_rfc3339(text, ret_seconds, ret_nanos) && *ret_seconds >= TIMESTAMP_MIN_SECONDS &&
         *ret_seconds <= TIMESTAMP_MAX_SECONDS;
}

/* ".500" with 3, 6 or 9 digits; nothing for zero. */
static size_t write_fraction(int32_t nanos, char *to) {
  if (nanos == 0)
    return 0;
  to[0] = '.';
  for (int i = 9; i >= 1; i--, nanos /= 10)
    to[i] = (char)('0' + nanos % 10);
  size_t size = 10;
  while (memcmp(to + size - 3, "000", 3) == 0)
    size -= 3;
  return size;
}

bool duration_write(int64_t seconds, int32_t nanos, SkyBuf *out) {
  char text[NUMBER_TEXT_SIZE + 16];
  size_t size = 0;
  const bool mixed = (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0);
  const bool in_range = seconds >= -DURATION_MAX_SECONDS && seconds <= DURATION_MAX_SECONDS;
  if (mixed || !in_range || nanos < -999999999 || nanos > 999999999)
    return false;
  text[size++] = '"';
  if (seconds < 0 || nanos < 0)
    text[size++] = '-';
  size += number_write_uint64((uint64_t)(seconds < 0 ? -seconds : seconds), text + size);
  size += write_fraction(nanos < 0 ? -nanos : nanos, text + size);
  text[size++] = 's';
  text[size++] = '"';
  sky_buf_append(out, text, size);
  return true;
}

/* `count` digits with leading zeros. */
static size_t write_digits(uint32_t value, size_t count, char *to) {
  for (size_t i = count; i-- > 0; value /= 10)
    to[i] = (char)('0' + value % 10);
  return count;
}

/* Written by hand: a response often has half a dozen of them, and printf() takes longer than all the rest of it. */
bool timestamp_write(int64_t seconds, int32_t nanos, SkyBuf *out) {
  char text[64] = "\"";
  char *at = text + 1;
  int year = 0, month = 0, day = 0;
  if (seconds < TIMESTAMP_MIN_SECONDS || seconds > TIMESTAMP_MAX_SECONDS || nanos < 0 || nanos > 999999999)
    return false;
  sky_time_civil(seconds, &year, &month, &day);
  const uint32_t of_day = (uint32_t)((seconds - TIMESTAMP_MIN_SECONDS) % 86400); /* the minimum is a midnight */
  const struct {
    uint32_t value;
    char after;
  } parts[] = {{(uint32_t)month, '-'}, {(uint32_t)day, 'T'}, {of_day / 3600, ':'}, {of_day / 60 % 60, ':'}};
  at += write_digits((uint32_t)year, 4, at);
  *at++ = '-';
  for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
    at += write_digits(parts[i].value, 2, at);
    *at++ = parts[i].after;
  }
  at += write_digits(of_day % 60, 2, at);
  at += write_fraction(nanos, at);
  *at++ = 'Z';
  *at++ = '"';
  sky_buf_append(out, text, (size_t)(at - text));
  return true;
}

static bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

size_t mask_path_read(SkyStr json, char *to) {
  size_t size = 0;
  for (size_t i = 0; i < json.size; i++) {
    const char c = json.data[i];
    if (is_upper(c)) {
      to[size++] = '_';
      to[size++] = (char)(c | 0x20);
    } else if (is_lower(c) || is_digit(c) || c == '.') {
      to[size++] = c;
    } else {
      return 0;
    }
  }
  return size;
}

bool mask_path_write(SkyStr path, SkyBuf *out) {
  for (size_t i = 0; i < path.size; i++) {
    char c = path.data[i];
    if (c == '_') {
      if (++i == path.size || !is_lower(path.data[i]))
        return false;
      c = (char)(path.data[i] & ~0x20);
    } else if (!is_lower(c) && !is_digit(c) && c != '.') {
      return false;
    }
    sky_buf_append_byte(out, (uint8_t)c);
  }
  return true;
}
