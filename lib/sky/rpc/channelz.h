/*
 * Channelz: what the gRPC core knows of this process's servers, channels, connections and their calls, as the JSON of
 * grpc.channelz.v1 (https://github.com/grpc/proposal/blob/master/A14-channelz.md). Only of servers and clients that
 * were made with .channelz. Thread-safe; a runtime must exist.
 */
#pragma once

#include <sky/core/buf.h>

/*
 * Appends one answer. what: "servers" and "channels" are lists that begin at id (0: all, 100 at a time); "server",
 * "channel", "subchannel" and "socket" are the one with this id; "sockets" are the connections of the server with this
 * id. NOT_FOUND when there is none, INVALID_ARGUMENT when what is none of these.
 */
SKY_MUST_USE SkyStatus sky_channelz_read(SkyStr what, int64_t id, SkyBuf *out);
