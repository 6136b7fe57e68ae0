#include "percent.h"

#include <string.h>

static int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* The byte encoded at text[at], which is a %; -1 when malformed. */
static int byte_at(SkyStr text, size_t at) {
  if (text.size - at < 3)
    return -1;
  const int high = hex_value(text.data[at + 1]);
  const int low = hex_value(text.data[at + 2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool needs_decoding(SkyStr text, PercentRules rules) {
  return text.size > 0 && (memchr(text.data, '%', text.size) != NULL ||
                           (rules == PERCENT_QUERY && memchr(text.data, '+', text.size) != NULL));
}

PercentOutcome percent_decode(SkyStr text, PercentRules rules, SkyArena *arena, SkyStr *ret) {
  if (!needs_decoding(text, rules)) {
    *ret = text;
    return PERCENT_OK;
  }
  char *decoded = sky_arena_alloc(arena, text.size);
  if (decoded == NULL)
    return PERCENT_NO_MEMORY;
  size_t size = 0;
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    if (c == '%') {
      const int byte = byte_at(text, i);
      if (byte < 0)
        return PERCENT_MALFORMED;
      if (rules == PERCENT_MULTI_SEGMENT && byte == '/') {
        memcpy(decoded + size, text.data + i, 3);
        size += 3;
        i += 2;
        continue;
      }
      c = (char)byte;
      i += 2;
    } else if (c == '+' && rules == PERCENT_QUERY) {
      c = ' ';
    }
    decoded[size++] = c;
  }
  *ret = (SkyStr){.data = decoded, .size = size};
  return PERCENT_OK;
}

bool percent_equals(SkyStr text, SkyStr decoded) {
  size_t matched = 0;
  for (size_t i = 0; i < text.size; i++, matched++) {
    int c = (uint8_t)text.data[i];
    if (c == '%') {
      c = byte_at(text, i);
      i += 2;
    }
    if (c < 0 || matched == decoded.size || c != (uint8_t)decoded.data[matched])
      return false;
  }
  return matched == decoded.size;
}

bool percent_is_valid(SkyStr text) {
  for (SkyStr rest = text; rest.size > 0;) {
    const char *at = memchr(rest.data, '%', rest.size);
    if (at == NULL)
      return true;
    rest = (SkyStr){.data = at, .size = (size_t)(text.data + text.size - at)};
    if (byte_at(rest, 0) < 0)
      return false;
    rest = (SkyStr){.data = at + 3, .size = rest.size - 3};
  }
  return true;
}

bool percent_is_dot_segment(SkyStr segment) {
  if (segment.size == 0 || segment.size > 6 || (*segment.data != '.' && *segment.data != '%'))
    return false;
  return percent_equals(segment, SKY_STR(".")) || percent_equals(segment, SKY_STR(".."));
}

static bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void percent_encode(SkyStr text, SkyBuf *out) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < text.size; i++) {
    const uint8_t byte = (uint8_t)text.data[i];
    if (is_unreserved(text.data[i])) {
      sky_buf_append_byte(out, byte);
      continue;
    }
    const char encoded[3] = {'%', digits[byte >> 4], digits[byte & 15]};
    sky_buf_append(out, encoded, sizeof(encoded));
  }
}
