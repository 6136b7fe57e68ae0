/*
 * Requests: a peer's bytes within the limits of the server.
 *
 * A message that needs more memory than a call may take (a million empty submessages in two megabytes) is the sender's
 * fault and will not fit later either, so it is INVALID_ARGUMENT; RESOURCE_EXHAUSTED would invite it to try again.
 */
#include "server_internal.h"

#include <sky/rpc/slices.h>

SkyStatus sky_call_unpack(const SkyCall *call, grpc_byte_buffer *buffer, SkyArena *arena, ProtobufCMessage **ret) {
  const ProtobufCMessageDescriptor *type = call->method->descriptor->request.descriptor;
  const SkyServerOptions *options = &call->server->options;
  SkyStatus status = sky_unpack_byte_buffer_limited(type, buffer, (unsigned)options->max_message_depth, arena, ret);
  if (!arena->over_budget || !sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED))
    return status;
  return SKY_INVALID_ARGUMENT("%s does not fit into the %zu bytes of memory that a call may take", type->name,
                              options->max_call_memory);
}
