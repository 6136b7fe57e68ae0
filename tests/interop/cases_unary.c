#include "client.h"

#include <string.h>

#include "talk.h"

SkyStatus empty_unary(Interop *interop) {
  const SkyContext context = call_context();
  const testing_Empty request = testing_Empty_INIT;
  testing_Empty *response = NULL;
  return testing_TestService_empty_call(interop->client, &context, &request, &interop->arena, &response);
}

/* One call of UnaryCall with the request's sizes; the response must be as large as asked. */
static SkyStatus call_unary(Interop *interop, SkyClient *client, const SkyContext *context,
                            testing_SimpleRequest request, size_t request_size) {
  testing_SimpleResponse *response = NULL;
  testing_Payload payload = payload_of(request_size);
  request.payload = &payload;
  SKY_TRY(testing_TestService_unary_call(client, context, &request, &interop->arena, &response));
  EXPECT(response->payload != NULL && response->payload->type == testing_COMPRESSABLE, "a payload of another type");
  EXPECT((int32_t)response->payload->body.len == request.response_size, "%zu bytes instead of %d",
         response->payload->body.len, request.response_size);
  return SKY_OK;
}

SkyStatus call_large_unary(Interop *interop, SkyClient *client) {
  const SkyContext context = call_context();
  testing_SimpleRequest request = testing_SimpleRequest_INIT;
  request.response_size = LARGE_RESPONSE;
  return call_unary(interop, client, &context, request, LARGE_REQUEST);
}

SkyStatus large_unary(Interop *interop) {
  return call_large_unary(interop, interop->client);
}

/* --- compression --- */

/* Sends a request that is compressed or not, and says which the server shall see. */
static SkyStatus call_compressed(Interop *interop, bool compressed, bool expected) {
  const SkyCallOptions options = {.compression = compressed ? SKY_COMPRESSION_GZIP : SKY_COMPRESSION_IDENTITY};
  SkyContext context = call_context();
  context.call_options = &options;
  testing_BoolValue value = testing_BoolValue_INIT;
  value.value = expected;
  testing_SimpleRequest request = testing_SimpleRequest_INIT;
  request.response_size = LARGE_RESPONSE;
  request.expect_compressed = &value;
  return call_unary(interop, interop->client, &context, request, LARGE_REQUEST);
}

SkyStatus client_compressed_unary(Interop *interop) {
  /* Does the server look at all? */
  SKY_TRY(expect_code(call_compressed(interop, false, true), SKY_CODE_INVALID_ARGUMENT));
  SKY_TRY(call_compressed(interop, true, true));
  return call_compressed(interop, false, false);
}

static void note_compressed(void *user, const SkyClientCall *call, const SkyError *status) {
  *(bool *)user = sky_client_call_was_compressed(call);
}

static SkyStatus ask_for_compressed(Interop *interop, bool compressed) {
  bool was_compressed = !compressed;
  const SkyCallOptions options = {.on_end = note_compressed, .user = &was_compressed};
  SkyContext context = call_context();
  context.call_options = &options;
  testing_BoolValue value = testing_BoolValue_INIT;
  value.value = compressed;
  testing_SimpleRequest request = testing_SimpleRequest_INIT;
  request.response_size = LARGE_RESPONSE;
  request.response_compressed = &value;
  SKY_TRY(call_unary(interop, interop->client, &context, request, LARGE_REQUEST));
  EXPECT(was_compressed == compressed, "the response came %s", was_compressed ? "compressed" : "uncompressed");
  return SKY_OK;
}

SkyStatus server_compressed_unary(Interop *interop) {
  SKY_TRY(ask_for_compressed(interop, true));
  return ask_for_compressed(interop, false);
}

/* --- status --- */

static SkyStatus expect_status(SkyStatus status, const char *message) {
  const bool is_same = strcmp(sky_status_message(status), message) == 0;
  SKY_TRY(expect_code(status, SKY_CODE_UNKNOWN));
  EXPECT(is_same, "the status has another message");
  return SKY_OK;
}

static SkyStatus ask_for_status(Interop *interop, const char *message) {
  const SkyContext context = call_context();
  testing_EchoStatus echo = testing_EchoStatus_INIT;
  echo.code = SKY_CODE_UNKNOWN;
  echo.message = message;
  testing_SimpleRequest request = testing_SimpleRequest_INIT;
  request.response_status = &echo;
  testing_SimpleResponse *response = NULL;
  return expect_status(testing_TestService_unary_call(interop->client, &context, &request, &interop->arena, &response),
                       message);
}

static SkyStatus ask_stream_for_status(Interop *interop, const char *message) {
  const SkyContext context = call_context();
  testing_EchoStatus echo = testing_EchoStatus_INIT;
  echo.code = SKY_CODE_UNKNOWN;
  echo.message = message;
  testing_StreamingOutputCallRequest request = testing_StreamingOutputCallRequest_INIT;
  request.response_status = &echo;
  Talk talk;
  SKY_TRY(talk_open_duplex(&talk, interop->client, &context));
  SkyStatus status = testing_TestService_full_duplex_call_write(talk.stream, &request);
  if (status != SKY_OK)
    return talk_drop(&talk, status);
  return expect_status(talk_hang_up(&talk), message);
}

SkyStatus status_code_and_message(Interop *interop) {
  static const char message[] = "test status message";
  SKY_TRY(ask_for_status(interop, message));
  return ask_stream_for_status(interop, message);
}

SkyStatus special_status_message(Interop *interop) {
  return ask_for_status(interop, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n");
}

/* --- what is not there --- */

SkyStatus unimplemented_method(Interop *interop) {
  const SkyContext context = call_context();
  const testing_Empty request = testing_Empty_INIT;
  testing_Empty *response = NULL;
  return expect_code(
      testing_TestService_unimplemented_call(interop->client, &context, &request, &interop->arena, &response),
      SKY_CODE_UNIMPLEMENTED);
}

SkyStatus unimplemented_service(Interop *interop) {
  const SkyContext context = call_context();
  const testing_Empty request = testing_Empty_INIT;
  testing_Empty *response = NULL;
  return expect_code(
      testing_UnimplementedService_unimplemented_call(interop->client, &context, &request, &interop->arena, &response),
      SKY_CODE_UNIMPLEMENTED);
}
