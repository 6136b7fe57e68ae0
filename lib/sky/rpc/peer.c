#include <sky/rpc/peer.h>

#include <string.h>

#include <grpc/grpc_security.h>

#include "server_internal.h"

enum { MAX_NAMES = 16 };

static char *copy(SkyCall *call, const grpc_auth_property *property) {
  return sky_arena_strndup(&call->arena, property->value, property->value_length);
}

/* At most MAX_NAMES; ends in NULL. */
static const char *const *names(SkyCall *call, const grpc_auth_context *auth, const char *property_name) {
  grpc_auth_property_iterator at = grpc_auth_context_find_properties_by_name(auth, property_name);
  const char *found[MAX_NAMES + 1] = {NULL};
  size_t count = 0;
  for (const grpc_auth_property *property;
       count < MAX_NAMES && (property = grpc_auth_property_iterator_next(&at)) != NULL;)
    found[count++] = copy(call, property);
  const char **kept = sky_arena_alloc(&call->arena, (count + 1) * sizeof(*kept));
  if (kept != NULL)
    memcpy(kept, found, (count + 1) * sizeof(*kept));
  return kept;
}

static const char *first(const char *const *list) {
  return list != NULL ? list[0] : NULL;
}

static SkyPeerIdentity *read_identity(SkyCall *call, const grpc_auth_context *auth) {
  SkyPeerIdentity *identity = sky_arena_alloc(&call->arena, sizeof(*identity));
  if (identity == NULL)
    return NULL;
  identity->uris = names(call, auth, GRPC_PEER_URI_PROPERTY_NAME);
  identity->dns_names = names(call, auth, GRPC_PEER_DNS_PROPERTY_NAME);
  const char *common_name = first(names(call, auth, GRPC_X509_CN_PROPERTY_NAME));
  identity->common_name = common_name != NULL ? common_name : "";
  identity->name = identity->common_name;
  if (first(identity->dns_names) != NULL)
    identity->name = first(identity->dns_names);
  if (first(identity->uris) != NULL)
    identity->name = first(identity->uris);
  return identity->uris != NULL && identity->dns_names != NULL ? identity : NULL;
}

const SkyPeerIdentity *sky_call_peer_identity(SkyCall *call) {
  if (call->server->tls.tls == NULL) /* nothing can be proven */
    return NULL;
  grpc_auth_context *auth = grpc_call_auth_context(call->core);
  if (auth == NULL)
    return NULL;
  const SkyPeerIdentity *identity =
      grpc_auth_context_peer_is_authenticated(auth) != 0 ? read_identity(call, auth) : NULL;
  grpc_auth_context_release(auth);
  return identity;
}
