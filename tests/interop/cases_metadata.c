#include "client.h"

#include "talk.h"

static const char initial_key[] = "x-grpc-test-echo-initial", trailing_key[] = "x-grpc-test-echo-trailing-bin";
#define INITIAL_VALUE SKY_STR("test_initial_metadata_value")
#define TRAILING_VALUE SKY_STR("\xab\xab\xab")

/* The server has given back what it was sent. */
static void look_at_metadata(void *user, const SkyClientCall *call, const SkyError *status) {
  SkyStr initial, trailing;
  *(bool *)user = sky_client_call_metadata(call, initial_key, &initial) && sky_str_equal(initial, INITIAL_VALUE) &&
                  sky_client_call_metadata(call, trailing_key, &trailing) && sky_str_equal(trailing, TRAILING_VALUE);
}

static SkyStatus call_unary(Interop *interop, const SkyContext *context) {
  testing_Payload payload = payload_of(1);
  testing_SimpleRequest request = testing_SimpleRequest_INIT;
  testing_SimpleResponse *response = NULL;
  request.payload = &payload;
  request.response_size = 1;
  return testing_TestService_unary_call(interop->client, context, &request, &interop->arena, &response);
}

static SkyStatus call_duplex(Interop *interop, const SkyContext *context) {
  testing_Payload payload = payload_of(1);
  testing_ResponseParameters one = testing_ResponseParameters_INIT, *parameters[] = {&one};
  testing_StreamingOutputCallRequest request = testing_StreamingOutputCallRequest_INIT;
  TalkHeard heard;
  Talk talk;
  one.size = 1;
  request.payload = &payload;
  request.response_parameters = parameters;
  request.n_response_parameters = 1;
  SKY_TRY(talk_open_duplex(&talk, interop->client, context));
  SkyStatus status = testing_TestService_full_duplex_call_write(talk.stream, &request);
  if (status == SKY_OK)
    status = talk_hear(&talk, &heard);
  return status == SKY_OK ? talk_hang_up(&talk) : talk_drop(&talk, status);
}

SkyStatus custom_metadata(Interop *interop) {
  static SkyStatus (*const calls[])(Interop *, const SkyContext *) = {call_unary, call_duplex};
  const SkyMetadataEntry metadata[] = {{initial_key, INITIAL_VALUE}, {trailing_key, TRAILING_VALUE}};
  for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
    bool came_back = false;
    const SkyCallOptions options = {
        .metadata = metadata, .metadata_count = 2, .on_end = look_at_metadata, .user = &came_back};
    SkyContext context = call_context();
    context.call_options = &options;
    SKY_TRY(calls[i](interop, &context));
    EXPECT(came_back, "the metadata did not come back");
  }
  return SKY_OK;
}
