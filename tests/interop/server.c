/*
 * grpc.testing.TestService on lib/sky/rpc, for gRPC's interoperability tests. Usage: interop-server --port=N. Serves
 * until SIGTERM.
 *
 * https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md#server
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sky/rpc/server.h>

#include "output.h"
#include "testing.rpc.h"

enum { MAX_TIMERS = 1000, TIMERS_SLOT = 0 };

static const char initial_key[] = "x-grpc-test-echo-initial", trailing_key[] = "x-grpc-test-echo-trailing-bin";

/* What the client asks to have back. */
static SkyStatus echo_metadata(SkyCall *call) {
  SkyStr value;
  if (sky_call_metadata(call, initial_key, &value))
    SKY_TRY(sky_call_add_initial_metadata(call, initial_key, value));
  if (sky_call_metadata(call, trailing_key, &value))
    SKY_TRY(sky_call_add_trailing_metadata(call, trailing_key, value));
  return SKY_OK;
}

static SkyStatus echo_status(const testing_EchoStatus *status) {
  return status != NULL && status->code != 0 ? sky_status_new((SkyCode)status->code, "%s", status->message) : SKY_OK;
}

static SkyStatus check_compressed(const SkyCall *call, const testing_BoolValue *expected) {
  if (expected != NULL && expected->value != sky_call_message_was_compressed(call))
    return SKY_INVALID_ARGUMENT("the message came %s", expected->value ? "uncompressed" : "compressed");
  return SKY_OK;
}

static SkyStatus compress_as_asked(SkyCall *call, const testing_BoolValue *asked) {
  if (asked == NULL)
    return SKY_OK;
  sky_call_compress_messages(call, asked->value);
  return sky_call_set_compression(call, SKY_COMPRESSION_GZIP);
}

/* --- unary --- */

static SkyStatus empty_call(void *self, SkyCall *call, const testing_Empty *request, testing_Empty *response) {
  return SKY_OK;
}

static SkyStatus fill_payload(SkyCall *call, int32_t size, testing_Payload **ret) {
  testing_Payload *payload = testing_Payload_create(sky_call_arena(call));
  if (size < 0 || size > OUTPUT_MAX_PAYLOAD)
    return SKY_INVALID_ARGUMENT("a payload of %d bytes cannot be had", size);
  if (payload == NULL || (payload->body.data = sky_arena_alloc(sky_call_arena(call), (size_t)size)) == NULL)
    return SKY_RESOURCE_EXHAUSTED("no memory for a payload of %d bytes", size);
  payload->body.len = (size_t)size;
  *ret = payload;
  return SKY_OK;
}

static SkyStatus unary_call(void *self, SkyCall *call, const testing_SimpleRequest *request,
                            testing_SimpleResponse *response) {
  SKY_TRY(check_compressed(call, request->expect_compressed));
  SKY_TRY(echo_metadata(call));
  SKY_TRY(echo_status(request->response_status));
  SKY_TRY(compress_as_asked(call, request->response_compressed));
  if (request->fill_server_id)
    response->server_id = sky_call_printf(call, "%d", (int)getpid());
  return fill_payload(call, request->response_size, &response->payload);
}

/* --- streams --- */

static SkyStatus streaming_output_call(void *self, SkyCall *call, const testing_StreamingOutputCallRequest *request) {
  SKY_TRY(output_choose_compression(call, request));
  SkyStatus deferred = sky_call_defer(call);
  output_begin(self, call, request, sky_call_finish);
  return deferred;
}

static void add_up(void *user, SkyCall *call, SkyStatus status, const testing_StreamingInputCallRequest *message) {
  testing_StreamingInputCallResponse *response = user;
  if (status == SKY_OK && message != NULL)
    status = check_compressed(call, message->expect_compressed);
  if (status != SKY_OK || message == NULL) {
    sky_call_finish(call, status);
    return;
  }
  if (message->payload != NULL)
    response->aggregated_payload_size += (int32_t)message->payload->body.len;
  testing_TestService_streaming_input_call_read(call, add_up, user);
}

static SkyStatus streaming_input_call(void *self, SkyCall *call, testing_StreamingInputCallResponse *response) {
  SkyStatus deferred = sky_call_defer(call);
  testing_TestService_streaming_input_call_read(call, add_up, response);
  return deferred;
}

static void converse(void *user, SkyCall *call, SkyStatus status, const testing_StreamingOutputCallRequest *message);

static void ask_for_next(SkyCall *call, SkyStatus status) {
  if (status == SKY_OK)
    testing_TestService_full_duplex_call_read(call, converse, *sky_call_slot(call, TIMERS_SLOT));
  else
    sky_call_finish(call, status);
}

/* Answers each message as it comes. */
static void converse(void *user, SkyCall *call, SkyStatus status, const testing_StreamingOutputCallRequest *message) {
  if (status == SKY_OK && message != NULL)
    status = echo_status(message->response_status);
  if (status != SKY_OK || message == NULL)
    sky_call_finish(call, status);
  else
    output_begin(user, call, message, ask_for_next);
}

static SkyStatus full_duplex_call(void *self, SkyCall *call) {
  SKY_TRY(echo_metadata(call));
  SkyStatus deferred = sky_call_defer(call);
  *sky_call_slot(call, TIMERS_SLOT) = self;
  testing_TestService_full_duplex_call_read(call, converse, self);
  return deferred;
}

static const testing_TestServiceHandlers handlers = {
    .empty_call = empty_call,
    .unary_call = unary_call,
    .streaming_output_call = streaming_output_call,
    .streaming_input_call = streaming_input_call,
    .full_duplex_call = full_duplex_call,
};

/* --- the program --- */

typedef struct Settings {
  char address[32];
  SkyTlsOptions tls; /* no certificate: plain text */
} Settings;

static SkyStatus start(SkyRpc *rpc, SkyTimers *timers, const Settings *settings, SkyTls *tls, SkyServer **ret) {
  SkyServer *server = NULL;
  SKY_TRY(sky_server_create(rpc, &(SkyServerOptions){.listen = settings->address, .tls = tls}, &server));
  SkyStatus status = sky_server_add(server, testing_TestService_bind(&handlers, timers));
  if (status == SKY_OK)
    status = sky_server_start(server);
  if (status == SKY_OK)
    *ret = server;
  else
    sky_server_destroy(server);
  return status;
}

static SkyStatus serve(const Settings *settings, const sigset_t *ends) {
  SkyRpc *rpc = NULL;
  SkyTimers *timers = NULL;
  SkyTls *tls = NULL;
  SkyServer *server = NULL;
  int number;
  SkyStatus status = sky_rpc_create(NULL, &rpc);
  if (status == SKY_OK)
    status = sky_timers_create(MAX_TIMERS, &timers);
  if (status == SKY_OK && settings->tls.certificate != NULL)
    status = sky_tls_create(&settings->tls, &tls);
  if (status == SKY_OK)
    status = start(rpc, timers, settings, tls, &server);
  if (status == SKY_OK)
    sigwait(ends, &number);
  sky_server_destroy(server);
  sky_tls_unref(tls);
  sky_timers_destroy(timers);
  sky_rpc_destroy(rpc);
  return status;
}

static SkyStatus read_settings(Settings *settings, char **arguments) {
  static const char port[] = "--port=", certificate[] = "--tls_cert_file=", key[] = "--tls_key_file=";
  for (; *arguments != NULL; arguments++) {
    const SkyStr argument = sky_str(*arguments);
    if (sky_str_starts_with(argument, SKY_STR("--port=")))
      snprintf(settings->address, sizeof(settings->address), "127.0.0.1:%s", *arguments + strlen(port));
    else if (sky_str_starts_with(argument, SKY_STR("--tls_cert_file=")))
      settings->tls.certificate = *arguments + strlen(certificate);
    else if (sky_str_starts_with(argument, SKY_STR("--tls_key_file=")))
      settings->tls.key = *arguments + strlen(key);
    else
      return SKY_INVALID_ARGUMENT("%s is no option of this program", *arguments);
  }
  return SKY_OK;
}

int main(int argc, char **argv) {
  Settings settings = {.address = "127.0.0.1:0"};
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before threads start: they inherit it */
  SkyStatus status = read_settings(&settings, argv + 1);
  if (status == SKY_OK)
    status = serve(&settings, &ends);
  if (status == SKY_OK)
    return EXIT_SUCCESS;
  fprintf(stderr, "interop-server: %s\n", sky_status_message(status));
  sky_status_free(status);
  return EXIT_FAILURE;
}
