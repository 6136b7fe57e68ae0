/*
 * Wire: protobuf's binary format, read and written field by field. https://protobuf.dev/programming-guides/encoding/
 *
 * A reader is a bounded cursor over borrowed bytes: it never reads past its end, whatever the bytes say. Writers append
 * to a SkyBuf (check it once at the end). All inline: these are the innermost loops of everything that speaks protobuf.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sky/core/buf.h>
#include <sky/core/str.h>

typedef enum SkyWireType {
  SKY_WIRE_VARINT = 0,
  SKY_WIRE_FIXED64 = 1,
  SKY_WIRE_BYTES = 2,
  SKY_WIRE_GROUP_START = 3,
  SKY_WIRE_GROUP_END = 4,
  SKY_WIRE_FIXED32 = 5,
} SkyWireType;

enum {
  SKY_WIRE_MAX_VARINT = 10,           /* bytes */
  SKY_WIRE_MAX_FIELD = (1 << 29) - 1, /* largest field number */
  SKY_WIRE_MAX_GROUP_DEPTH = 100,
};

typedef struct SkyWireReader {
  const uint8_t *at;
  const uint8_t *end;
} SkyWireReader;

/* One field as it stands on the wire. */
typedef struct SkyWireField {
  uint32_t number;
  SkyWireType type;
  uint64_t scalar;      /* value of VARINT, FIXED64 and FIXED32; else 0 */
  SkyStr bytes;         /* content of BYTES; of GROUP_START: what stands before its end tag; else empty */
  const uint8_t *start; /* first byte of the tag */
} SkyWireField;

/* Reads from borrowed bytes. */
static inline SkyWireReader sky_wire_reader(const void *data, size_t size) {
  const uint8_t *at = data;
  return (SkyWireReader){.at = at, .end = size == 0 ? at : at + size};
}

/* Nothing is left to read. */
static inline bool sky_wire_at_end(const SkyWireReader *reader) {
  return reader->at == reader->end;
}

/* False at a varint that is cut off or longer than ten bytes. */
static inline bool sky_wire_read_varint(SkyWireReader *reader, uint64_t *ret) {
  const uint8_t *at = reader->at;
  if (at < reader->end && *at < 0x80) {
    *ret = *at;
    reader->at = at + 1;
    return true;
  }
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 7 * SKY_WIRE_MAX_VARINT && at < reader->end; shift += 7) {
    const uint8_t byte = *at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *ret = value;
      reader->at = at;
      return true;
    }
  }
  return false;
}

/* Little-endian; false when it is cut off. */
static inline bool sky_wire_read_fixed32(SkyWireReader *reader, uint32_t *ret) {
  if (reader->end - reader->at < 4)
    return false;
  const uint8_t *b = reader->at;
  *ret = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
  reader->at += 4;
  return true;
}

/* Little-endian; false when it is cut off. */
static inline bool sky_wire_read_fixed64(SkyWireReader *reader, uint64_t *ret) {
  if (reader->end - reader->at < 8)
    return false;
  uint32_t low = 0, high = 0;
  (void)sky_wire_read_fixed32(reader, &low);
  (void)sky_wire_read_fixed32(reader, &high);
  *ret = (uint64_t)high << 32 | low;
  return true;
}

/* A length and that many bytes. */
static inline bool sky_wire_read_bytes(SkyWireReader *reader, SkyStr *ret) {
  SkyWireReader ahead = *reader;
  uint64_t size = 0;
  if (!sky_wire_read_varint(&ahead, &size) || size > (uint64_t)(ahead.end - ahead.at))
    return false;
  *ret = (SkyStr){.data = (const char *)ahead.at, .size = (size_t)size};
  reader->at = ahead.at + size;
  return true;
}

/* Skips the value after a tag that is no group's. */
static inline bool sky_wire_skip_(SkyWireReader *reader, SkyWireType type) {
  uint64_t ignored64 = 0;
  uint32_t ignored32 = 0;
  SkyStr ignored = {NULL, 0};
  switch (type) {
  case SKY_WIRE_VARINT:
    return sky_wire_read_varint(reader, &ignored64);
  case SKY_WIRE_FIXED64:
    return sky_wire_read_fixed64(reader, &ignored64);
  case SKY_WIRE_FIXED32:
    return sky_wire_read_fixed32(reader, &ignored32);
  case SKY_WIRE_BYTES:
    return sky_wire_read_bytes(reader, &ignored);
  case SKY_WIRE_GROUP_START:
  case SKY_WIRE_GROUP_END:
    break;
  }
  return false;
}

/* Reads what follows the start tag of a group, its end tag included; *ret is what stands between. */
static inline bool sky_wire_read_group(SkyWireReader *reader, uint32_t number, SkyStr *ret) {
  uint32_t open[SKY_WIRE_MAX_GROUP_DEPTH] = {number};
  size_t depth = 1;
  const uint8_t *start = reader->at;
  for (;;) {
    const uint8_t *tag_start = reader->at;
    uint64_t tag = 0;
    if (!sky_wire_read_varint(reader, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
      return false;
    const uint32_t field = (uint32_t)(tag >> 3);
    const SkyWireType type = (SkyWireType)(tag & 7);
    if (type == SKY_WIRE_GROUP_START) {
      if (depth == SKY_WIRE_MAX_GROUP_DEPTH)
        return false;
      open[depth++] = field;
    } else if (type == SKY_WIRE_GROUP_END) {
      if (open[--depth] != field)
        return false;
      if (depth == 0) {
        *ret = (SkyStr){.data = (const char *)start, .size = (size_t)(tag_start - start)};
        return true;
      }
    } else if (!sky_wire_skip_(reader, type)) {
      return false;
    }
  }
}

/*
 * Reads the next field with its value. False at malformed bytes; ask sky_wire_at_end() first. A group is read whole; an
 * end tag without its start is malformed.
 */
static inline bool sky_wire_next(SkyWireReader *reader, SkyWireField *ret) {
  uint64_t tag = 0;
  *ret = (SkyWireField){.start = reader->at, .bytes = SKY_STR("")};
  if (!sky_wire_read_varint(reader, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
    return false;
  ret->number = (uint32_t)(tag >> 3);
  ret->type = (SkyWireType)(tag & 7);
  uint32_t fixed32 = 0;
  switch (ret->type) {
  case SKY_WIRE_VARINT:
    return sky_wire_read_varint(reader, &ret->scalar);
  case SKY_WIRE_BYTES:
    return sky_wire_read_bytes(reader, &ret->bytes);
  case SKY_WIRE_FIXED64:
    return sky_wire_read_fixed64(reader, &ret->scalar);
  case SKY_WIRE_FIXED32:
    if (!sky_wire_read_fixed32(reader, &fixed32))
      return false;
    ret->scalar = fixed32;
    return true;
  case SKY_WIRE_GROUP_START:
    return sky_wire_read_group(reader, ret->number, &ret->bytes);
  case SKY_WIRE_GROUP_END:
    break;
  }
  return false;
}

/* sint32 and sint64. */
static inline int64_t sky_wire_unzigzag(uint64_t value) {
  return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* The reverse. */
static inline uint64_t sky_wire_zigzag(int64_t value) {
  return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

/* Bytes a varint takes: 1 to 10. */
static inline size_t sky_wire_varint_size(uint64_t value) {
  return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

/* Writes a varint to memory that has room for it; returns its size. */
static inline size_t sky_wire_put_varint(uint8_t *to, uint64_t value) {
  size_t size = 0;
  while (value >= 0x80) {
    to[size++] = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  to[size++] = (uint8_t)value;
  return size;
}

/* Values without their tags. */
static inline void sky_wire_append_varint(SkyBuf *buf, uint64_t value) {
  uint8_t bytes[SKY_WIRE_MAX_VARINT];
  sky_buf_append(buf, bytes, sky_wire_put_varint(bytes, value));
}

/* What stands before a value, to be appended as a varint. */
static inline uint64_t sky_wire_tag(uint32_t number, SkyWireType type) {
  return (uint64_t)number << 3 | (uint64_t)type;
}

/* Little-endian, without a tag. */
static inline void sky_wire_append_fixed32(SkyBuf *buf, uint32_t value) {
  const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
  sky_buf_append(buf, bytes, sizeof(bytes));
}

/* Little-endian, without a tag. */
static inline void sky_wire_append_fixed64(SkyBuf *buf, uint64_t value) {
  sky_wire_append_fixed32(buf, (uint32_t)value);
  sky_wire_append_fixed32(buf, (uint32_t)(value >> 32));
}

/* A whole length-delimited field: tag, length, bytes. */
static inline void sky_wire_append_bytes(SkyBuf *buf, uint32_t number, SkyStr bytes) {
  sky_wire_append_varint(buf, sky_wire_tag(number, SKY_WIRE_BYTES));
  sky_wire_append_varint(buf, bytes.size);
  sky_buf_append(buf, bytes.data, bytes.size);
}

/* A whole varint field. */
static inline void sky_wire_append_uint64(SkyBuf *buf, uint32_t number, uint64_t value) {
  sky_wire_append_varint(buf, sky_wire_tag(number, SKY_WIRE_VARINT));
  sky_wire_append_varint(buf, value);
}

/*
 * A length-delimited field of a size not known beforehand, after its tag: begin() leaves one byte for the length and
 * returns where the content starts; end() fills the length in, moving the content when the length takes more than one
 * byte.
 */
static inline size_t sky_wire_begin_bytes(SkyBuf *buf) {
  sky_buf_append_byte(buf, 0);
  return buf->size;
}

/* The same with its tag. */
static inline size_t sky_wire_begin_field(SkyBuf *buf, uint32_t number) {
  sky_wire_append_varint(buf, sky_wire_tag(number, SKY_WIRE_BYTES));
  return sky_wire_begin_bytes(buf);
}

/* See sky_wire_begin_bytes() or sky_wire_begin_field(), which gave content_start. */
static inline void sky_wire_end_bytes(SkyBuf *buf, size_t content_start) {
  if (buf->failed)
    return;
  const size_t size = buf->size - content_start;
  const size_t more = sky_wire_varint_size(size) - 1;
  if (more > 0) {
    if (sky_buf_reserve(buf, more) == NULL)
      return;
    memmove(buf->data + content_start + more, buf->data + content_start, size);
    sky_buf_commit(buf, more);
  }
  sky_wire_put_varint(buf->data + content_start - 1, size);
}
