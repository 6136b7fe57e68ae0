/*
 * Authorization: who may call a method, by the contract or by a function of yours.
 *
 * By the contract: a principal needs the scope that the method names (PERMISSION_DENIED without); a call without a
 * principal is another service's work, which the mesh has authorized, or, with require_principal, UNAUTHENTICATED
 * unless the method is anonymous. Principals come from metadata (metadata.h) that only the mesh's peers can send.
 */
#pragma once

#include <sky/rpc/server.h>

/* The caller's memory; must outlive the server. */
typedef struct SkyAuthorization {
  bool require_principal; /* of public methods that are not anonymous */
  /* Asked instead of the contract. May call sky_authorize_by_contract(). NULL: the contract alone. Must not block. */
  SkyStatus (*decide)(void *user, SkyCall *call);
  void *user;
} SkyAuthorization;

/* For sky_server_intercept(). */
SkyServerInterceptor sky_authorization_server(const SkyAuthorization *authorization);
/* What the contract says of this call: for a decide of yours that asks more. */
SKY_MUST_USE SkyStatus sky_authorize_by_contract(SkyCall *call, bool require_principal);
