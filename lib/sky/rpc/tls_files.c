#include "tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

enum { MAX_FILE_BYTES = 1 << 20, CHUNK_BYTES = 4096 };

void sky_tls_files_stamp(const char *const paths[SKY_TLS_FILES], SkyTlsStamp ret[SKY_TLS_FILES]) {
  for (size_t i = 0; i < SKY_TLS_FILES; i++) {
    struct stat file;
    ret[i] = (SkyTlsStamp){0};
    if (paths[i] != NULL && stat(paths[i], &file) == 0)
      ret[i] = (SkyTlsStamp){.changed = file.st_mtim, .inode = file.st_ino, .size = file.st_size};
  }
}

static SkyStatus read_all(int fd, const char *path, SkyBuf *out) {
  for (;;) {
    uint8_t *room = sky_buf_reserve(out, CHUNK_BYTES);
    if (room == NULL)
      return SKY_INVALID_ARGUMENT("%s is larger than %d bytes", path, MAX_FILE_BYTES);
    const ssize_t part = read(fd, room, CHUNK_BYTES);
    if (part < 0)
      return SKY_INVALID_ARGUMENT("cannot read %s: %s", path, strerror(errno));
    if (part == 0)
      break;
    sky_buf_commit(out, (size_t)part);
  }
  sky_buf_append_byte(out, '\0');
  return sky_buf_status(out);
}

static SkyStatus read_file(const char *path, SkyBuf *out) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return SKY_INVALID_ARGUMENT("cannot read %s: %s", path, strerror(errno));
  const SkyStatus status = read_all(fd, path, out);
  close(fd);
  return status;
}

static BIO *bio_of(const SkyBuf *text) {
  return BIO_new_mem_buf(text->data, (int)(text->size - 1));
}

/* Without one a passphrase would be asked for on the terminal. */
static int no_passphrase(char *buffer, int size, int is_writing, void *user) {
  return -1;
}

static X509 *parse_certificate(const SkyBuf *text) {
  BIO *bio = bio_of(text);
  X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
  BIO_free(bio);
  return certificate;
}

static EVP_PKEY *parse_key(const SkyBuf *text) {
  BIO *bio = bio_of(text);
  EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
  BIO_free(bio);
  return key;
}

static int64_t unix_time(const ASN1_TIME *time) {
  struct tm parts;
  return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static void format_day(int64_t unix_s, char text[32]) {
  struct tm parts;
  const time_t seconds = (time_t)unix_s;
  strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &parts));
}

static SkyStatus check_dates(const X509 *certificate, const char *path, int64_t now_unix_s) {
  const int64_t from = unix_time(X509_get0_notBefore(certificate)), to = unix_time(X509_get0_notAfter(certificate));
  char day[32];
  if (now_unix_s > to) {
    format_day(to, day);
    return SKY_FAILED_PRECONDITION("the certificate in %s expired at %s", path, day);
  }
  if (now_unix_s < from) {
    format_day(from, day);
    return SKY_FAILED_PRECONDITION("the certificate in %s is not valid before %s", path, day);
  }
  return SKY_OK;
}

static SkyStatus check_key(X509 *certificate, const SkyBuf *key_text, const char *const paths[SKY_TLS_FILES]) {
  EVP_PKEY *key = parse_key(key_text);
  if (key == NULL)
    return SKY_INVALID_ARGUMENT("%s holds no private key in PEM without a passphrase", paths[SKY_TLS_KEY]);
  const bool fits = X509_check_private_key(certificate, key) == 1;
  EVP_PKEY_free(key);
  return fits ? SKY_OK
              : SKY_INVALID_ARGUMENT("the key in %s is not the one of the certificate in %s", paths[SKY_TLS_KEY],
                                     paths[SKY_TLS_CERTIFICATE]);
}

static SkyStatus check_identity(SkyTlsFiles *files, const char *const paths[SKY_TLS_FILES], int64_t now_unix_s) {
  X509 *certificate = parse_certificate(&files->text[SKY_TLS_CERTIFICATE]);
  if (certificate == NULL)
    return SKY_INVALID_ARGUMENT("%s holds no certificate in PEM", paths[SKY_TLS_CERTIFICATE]);
  SkyStatus status = check_key(certificate, &files->text[SKY_TLS_KEY], paths);
  if (status == SKY_OK)
    status = check_dates(certificate, paths[SKY_TLS_CERTIFICATE], now_unix_s);
  files->expires_unix_s = unix_time(X509_get0_notAfter(certificate));
  X509_free(certificate);
  return status;
}

/* Whether reading certificates ended because there is no other, not because one cannot be read. */
static bool is_at_end(void) {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* All must be readable and one be valid now: bundles hold the next authority, and the last, for a while. */
static SkyStatus check_authorities(BIO *bio, const char *path, int64_t now_unix_s) {
  SkyStatus invalid = SKY_OK; /* what is wrong with the last one */
  size_t count = 0, valid = 0;
  for (X509 *certificate; (certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL; count++) {
    sky_status_free(invalid);
    invalid = check_dates(certificate, path, now_unix_s);
    valid += invalid == SKY_OK;
    X509_free(certificate);
  }
  const bool unreadable = count == 0 || !is_at_end();
  if (!unreadable && valid == 0)
    return invalid;
  sky_status_free(invalid);
  return unreadable ? SKY_INVALID_ARGUMENT("%s holds no certificate in PEM, or one that cannot be read", path) : SKY_OK;
}

static SkyStatus check_ca(const SkyTlsFiles *files, const char *path, int64_t now_unix_s) {
  BIO *bio = bio_of(&files->text[SKY_TLS_CA]);
  if (bio == NULL)
    return sky_status_no_memory();
  const SkyStatus status = check_authorities(bio, path, now_unix_s);
  BIO_free(bio);
  return status;
}

SkyStatus sky_tls_files_read(const char *const paths[SKY_TLS_FILES], int64_t now_unix_s, SkyTlsFiles *ret) {
  *ret = (SkyTlsFiles){0};
  for (size_t i = 0; i < SKY_TLS_FILES; i++) {
    sky_buf_init(&ret->text[i], MAX_FILE_BYTES);
    if (paths[i] != NULL)
      SKY_TRY(read_file(paths[i], &ret->text[i]));
  }
  ERR_set_mark(); /* what OpenSSL notes about our files is not to be found by who asks after us */
  SkyStatus status = SKY_OK;
  if (paths[SKY_TLS_CERTIFICATE] != NULL)
    status = check_identity(ret, paths, now_unix_s);
  if (status == SKY_OK && paths[SKY_TLS_CA] != NULL)
    status = check_ca(ret, paths[SKY_TLS_CA], now_unix_s);
  ERR_pop_to_mark();
  return status;
}

void sky_tls_files_finish(SkyTlsFiles *files) {
  if (files->text[SKY_TLS_KEY].data != NULL)
    OPENSSL_cleanse(files->text[SKY_TLS_KEY].data, files->text[SKY_TLS_KEY].size);
  for (size_t i = 0; i < SKY_TLS_FILES; i++)
    sky_buf_finish(&files->text[i]);
}
