/* Responses: what a server sent and we cannot read is its fault, not the caller's argument: INTERNAL, as
 * https://grpc.github.io/grpc/core/md_doc_statuscodes.html says. */
#include "client_internal.h"

#include <sky/rpc/slices.h>

SkyStatus sky_client_unpack(const SkyMethodDescriptor *method, grpc_byte_buffer *buffer, SkyArena *arena,
                            ProtobufCMessage **ret) {
  SkyStatus status = sky_unpack_byte_buffer(method->response.descriptor, buffer, arena, ret);
  if (sky_status_code(status) != SKY_CODE_INVALID_ARGUMENT)
    return status;
  const SkyStatus named = SKY_INTERNAL("the response cannot be read: %s", sky_status_message(status));
  sky_status_free(status);
  return named;
}
