#include "fixture.h"

#include <string.h>

/* What came over one client stream. */
typedef struct Received {
  pthread_mutex_t lock;
  size_t count;
  int64_t sum;
  int32_t last;
  bool pause_each; /* pauses after every message */
  bool done, writable;
  SkyCode code;
} Received;

static Received received;

static void on_message(void *user, SkyClientStream *stream, const ProtobufCMessage *message) {
  Received *into = user;
  const Sky__Test__V1__Echo *echo = (const void *)message;
  pthread_mutex_lock(&into->lock);
  into->count++;
  into->sum += echo->number;
  into->last = echo->number;
  if (into->pause_each)
    sky_client_stream_pause(stream);
  pthread_mutex_unlock(&into->lock);
}

static void on_done(void *user, SkyStatus status) {
  Received *into = user;
  pthread_mutex_lock(&into->lock);
  into->done = true;
  into->code = sky_status_code(status);
  pthread_mutex_unlock(&into->lock);
  sky_status_free(status);
}

static void on_writable(void *user, SkyClientStream *stream) {
  Received *into = user;
  pthread_mutex_lock(&into->lock);
  into->writable = true;
  pthread_mutex_unlock(&into->lock);
}

static bool has_ended(Received *stream) {
  pthread_mutex_lock(&stream->lock);
  const bool done = stream->done;
  pthread_mutex_unlock(&stream->lock);
  return done;
}

static bool received_all(void) {
  return has_ended(&received);
}

static size_t message_count(void) {
  pthread_mutex_lock(&received.lock);
  const size_t count = received.count;
  pthread_mutex_unlock(&received.lock);
  return count;
}

static bool take_writable(void) {
  pthread_mutex_lock(&received.lock);
  const bool writable = received.writable;
  received.writable = false;
  pthread_mutex_unlock(&received.lock);
  return writable;
}

static SkyClientStream *open_stream(EchoMethod method, const SkyContext *context, const Sky__Test__V1__Echo *request) {
  SkyClientStream *stream = NULL;
  received = (Received){.lock = PTHREAD_MUTEX_INITIALIZER, .pause_each = received.pause_each};
  const SkyClientStreamHandler handler = {
      .on_message = on_message, .on_done = on_done, .on_writable = on_writable, .user = &received};
  ck_assert_ptr_null(sky_client_stream_open(client, &echo_methods[method], context,
                                            request != NULL ? &request->base : NULL, handler, &stream));
  return stream;
}

static SkyClientStream *open_count_stream(int32_t last) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  request.number = last;
  return open_stream(ECHO_COUNT, NULL, &request);
}

static SkyStatus write_number(SkyClientStream *stream, int32_t number) {
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  message.number = number;
  return sky_client_stream_write(stream, &message.base);
}

START_TEST(a_server_stream_delivers_all_in_order) {
  SkyClientStream *stream = open_count_stream(100000);
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_int_eq(received.code, SKY_CODE_OK);
  ck_assert_uint_eq(received.count, 100000);
  ck_assert_int_eq(received.last, 100000);
  ck_assert_int_eq(received.sum, INT64_C(100000) * 100001 / 2);
  sky_client_stream_unref(stream);
}
END_TEST

START_TEST(an_empty_server_stream_ends_well) {
  SkyClientStream *stream = open_count_stream(0);
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_int_eq(received.code, SKY_CODE_OK);
  ck_assert_uint_eq(received.count, 0);
  sky_client_stream_unref(stream);
}
END_TEST

START_TEST(a_client_stream_is_answered_after_its_end) {
  SkyClientStream *stream = open_stream(ECHO_SUM, NULL, NULL);
  for (int32_t i = 1; i <= 1000; i++)
    ck_assert_ptr_null(write_number(stream, i));
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_int_eq(received.code, SKY_CODE_OK);
  ck_assert_uint_eq(received.count, 1);
  ck_assert_int_eq(received.last, 500500);
  sky_client_stream_unref(stream);
}
END_TEST

static void chat(EchoMethod method) {
  SkyClientStream *stream = open_stream(method, NULL, NULL);
  for (int32_t i = 1; i <= 200; i++) {
    ck_assert_ptr_null(write_number(stream, i));
    SKY_CHECK_EVENTUALLY(message_count() == (size_t)i);
  }
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_int_eq(received.code, SKY_CODE_OK);
  ck_assert_int_eq(received.last, 200);
  assert_code(write_number(stream, 1), SKY_CODE_CANCELLED);
  sky_client_stream_unref(stream);
}

START_TEST(a_bidi_stream_talks_both_ways_at_once) {
  chat(ECHO_CHAT);
  chat(ECHO_CHAT_WORKER);
}
END_TEST

START_TEST(a_paused_stream_stops_the_server) {
  received.pause_each = true;
  SkyClientStream *stream = open_count_stream(1 << 20); /* more than all buffers between us hold */
  SKY_CHECK_EVENTUALLY(message_count() == 1);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 1);
  sky_client_stream_resume(stream);
  SKY_CHECK_EVENTUALLY(message_count() == 2);
  ck_assert(!received_all());
  sky_client_stream_cancel(stream);
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_int_eq(received.code, SKY_CODE_CANCELLED);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
  sky_client_stream_unref(stream);
}
END_TEST

START_TEST(the_writers_queue_is_bounded_and_says_when_there_is_room) {
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  message.payload.len = 32 << 10;
  message.payload.data = calloc(1, message.payload.len);
  received.pause_each = true; /* we do not read, so the server cannot write and ends reading */
  SkyClientStream *stream = open_stream(ECHO_CHAT, NULL, NULL);
  SkyStatus status = SKY_OK;
  size_t written = 0;
  SKY_CHECK_EVENTUALLY((status = sky_client_stream_write(stream, &message.base)) != SKY_OK || ++written > 100000);
  const SkyCode code = sky_status_code(status);
  sky_status_free(status);
  ck_assert(code == SKY_CODE_RESOURCE_EXHAUSTED || code == SKY_CODE_CANCELLED);
  sky_client_stream_cancel(stream);
  SKY_CHECK_EVENTUALLY(received_all());
  sky_client_stream_unref(stream);
  free(message.payload.data);
}
END_TEST

START_TEST(a_writer_that_waits_for_room_loses_nothing) {
  SkyClientStream *stream = open_stream(ECHO_SUM, NULL, NULL);
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  message.number = 1;
  message.payload.len = 20000;
  message.payload.data = calloc(1, message.payload.len);
  size_t refused = 0;
  for (int i = 0; i < 500;) {
    SkyStatus status = sky_client_stream_write(stream, &message.base);
    if (status == SKY_OK) {
      i++;
      continue;
    }
    refused++;
    assert_code(status, SKY_CODE_RESOURCE_EXHAUSTED);
    SKY_CHECK_EVENTUALLY(take_writable());
  }
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_int_eq(received.last, 500);
  ck_assert_uint_gt(refused, 0);
  sky_client_stream_unref(stream);
  free(message.payload.data);
}
END_TEST

START_TEST(cancelling_a_stream_reaches_its_handler) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = open_stream(ECHO_WATCH, NULL, &request);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  sky_client_stream_cancel(stream);
  SKY_CHECK_EVENTUALLY(received_all());
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 1);
  ck_assert_int_eq(received.code, SKY_CODE_CANCELLED);
  sky_client_stream_unref(stream);
}
END_TEST

START_TEST(a_stream_ends_at_its_deadline) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 60);
  SkyClientStream *stream = open_stream(ECHO_WATCH, &context, &request);
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_int_eq(received.code, SKY_CODE_DEADLINE_EXCEEDED);
  SKY_CHECK_EVENTUALLY(echo_service_cancelled(&service) == 1);
  sky_client_stream_unref(stream);
}
END_TEST

START_TEST(a_stream_may_be_forgotten_while_it_runs) {
  sky_client_stream_unref(open_count_stream(5000));
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_uint_eq(received.count, 5000);
}
END_TEST

START_TEST(the_handler_ends_a_stream_with_an_error_behind_its_messages) {
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = open_stream(ECHO_WATCH, NULL, &message);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  SkyCall *call = service.deferred[0];
  for (message.number = 1; message.number <= 50; message.number++)
    ck_assert_ptr_null(sky_call_write(call, &message.base));
  sky_call_finish(call, SKY_ABORTED("enough"));
  SKY_CHECK_EVENTUALLY(received_all());
  ck_assert_uint_eq(received.count, 50);
  ck_assert_int_eq(received.code, SKY_CODE_ABORTED);
  sky_client_stream_unref(stream);
}
END_TEST

START_TEST(a_reader_blocks_for_each_message_and_sees_the_end) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientReader *reader = NULL;
  ProtobufCMessage *message = NULL;
  request.number = 20000;
  ck_assert_ptr_null(sky_client_reader_open(client, &echo_methods[ECHO_COUNT], NULL, &request.base, &reader));
  for (int32_t i = 1; i <= request.number; i++) {
    sky_arena_reset(&arena);
    ck_assert_ptr_null(sky_client_reader_next(reader, &arena, &message));
    ck_assert_int_eq(((Sky__Test__V1__Echo *)(void *)message)->number, i);
  }
  ck_assert_ptr_null(sky_client_reader_next(reader, &arena, &message));
  ck_assert_ptr_null(message);
  sky_client_reader_close(reader);
}
END_TEST

START_TEST(a_reader_may_be_closed_early) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientReader *reader = NULL;
  ProtobufCMessage *message = NULL;
  request.number = 1 << 20;
  ck_assert_ptr_null(sky_client_reader_open(client, &echo_methods[ECHO_COUNT], NULL, &request.base, &reader));
  ck_assert_ptr_null(sky_client_reader_next(reader, &arena, &message));
  sky_client_reader_close(reader);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
}
END_TEST

START_TEST(a_thousand_streams_stay_open_without_threads) {
  enum { STREAMS = 1000 };
  static SkyClientStream *streams[STREAMS];
  static Received each[STREAMS];
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  for (size_t i = 0; i < STREAMS; i++) {
    each[i] = (Received){.lock = PTHREAD_MUTEX_INITIALIZER};
    const SkyClientStreamHandler handler = {.on_message = on_message, .on_done = on_done, .user = &each[i]};
    ck_assert_ptr_null(
        sky_client_stream_open(client, &echo_methods[ECHO_WATCH], NULL, &message.base, handler, &streams[i]));
  }
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == STREAMS);
  message.number = 3;
  for (size_t i = 0; i < STREAMS; i++)
    ck_assert_ptr_null(sky_call_write(service.deferred[i], &message.base));
  for (size_t i = 0; i < STREAMS; i++)
    sky_call_finish(service.deferred[i], SKY_OK);
  for (size_t i = 0; i < STREAMS; i++) {
    SKY_CHECK_EVENTUALLY(has_ended(&each[i]));
    ck_assert_int_eq(each[i].sum, 3);
    sky_client_stream_unref(streams[i]);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/stream", setup, teardown, a_server_stream_delivers_all_in_order,
                    an_empty_server_stream_ends_well, a_client_stream_is_answered_after_its_end,
                    a_bidi_stream_talks_both_ways_at_once, a_paused_stream_stops_the_server,
                    the_writers_queue_is_bounded_and_says_when_there_is_room,
                    a_writer_that_waits_for_room_loses_nothing, cancelling_a_stream_reaches_its_handler,
                    a_stream_ends_at_its_deadline, a_stream_may_be_forgotten_while_it_runs,
                    the_handler_ends_a_stream_with_an_error_behind_its_messages,
                    a_reader_blocks_for_each_message_and_sees_the_end, a_reader_may_be_closed_early,
                    a_thousand_streams_stay_open_without_threads)
