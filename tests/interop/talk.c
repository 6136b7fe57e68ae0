#include "talk.h"

static void hear(Talk *talk, TalkHeard heard) {
  pthread_mutex_lock(&talk->lock);
  if (talk->heard_count < TALK_MAX_HEARD)
    talk->heard[talk->heard_count++] = heard;
  pthread_cond_signal(&talk->changed);
  pthread_mutex_unlock(&talk->lock);
}

static void on_output(void *user, SkyClientStream *stream, const testing_StreamingOutputCallResponse *message) {
  hear(user, (TalkHeard){.body_size = message->payload != NULL ? message->payload->body.len : 0,
                         .was_compressed = sky_client_stream_message_was_compressed(stream)});
}

static void on_sum(void *user, SkyClientStream *stream, const testing_StreamingInputCallResponse *message) {
  hear(user, (TalkHeard){.aggregated_size = message->aggregated_payload_size});
}

static void on_done(void *user, SkyStatus status) {
  Talk *talk = user;
  pthread_mutex_lock(&talk->lock);
  talk->done = true;
  talk->status = status;
  pthread_cond_signal(&talk->changed);
  pthread_mutex_unlock(&talk->lock);
}

static void init(Talk *talk) {
  *talk = (Talk){0};
  pthread_mutex_init(&talk->lock, NULL);
  pthread_cond_init(&talk->changed, NULL);
}

static void finish(Talk *talk) {
  sky_client_stream_unref(talk->stream);
  pthread_cond_destroy(&talk->changed);
  pthread_mutex_destroy(&talk->lock);
}

static SkyStatus opened(Talk *talk, SkyStatus status) {
  if (status != SKY_OK)
    finish(talk);
  return status;
}

SkyStatus talk_open_duplex(Talk *talk, SkyClient *client, const SkyContext *context) {
  init(talk);
  const testing_TestService_full_duplex_call_handler handler = {
      .on_message = on_output, .on_done = on_done, .user = talk};
  return opened(talk, testing_TestService_full_duplex_call_open(client, context, handler, &talk->stream));
}

SkyStatus talk_open_input(Talk *talk, SkyClient *client, const SkyContext *context) {
  init(talk);
  const testing_TestService_streaming_input_call_handler handler = {
      .on_message = on_sum, .on_done = on_done, .user = talk};
  return opened(talk, testing_TestService_streaming_input_call_open(client, context, handler, &talk->stream));
}

SkyStatus talk_open_output(Talk *talk, SkyClient *client, const SkyContext *context,
                           const testing_StreamingOutputCallRequest *request) {
  init(talk);
  const testing_TestService_streaming_output_call_handler handler = {
      .on_message = on_output, .on_done = on_done, .user = talk};
  return opened(talk, testing_TestService_streaming_output_call_open(client, context, request, handler, &talk->stream));
}

SkyStatus talk_hear(Talk *talk, TalkHeard *ret) {
  pthread_mutex_lock(&talk->lock);
  while (talk->taken_count == talk->heard_count && !talk->done)
    pthread_cond_wait(&talk->changed, &talk->lock);
  const bool heard = talk->taken_count < talk->heard_count;
  if (heard)
    *ret = talk->heard[talk->taken_count++];
  SkyStatus status = heard ? SKY_OK : sky_status_copy(talk->status);
  pthread_mutex_unlock(&talk->lock);
  return heard || status != SKY_OK ? status
                                   : SKY_FAILED_PRECONDITION("the server has ended the call without a response");
}

SkyStatus talk_hang_up(Talk *talk) {
  sky_client_stream_close_send(talk->stream);
  return talk_end(talk);
}

static SkyStatus wait_done(Talk *talk, size_t *ret_unheard) {
  pthread_mutex_lock(&talk->lock);
  while (!talk->done)
    pthread_cond_wait(&talk->changed, &talk->lock);
  *ret_unheard = talk->heard_count - talk->taken_count;
  pthread_mutex_unlock(&talk->lock);
  finish(talk);
  return talk->status;
}

SkyStatus talk_end(Talk *talk) {
  size_t unheard = 0;
  SkyStatus status = wait_done(talk, &unheard);
  return status == SKY_OK && unheard > 0 ? SKY_FAILED_PRECONDITION("%zu responses too many", unheard) : status;
}

SkyStatus talk_cancel(Talk *talk) {
  size_t unheard = 0;
  sky_client_stream_cancel(talk->stream);
  return wait_done(talk, &unheard);
}

SkyStatus talk_drop(Talk *talk, SkyStatus status) {
  sky_status_free(talk_cancel(talk));
  return status;
}
