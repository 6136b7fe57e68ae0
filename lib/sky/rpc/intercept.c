/* Interceptors of a server: begun in order, ended in reverse, asked about each message of a stream. */
#include "server_internal.h"

void **sky_call_own_slot(SkyCall *call) {
  return &call->own_slots[call->begun]; /* in begin those before it are counted, in end it is not any more */
}

SkyStatus sky_call_begin_interceptors(SkyCall *call, const ProtobufCMessage *request) {
  const SkyServer *server = call->server;
  if (call->method->built_in)
    return SKY_OK;
  for (size_t i = 0; i < server->interceptor_count; i++) {
    const SkyServerInterceptor *interceptor = &server->interceptors[i];
    if (interceptor->begin != NULL)
      SKY_TRY(interceptor->begin(interceptor->self, call, request));
    call->begun++;
  }
  return SKY_OK;
}

void sky_call_end_interceptors(SkyCall *call, SkyStatus *status) {
  while (call->begun > 0) {
    const SkyServerInterceptor *interceptor = &call->server->interceptors[--call->begun];
    if (interceptor->end != NULL)
      interceptor->end(interceptor->self, call, status);
  }
}

SkyStatus sky_call_intercept_received(SkyCall *call, const ProtobufCMessage *message) {
  const SkyServer *server = call->server;
  for (size_t i = 0; i < server->interceptor_count && !call->method->built_in; i++) {
    const SkyServerInterceptor *interceptor = &server->interceptors[i];
    if (interceptor->received != NULL)
      SKY_TRY(interceptor->received(interceptor->self, call, message));
  }
  return SKY_OK;
}

SkyStatus sky_call_intercept_sending(SkyCall *call, const ProtobufCMessage *message) {
  const SkyServer *server = call->server;
  for (size_t i = 0; i < server->interceptor_count && !call->method->built_in; i++) {
    const SkyServerInterceptor *interceptor = &server->interceptors[i];
    if (interceptor->sending != NULL)
      SKY_TRY(interceptor->sending(interceptor->self, call, message));
  }
  return SKY_OK;
}
