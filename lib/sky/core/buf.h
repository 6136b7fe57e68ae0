/*
 * Buf: a growable byte buffer with a mandatory maximum.
 *
 * Appending past the maximum, or without memory, sets `failed` and keeps what was there; later appends do nothing. So a
 * writer appends freely and checks once at the end. Not thread-safe.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/str.h>

typedef struct SkyBuf {
  uint8_t *data;
  size_t size;
  size_t capacity;
  size_t max_bytes;
  bool failed;
} SkyBuf;

void sky_buf_init(SkyBuf *buf, size_t max_bytes); /* allocates nothing */
void sky_buf_finish(SkyBuf *buf);
void sky_buf_clear(SkyBuf *buf); /* size 0 and not failed; keeps the memory */

/* Each appends a copy, without a terminating NUL; see above for what happens past the maximum. */
void sky_buf_append(SkyBuf *buf, const void *data, size_t size);
void sky_buf_append_byte(SkyBuf *buf, uint8_t byte);
void sky_buf_append_text(SkyBuf *buf, const char *text);
void sky_buf_append_str(SkyBuf *buf, SkyStr str);
void sky_buf_printf(SkyBuf *buf, const char *format, ...) SKY_PRINTF(2, 3);
/* Appends text as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void sky_buf_append_json_string(SkyBuf *buf, const char *text, size_t size);

/* Returns room for size more bytes at the end (NULL when failed); sky_buf_commit() then counts those that were written.
 */
uint8_t *sky_buf_reserve(SkyBuf *buf, size_t size);
void sky_buf_commit(SkyBuf *buf, size_t size);

SkyStr sky_buf_str(const SkyBuf *buf); /* a view, valid until the next change */
/* RESOURCE_EXHAUSTED when an append failed. */
SKY_MUST_USE SkyStatus sky_buf_status(const SkyBuf *buf);
