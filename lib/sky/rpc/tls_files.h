/* Tls files: the three PEM files read at one moment, and found to fit together. (internal) */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include <sky/core/buf.h>
#include <sky/core/status.h>

enum { SKY_TLS_CERTIFICATE, SKY_TLS_KEY, SKY_TLS_CA, SKY_TLS_FILES };

/* What tells whether a file is another one than before. */
typedef struct SkyTlsStamp {
  struct timespec changed;
  ino_t inode;
  off_t size;
} SkyTlsStamp;

typedef struct SkyTlsFiles {
  SkyBuf text[SKY_TLS_FILES]; /* NUL-terminated; empty where there is no path */
  int64_t expires_unix_s;     /* of the certificate; 0 without */
} SkyTlsFiles;

/* Missing files have a zero stamp. */
void sky_tls_files_stamp(const char *const paths[SKY_TLS_FILES], SkyTlsStamp ret[SKY_TLS_FILES]);
/* Errors as sky_tls_create(). To be finished also after a failure. */
SKY_MUST_USE SkyStatus sky_tls_files_read(const char *const paths[SKY_TLS_FILES], int64_t now_unix_s, SkyTlsFiles *ret);
void sky_tls_files_finish(SkyTlsFiles *files);
