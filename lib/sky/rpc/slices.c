#include "slices.h"

#include <string.h>

#include <grpc/byte_buffer_reader.h>

#include <sky/codec/message.h>
#include <sky/rpc/raw.h>

const ProtobufCMessageDescriptor sky_raw_message_descriptor = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "sky.RawMessage",
    .short_name = "RawMessage",
    .c_name = "SkyRawMessage",
    .package_name = "sky",
    .sizeof_message = sizeof(SkyRawMessage),
};

static bool is_raw(const ProtobufCMessageDescriptor *type) {
  return type == &sky_raw_message_descriptor;
}

static SkyStr raw_bytes(const ProtobufCMessage *message) {
  return ((const SkyRawMessage *)(const void *)message)->bytes;
}

size_t sky_packed_size(const ProtobufCMessage *message) {
  return is_raw(message->descriptor) ? raw_bytes(message).size : protobuf_c_message_get_packed_size(message);
}

void sky_pack_into(const ProtobufCMessage *message, uint8_t *to) {
  if (!is_raw(message->descriptor)) {
    protobuf_c_message_pack(message, to);
    return;
  }
  const SkyStr bytes = raw_bytes(message);
  if (bytes.size > 0)
    memcpy(to, bytes.data, bytes.size);
}

grpc_byte_buffer *sky_pack_byte_buffer(const ProtobufCMessage *message, size_t packed_size) {
  grpc_slice slice = grpc_slice_malloc(packed_size);
  sky_pack_into(message, GRPC_SLICE_START_PTR(slice));
  grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
  grpc_slice_unref(slice); /* the buffer has its own reference */
  return buffer;
}

static SkyStatus unpack_raw(SkyStr wire, SkyArena *arena, ProtobufCMessage **ret) {
  SkyRawMessage *message = sky_arena_alloc(arena, sizeof(*message));
  const char *copy = sky_arena_strndup(arena, wire.data, wire.size);
  if (message == NULL || copy == NULL)
    return SKY_RESOURCE_EXHAUSTED("message of %zu bytes exceeds the memory budget of a call", wire.size);
  *message = (SkyRawMessage)SKY_RAW_MESSAGE_INIT(((SkyStr){.data = copy, .size = wire.size}));
  *ret = &message->base;
  return SKY_OK;
}

static SkyStatus unpack(const ProtobufCMessageDescriptor *type, SkyStr wire, unsigned max_depth, SkyArena *arena,
                        ProtobufCMessage **ret) {
  return is_raw(type) ? unpack_raw(wire, arena, ret) : sky_message_unpack_limited(type, wire, max_depth, arena, ret);
}

SkyStatus sky_unpack_byte_buffer(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer, SkyArena *arena,
                                 ProtobufCMessage **ret) {
  return sky_unpack_byte_buffer_limited(type, buffer, SKY_MESSAGE_MAX_DEPTH, arena, ret);
}

SkyStatus sky_unpack_byte_buffer_limited(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
                                         unsigned max_depth, SkyArena *arena, ProtobufCMessage **ret) {
  grpc_byte_buffer_reader reader;
  if (!grpc_byte_buffer_reader_init(&reader, buffer))
    return SKY_INTERNAL("the message cannot be decompressed");
  SkyStatus status;
  grpc_slice *first = NULL;
  if (grpc_byte_buffer_length(reader.buffer_out) == 0) {
    status = unpack(type, SKY_STR(""), max_depth, arena, ret);
  } else if (grpc_byte_buffer_reader_peek(&reader, &first) != 0 &&
             GRPC_SLICE_LENGTH(*first) == grpc_byte_buffer_length(reader.buffer_out)) {
    status = unpack(type, sky_slice_str(first), max_depth, arena, ret);
  } else {
    grpc_byte_buffer_reader_destroy(&reader);
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
      return SKY_INTERNAL("the message cannot be decompressed");
    const grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    status = unpack(type, sky_slice_str(&whole), max_depth, arena, ret);
    grpc_slice_unref(whole);
  }
  grpc_byte_buffer_reader_destroy(&reader);
  return status;
}

ProtobufCMessage *sky_create_message(const ProtobufCMessageDescriptor *type, SkyArena *arena) {
  if (!is_raw(type))
    return sky_message_create(type, arena);
  SkyRawMessage *message = sky_arena_alloc(arena, sizeof(*message));
  if (message == NULL)
    return NULL;
  *message = (SkyRawMessage)SKY_RAW_MESSAGE_INIT(SKY_STR(""));
  return &message->base;
}

SkyStr sky_slice_str(const grpc_slice *slice) {
  return (SkyStr){.data = (const char *)GRPC_SLICE_START_PTR(*slice), .size = GRPC_SLICE_LENGTH(*slice)};
}

grpc_slice sky_slice_copy(SkyStr text) {
  return grpc_slice_from_copied_buffer(text.data, text.size);
}
