/*
 * Well-known: the text forms of Timestamp, Duration and FieldMask. Private to the transcoder.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/buf.h>
#include <sky/core/str.h>

/* Field numbers of the well-known types' own .proto files. */
enum { KNOWN_SECONDS = 1, KNOWN_NANOS = 2, KNOWN_MASK_PATHS = 1, KNOWN_ANY_URL = 1, KNOWN_ANY_VALUE = 2 };
enum { KNOWN_STRUCT_FIELDS = 1, KNOWN_LIST_VALUES = 1, KNOWN_WRAPPED = 1, KNOWN_ENTRY_KEY = 1, KNOWN_ENTRY_VALUE = 2 };
enum { VALUE_NULL = 1, VALUE_NUMBER = 2, VALUE_STRING = 3, VALUE_BOOL = 4, VALUE_STRUCT = 5, VALUE_LIST = 6 };

#define TIMESTAMP_MIN_SECONDS INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MAX_SECONDS INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define DURATION_MAX_SECONDS INT64_C(315576000000)  /* 10,000 years */

/* "3.5s", "-0.000000001s". False on anything else and out of range. */
bool duration_read(SkyStr text, int64_t *ret_seconds, int32_t *ret_nanos);
/* RFC 3339 with capital T and Z, as proto3 JSON demands. */
bool timestamp_read(SkyStr text, int64_t *ret_seconds, int32_t *ret_nanos);
/* Both append the text in quotes; false when it is out of range. */
bool duration_write(int64_t seconds, int32_t nanos, SkyBuf *out);
bool timestamp_write(int64_t seconds, int32_t nanos, SkyBuf *out);

/* "fooBar.baz" to "foo_bar.baz" in a buffer of 2 * size bytes; the size, 0 when it is no JSON form of a path. */
size_t mask_path_read(SkyStr json, char *to);
/* Appends "foo_bar.baz" as "fooBar.baz"; false when that could not be read back. */
bool mask_path_write(SkyStr path, SkyBuf *out);
