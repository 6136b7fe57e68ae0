/*
 * Options: what contracts say in custom options. protobuf-c knows no extensions, so they arrive as unknown fields of
 * the standard options messages; their wire bytes are read here. An option set in several statements arrives in several
 * pieces, and concatenated pieces are, by protobuf's merge rule, the whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <sky/codec/wire.h>
#include <sky/core/arena.h>

/* The bytes of a message-typed extension, all pieces; empty when absent. options may be NULL. */
SkyStr sky_options_extension(SkyArena *arena, const ProtobufCMessage *options, uint32_t number);
bool sky_options_has(const ProtobufCMessage *options, uint32_t number);
/* Does a repeated enum extension hold the value? Packed or not. */
bool sky_options_lists(const ProtobufCMessage *options, uint32_t number, uint64_t value);

/* Fields of such a message. The last one counts; false when absent. */
bool sky_options_scalar(SkyStr message, uint32_t number, uint64_t *ret);
bool sky_options_bytes(SkyStr message, uint32_t number, SkyStr *ret);
/* The same as a NUL-terminated text, "" when absent. */
char *sky_options_text(SkyArena *arena, SkyStr message, uint32_t number);
/* All pieces of a submessage; *ret_present (may be NULL) also tells an empty one from none. */
SkyStr sky_options_message(SkyArena *arena, SkyStr message, uint32_t number, bool *ret_present);
