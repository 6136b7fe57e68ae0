/*
 * Str: a borrowed slice of text or bytes, not NUL-terminated. Passed by value; owns nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct SkyStr {
  const char *data;
  size_t size;
} SkyStr;

#define SKY_STR(literal) ((SkyStr){"" literal, sizeof(literal) - 1})
#define SKY_STR_ARGS(str) (int)(str).size, (str).data /* for "%.*s" */

SkyStr sky_str(const char *text); /* NULL gives an empty slice */
bool sky_str_equal(SkyStr a, SkyStr b);
bool sky_str_is(SkyStr str, const char *text);
bool sky_str_starts_with(SkyStr str, SkyStr prefix);
bool sky_str_ends_with(SkyStr str, SkyStr suffix);
/* Cuts str at the first separator: *ret_head is what stands before it, str what follows. False when it does not occur.
 */
bool sky_str_cut(SkyStr *str, char separator, SkyStr *ret_head);

/* Whole-string decimal parse; false on anything else: empty, spaces, a leading '+', overflow. */
bool sky_str_to_int64(SkyStr str, int64_t *ret);
bool sky_str_to_uint64(SkyStr str, uint64_t *ret);
/* The grammar of a JSON number, leading zeros allowed; finite only, at most 1023 characters; independent of the locale.
 */
bool sky_str_to_double(SkyStr str, double *ret);
/* "250ms", "5s", "1.5s", "2m", "1h" to nanoseconds. Units: ns, us, ms, s, m, h; never negative; below 1 ns is cut off.
 */
bool sky_str_to_duration_ns(SkyStr str, int64_t *ret_ns);

/* True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). Embedded NULs are valid
 * UTF-8. */
bool sky_utf8_valid(const void *data, size_t size);
/* Length in bytes (1-4) of the well-formed character that data begins with; 0 when it begins with none. */
size_t sky_utf8_sequence(const void *data, size_t size);
/* The longest prefix of at most max_bytes that does not cut a well-formed character in two. */
size_t sky_utf8_cut(const char *text, size_t size, size_t max_bytes);
