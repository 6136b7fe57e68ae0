/*
 * Slices: messages to and from the core's byte buffers without a copy more than needed. (internal)
 */
#pragma once

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include <protobuf-c/protobuf-c.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>
#include <sky/core/str.h>

/* Bytes the message takes on the wire. */
size_t sky_packed_size(const ProtobufCMessage *message);
/* Packs to where there is room for sky_packed_size(). */
void sky_pack_into(const ProtobufCMessage *message, uint8_t *to);
/* Packs into one slice of the core's memory. The caller destroys the buffer. */
grpc_byte_buffer *sky_pack_byte_buffer(const ProtobufCMessage *message, size_t packed_size);
/* As sky_message_unpack(). The buffer stays the caller's. */
SKY_MUST_USE SkyStatus sky_unpack_byte_buffer(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
                                              SkyArena *arena, ProtobufCMessage **ret);
/* The same with a lower bound of nesting. */
SKY_MUST_USE SkyStatus sky_unpack_byte_buffer_limited(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer,
                                                      unsigned max_depth, SkyArena *arena, ProtobufCMessage **ret);
/* A new empty message of this type, raw or not; NULL when the budget is spent. */
ProtobufCMessage *sky_create_message(const ProtobufCMessageDescriptor *type, SkyArena *arena);

/* A view into the slice; it must not be a temporary, for short ones hold their bytes themselves. */
SkyStr sky_slice_str(const grpc_slice *slice);
grpc_slice sky_slice_copy(SkyStr text);
