/* Certificates made for a test: an authority, and what it signs, as PEM files that are replaced by renaming. */
#pragma once

#include <stdint.h>

typedef struct Authority Authority;

typedef struct CertificateOptions {
  const char *common_name;
  const char *names;     /* "DNS:localhost,IP:127.0.0.1,URI:spiffe://test/a"; NULL: none */
  int64_t valid_from_s;  /* from now */
  int64_t valid_until_s; /* from now; 0: an hour */
} CertificateOptions;

Authority *authority_create(const char *name);
void authority_destroy(Authority *authority);
void authority_write(const Authority *authority, const char *path);
/* Writes a new key and its certificate. */
void authority_issue(const Authority *authority, const CertificateOptions *options, const char *certificate_path,
                     const char *key_path);
