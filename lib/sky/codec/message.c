#include <sky/codec/message.h>

#include <assert.h>
#include <string.h>

enum { MAX_COPY_BYTES = 1 << 30 };

ProtobufCMessage *sky_message_create(const ProtobufCMessageDescriptor *type, SkyArena *arena) {
  ProtobufCMessage *message = sky_arena_alloc(arena, type->sizeof_message);
  if (message != NULL)
    protobuf_c_message_init(type, message);
  return message;
}

SkyStatus sky_message_pack(const ProtobufCMessage *message, SkyBuf *out) {
  const size_t size = protobuf_c_message_get_packed_size(message);
  if (size == 0)
    return sky_buf_status(out);
  uint8_t *room = sky_buf_reserve(out, size);
  if (room == NULL)
    return sky_buf_status(out);
  sky_buf_commit(out, protobuf_c_message_pack(message, room));
  return SKY_OK;
}

SkyStatus sky_message_copy(const ProtobufCMessage *message, SkyArena *arena, ProtobufCMessage **ret) {
  SkyBuf wire;
  sky_buf_init(&wire, MAX_COPY_BYTES);
  SkyStatus status = sky_message_pack(message, &wire);
  if (status == SKY_OK)
    status = sky_message_unpack(message->descriptor, sky_buf_str(&wire), arena, ret);
  sky_buf_finish(&wire);
  return status;
}

bool sky_message_same(const ProtobufCMessage *a, const ProtobufCMessage *b) {
  SkyBuf left, right;
  sky_buf_init(&left, MAX_COPY_BYTES);
  sky_buf_init(&right, MAX_COPY_BYTES);
  SkyStatus status = sky_message_pack(a, &left);
  if (status == SKY_OK)
    status = sky_message_pack(b, &right);
  const bool same = status == SKY_OK && sky_str_equal(sky_buf_str(&left), sky_buf_str(&right));
  sky_status_free(status);
  sky_buf_finish(&left);
  sky_buf_finish(&right);
  return same;
}

const char *sky_message_string_field(const ProtobufCMessage *message, const char *name) {
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
  assert(field != NULL && field->type == PROTOBUF_C_TYPE_STRING && field->label != PROTOBUF_C_LABEL_REPEATED);
  if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
    uint32_t oneof_case;
    memcpy(&oneof_case, (const char *)message + field->quantifier_offset, sizeof(oneof_case));
    if (oneof_case != field->id)
      return "";
  }
  const char *text;
  memcpy(&text, (const char *)message + field->offset, sizeof(text));
  return text == NULL ? "" : text;
}

const ProtobufCEnumValue *sky_enum_find(const ProtobufCEnumDescriptor *type, int number) {
  unsigned first = 0, end = type->n_values; /* values are sorted by number */
  while (first < end) {
    const unsigned middle = first + (end - first) / 2;
    if (type->values[middle].value == number)
      return &type->values[middle];
    if (type->values[middle].value < number)
      first = middle + 1;
    else
      end = middle;
  }
  return NULL;
}
