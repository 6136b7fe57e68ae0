#include <sky/codec/bson.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sky/codec/bson_any.h>
#include <sky/codec/bson_shape.h>
#include <sky/codec/message.h>
#include <sky/core/map.h>

enum {
  MAX_KEYED_MAP = 1024,       /* entries; larger maps are arrays of {key, value} */
  ANY_ARENA_BYTES = 64 << 20, /* of what an Any holds, unpacked */
};

typedef struct Encoder {
  const char *id_field; /* of the message at depth 0 */
  unsigned depth;
} Encoder;

static SkyStatus encode_message(Encoder *encoder, const ProtobufCMessage *message, bson_t *out);

static const void *member(const ProtobufCMessage *message, unsigned offset) {
  return (const uint8_t *)message + offset;
}

/* libbson refuses only what would make the document larger than it can be. */
static SkyStatus appended(bool done) {
  return done ? SKY_OK : SKY_INVALID_ARGUMENT("the document is too large");
}

/* ---- single values ---- */

static SkyStatus append_text(bson_t *out, const char *key, const char *text, const ProtobufCFieldDescriptor *field) {
  if (text == NULL)
    text = "";
  const size_t length = strlen(text);
  if (!sky_utf8_valid(text, length)) {
    SkyStatus status = SKY_OK;
    sky_violations_add(&status, field->name, "is not UTF-8");
    return status;
  }
  return appended(length <= INT32_MAX && bson_append_utf8(out, key, -1, text, (int)length));
}

static SkyStatus append_uint64(bson_t *out, const char *key, uint64_t number) {
  if (number <= INT64_MAX)
    return appended(bson_append_int64(out, key, -1, (int64_t)number));
  char digits[24];
  snprintf(digits, sizeof(digits), "%" PRIu64, number);
  return appended(bson_append_utf8(out, key, -1, digits, -1));
}

static SkyStatus append_enum(bson_t *out, const char *key, const ProtobufCFieldDescriptor *field, int number) {
  const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(field->descriptor, number);
  if (known == NULL)
    return appended(bson_append_int32(out, key, -1, number));
  return appended(bson_append_utf8(out, key, -1, known->name, -1));
}

static bool append_bytes(bson_t *out, const char *key, const void *data, size_t size) {
  return size <= INT32_MAX &&
         bson_append_binary(out, key, -1, BSON_SUBTYPE_BINARY, size == 0 ? (const void *)"" : data, (uint32_t)size);
}

static SkyStatus append_binary(bson_t *out, const char *key, const ProtobufCBinaryData *bytes) {
  return appended(append_bytes(out, key, bytes->data, bytes->len));
}

static SkyStatus append_document(Encoder *encoder, bson_t *out, const char *key, const ProtobufCMessage *message) {
  bson_t child;
  SKY_TRY(appended(bson_append_document_begin(out, key, -1, &child)));
  encoder->depth++;
  SkyStatus status = encode_message(encoder, message, &child);
  encoder->depth--;
  bson_append_document_end(out, &child);
  return status;
}

/* Milliseconds as MongoDB's dates have them. False for what a date cannot hold: then the timestamp is an ordinary
 * document. */
static bool to_date(const ProtobufCMessage *timestamp, int64_t *ret_ms, int32_t *ret_remainder_ns) {
  const ProtobufCFieldDescriptor *fields = timestamp->descriptor->fields; /* seconds = 1, nanos = 2 */
  const int64_t seconds = *(const int64_t *)member(timestamp, fields[0].offset);
  const int32_t nanos = *(const int32_t *)member(timestamp, fields[1].offset);
  if (nanos < 0 || nanos > 999999999 || timestamp->n_unknown_fields > 0 ||
      __builtin_mul_overflow(seconds, (int64_t)1000, ret_ms) ||
      __builtin_add_overflow(*ret_ms, nanos / SKY_BSON_NS_PER_MS, ret_ms))
    return false;
  *ret_remainder_ns = nanos % SKY_BSON_NS_PER_MS;
  return true;
}

/* has_remainder: the remainder is written elsewhere (append_remainders), so a date will do. */
static SkyStatus append_submessage(Encoder *encoder, bson_t *out, const char *key,
                                   const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message,
                                   bool has_remainder) {
  int64_t ms;
  int32_t remainder;
  if (message == NULL)
    return SKY_INVALID_ARGUMENT("%s has an element that is no message", field->name);
  if (sky_bson_is_timestamp(field) && to_date(message, &ms, &remainder) && (has_remainder || remainder == 0))
    return appended(bson_append_date_time(out, key, -1, ms));
  return append_document(encoder, out, key, message);
}

static SkyStatus append_value(Encoder *encoder, bson_t *out, const char *key, const ProtobufCFieldDescriptor *field,
                              const void *at, bool has_remainder) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_INT32:
  case PROTOBUF_C_TYPE_SINT32:
  case PROTOBUF_C_TYPE_SFIXED32:
    return appended(bson_append_int32(out, key, -1, *(const int32_t *)at));
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_FIXED32:
    return appended(bson_append_int64(out, key, -1, *(const uint32_t *)at));
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
    return appended(bson_append_int64(out, key, -1, *(const int64_t *)at));
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
    return append_uint64(out, key, *(const uint64_t *)at);
  case PROTOBUF_C_TYPE_FLOAT:
    return appended(bson_append_double(out, key, -1, (double)*(const float *)at));
  case PROTOBUF_C_TYPE_DOUBLE:
    return appended(bson_append_double(out, key, -1, *(const double *)at));
  case PROTOBUF_C_TYPE_BOOL:
    return appended(bson_append_bool(out, key, -1, *(const protobuf_c_boolean *)at != 0));
  case PROTOBUF_C_TYPE_ENUM:
    return append_enum(out, key, field, *(const int *)at);
  case PROTOBUF_C_TYPE_STRING:
    return append_text(out, key, *(char *const *)at, field);
  case PROTOBUF_C_TYPE_BYTES:
    return append_binary(out, key, at);
  case PROTOBUF_C_TYPE_MESSAGE:
    return append_submessage(encoder, out, key, field, *(ProtobufCMessage *const *)at, has_remainder);
  }
  return SKY_INTERNAL("%s is of no known type", field->name);
}

/* ---- repeated fields and maps ---- */

static SkyStatus append_array(Encoder *encoder, bson_t *out, const ProtobufCFieldDescriptor *field,
                              const uint8_t *elements, size_t count) {
  bson_t array;
  SKY_TRY(appended(bson_append_array_begin(out, field->name, -1, &array)));
  SkyStatus status = SKY_OK;
  for (size_t i = 0; i < count && status == SKY_OK; i++) {
    char buffer[16];
    const char *key;
    bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof(buffer));
    status = append_value(encoder, &array, key, field, elements + i * sky_bson_element_size(field), false);
  }
  bson_append_array_end(out, &array);
  return status;
}

/* The text of a map's key; false when it cannot name an element. */
static bool key_text(const ProtobufCMessage *entry, char buffer[24], const char **ret) {
  const ProtobufCFieldDescriptor *field = &entry->descriptor->fields[0];
  const void *at = member(entry, field->offset);
  *ret = buffer;
  switch (field->type) {
  case PROTOBUF_C_TYPE_STRING:
    *ret = *(char *const *)at;
    return *ret != NULL && **ret != '\0' && **ret != '$' && strchr(*ret, '.') == NULL &&
           sky_utf8_valid(*ret, strlen(*ret));
  case PROTOBUF_C_TYPE_BOOL:
    *ret = *(const protobuf_c_boolean *)at != 0 ? "true" : "false";
    return true;
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_FIXED32:
    snprintf(buffer, 24, "%" PRIu32, *(const uint32_t *)at);
    return true;
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
    snprintf(buffer, 24, "%" PRIu64, *(const uint64_t *)at);
    return true;
  default:
    if (sky_bson_element_size(field) == 8)
      snprintf(buffer, 24, "%" PRId64, *(const int64_t *)at);
    else
      snprintf(buffer, 24, "%" PRId32, *(const int32_t *)at);
    return true;
  }
}

static bool entry_is_plain(const ProtobufCMessage *entry) {
  const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
  return entry->n_unknown_fields == 0 &&
         (value->type != PROTOBUF_C_TYPE_MESSAGE || *(ProtobufCMessage *const *)member(entry, value->offset) != NULL);
}

/* True when every key can name an element and none comes twice. */
static bool map_can_be_keyed(ProtobufCMessage *const *entries, size_t count) {
  if (count > MAX_KEYED_MAP)
    return false;
  SkyMap *seen = sky_map_create(count);
  bool fits = seen != NULL;
  for (size_t i = 0; i < count && fits; i++) {
    char buffer[24];
    const char *key;
    void *old = NULL;
    fits = entry_is_plain(entries[i]) && key_text(entries[i], buffer, &key);
    SkyStatus status = fits ? sky_map_set(seen, sky_str(key), entries[i], &old) : SKY_OK;
    fits = fits && status == SKY_OK && old == NULL;
    sky_status_free(status);
  }
  sky_map_destroy(seen);
  return fits;
}

static SkyStatus append_map(Encoder *encoder, bson_t *out, const ProtobufCFieldDescriptor *field,
                            ProtobufCMessage *const *entries, size_t count) {
  if (!map_can_be_keyed(entries, count))
    return append_array(encoder, out, field, (const uint8_t *)entries, count);
  bson_t child;
  SKY_TRY(appended(bson_append_document_begin(out, field->name, -1, &child)));
  SkyStatus status = SKY_OK;
  for (size_t i = 0; i < count && status == SKY_OK; i++) {
    const ProtobufCFieldDescriptor *value = &entries[i]->descriptor->fields[1];
    char buffer[24];
    const char *key = buffer;
    key_text(entries[i], buffer, &key);
    status = append_value(encoder, &child, key, value, member(entries[i], value->offset), false);
  }
  bson_append_document_end(out, &child);
  return status;
}

static SkyStatus append_repeated(Encoder *encoder, bson_t *out, const ProtobufCFieldDescriptor *field,
                                 const ProtobufCMessage *message) {
  const size_t count = *(const size_t *)member(message, field->quantifier_offset);
  const void *elements = *(void *const *)member(message, field->offset);
  if (count == 0)
    return SKY_OK;
  if (sky_bson_is_map(field))
    return append_map(encoder, out, field, elements, count);
  return append_array(encoder, out, field, elements, count);
}

/* ---- messages ---- */

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
    return *(const uint32_t *)member(message, field->quantifier_offset) == field->id;
  if (field->type == PROTOBUF_C_TYPE_MESSAGE)
    return *(void *const *)member(message, field->offset) != NULL;
  if (field->label != PROTOBUF_C_LABEL_OPTIONAL)
    return true;
  if (field->type == PROTOBUF_C_TYPE_STRING)
    return *(void *const *)member(message, field->offset) != NULL;
  return *(const protobuf_c_boolean *)member(message, field->quantifier_offset) != 0;
}

static SkyStatus append_field(Encoder *encoder, bson_t *out, const ProtobufCFieldDescriptor *field,
                              const ProtobufCMessage *message) {
  if (field->label == PROTOBUF_C_LABEL_REPEATED)
    return append_repeated(encoder, out, field, message);
  if (!is_set(message, field))
    return SKY_OK;
  const bool is_id = encoder->depth == 0 && encoder->id_field != NULL && strcmp(field->name, encoder->id_field) == 0;
  return append_value(encoder, out, is_id ? "_id" : field->name, field, member(message, field->offset), true);
}

/* What the dates of this document leave out. */
static SkyStatus append_remainders(const ProtobufCMessage *message, bson_t *out) {
  bson_t remainders = BSON_INITIALIZER;
  bool done = true;
  for (unsigned i = 0; i < message->descriptor->n_fields && done; i++) {
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
    int64_t ms;
    int32_t remainder;
    if (field->label != PROTOBUF_C_LABEL_REPEATED && sky_bson_is_timestamp(field) && is_set(message, field) &&
        to_date(*(ProtobufCMessage *const *)member(message, field->offset), &ms, &remainder) && remainder != 0)
      done = bson_append_int32(&remainders, field->name, -1, remainder);
  }
  if (done && !bson_empty(&remainders))
    done = bson_append_document(out, SKY_BSON_REMAINDERS, -1, &remainders);
  bson_destroy(&remainders);
  return appended(done);
}

static bool append_unknown_field(bson_t *array, size_t position, const ProtobufCMessageUnknownField *unknown) {
  char buffer[16];
  const char *key;
  bson_t child;
  bson_uint32_to_string((uint32_t)position, &key, buffer, sizeof(buffer));
  return bson_append_document_begin(array, key, -1, &child) && bson_append_int64(&child, "field", -1, unknown->tag) &&
         bson_append_int32(&child, "type", -1, unknown->wire_type) &&
         append_bytes(&child, "data", unknown->data, unknown->len) && bson_append_document_end(array, &child);
}

static SkyStatus append_unknown(const ProtobufCMessage *message, bson_t *out) {
  if (message->n_unknown_fields == 0)
    return SKY_OK;
  bson_t array;
  SKY_TRY(appended(bson_append_array_begin(out, SKY_BSON_UNKNOWN, -1, &array)));
  bool done = true;
  for (unsigned i = 0; i < message->n_unknown_fields && done; i++)
    done = append_unknown_field(&array, i, &message->unknown_fields[i]);
  bson_append_array_end(out, &array);
  return appended(done);
}

/* What an Any holds, for people to read. Bytes that do not unpack are shown as bytes only. */
static SkyStatus append_any(Encoder *encoder, const ProtobufCMessage *any, bson_t *out) {
  if (strcmp(any->descriptor->name, "google.protobuf.Any") != 0)
    return SKY_OK;
  const ProtobufCFieldDescriptor *fields = any->descriptor->fields; /* type_url = 1, value = 2 */
  const ProtobufCMessageDescriptor *type = sky_bson_find_type(*(char *const *)member(any, fields[0].offset));
  const ProtobufCBinaryData *value = member(any, fields[1].offset);
  if (type == NULL)
    return SKY_OK;
  SkyArena arena;
  ProtobufCMessage *held;
  sky_arena_init(&arena, ANY_ARENA_BYTES);
  SkyStatus status = sky_message_unpack(type, (SkyStr){(const char *)value->data, value->len}, &arena, &held);
  if (status == SKY_OK) {
    status = append_document(encoder, out, SKY_BSON_ANY_MESSAGE, held);
  } else {
    sky_status_free(status);
    status = SKY_OK;
  }
  sky_arena_finish(&arena);
  return status;
}

static SkyStatus encode_message(Encoder *encoder, const ProtobufCMessage *message, bson_t *out) {
  if (encoder->depth >= SKY_BSON_MAX_DEPTH)
    return SKY_INVALID_ARGUMENT("%s is nested deeper than %d", message->descriptor->name, SKY_BSON_MAX_DEPTH);
  for (unsigned i = 0; i < message->descriptor->n_fields; i++)
    SKY_TRY(append_field(encoder, out, &message->descriptor->fields[i], message));
  SKY_TRY(append_remainders(message, out));
  SKY_TRY(append_any(encoder, message, out));
  return append_unknown(message, out);
}

SkyStatus sky_bson_encode(const ProtobufCMessage *message, const char *id_field, bson_t *document) {
  Encoder encoder = {.id_field = id_field};
  return encode_message(&encoder, message, document);
}
