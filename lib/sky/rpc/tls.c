/*
 * Servers: the core asks us at each handshake whether there is something new, so the files are looked at then, and
 * nothing runs in between. Clients: the core has no such question for them, only a thread of its own that watches the
 * files; there is one for all clients of the same files.
 */
#include "tls_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_files.h"

enum { LOOK_EVERY_MS = 1000, WATCH_EVERY_S = 1 };

struct SkyTls {
  atomic_int refs;
  char *paths[SKY_TLS_FILES];
  const SkyClock *clock;

  pthread_mutex_t lock; /* guards what follows */
  SkyTlsStamp stamps[SKY_TLS_FILES];
  bool fits; /* the files of these stamps are those we have */
  SkyTlsFiles files;
  uint64_t version; /* of files; counts from 1 */
  int64_t looked_ns;
  SkyTlsState state;
  grpc_tls_certificate_provider *provider; /* the core's watcher, for clients; made when the first one comes */
};

static const char *const *paths_of(const SkyTls *tls) {
  return (const char *const *)tls->paths;
}

static SkyStatus read_files(const SkyTls *tls, SkyTlsFiles *ret) {
  return sky_tls_files_read(paths_of(tls), sky_clock_wall_ms(tls->clock) / SKY_MS_PER_S, ret);
}

/* Takes the files when they fit together, else keeps what we have. With the lock held. */
static void reload(SkyTls *tls, bool changed) {
  SkyTlsFiles files;
  SkyStatus status = read_files(tls, &files);
  snprintf(tls->state.error, sizeof(tls->state.error), "%s", sky_status_message(status));
  tls->fits = status == SKY_OK;
  if (!tls->fits) {
    tls->state.failures += changed;
    sky_tls_files_finish(&files);
    sky_status_free(status);
    return;
  }
  sky_tls_files_finish(&tls->files);
  tls->files = files;
  tls->version++;
  tls->state.reloads++;
  tls->state.expires_unix_s = files.expires_unix_s;
}

/*
 * The stamps are taken before the files are read, so a file that is replaced in between is seen as changed next time.
 * Files that did not fit are tried again: they may be valid from a moment ahead of our clock, or descriptors had run
 * out.
 */
static void look(SkyTls *tls) {
  const int64_t now_ns = sky_clock_monotonic_ns(tls->clock);
  if (now_ns - tls->looked_ns < (int64_t)LOOK_EVERY_MS * SKY_NS_PER_MS)
    return;
  SkyTlsStamp stamps[SKY_TLS_FILES];
  tls->looked_ns = now_ns;
  sky_tls_files_stamp(paths_of(tls), stamps);
  const bool changed = memcmp(stamps, tls->stamps, sizeof(stamps)) != 0;
  if (!changed && tls->fits)
    return;
  memcpy(tls->stamps, stamps, sizeof(stamps));
  reload(tls, changed);
}

/* --- life --- */

static bool copy_path(char **to, const char *path) {
  *to = path != NULL ? strdup(path) : NULL;
  return path == NULL || *to != NULL;
}

static SkyStatus load_first(SkyTls *tls, const SkyTlsOptions *options) {
  if (!copy_path(&tls->paths[SKY_TLS_CERTIFICATE], options->certificate) ||
      !copy_path(&tls->paths[SKY_TLS_KEY], options->key) || !copy_path(&tls->paths[SKY_TLS_CA], options->ca))
    return sky_status_no_memory();
  if ((options->certificate == NULL) != (options->key == NULL))
    return SKY_INVALID_ARGUMENT("a certificate and its key belong together, and one of them is missing");
  if (options->certificate == NULL && options->ca == NULL)
    return SKY_INVALID_ARGUMENT("neither a certificate nor a CA is given");
  tls->looked_ns = sky_clock_monotonic_ns(tls->clock);
  sky_tls_files_stamp(paths_of(tls), tls->stamps);
  SKY_TRY(read_files(tls, &tls->files));
  tls->fits = true;
  tls->version = 1;
  tls->state.expires_unix_s = tls->files.expires_unix_s;
  return SKY_OK;
}

SkyStatus sky_tls_create(const SkyTlsOptions *options, SkyTls **ret) {
  SkyTls *tls = calloc(1, sizeof(*tls));
  if (tls == NULL)
    return sky_status_no_memory();
  atomic_init(&tls->refs, 1);
  tls->clock = options->clock != NULL ? options->clock : sky_clock_system_borrow();
  pthread_mutex_init(&tls->lock, NULL);
  grpc_init(); /* the core outlives its watcher */
  const SkyStatus status = load_first(tls, options);
  if (status != SKY_OK) {
    sky_tls_unref(tls);
    return status;
  }
  *ret = tls;
  return SKY_OK;
}

SkyTls *sky_tls_ref(SkyTls *tls) {
  atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
  return tls;
}

void sky_tls_unref(SkyTls *tls) {
  if (tls == NULL || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1)
    return;
  if (tls->provider != NULL)
    grpc_tls_certificate_provider_release(tls->provider);
  grpc_shutdown();
  sky_tls_files_finish(&tls->files);
  for (size_t i = 0; i < SKY_TLS_FILES; i++)
    free(tls->paths[i]);
  pthread_mutex_destroy(&tls->lock);
  free(tls);
}

SkyTlsState sky_tls_state(SkyTls *tls) {
  pthread_mutex_lock(&tls->lock);
  look(tls);
  const SkyTlsState state = tls->state;
  pthread_mutex_unlock(&tls->lock);
  return state;
}

/* --- servers --- */

static const char *text_of(const SkyTls *tls, size_t file) {
  return (const char *)tls->files.text[file].data; /* NULL without a file */
}

/* The core asserts that a fetched configuration has CAs, also when it will ask no client for a certificate. */
static const char *some_ca(const SkyTls *tls) {
  return text_of(tls, tls->paths[SKY_TLS_CA] != NULL ? SKY_TLS_CA : SKY_TLS_CERTIFICATE);
}

/* The core's question at the start and at each handshake. */
static grpc_ssl_certificate_config_reload_status fetch(void *user, grpc_ssl_server_certificate_config **ret) {
  SkyTlsServer *server = user;
  SkyTls *tls = server->tls;
  grpc_ssl_certificate_config_reload_status answer = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  pthread_mutex_lock(&tls->lock);
  look(tls);
  if (server->version != tls->version) {
    const grpc_ssl_pem_key_cert_pair pair = {.private_key = text_of(tls, SKY_TLS_KEY),
                                             .cert_chain = text_of(tls, SKY_TLS_CERTIFICATE)};
    *ret = grpc_ssl_server_certificate_config_create(some_ca(tls), &pair, 1);
    server->version = tls->version;
    answer = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }
  pthread_mutex_unlock(&tls->lock);
  return answer;
}

SkyStatus sky_tls_server_credentials(SkyTlsServer *server, grpc_server_credentials **ret) {
  if (server->tls == NULL) {
    *ret = grpc_insecure_server_credentials_create();
    return SKY_OK;
  }
  if (server->tls->paths[SKY_TLS_CERTIFICATE] == NULL)
    return SKY_INVALID_ARGUMENT("a server needs a certificate and its key to serve TLS");
  *ret =
      grpc_ssl_server_credentials_create_with_options(grpc_ssl_server_credentials_create_options_using_config_fetcher(
          server->tls->paths[SKY_TLS_CA] != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                 : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
          fetch, server));
  return SKY_OK;
}

void sky_tls_server_finish(SkyTlsServer *server) {
  sky_tls_unref(server->tls);
  server->tls = NULL;
}

/* --- clients --- */

static grpc_tls_certificate_provider *provider_of(SkyTls *tls) {
  pthread_mutex_lock(&tls->lock);
  if (tls->provider == NULL)
    tls->provider = grpc_tls_certificate_provider_file_watcher_create(
        tls->paths[SKY_TLS_KEY], tls->paths[SKY_TLS_CERTIFICATE], tls->paths[SKY_TLS_CA], WATCH_EVERY_S);
  grpc_tls_certificate_provider *provider = tls->provider;
  pthread_mutex_unlock(&tls->lock);
  return provider;
}

SkyStatus sky_tls_channel_credentials(SkyTls *tls, grpc_channel_credentials **ret) {
  if (tls == NULL) {
    *ret = grpc_insecure_credentials_create();
    return SKY_OK;
  }
  if (tls->paths[SKY_TLS_CA] == NULL)
    return SKY_INVALID_ARGUMENT("a client needs the CA of its servers to speak TLS");
  grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
  grpc_tls_credentials_options_set_certificate_provider(options, provider_of(tls));
  grpc_tls_credentials_options_watch_root_certs(options);
  if (tls->paths[SKY_TLS_CERTIFICATE] != NULL)
    grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
  *ret = grpc_tls_credentials_create(options);
  return SKY_OK;
}
