#include "client.h"

#include "talk.h"

enum { ROUNDS = 4 };
static const int32_t request_sizes[ROUNDS] = {27182, 8, 1828, 45904};
static const int32_t response_sizes[ROUNDS] = {31415, 9, 2653, 58979};

/* --- client streams --- */

static SkyStatus send_input(Talk *talk, int32_t size, testing_BoolValue *expect_compressed) {
  testing_Payload payload = payload_of((size_t)size);
  testing_StreamingInputCallRequest request = testing_StreamingInputCallRequest_INIT;
  request.payload = &payload;
  request.expect_compressed = expect_compressed;
  return testing_TestService_streaming_input_call_write(talk->stream, &request);
}

/* Half-closes and looks at the sum. */
static SkyStatus expect_sum(Talk *talk, int32_t expected) {
  TalkHeard heard = {0};
  sky_client_stream_close_send(talk->stream);
  SkyStatus status = talk_hear(talk, &heard);
  if (status != SKY_OK)
    return talk_drop(talk, status);
  SKY_TRY(talk_end(talk));
  EXPECT(heard.aggregated_size == expected, "a sum of %d instead of %d", heard.aggregated_size, expected);
  return SKY_OK;
}

SkyStatus client_streaming(Interop *interop) {
  const SkyContext context = call_context();
  Talk talk;
  SKY_TRY(talk_open_input(&talk, interop->client, &context));
  int32_t sum = 0;
  for (size_t i = 0; i < ROUNDS; i++) {
    SkyStatus status = send_input(&talk, request_sizes[i], NULL);
    if (status != SKY_OK)
      return talk_drop(&talk, status);
    sum += request_sizes[i];
  }
  return expect_sum(&talk, sum);
}

/* Two messages, the first to be seen as compressed, the second not; compress: whether the first really is. */
static SkyStatus send_compressed(Interop *interop, bool compress) {
  const SkyCallOptions options = {.compression = compress ? SKY_COMPRESSION_GZIP : SKY_COMPRESSION_IDENTITY};
  testing_BoolValue yes = testing_BoolValue_INIT, no = testing_BoolValue_INIT;
  SkyContext context = call_context();
  Talk talk;
  yes.value = true;
  context.call_options = &options;
  SKY_TRY(talk_open_input(&talk, interop->client, &context));
  SkyStatus status = send_input(&talk, request_sizes[0], &yes);
  sky_client_stream_compress_messages(talk.stream, false);
  if (status == SKY_OK && compress)
    status = send_input(&talk, request_sizes[3], &no);
  return status == SKY_OK ? expect_sum(&talk, request_sizes[0] + request_sizes[3]) : talk_drop(&talk, status);
}

SkyStatus client_compressed_streaming(Interop *interop) {
  /* Does the server look at all? */
  SKY_TRY(expect_code(send_compressed(interop, false), SKY_CODE_INVALID_ARGUMENT));
  return send_compressed(interop, true);
}

/* --- server streams --- */

static SkyStatus hear_size(Talk *talk, int32_t size, TalkHeard *ret) {
  SKY_TRY(talk_hear(talk, ret));
  EXPECT((int32_t)ret->body_size == size, "%zu bytes instead of %d", ret->body_size, size);
  return SKY_OK;
}

SkyStatus server_streaming(Interop *interop) {
  const SkyContext context = call_context();
  testing_ResponseParameters each[ROUNDS], *parameters[ROUNDS];
  testing_StreamingOutputCallRequest request = testing_StreamingOutputCallRequest_INIT;
  for (size_t i = 0; i < ROUNDS; i++) {
    each[i] = (testing_ResponseParameters)testing_ResponseParameters_INIT;
    each[i].size = response_sizes[i];
    parameters[i] = &each[i];
  }
  request.response_parameters = parameters;
  request.n_response_parameters = ROUNDS;
  Talk talk;
  SKY_TRY(talk_open_output(&talk, interop->client, &context, &request));
  for (size_t i = 0; i < ROUNDS; i++) {
    TalkHeard heard;
    SkyStatus status = hear_size(&talk, response_sizes[i], &heard);
    if (status != SKY_OK)
      return talk_drop(&talk, status);
  }
  return talk_end(&talk);
}

static SkyStatus hear_compressed(Talk *talk, int32_t size, bool compressed) {
  TalkHeard heard;
  SKY_TRY(hear_size(talk, size, &heard));
  EXPECT(heard.was_compressed == compressed, "a message that should %sbe compressed", compressed ? "" : "not ");
  return SKY_OK;
}

SkyStatus server_compressed_streaming(Interop *interop) {
  static const int32_t sizes[] = {31415, 92653};
  const SkyContext context = call_context();
  testing_BoolValue yes = testing_BoolValue_INIT, no = testing_BoolValue_INIT;
  testing_ResponseParameters first = testing_ResponseParameters_INIT, second = testing_ResponseParameters_INIT;
  testing_ResponseParameters *parameters[] = {&first, &second};
  testing_StreamingOutputCallRequest request = testing_StreamingOutputCallRequest_INIT;
  Talk talk;
  yes.value = true;
  first.compressed = &yes;
  first.size = sizes[0];
  second.compressed = &no;
  second.size = sizes[1];
  request.response_parameters = parameters;
  request.n_response_parameters = 2;
  SKY_TRY(talk_open_output(&talk, interop->client, &context, &request));
  SkyStatus status = hear_compressed(&talk, sizes[0], true);
  if (status == SKY_OK)
    status = hear_compressed(&talk, sizes[1], false);
  return status == SKY_OK ? talk_end(&talk) : talk_drop(&talk, status);
}

/* --- both ways --- */

static SkyStatus ask(Talk *talk, int32_t request_size, int32_t response_size) {
  testing_Payload payload = payload_of((size_t)request_size);
  testing_ResponseParameters one = testing_ResponseParameters_INIT, *parameters[] = {&one};
  testing_StreamingOutputCallRequest request = testing_StreamingOutputCallRequest_INIT;
  one.size = response_size;
  request.payload = &payload;
  request.response_parameters = parameters;
  request.n_response_parameters = 1;
  return testing_TestService_full_duplex_call_write(talk->stream, &request);
}

SkyStatus ping_pong(Interop *interop) {
  const SkyContext context = call_context();
  Talk talk;
  SKY_TRY(talk_open_duplex(&talk, interop->client, &context));
  for (size_t i = 0; i < ROUNDS; i++) {
    TalkHeard heard;
    SkyStatus status = ask(&talk, request_sizes[i], response_sizes[i]);
    if (status == SKY_OK)
      status = hear_size(&talk, response_sizes[i], &heard);
    if (status != SKY_OK)
      return talk_drop(&talk, status);
  }
  return talk_hang_up(&talk);
}

SkyStatus empty_stream(Interop *interop) {
  const SkyContext context = call_context();
  Talk talk;
  SKY_TRY(talk_open_duplex(&talk, interop->client, &context));
  return talk_hang_up(&talk);
}

/* --- ends before the end --- */

SkyStatus cancel_after_begin(Interop *interop) {
  const SkyContext context = call_context();
  Talk talk;
  SKY_TRY(talk_open_input(&talk, interop->client, &context));
  return expect_code(talk_cancel(&talk), SKY_CODE_CANCELLED);
}

SkyStatus cancel_after_first_response(Interop *interop) {
  const SkyContext context = call_context();
  TalkHeard heard;
  Talk talk;
  SKY_TRY(talk_open_duplex(&talk, interop->client, &context));
  SkyStatus status = ask(&talk, request_sizes[0], response_sizes[0]);
  if (status == SKY_OK)
    status = hear_size(&talk, response_sizes[0], &heard);
  if (status != SKY_OK)
    return talk_drop(&talk, status);
  return expect_code(talk_cancel(&talk), SKY_CODE_CANCELLED);
}

SkyStatus timeout_on_sleeping_server(Interop *interop) {
  const SkyContext background = sky_context_background(), context = sky_context_with_timeout_ms(&background, 1);
  Talk talk;
  SkyStatus status = talk_open_duplex(&talk, interop->client, &context);
  if (status == SKY_OK) {
    testing_Payload payload = payload_of(27182); /* asks for nothing: the server sleeps */
    testing_StreamingOutputCallRequest request = testing_StreamingOutputCallRequest_INIT;
    request.payload = &payload;
    sky_status_free(testing_TestService_full_duplex_call_write(talk.stream, &request)); /* it may be over already */
    status = talk_end(&talk);
  }
  return expect_code(status, SKY_CODE_DEADLINE_EXCEEDED);
}
