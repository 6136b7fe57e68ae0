/*
 * Goaway: tells every client of a server to go elsewhere, while calls that are already on their way are still served.
 * (internal)
 *
 * The core's own shutdown refuses from its first moment what arrives, so a call that a client sent just before it heard
 * of the shutdown dies with CANCELLED, and nobody can tell whether it was begun. The core can do better, but not by its
 * C interface: it has functions to stop listening and to send the two GOAWAY frames of a graceful end (RFC 9113, 6.8),
 * which this module finds by symbol, in the one version for which they are known to be right. What a client sends after
 * the second frame was never seen here, and its runtime sends it elsewhere by itself.
 */
#pragma once

#include <stdbool.h>

#include <grpc/grpc.h>

/* Closes the listening sockets and sends GOAWAY on all connections. False, and nothing done, when this core cannot.
 * Blocks for a moment; not on the I/O thread. */
bool sky_goaway_begin(grpc_server *server);
/* False when all connections have ended: from then on nothing arrives any more. Only after a successful begin. */
bool sky_goaway_has_connections(grpc_server *server);
