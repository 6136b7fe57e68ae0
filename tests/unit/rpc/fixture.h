/* A server and a client of EchoService in one process, over loopback, around every test. */
#pragma once

#include <pthread.h>
#include <stdio.h>

#include "echo_service.h"
#include "sky_check.h"

static SkyRpc *rpc;
static SkyServer *server;
static SkyClient *client;
static EchoService service;
static SkyArena arena;
static char address[64];

static inline void start_server(const SkyRpcOptions *rpc_options, SkyServerOptions options) {
  echo_service_init(&service);
  sky_arena_init(&arena, 16 << 20);
  options.listen = options.listen != NULL ? options.listen : "127.0.0.1:0";
  ck_assert_ptr_null(sky_rpc_create(rpc_options, &rpc));
  ck_assert_ptr_null(sky_server_create(rpc, &options, &server));
  ck_assert_ptr_null(sky_server_add(server, echo_service_binding(&service)));
}

static inline void start_client(SkyClientOptions options) {
  if (sky_server_port(server) == 0)
    ck_assert_ptr_null(sky_server_start(server));
  snprintf(address, sizeof(address), "127.0.0.1:%d", sky_server_port(server));
  options.target = options.target != NULL ? options.target : address;
  ck_assert_ptr_null(sky_client_create(rpc, &options, &client));
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(client)); /* short deadlines are not to be spent on connecting */
}

static inline void setup(void) {
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
}

static inline void teardown(void) {
  sky_client_destroy(client);
  sky_server_destroy(server);
  sky_rpc_destroy(rpc);
  sky_arena_finish(&arena);
  echo_service_finish(&service);
  client = NULL;
  server = NULL;
  rpc = NULL;
}

static inline SkyStatus call_method(EchoMethod method, const SkyContext *context, const char *text,
                                    Sky__Test__V1__Echo **ret) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  request.text = (char *)text;
  request.number = 7;
  SkyStatus status = sky_client_call(client, &echo_methods[method], context, &request.base, &arena, &response);
  echo_service_synchronize(&service);
  if (status == SKY_OK && ret != NULL)
    *ret = (void *)response;
  return status;
}

/* Frees the status after it was found to have this code. */
static inline void assert_code(SkyStatus status, SkyCode code) {
  ck_assert_msg(sky_status_code(status) == code, "%s instead of %s: %s", sky_code_name(sky_status_code(status)),
                sky_code_name(code), sky_status_message(status));
  sky_status_free(status);
}
