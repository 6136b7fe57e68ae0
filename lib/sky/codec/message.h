/*
 * Message: protobuf-c messages, made safe. protobuf-c neither bounds recursion nor checks UTF-8, and an embedded NUL
 * silently cuts a string (grpc.md); so bytes are scanned before they are unpacked, and unpacked into an arena whose
 * budget bounds them.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/status.h>
#include <sky/core/str.h>

enum { SKY_MESSAGE_MAX_DEPTH = 64 };

/*
 * Unpacks wire bytes of this type into the arena. INVALID_ARGUMENT for malformed bytes, a string that is not UTF-8 or
 * holds a NUL (the field is named), or nesting deeper than SKY_MESSAGE_MAX_DEPTH; RESOURCE_EXHAUSTED when the arena's
 * budget is spent. The message lives as long as the arena; never call protobuf-c's free on it.
 */
SKY_MUST_USE SkyStatus sky_message_unpack(const ProtobufCMessageDescriptor *type, SkyStr wire, SkyArena *arena,
                                          ProtobufCMessage **ret);

/* The same with a lower bound of nesting; at most SKY_MESSAGE_MAX_DEPTH (asserted). */
SKY_MUST_USE SkyStatus sky_message_unpack_limited(const ProtobufCMessageDescriptor *type, SkyStr wire,
                                                  unsigned max_depth, SkyArena *arena, ProtobufCMessage **ret);

/* Appends the wire bytes of message. */
SKY_MUST_USE SkyStatus sky_message_pack(const ProtobufCMessage *message, SkyBuf *out);

/* A deep copy in the arena. */
SKY_MUST_USE SkyStatus sky_message_copy(const ProtobufCMessage *message, SkyArena *arena, ProtobufCMessage **ret);

/* Do they pack to the same bytes? Of one type; false also when a copy of their bytes finds no memory. (protobuf-c packs
 * in the order of field numbers, so equal messages pack equally, but for fields unknown to the contract.) */
bool sky_message_same(const ProtobufCMessage *a, const ProtobufCMessage *b);

/* A new message with every field at its default, in the arena; NULL when the budget is spent. */
ProtobufCMessage *sky_message_create(const ProtobufCMessageDescriptor *type, SkyArena *arena);

/* The text of a top-level string field, "" when unset. The field must exist and be a singular string (asserted). */
const char *sky_message_string_field(const ProtobufCMessage *message, const char *field);

/* The value with this number; NULL when the contract has none. (protobuf-c's own search overflows at INT_MAX.) */
const ProtobufCEnumValue *sky_enum_find(const ProtobufCEnumDescriptor *type, int number);
