#include <sky/store/token.h>

#include <string.h>

#include <sky/core/buf.h>

/*
 * Layout before base64url: format byte, query fingerprint (8), one value per index field after the equal ones, id as a
 * text value, checksum (8). A value is its kind byte and 8 bytes of number, or 2 bytes of length and text. Numbers are
 * little-endian.
 */
enum {
  FORMAT = 1,
  HEADER_BYTES = 9,
  CHECKSUM_BYTES = 8,
  MAX_BYTES = HEADER_BYTES + CHECKSUM_BYTES + (SKY_INDEX_MAX_FIELDS + 1) * (3 + SKY_SCHEMA_MAX_TEXT),
};

/* ---- fingerprint: FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ ---- */

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

static int64_t number_of(const SkyValue *value) {
  switch (value->kind) {
  case SKY_VALUE_INT:
    return value->as.integer;
  case SKY_VALUE_BOOL:
    return value->as.boolean;
  case SKY_VALUE_TIME:
    return value->as.time_ns;
  default:
    return 0;
  }
}

static uint64_t hash_value(uint64_t hash, const SkyValue *value) {
  const uint8_t kind = (uint8_t)value->kind;
  hash = hash_bytes(hash, &kind, 1);
  if (value->kind == SKY_VALUE_TEXT)
    return hash_bytes(hash, value->as.text, strlen(value->as.text) + 1);
  const int64_t number = number_of(value);
  return hash_bytes(hash, &number, sizeof(number));
}

static uint64_t fingerprint(const SkyStoreFind *find) {
  const char *collection = find->schema->declared->name;
  const char *index = find->index == NULL ? "" : find->index->declared->name;
  uint64_t hash = hash_bytes(hash_start, collection, strlen(collection) + 1);
  hash = hash_bytes(hash, index, strlen(index) + 1);
  for (size_t i = 0; i < find->equal_count; i++)
    hash = hash_value(hash, &find->equal[i]);
  hash = hash_value(hash, &find->from);
  hash = hash_value(hash, &find->to);
  const uint8_t descending = find->descending;
  return hash_bytes(hash, &descending, 1);
}

/* ---- base64url without padding, RFC 4648 section 5 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const char *encode(SkyStr bytes, SkyArena *arena) {
  char *text = sky_arena_alloc(arena, (bytes.size + 2) / 3 * 4 + 1);
  if (text == NULL)
    return NULL;
  size_t length = 0;
  uint32_t bits = 0;
  unsigned bit_count = 0;
  for (size_t i = 0; i < bytes.size; i++) {
    bits = bits << 8 | (uint8_t)bytes.data[i];
    for (bit_count += 8; bit_count >= 6; bit_count -= 6)
      text[length++] = alphabet[bits >> (bit_count - 6) & 63];
  }
  if (bit_count > 0)
    text[length++] = alphabet[bits << (6 - bit_count) & 63];
  text[length] = '\0';
  return text;
}

static bool decode(const char *text, uint8_t *bytes, size_t capacity, size_t *ret_size) {
  size_t size = 0;
  uint32_t bits = 0;
  unsigned bit_count = 0;
  for (; *text != '\0'; text++) {
    const char *at = strchr(alphabet, *text);
    if (at == NULL || size == capacity)
      return false;
    bits = bits << 6 | (uint32_t)(at - alphabet);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      bytes[size++] = (uint8_t)(bits >> bit_count);
    }
  }
  *ret_size = size;
  return true;
}

/* ---- making ---- */

static void append_number(SkyBuf *buf, uint64_t number, size_t size) {
  for (size_t i = 0; i < size; i++)
    sky_buf_append_byte(buf, (uint8_t)(number >> (8 * i)));
}

static void append_value(SkyBuf *buf, const SkyValue *value) {
  sky_buf_append_byte(buf, (uint8_t)value->kind);
  if (value->kind != SKY_VALUE_TEXT) {
    append_number(buf, (uint64_t)number_of(value), 8);
    return;
  }
  const size_t length = strlen(value->as.text);
  append_number(buf, length, 2);
  sky_buf_append(buf, value->as.text, length);
}

static SkyStatus append_position(SkyBuf *buf, const SkyStoreFind *find, const ProtobufCMessage *last) {
  const size_t key_count = find->index == NULL ? 0 : find->index->key_count;
  for (size_t i = find->equal_count; i < key_count; i++) {
    SkyValue value;
    SKY_TRY(sky_schema_value(&find->schema->keys[find->index->keys[i]], last, &value));
    append_value(buf, &value);
  }
  const char *id;
  SKY_TRY(sky_schema_id(find->schema, last, &id));
  append_value(buf, &SKY_V_TEXT(id));
  return SKY_OK;
}

SkyStatus sky_token_make(const SkyStoreFind *find, const ProtobufCMessage *last, SkyArena *arena, const char **ret) {
  SkyBuf buf;
  sky_buf_init(&buf, MAX_BYTES);
  sky_buf_append_byte(&buf, FORMAT);
  append_number(&buf, fingerprint(find), 8);
  SkyStatus status = append_position(&buf, find, last);
  append_number(&buf, hash_bytes(hash_start, buf.data, buf.size), CHECKSUM_BYTES);
  if (status == SKY_OK)
    status = sky_buf_status(&buf);
  const char *text = status == SKY_OK ? encode(sky_buf_str(&buf), arena) : NULL;
  sky_buf_finish(&buf);
  if (status == SKY_OK && text == NULL)
    status = sky_status_no_memory();
  if (status == SKY_OK)
    *ret = text;
  return status;
}

/* ---- reading ---- */

typedef struct Reader {
  const uint8_t *at, *end;
  SkyArena *arena;
} Reader;

static bool read_number(Reader *reader, size_t size, uint64_t *ret) {
  if ((size_t)(reader->end - reader->at) < size)
    return false;
  *ret = 0;
  for (size_t i = 0; i < size; i++)
    *ret |= (uint64_t)reader->at[i] << (8 * i);
  reader->at += size;
  return true;
}

static bool read_text(Reader *reader, SkyValue *ret) {
  uint64_t length;
  if (!read_number(reader, 2, &length) || (size_t)(reader->end - reader->at) < length ||
      memchr(reader->at, '\0', length) != NULL || !sky_utf8_valid(reader->at, length))
    return false;
  *ret = SKY_V_TEXT(sky_arena_strndup(reader->arena, (const char *)reader->at, length));
  reader->at += length;
  return ret->as.text != NULL;
}

static bool read_value(Reader *reader, SkyValue *ret) {
  uint64_t kind, number;
  if (!read_number(reader, 1, &kind))
    return false;
  if (kind == SKY_VALUE_TEXT)
    return read_text(reader, ret);
  if (!read_number(reader, 8, &number))
    return false;
  switch (kind) {
  case SKY_VALUE_INT:
    *ret = SKY_V_INT((int64_t)number);
    return true;
  case SKY_VALUE_BOOL:
    *ret = SKY_V_BOOL(number != 0);
    return true;
  case SKY_VALUE_TIME:
    *ret = SKY_V_TIME((int64_t)number);
    return true;
  default:
    return false;
  }
}

static bool read_position(Reader *reader, SkyStoreFind *find) {
  const size_t key_count = find->index == NULL ? 0 : find->index->key_count;
  for (size_t i = find->equal_count; i < key_count; i++) {
    if (!read_value(reader, &find->after[i - find->equal_count]))
      return false;
  }
  SkyValue id;
  if (!read_value(reader, &id) || id.kind != SKY_VALUE_TEXT || reader->at != reader->end)
    return false;
  find->after_id = id.as.text;
  return true;
}

static bool read_token(const char *token, SkyArena *arena, SkyStoreFind *find) {
  uint8_t bytes[MAX_BYTES];
  size_t size;
  if (!decode(token, bytes, sizeof(bytes), &size) || size < HEADER_BYTES + CHECKSUM_BYTES)
    return false;
  Reader reader = {bytes, bytes + size - CHECKSUM_BYTES, arena};
  Reader tail = {reader.end, bytes + size, arena};
  uint64_t format, query, checksum;
  if (!read_number(&tail, CHECKSUM_BYTES, &checksum) ||
      checksum != hash_bytes(hash_start, bytes, size - CHECKSUM_BYTES))
    return false;
  return read_number(&reader, 1, &format) && format == FORMAT && read_number(&reader, 8, &query) &&
         query == fingerprint(find) && read_position(&reader, find);
}

SkyStatus sky_token_read(const char *token, SkyArena *arena, SkyStoreFind *find) {
  if (read_token(token, arena, find))
    return SKY_OK;
  SkyStatus status = SKY_INVALID_ARGUMENT("page_token is not from this query");
  return sky_status_with_violation(status, "page_token", "is not from this query");
}
