/*
 * Peer: who is at the other end of a call's connection, as its certificate says (mutual TLS; tls.h). Not who the call
 * is made for: that is the context's principal.
 */
#pragma once

#include <sky/rpc/call.h>

typedef struct SkyPeerIdentity {
  const char *name;             /* the first URI (SPIFFE id), else the first DNS name, else the common name */
  const char *common_name;      /* "" when there is none */
  const char *const *uris;      /* subject alternative names, at most 16 of each kind; ends in NULL */
  const char *const *dns_names; /* the same */
} SkyPeerIdentity;

/* Lives as long as the call. NULL when the peer has shown no certificate, or without memory. Made anew by each call of
 * it. */
const SkyPeerIdentity *sky_call_peer_identity(SkyCall *call);
