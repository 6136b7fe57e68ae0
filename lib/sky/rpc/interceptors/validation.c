#include "validation.h"

#include <sky/codec/message.h>

static SkyStatus validate_request(void *self, SkyCall *call, const ProtobufCMessage *request) {
  return request != NULL ? sky_message_validate(request, sky_call_method(call)->request.rules) : SKY_OK;
}

static SkyStatus validate_sent(void *self, SkyClientCall *call, const ProtobufCMessage *message) {
  return sky_message_validate(message, sky_client_call_method(call)->request.rules);
}

SkyServerInterceptor sky_validation_server(void) {
  return (SkyServerInterceptor){.begin = validate_request, .received = validate_request};
}

SkyClientInterceptor sky_validation_client(void) {
  return (SkyClientInterceptor){.sending = validate_sent};
}
