/* Numbers as text: integers two digits at a time, doubles and floats by Schubfach. */
#include "number.h"

#include <pthread.h>
#include <string.h>

/* ---- integers ---- */

static const char two_digits[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
    "9899";

static size_t digit_count(uint64_t value) {
  size_t count = 1;
  for (; value >= 100; value /= 100)
    count += 2;
  return value >= 10 ? count + 1 : count;
}

size_t number_write_uint64(uint64_t value, char *text) {
  const size_t size = digit_count(value);
  char *at = text + size;
  while (value >= 100) {
    at -= 2;
    memcpy(at, two_digits + 2 * (value % 100), 2);
    value /= 100;
  }
  if (value >= 10)
    memcpy(at - 2, two_digits + 2 * value, 2);
  else
    at[-1] = (char)('0' + value);
  return size;
}

size_t number_write_int64(int64_t value, char *text) {
  if (value >= 0)
    return number_write_uint64((uint64_t)value, text);
  *text = '-';
  return 1 + number_write_uint64(-(uint64_t)value, text + 1);
}

/* ---- powers of ten: the upper 128 bits of 10^k, rounded up ---- */

enum {
  POWER_MIN = -292,
  POWER_MAX = 324,
  POWER_COUNT = POWER_MAX - POWER_MIN + 1,
  LIMBS = 48 /* of 32 bits: 10^324 takes 1077 */
};

__extension__ typedef unsigned __int128 uint128;

typedef struct Power {
  uint64_t high, low;
} Power;

static Power powers[POWER_COUNT];
static pthread_once_t powers_once = PTHREAD_ONCE_INIT;

static size_t bit_length(const uint32_t *limbs) {
  for (size_t i = LIMBS; i-- > 0;)
    if (limbs[i] != 0)
      return 32 * i + 32 - (size_t)__builtin_clz(limbs[i]);
  return 0;
}

/* 32 bits of the number beginning at a bit position, which may be below zero. */
static uint32_t bits_at(const uint32_t *limbs, int64_t position) {
  uint64_t window = 0;
  const int64_t limb = position >= 0 ? position / 32 : -((31 - position) / 32);
  if (limb >= 0 && limb < LIMBS)
    window = limbs[limb];
  if (limb + 1 >= 0 && limb + 1 < LIMBS)
    window |= (uint64_t)limbs[limb + 1] << 32;
  return (uint32_t)(window >> (position - limb * 32));
}

static bool any_bit_below(const uint32_t *limbs, int64_t position) {
  for (int64_t limb = 0; limb < LIMBS && limb * 32 < position; limb++) {
    const int64_t count = position - limb * 32;
    const uint32_t mask = count >= 32 ? UINT32_MAX : (UINT32_C(1) << count) - 1;
    if (limbs[limb] & mask)
      return true;
  }
  return false;
}

static Power power_from_limbs(const uint32_t *limbs, bool inexact) {
  const int64_t lowest = (int64_t)bit_length(limbs) - 128;
  uint128 top = 0;
  for (int64_t i = 3; i >= 0; i--)
    top = top << 32 | bits_at(limbs, lowest + 32 * i);
  if (inexact || any_bit_below(limbs, lowest))
    top++;
  return (Power){.high = (uint64_t)(top >> 64), .low = (uint64_t)top};
}

static void multiply_by_ten(uint32_t *limbs) {
  uint64_t carry = 0;
  for (size_t i = 0; i < LIMBS; i++) {
    carry += (uint64_t)limbs[i] * 10;
    limbs[i] = (uint32_t)carry;
    carry >>= 32;
  }
}

static void divide_by_ten(uint32_t *limbs) {
  uint64_t rest = 0;
  for (size_t i = LIMBS; i-- > 0;) {
    rest = rest << 32 | limbs[i];
    limbs[i] = (uint32_t)(rest / 10);
    rest %= 10;
  }
}

/* Computed once instead of kept as a table: 617 numbers of 128 bits that nobody could proof-read. Takes about 0.1 ms.
 */
static void powers_compute(void) {
  uint32_t limbs[LIMBS] = {1};
  for (int k = 0; k <= POWER_MAX; k++) {
    powers[k - POWER_MIN] = power_from_limbs(limbs, false);
    multiply_by_ten(limbs);
  }
  /* 10^-k = floor(2^N / 10^k) / 2^N, and floors of floors are exact. N leaves more than 128 bits at the end. */
  memset(limbs, 0, sizeof(limbs));
  limbs[LIMBS - 1] = UINT32_C(1) << 31;
  for (int k = -1; k >= POWER_MIN; k--) {
    divide_by_ten(limbs);
    powers[k - POWER_MIN] = power_from_limbs(limbs, true);
  }
}

/* ---- Schubfach ---- */

/* digits * 10^exponent */
typedef struct Decimal {
  uint64_t digits;
  int32_t exponent;
} Decimal;

/* What is left of the format when the bits have been taken apart: value = c * 2^q. */
typedef struct Binary {
  uint64_t c;
  int32_t q;
  bool lower_is_closer; /* a power of two: the neighbour below is half as far */
} Binary;

static int32_t floor_log2_pow10(int32_t e) {
  return (e * 1741647) >> 19;
}

static int32_t floor_log10_pow2(int32_t e) {
  return (e * 1262611) >> 22;
}

static int32_t floor_log10_three_quarters_pow2(int32_t e) {
  return (e * 1262611 - 524031) >> 22;
}

static uint64_t round_to_odd64(Power g, uint64_t cp) {
  const uint128 x = (uint128)g.low * cp;
  const uint128 y = (uint128)g.high * cp + (uint64_t)(x >> 64);
  return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

static uint64_t round_to_odd32(Power g, uint64_t cp) {
  const uint128 p = (uint128)(g.high + (g.low != 0)) * cp;
  return (uint32_t)(p >> 64) | ((uint32_t)((uint64_t)p >> 32) > 1);
}

/* Picks the shortest decimal between the borders of the rounding interval, and of those the closest. */
static Decimal shortest(Binary binary, uint64_t (*round_to_odd)(Power, uint64_t)) {
  const bool is_even = binary.c % 2 == 0;
  const int32_t k = binary.lower_is_closer ? floor_log10_three_quarters_pow2(binary.q) : floor_log10_pow2(binary.q);
  const int32_t h = binary.q + floor_log2_pow10(-k) + 1;
  const Power power = powers[-k - POWER_MIN];
  const uint64_t left = round_to_odd(power, (4 * binary.c - 2 + binary.lower_is_closer) << h);
  const uint64_t middle = round_to_odd(power, (4 * binary.c) << h);
  const uint64_t right = round_to_odd(power, (4 * binary.c + 2) << h);
  const uint64_t lower = left + !is_even;
  const uint64_t upper = right - !is_even;
  const uint64_t s = middle / 4;
  if (s >= 10) {
    const uint64_t sp = s / 10;
    const bool below_inside = lower <= 40 * sp;
    const bool above_inside = 40 * sp + 40 <= upper;
    if (below_inside != above_inside)
      return (Decimal){.digits = sp + above_inside, .exponent = k + 1};
  }
  const bool below_inside = lower <= 4 * s;
  const bool above_inside = 4 * s + 4 <= upper;
  if (below_inside != above_inside)
    return (Decimal){.digits = s + above_inside, .exponent = k};
  const uint64_t half = 4 * s + 2;
  const bool up = middle > half || (middle == half && (s & 1) != 0);
  return (Decimal){.digits = s + up, .exponent = k};
}

static bool is_small_integer(Binary binary, int32_t significand_bits, uint64_t *ret) {
  if (binary.q > 0 || -binary.q >= significand_bits || (binary.c & ((UINT64_C(1) << -binary.q) - 1)) != 0)
    return false;
  *ret = binary.c >> -binary.q;
  return true;
}

/* ---- layout ---- */

static size_t repeat_zero(char *text, size_t count) {
  memset(text, '0', count);
  return count;
}

static size_t write_exponent_form(const char *digits, size_t count, int32_t exponent, char *text) {
  char *at = text;
  *at++ = digits[0];
  if (count > 1) {
    *at++ = '.';
    memcpy(at, digits + 1, count - 1);
    at += count - 1;
  }
  *at++ = 'e';
  *at++ = exponent < 0 ? '-' : '+';
  at += number_write_uint64((uint64_t)(exponent < 0 ? -exponent : exponent), at);
  return (size_t)(at - text);
}

/* As Number.prototype.toString of ECMAScript: plain from 1e-6 to below 1e21. */
static size_t write_decimal(Decimal decimal, char *text) {
  char digits[24];
  while (decimal.digits % 10 == 0) {
    decimal.digits /= 10;
    decimal.exponent++;
  }
  const size_t count = number_write_uint64(decimal.digits, digits);
  const int32_t point = (int32_t)count + decimal.exponent; /* digits before the decimal point */
  if (point > 21 || point < -5)
    return write_exponent_form(digits, count, point - 1, text);
  if (decimal.exponent >= 0) {
    memcpy(text, digits, count);
    return count + repeat_zero(text + count, (size_t)decimal.exponent);
  }
  if (point > 0) {
    memcpy(text, digits, (size_t)point);
    text[point] = '.';
    memcpy(text + point + 1, digits + point, count - (size_t)point);
    return count + 1;
  }
  memcpy(text, "0.", 2);
  const size_t zeros = repeat_zero(text + 2, (size_t)-point);
  memcpy(text + 2 + zeros, digits, count);
  return 2 + zeros + count;
}

size_t number_write_double(double value, char *text) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(bits));
  const size_t sign = bits >> 63;
  *text = '-';
  text += sign;
  const uint64_t significand = bits & ((UINT64_C(1) << 52) - 1);
  const int32_t exponent = (int32_t)(bits >> 52 & 0x7ff);
  if (significand == 0 && exponent == 0) {
    *text = '0';
    return sign + 1;
  }
  const Binary binary = {.c = exponent != 0 ? significand | UINT64_C(1) << 52 : significand,
                         .q = (exponent != 0 ? exponent : 1) - 1075,
                         .lower_is_closer = significand == 0 && exponent > 1};
  uint64_t integer = 0;
  if (is_small_integer(binary, 53, &integer))
    return sign + number_write_uint64(integer, text);
  pthread_once(&powers_once, powers_compute);
  return sign + write_decimal(shortest(binary, round_to_odd64), text);
}

size_t number_write_float(float value, char *text) {
  uint32_t bits = 0;
  memcpy(&bits, &value, sizeof(bits));
  const size_t sign = bits >> 31;
  *text = '-';
  text += sign;
  const uint32_t significand = bits & ((UINT32_C(1) << 23) - 1);
  const int32_t exponent = (int32_t)(bits >> 23 & 0xff);
  if (significand == 0 && exponent == 0) {
    *text = '0';
    return sign + 1;
  }
  const Binary binary = {.c = exponent != 0 ? significand | UINT32_C(1) << 23 : significand,
                         .q = (exponent != 0 ? exponent : 1) - 150,
                         .lower_is_closer = significand == 0 && exponent > 1};
  uint64_t integer = 0;
  if (is_small_integer(binary, 24, &integer))
    return sign + number_write_uint64(integer, text);
  pthread_once(&powers_once, powers_compute);
  return sign + write_decimal(shortest(binary, round_to_odd32), text);
}
