/*
 * The types that a google.protobuf.Any may hold, known to the process. Private to lib/sky/codec.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

/* The registered type of a type URL; NULL when there is none. */
const ProtobufCMessageDescriptor *sky_bson_find_type(const char *type_url);
