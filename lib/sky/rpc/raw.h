/*
 * Raw message: the wire bytes of a message, not unpacked. A method whose request or response type is this descriptor
 * works on bytes: for proxies, tools, and the built-in services, whose contracts need no generated code.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include <sky/core/str.h>

extern const ProtobufCMessageDescriptor sky_raw_message_descriptor;

typedef struct SkyRawMessage {
  ProtobufCMessage base;
  SkyStr bytes; /* borrowed; of a received message they live as long as it */
} SkyRawMessage;

#define SKY_RAW_MESSAGE_INIT(wire)                                                                                     \
  { .base = {.descriptor = &sky_raw_message_descriptor}, .bytes = (wire) }
