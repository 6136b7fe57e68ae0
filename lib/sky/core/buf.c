#include <sky/core/buf.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void sky_buf_init(SkyBuf *buf, size_t max_bytes) {
  assert(max_bytes <= SIZE_MAX / 4);
  *buf = (SkyBuf){.max_bytes = max_bytes};
}

void sky_buf_finish(SkyBuf *buf) {
  free(buf->data);
  sky_buf_init(buf, buf->max_bytes);
}

void sky_buf_clear(SkyBuf *buf) {
  buf->size = 0;
  buf->failed = false;
}

static bool grow(SkyBuf *buf, size_t wanted) {
  size_t capacity = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity * 2;
  if (capacity < wanted)
    capacity = wanted;
  if (capacity > buf->max_bytes)
    capacity = buf->max_bytes;
  /* One byte more than we count: vsnprintf() needs it for its NUL. */
  uint8_t *data = realloc(buf->data, capacity + 1);
  if (data == NULL)
    return false;
  buf->data = data;
  buf->capacity = capacity;
  return true;
}

uint8_t *sky_buf_reserve(SkyBuf *buf, size_t size) {
  if (buf->failed)
    return NULL;
  const bool fits = size <= buf->max_bytes - buf->size;
  const bool has_room = buf->data != NULL && size <= buf->capacity - buf->size;
  if (!fits || (!has_room && !grow(buf, buf->size + size))) {
    buf->failed = true;
    return NULL;
  }
  return buf->data + buf->size;
}

void sky_buf_commit(SkyBuf *buf, size_t size) {
  assert(size <= buf->capacity - buf->size);
  buf->size += size;
}

void sky_buf_append(SkyBuf *buf, const void *data, size_t size) {
  uint8_t *room = size == 0 ? NULL : sky_buf_reserve(buf, size);
  if (room == NULL)
    return;
  memcpy(room, data, size);
  buf->size += size;
}

void sky_buf_append_byte(SkyBuf *buf, uint8_t byte) {
  sky_buf_append(buf, &byte, 1);
}

void sky_buf_append_text(SkyBuf *buf, const char *text) {
  sky_buf_append(buf, text, strlen(text));
}

void sky_buf_append_str(SkyBuf *buf, SkyStr str) {
  sky_buf_append(buf, str.data, str.size);
}

void sky_buf_printf(SkyBuf *buf, const char *format, ...) {
  if (sky_buf_reserve(buf, 0) == NULL)
    return;
  va_list values, again;
  va_start(values, format);
  va_copy(again, values);
  const size_t room = buf->capacity - buf->size;
  const int length = vsnprintf((char *)buf->data + buf->size, room + 1, format, values);
  if (length < 0)
    buf->failed = true;
  else if ((size_t)length > room && sky_buf_reserve(buf, (size_t)length) != NULL)
    vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, again);
  if (!buf->failed)
    buf->size += (size_t)length;
  va_end(again);
  va_end(values);
}

/* What stands for a byte in a JSON string (RFC 8259 §7) when the byte itself cannot; "" for other control characters.
 */
static const char *json_escape(char c) {
  switch (c) {
  case '"':
    return "\\\"";
  case '\\':
    return "\\\\";
  case '\b':
    return "\\b";
  case '\f':
    return "\\f";
  case '\n':
    return "\\n";
  case '\r':
    return "\\r";
  case '\t':
    return "\\t";
  default:
    return (unsigned char)c < 0x20 ? "" : NULL;
  }
}

static void append_json_escape(SkyBuf *buf, char c, const char *escape) {
  if (escape[0] != '\0')
    sky_buf_append_text(buf, escape);
  else
    sky_buf_printf(buf, "\\u%04x", (unsigned)(unsigned char)c);
}

void sky_buf_append_json_string(SkyBuf *buf, const char *text, size_t size) {
  sky_buf_append_byte(buf, '"');
  size_t plain_from = 0; /* start of the run that can be copied as it is */
  for (size_t at = 0; at < size && !buf->failed;) {
    const char *escape = json_escape(text[at]);
    const size_t length = sky_utf8_sequence(text + at, size - at);
    if (escape == NULL && length > 0) {
      at += length;
      continue;
    }
    sky_buf_append(buf, text + plain_from, at - plain_from);
    if (escape != NULL)
      append_json_escape(buf, text[at], escape);
    else
      sky_buf_append_text(buf, "\xef\xbf\xbd");
    plain_from = ++at;
  }
  sky_buf_append(buf, text + plain_from, buf->failed ? 0 : size - plain_from);
  sky_buf_append_byte(buf, '"');
}

SkyStr sky_buf_str(const SkyBuf *buf) {
  return buf->data == NULL ? SKY_STR("") : (SkyStr){(const char *)buf->data, buf->size};
}

SkyStatus sky_buf_status(const SkyBuf *buf) {
  if (!buf->failed)
    return SKY_OK;
  return SKY_RESOURCE_EXHAUSTED("more than %zu bytes, or out of memory", buf->max_bytes);
}
