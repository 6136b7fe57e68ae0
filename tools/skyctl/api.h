/*
 * Api: the contracts inside skyctl, and messages to and from the JSON of the REST API.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>
#include <sky/core/str.h>

/* Loads the contracts that were built in. Once, before the others. */
SKY_MUST_USE SkyStatus api_load(void);
void api_unload(void);

/* JSON text to a message of this type, in the arena. Unknown fields are passed over: a newer server may send them. */
SKY_MUST_USE SkyStatus api_from_json(const ProtobufCMessageDescriptor *type, SkyStr json, SkyArena *arena,
                                     ProtobufCMessage **ret);
/* Checks JSON text against a type as the gateway will: strictly. */
SKY_MUST_USE SkyStatus api_check_json(const char *type, SkyStr json);
