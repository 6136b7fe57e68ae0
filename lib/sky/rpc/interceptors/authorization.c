#include "authorization.h"

#include <string.h>

/* Is the word one of those that spaces separate? */
static bool lists(const char *words, const char *word) {
  const size_t size = strlen(word);
  for (const char *at = words; *at != '\0'; at += strspn(at, " ")) {
    const size_t length = strcspn(at, " ");
    if (length == size && memcmp(at, word, size) == 0)
      return true;
    at += length;
  }
  return false;
}

static SkyStatus check_scope(const SkyPrincipal *principal, const SkyMethodDescriptor *method) {
  if (method->scope == NULL || method->scope[0] == '\0' || lists(principal->scopes, method->scope))
    return SKY_OK;
  SkyStatus status = SKY_PERMISSION_DENIED("%s needs the scope %s", method->name, method->scope);
  return sky_status_with_metadata(sky_status_with_reason(status, "SCOPE_MISSING"), "scope", method->scope);
}

SkyStatus sky_authorize_by_contract(SkyCall *call, bool require_principal) {
  const SkyMethodDescriptor *method = sky_call_method(call);
  const SkyPrincipal *principal = sky_call_context(call)->principal;
  if (method->is_anonymous)
    return SKY_OK;
  if (principal != NULL)
    return check_scope(principal, method);
  if (require_principal && method->is_public)
    return SKY_UNAUTHENTICATED("%s needs to know who calls", method->name);
  return SKY_OK;
}

static SkyStatus begin(void *self, SkyCall *call, const ProtobufCMessage *request) {
  const SkyAuthorization *authorization = self;
  return authorization->decide != NULL ? authorization->decide(authorization->user, call)
                                       : sky_authorize_by_contract(call, authorization->require_principal);
}

SkyServerInterceptor sky_authorization_server(const SkyAuthorization *authorization) {
  return (SkyServerInterceptor){.begin = begin, .self = (void *)authorization};
}
