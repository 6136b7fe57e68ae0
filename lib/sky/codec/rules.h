/*
 * Rules: validation of messages by tables that protoc-gen-sky writes from buf.validate options and
 * google.api.field_behavior.
 *
 * The tables are constant and shared by all threads. Unknown presence follows protobuf: a rule on a field without
 * presence holds for its zero value too, unless the contract says ignore = IF_ZERO_VALUE; REQUIRED refuses an unset
 * message or an empty scalar.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include <sky/core/status.h>

typedef struct SkyMessageRules SkyMessageRules;

/*
 * Checks message and everything in it. INVALID_ARGUMENT with one violation per bad field, named by its path in proto
 * names
 * ("pickup_location.latitude", "items[3].tag"); at most 32 of them. rules NULL: always SKY_OK.
 */
SKY_MUST_USE SkyStatus sky_message_validate(const ProtobufCMessage *message, const SkyMessageRules *rules);
