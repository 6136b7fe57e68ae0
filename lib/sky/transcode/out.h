/*
 * Out: appending to a SkyBuf without a call when there is room. Private to the transcoder.
 */
#pragma once

#include <string.h>

#include <sky/codec/wire.h>
#include <sky/core/buf.h>

static inline bool out_has_room(const SkyBuf *out, size_t size) {
  return !out->failed && out->capacity - out->size >= size;
}

static inline void out_byte(SkyBuf *out, char byte) {
  if (out_has_room(out, 1))
    out->data[out->size++] = (uint8_t)byte;
  else
    sky_buf_append_byte(out, (uint8_t)byte);
}

static inline void out_str(SkyBuf *out, SkyStr str) {
  if (str.size == 0)
    return;
  if (out_has_room(out, str.size)) {
    memcpy(out->data + out->size, str.data, str.size);
    out->size += str.size;
  } else {
    sky_buf_append(out, str.data, str.size);
  }
}

static inline void out_varint(SkyBuf *out, uint64_t value) {
  if (out_has_room(out, SKY_WIRE_MAX_VARINT))
    out->size += sky_wire_put_varint(out->data + out->size, value);
  else
    sky_wire_append_varint(out, value);
}

#define out_text(out, literal) out_str((out), SKY_STR(literal))
