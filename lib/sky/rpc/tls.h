/*
 * Tls: who we are and whom we trust, as PEM files: certificate chain, private key, and the CAs of our peers.
 *
 * One object serves any number of servers and clients. The files are read again when they change, looked at no more
 * than once a second: new connections use the new certificate, open ones go on with what they have. Replace a file by
 * renaming (as Kubernetes does with mounted secrets), never by writing into it. A server whose new files do not fit
 * together goes on with the old ones and says so in sky_tls_state(); a client fails new connections until they fit.
 *
 * A server with ca asks every client for a certificate of one of those CAs (mutual TLS) and hands the name in it to its
 * handlers: sky_call_peer_identity(). A client needs ca, and checks that the server's certificate names the host it
 * called; certificate and key are what it shows to a server that asks.
 *
 * TLS 1.2 and newer, by the gRPC core's OpenSSL. Thread-safe.
 */
#pragma once

#include <stdint.h>

#include <sky/core/status.h>
#include <sky/core/time.h>

typedef struct SkyTls SkyTls;

typedef struct SkyTlsOptions {
  const char *certificate; /* file: our chain, leaf first; NULL together with key: a client without a certificate */
  const char *key;         /* file: the leaf's private key, without a passphrase */
  const char *ca;          /* file: CAs that sign our peers' certificates; NULL: a server that asks for none */
  const SkyClock *clock;   /* for the dates of certificates; NULL: the system's */
} SkyTlsOptions;

/*
 * Reads and checks the files. INVALID_ARGUMENT names the file that cannot be read, is no PEM or is a key that belongs
 * to another certificate; FAILED_PRECONDITION names a certificate that has expired or is not valid yet.
 */
SKY_MUST_USE SkyStatus sky_tls_create(const SkyTlsOptions *options, SkyTls **ret);
SkyTls *sky_tls_ref(SkyTls *tls);
void sky_tls_unref(SkyTls *tls); /* NULL-safe */

typedef struct SkyTlsState {
  int64_t expires_unix_s; /* end of the first certificate of the chain; 0: we have none */
  uint64_t reloads;       /* changed files that were taken */
  uint64_t failures;      /* changed files that were not */
  char error[256];        /* why the files that lie there now are not used; "" when they are */
} SkyTlsState;

/* Looks at the files again when the last look was a second ago. */
SkyTlsState sky_tls_state(SkyTls *tls);
