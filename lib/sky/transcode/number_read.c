/* Numbers from text: exact integers in every form JSON allows, doubles by the quickest way that rounds correctly. */
#include "number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The parts of a JSON number: (-)digits * 10^exponent, where digits are those of the integer and the fraction together.
 */
typedef struct Parts {
  bool negative;
  SkyStr integer;
  SkyStr fraction;
  int32_t exponent; /* as written, held within a million */
} Parts;

static SkyStr take_digits(SkyStr *text) {
  size_t count = 0;
  while (count < text->size && text->data[count] >= '0' && text->data[count] <= '9')
    count++;
  const SkyStr digits = {.data = text->data, .size = count};
  text->data += count;
  text->size -= count;
  return digits;
}

static bool take_char(SkyStr *text, char wanted) {
  if (text->size == 0 || *text->data != wanted)
    return false;
  text->data++;
  text->size--;
  return true;
}

static bool take_exponent(SkyStr *text, int32_t *ret) {
  const bool negative = take_char(text, '-');
  if (!negative)
    (void)take_char(text, '+');
  const SkyStr digits = take_digits(text);
  if (digits.size == 0)
    return false;
  int32_t value = 0;
  for (size_t i = 0; i < digits.size && value < 1000000; i++)
    value = value * 10 + (digits.data[i] - '0');
  *ret = negative ? -value : value;
  return true;
}

/* RFC 8259: no plus sign, no leading zeros, digits on both sides of the point. */
static bool parts_read(SkyStr text, Parts *ret) {
  *ret = (Parts){.negative = take_char(&text, '-')};
  ret->integer = take_digits(&text);
  if (ret->integer.size == 0 || (ret->integer.size > 1 && *ret->integer.data == '0'))
    return false;
  if (take_char(&text, '.')) {
    ret->fraction = take_digits(&text);
    if (ret->fraction.size == 0)
      return false;
  }
  if ((take_char(&text, 'e') || take_char(&text, 'E')) && !take_exponent(&text, &ret->exponent))
    return false;
  return text.size == 0;
}

static bool add_digit(uint64_t *value, char digit) {
  return !__builtin_mul_overflow(*value, UINT64_C(10), value) &&
         !__builtin_add_overflow(*value, (uint64_t)(digit - '0'), value);
}

static char digit_at(const Parts *parts, size_t index) {
  if (index < parts->integer.size)
    return parts->integer.data[index];
  index -= parts->integer.size;
  return index < parts->fraction.size ? parts->fraction.data[index] : '0';
}

/* The value when it is an integer that fits: every digit after the (shifted) point must be zero. */
static bool parts_magnitude(const Parts *parts, uint64_t *ret) {
  const size_t count = parts->integer.size + parts->fraction.size;
  const int64_t point = (int64_t)parts->integer.size + parts->exponent;
  uint64_t value = 0;
  for (size_t i = 0; i < count; i++)
    if ((int64_t)i < point ? !add_digit(&value, digit_at(parts, i)) : digit_at(parts, i) != '0')
      return false;
  for (int64_t i = (int64_t)count; i < point && value != 0; i++)
    if (!add_digit(&value, '0'))
      return false;
  *ret = value;
  return true;
}

static bool read_plain_digits(SkyStr text, uint64_t *ret) {
  if (text.size == 0 || text.size > 18 || (text.size > 1 && *text.data == '0'))
    return false;
  uint64_t value = 0;
  for (size_t i = 0; i < text.size; i++) {
    const unsigned digit = (unsigned)(text.data[i] - '0');
    if (digit > 9)
      return false;
    value = value * 10 + digit;
  }
  *ret = value;
  return true;
}

bool number_read_uint64(SkyStr text, uint64_t *ret) {
  Parts parts;
  uint64_t magnitude = 0;
  if (read_plain_digits(text, ret))
    return true;
  if (!parts_read(text, &parts) || !parts_magnitude(&parts, &magnitude) || (parts.negative && magnitude != 0))
    return false;
  *ret = magnitude;
  return true;
}

bool number_read_int64(SkyStr text, int64_t *ret) {
  Parts parts;
  uint64_t magnitude = 0;
  if (read_plain_digits(text, &magnitude)) {
    *ret = (int64_t)magnitude;
    return true;
  }
  if (!parts_read(text, &parts) || !parts_magnitude(&parts, &magnitude) ||
      magnitude > (uint64_t)INT64_MAX + (parts.negative ? 1 : 0))
    return false;
  *ret = (int64_t)(parts.negative ? -magnitude : magnitude);
  return true;
}

/*
 * Numbers of at most 15 digits and a power of ten up to 22 are exact in doubles, so one multiplication or division
 * rounds correctly (W. Clinger, 1990). That is nearly every number that people and programs write.
 */
static bool parts_exact(const Parts *parts, double *ret) {
  static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                         1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const size_t count = parts->integer.size + parts->fraction.size;
  const int64_t exponent = (int64_t)parts->exponent - (int64_t)parts->fraction.size;
  if (count > 15 || exponent < -22 || exponent > 22)
    return false;
  uint64_t digits = 0;
  for (size_t i = 0; i < count; i++)
    digits = digits * 10 + (uint64_t)(digit_at(parts, i) - '0');
  const double value =
      exponent < 0 ? (double)digits / powers_of_ten[-exponent] : (double)digits * powers_of_ten[exponent];
  *ret = parts->negative ? -value : value;
  return true;
}

/* The text has been checked, so only its size decides where it is copied to. */
static bool read_by_strtod(SkyStr text, double *ret) {
  char small[128];
  char *copy = text.size < sizeof(small) ? small : malloc(text.size + 1);
  if (copy == NULL)
    return false;
  memcpy(copy, text.data, text.size);
  copy[text.size] = '\0';
  static _Atomic(locale_t) c_locale;
  if (c_locale == (locale_t)0)
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's static object: no race, no leak */
  const double value = strtod_l(copy, NULL, c_locale);
  if (copy != small)
    free(copy);
  if (isinf(value))
    return false;
  *ret = value;
  return true;
}

bool number_read_double(SkyStr text, double *ret) {
  Parts parts;
  return parts_read(text, &parts) && (parts_exact(&parts, ret) || read_by_strtod(text, ret));
}
