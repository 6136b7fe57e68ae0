#include "certificates.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { HOUR_S = 3600 };

struct Authority {
  EVP_PKEY *key;
  X509 *certificate;
};

/* Only tests use this: what cannot fail is asserted, also in optimised builds. */
static void must(bool condition) {
  if (!condition)
    abort();
}

static void add_extension(X509 *certificate, X509 *issuer, int id, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
  must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

static X509 *certificate_create(EVP_PKEY *key, const char *common_name, int64_t from_s, int64_t until_s) {
  X509 *certificate = X509_new();
  X509_NAME *name = X509_NAME_new();
  uint32_t serial = 0;
  must(RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1);
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), (long)serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), until_s);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
  X509_set_subject_name(certificate, name);
  X509_NAME_free(name);
  return certificate;
}

Authority *authority_create(const char *name) {
  Authority *authority = malloc(sizeof(*authority));
  must(authority != NULL);
  authority->key = EVP_EC_gen("P-256");
  authority->certificate = certificate_create(authority->key, name, -HOUR_S, HOUR_S);
  X509_set_issuer_name(authority->certificate, X509_get_subject_name(authority->certificate));
  add_extension(authority->certificate, authority->certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(authority->certificate, authority->certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  must(X509_sign(authority->certificate, authority->key, EVP_sha256()) > 0);
  return authority;
}

void authority_destroy(Authority *authority) {
  if (authority == NULL)
    return;
  X509_free(authority->certificate);
  EVP_PKEY_free(authority->key);
  free(authority);
}

static FILE *open_new(const char *path, char temporary[512]) {
  snprintf(temporary, 512, "%s.new", path);
  FILE *file = fopen(temporary, "w");
  must(file != NULL);
  return file;
}

static void put_in_place(FILE *file, const char *temporary, const char *path) {
  must(fclose(file) == 0);
  must(rename(temporary, path) == 0);
}

static void write_certificate(X509 *certificate, const char *path) {
  char temporary[512];
  FILE *file = open_new(path, temporary);
  must(PEM_write_X509(file, certificate) == 1);
  put_in_place(file, temporary, path);
}

static void write_key(EVP_PKEY *key, const char *path) {
  char temporary[512];
  FILE *file = open_new(path, temporary);
  must(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
  put_in_place(file, temporary, path);
}

void authority_write(const Authority *authority, const char *path) {
  write_certificate(authority->certificate, path);
}

void authority_issue(const Authority *authority, const CertificateOptions *options, const char *certificate_path,
                     const char *key_path) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  const int64_t until_s = options->valid_until_s != 0 ? options->valid_until_s : HOUR_S;
  X509 *certificate = certificate_create(key, options->common_name, options->valid_from_s, until_s);
  X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate));
  if (options->names != NULL)
    add_extension(certificate, authority->certificate, NID_subject_alt_name, options->names);
  must(X509_sign(certificate, authority->key, EVP_sha256()) > 0);
  write_certificate(certificate, certificate_path);
  write_key(key, key_path);
  X509_free(certificate);
  EVP_PKEY_free(key);
}
