/*
 * What encoder and decoder of bson.h must agree on. Private to lib/sky/codec.
 */
#pragma once

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#define SKY_BSON_REMAINDERS "_ns"
#define SKY_BSON_UNKNOWN "_unknown"
#define SKY_BSON_ANY_MESSAGE "_message"

enum { SKY_BSON_NS_PER_MS = 1000000 };

/* A google.protobuf.Timestamp, which is stored as a BSON date. */
bool sky_bson_is_timestamp(const ProtobufCFieldDescriptor *field);
/* A map is a repeated message that protoc made: protobuf-c's descriptors do not say so, but its name and fields do. */
bool sky_bson_is_map(const ProtobufCFieldDescriptor *field);
/* Bytes of one element of a repeated field. */
size_t sky_bson_element_size(const ProtobufCFieldDescriptor *field);
