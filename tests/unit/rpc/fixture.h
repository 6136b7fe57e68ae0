/* A server and a client of EchoService in one process, over loopback, around every test. */
#pragma once

#include <stdlib.h>

#include "echo_service.h"
#include "loopback.h"

static EchoService service;

static inline void start_server(const SkyRpcOptions *rpc_options, SkyServerOptions options) {
  echo_service_init(&service);
  start_server_of(echo_service_binding(&service), rpc_options, options);
}

static inline void setup(void) {
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
}

static inline void teardown(void) {
  destroy_all();
  echo_service_finish(&service);
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

/* So many bytes there and back. */
static inline SkyStatus call_with_payload(size_t size) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  request.payload.len = size;
  request.payload.data = calloc(1, size);
  SkyStatus status = sky_client_call(client, &echo_methods[ECHO_INLINE], NULL, &request.base, &arena, &response);
  free(request.payload.data);
  return status;
}
