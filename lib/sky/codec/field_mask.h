/*
 * Field mask: takes over the fields of one message that google.protobuf.FieldMask paths name into another of the same
 * type (https://google.aip.dev/134). A path names a field ("tag") or one inside singular messages
 * ("pickup_location.latitude"); a named field that is unset in the source is cleared. Repeated fields and maps are
 * replaced as wholes.
 *
 * Nothing is copied but the fields themselves: the target then shares strings and messages with the source, so both
 * must live in arenas that end together. Thread-safe on distinct messages.
 */
#pragma once

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>

/*
 * changeable: NULL-terminated names of the top-level fields that may be named; NULL: all. INVALID_ARGUMENT with a
 * violation of "update_mask" for a path that does not exist or may not be changed, and when there is no path at all;
 * the target is then as it was. "*" names all that is changeable.
 */
SKY_MUST_USE SkyStatus sky_field_mask_apply(const char *const *paths, size_t path_count, const char *const *changeable,
                                            const ProtobufCMessage *source, ProtobufCMessage *target, SkyArena *arena);
