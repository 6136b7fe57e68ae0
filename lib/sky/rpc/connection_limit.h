/*
 * Connection limit: how many connections a server has at once. (internal)
 *
 * The core (1.51) has no such limit and no interface for one. But it shows each socket it accepts to a "socket
 * mutator", before it does anything with it: one too many is shut down there, so that its handshake ends at once and
 * the client hears UNAVAILABLE. The mutator's shape is not in the core's C headers, so this works with the one version
 * for which it is known.
 *
 * Nobody tells when a connection ends. So a table keeps which socket each descriptor was, and is looked through when it
 * seems full: a descriptor that is closed, or another socket by now, is a free place.
 */
#pragma once

#include <grpc/grpc.h>

#include <sky/core/status.h>

typedef struct SkyConnectionLimit SkyConnectionLimit;

/* UNIMPLEMENTED when this core is not known. */
SKY_MUST_USE SkyStatus sky_connection_limit_create(size_t max_connections, SkyConnectionLimit **ret);
/* The caller's reference; the core has its own. NULL-safe. */
void sky_connection_limit_unref(SkyConnectionLimit *limit);
/* For grpc_server_create(). */
grpc_arg sky_connection_limit_arg(SkyConnectionLimit *limit);
