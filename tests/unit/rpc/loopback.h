/* A server and a client in one process, over loopback, and what asynchronous calls between them ended with. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

#include "sky_check.h"

static SkyRpc *rpc;
static SkyServer *server;
static SkyClient *client;
static SkyArena arena;
static char address[64];

static inline void start_server_of(SkyServiceBinding binding, const SkyRpcOptions *rpc_options,
                                   SkyServerOptions options) {
  sky_arena_init(&arena, 64 << 20);
  options.listen = options.listen != NULL ? options.listen : "127.0.0.1:0";
  ck_assert_ptr_null(sky_rpc_create(rpc_options, &rpc));
  ck_assert_ptr_null(sky_server_create(rpc, &options, &server));
  ck_assert_ptr_null(sky_server_add(server, binding));
}

/* Of the server, which is started if it was not. */
static inline void start_client(SkyClientOptions options) {
  if (sky_server_port(server) == 0)
    ck_assert_ptr_null(sky_server_start(server));
  snprintf(address, sizeof(address), "127.0.0.1:%d", sky_server_port(server));
  options.target = options.target != NULL ? options.target : address;
  ck_assert_ptr_null(sky_client_create(rpc, &options, &client));
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(client)); /* short deadlines are not to be spent on connecting */
}

static inline void destroy_all(void) {
  sky_client_destroy(client);
  sky_server_destroy(server);
  sky_rpc_destroy(rpc);
  sky_arena_finish(&arena);
  client = NULL;
  server = NULL;
  rpc = NULL;
}

/* What an asynchronous call or a stream ended with; all zero before it begins. */
typedef struct Outcome {
  atomic_bool done;
  SkyCode code;
  int64_t retry_after_ms; /* of a failure */
  atomic_int ends;        /* of the call's options, where a test counts them */
} Outcome;

static inline void stream_done(void *user, SkyStatus status) {
  Outcome *outcome = user;
  outcome->code = sky_status_code(status);
  outcome->retry_after_ms = status != SKY_OK ? sky_status_retry_after_ms(status) : -1;
  sky_status_free(status);
  atomic_store(&outcome->done, true); /* the last touch: the outcome may be gone now */
}

static inline void call_done(void *user, SkyStatus status, const ProtobufCMessage *response) {
  stream_done(user, status);
}

static inline void ignore_message(void *user, SkyClientStream *stream, const ProtobufCMessage *message) {
}

static inline bool is_done(Outcome *outcome) {
  return atomic_load(&outcome->done);
}

/* Frees the status after it was found to have this code. */
static inline void assert_code(SkyStatus status, SkyCode code) {
  ck_assert_msg(sky_status_code(status) == code, "%s instead of %s: %s", sky_code_name(sky_status_code(status)),
                sky_code_name(code), sky_status_message(status));
  sky_status_free(status);
}
