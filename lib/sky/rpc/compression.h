/*
 * Compression of messages: which algorithm a call sends with; within the call each message may go without.
 *
 * What is received is decompressed without asking, whatever gRPC's algorithms the peer chose, and bounded: a message is
 * as large as it is unpacked. RESOURCE_EXHAUSTED past the limit of the server or client, INTERNAL when the bytes are no
 * such stream. A message that would not become smaller travels as it is.
 *
 * Do not compress what holds both a secret and text of an attacker's choice (CRIME, BREACH).
 *
 * https://github.com/grpc/grpc/blob/master/doc/compression.md
 */
#pragma once

typedef enum SkyCompression {
  SKY_COMPRESSION_IDENTITY = 0, /* none */
  SKY_COMPRESSION_DEFLATE = 1,  /* RFC 1950 */
  SKY_COMPRESSION_GZIP = 2,     /* RFC 1952 */
} SkyCompression;
