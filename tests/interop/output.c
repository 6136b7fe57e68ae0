#include "output.h"

#include <sky/core/time.h>

#define NS_PER_US INT64_C(1000)

typedef struct Output {
  SkyTimers *timers;
  SkyTimer timer;
  SkyCall *call;
  const testing_StreamingOutputCallRequest *request;
  void (*done)(SkyCall *call, SkyStatus status);
  size_t next;
  bool paused; /* before the next response; not again when the queue was full */
} Output;

static uint8_t zeros[OUTPUT_MAX_PAYLOAD];

static SkyStatus write_response(SkyCall *call, const testing_ResponseParameters *parameters) {
  testing_Payload payload = testing_Payload_INIT;
  testing_StreamingOutputCallResponse response = testing_StreamingOutputCallResponse_INIT;
  if (parameters->size < 0 || parameters->size > OUTPUT_MAX_PAYLOAD)
    return SKY_INVALID_ARGUMENT("a payload of %d bytes cannot be had", parameters->size);
  payload.body = (ProtobufCBinaryData){.data = zeros, .len = (size_t)parameters->size};
  response.payload = &payload;
  sky_call_compress_messages(call, parameters->compressed != NULL && parameters->compressed->value);
  return testing_TestService_streaming_output_call_write(call, &response);
}

static void output_more(void *user, SkyCall *call);

static void pause_is_over(void *user) {
  Output *output = user;
  output_more(output, output->call);
}

/* True when the next response is due. */
static bool begin_pause(Output *output, int32_t interval_us, SkyStatus *ret) {
  if (interval_us <= 0 || output->paused)
    return true;
  output->paused = true;
  const int64_t now_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  *ret = sky_timers_schedule(output->timers, &output->timer, now_ns + interval_us * NS_PER_US);
  return false;
}

static void output_more(void *user, SkyCall *call) {
  Output *output = user;
  SkyStatus status = SKY_OK;
  while (status == SKY_OK && output->next < output->request->n_response_parameters) {
    const testing_ResponseParameters *parameters = output->request->response_parameters[output->next];
    if (!begin_pause(output, parameters->interval_us, &status)) {
      if (status == SKY_OK)
        return;
      break;
    }
    status = write_response(call, parameters);
    if (sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED)) {
      sky_call_on_writable(call, output_more, output);
      return;
    }
    output->next++;
    output->paused = false;
  }
  output->done(call, status);
}

SkyStatus output_choose_compression(SkyCall *call, const testing_StreamingOutputCallRequest *request) {
  for (size_t i = 0; i < request->n_response_parameters; i++) {
    if (request->response_parameters[i]->compressed != NULL)
      return sky_call_set_compression(call, SKY_COMPRESSION_GZIP);
  }
  return SKY_OK;
}

void output_begin(SkyTimers *timers, SkyCall *call, const testing_StreamingOutputCallRequest *request,
                  void (*done)(SkyCall *call, SkyStatus status)) {
  Output *output = sky_arena_alloc(sky_call_arena(call), sizeof(*output));
  if (output == NULL) {
    done(call, sky_status_no_memory());
    return;
  }
  *output = (Output){.timers = timers, .call = call, .request = request, .done = done};
  output->timer = (SkyTimer){.fire = pause_is_over, .user = output};
  output_more(output, call);
}
