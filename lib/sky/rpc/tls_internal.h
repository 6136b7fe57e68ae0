/* Tls, as servers and clients use it: credentials of the gRPC core. (internal) */
#pragma once

#include <grpc/grpc_security.h>

#include <sky/rpc/tls.h>

/* One server's view of the files; lives as long as the server. */
typedef struct SkyTlsServer {
  SkyTls *tls;      /* a reference */
  uint64_t version; /* of the files that the core was given last */
} SkyTlsServer;

/* Without tls plain text. INVALID_ARGUMENT when there is no certificate to serve with. */
SKY_MUST_USE SkyStatus sky_tls_server_credentials(SkyTlsServer *server, grpc_server_credentials **ret);
/* After the server's end. */
void sky_tls_server_finish(SkyTlsServer *server);

/* tls may be NULL: plain text. INVALID_ARGUMENT when there is no CA to check servers with. */
SKY_MUST_USE SkyStatus sky_tls_channel_credentials(SkyTls *tls, grpc_channel_credentials **ret);
