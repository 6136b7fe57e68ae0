/* Base64 in four characters for three bytes. */
#include "base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(SkyStr bytes, SkyBuf *out) {
  const size_t size = (bytes.size + 2) / 3 * 4;
  char *to = (char *)sky_buf_reserve(out, size);
  const uint8_t *from = (const uint8_t *)bytes.data;
  if (to == NULL)
    return;
  for (size_t left = bytes.size; left > 0; from += 3, to += 4) {
    const uint32_t second = left > 1 ? from[1] : 0;
    const uint32_t third = left > 2 ? from[2] : 0;
    const uint32_t group = (uint32_t)from[0] << 16 | second << 8 | third;
    to[0] = alphabet[group >> 18];
    to[1] = alphabet[group >> 12 & 63];
    to[2] = left > 1 ? alphabet[group >> 6 & 63] : '=';
    to[3] = left > 2 ? alphabet[group & 63] : '=';
    left -= left < 3 ? left : 3;
  }
  sky_buf_commit(out, size);
}

size_t base64_room(size_t text_size) {
  return text_size / 4 * 3 + 3;
}

static int sextet(char c) {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  if (c == '+' || c == '-')
    return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

static SkyStr without_padding(SkyStr text) {
  if (text.size % 4 == 0)
    for (int i = 0; i < 2 && text.size > 0 && text.data[text.size - 1] == '='; i++)
      text.size--;
  return text;
}

bool base64_read(SkyStr text, uint8_t *to, size_t *ret_size) {
  text = without_padding(text);
  if (text.size % 4 == 1)
    return false;
  size_t size = 0;
  uint32_t group = 0;
  unsigned bits = 0;
  for (size_t i = 0; i < text.size; i++) {
    const int value = sextet(text.data[i]);
    if (value < 0)
      return false;
    group = group << 6 | (uint32_t)value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      to[size++] = (uint8_t)(group >> bits);
    }
  }
  *ret_size = size;
  return true;
}
