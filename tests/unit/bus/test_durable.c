/*
 * The broker's side of a consumer after it was killed, and what is done about it. Next to a consumer stands its double:
 * the same durable, looked after by the test instead of the keeper, so that the test says when.
 */
#include <stdio.h>
#include <string.h>

#include <nats/nats.h>

#include <sky/core/time.h>

#include "bus_kit.h"
#include "internal.h"

enum { WAIT_MS = 5000 };

static Recorder recorder, other_recorder;
static int64_t put_off_ms;
static SkyEventRoute route, other_route;

/* Another subject of the same work queue. */
static SkyEventType other_type(void) {
  SkyEventType type = happened_type;
  type.name = "sky.bus.test.Other";
  type.subject = "test.jobs.other.v1";
  return type;
}

static void setup(void) {
  static SkyEventType other;
  other = other_type();
  start_all();
  recorder_init(&recorder);
  recorder_init(&other_recorder);
  route = recorder_route(&recorder, &happened_type);
  other_route = recorder_route(&other_recorder, &other);
}

static SkyConsumer double_of(const char *stream, const char *durable, const char *filter) {
  return (SkyConsumer){.bus = bus,
                       .stream = (char *)stream,
                       .durable = (char *)durable,
                       .filter = (char *)filter,
                       .ack_wait_ms = 300,
                       .max_ack_pending = 100,
                       .is_work_queue = strcmp(stream, "JOBS") == 0};
}

static bool look(SkyConsumer *consumer) {
  durable_look_after(consumer, WAIT_MS);
  return true;
}

static void publish_numbers(const SkyEventType *type, unsigned first, unsigned last) {
  for (unsigned number = first; number <= last; number++) {
    char id[40];
    snprintf(id, sizeof(id), "%s-%u", type->subject, number);
    must(publish(type, id, number, "x"));
  }
}

/* The seventh is given back once, for longer than its ack wait and than any look. */
static SkyStatus put_off_seventh(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self;
  if (event->number != 7 || sky_incoming_attempt(incoming) > 1)
    return SKY_OK;
  return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("later"), put_off_ms);
}

START_TEST(what_was_given_back_for_long_comes_again) {
  recorder.answer = put_off_seventh;
  put_off_ms = 4000;
  consume(&route, (SkyConsumerOptions){.ack_wait_ms = 300});
  SkyConsumer consumer = double_of("JOBS", "tester", "test.jobs.happened.v1.>");
  publish_numbers(&happened_type, 6, 7);
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 1 && unacknowledged("JOBS", "tester") == 1);
  SKY_CHECK_EVENTUALLY(look(&consumer) && recorder_seen(&recorder, 7) == 2);
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 0);
}
END_TEST

START_TEST(what_a_killed_server_forgot_to_remove_goes_and_nothing_else) {
  publish_numbers(&happened_type, 1, 7);
  publish_numbers(other_route.type, 7, 7);
  nats_server_stop(&server);
  nats_server_save(&server, "JOBS");
  nats_server_start(&server);
  recorder.answer = other_recorder.answer = put_off_seventh;
  put_off_ms = 9000; /* the keeper looks two seconds after the restart */
  consume(&route, (SkyConsumerOptions){.ack_wait_ms = 300, .workers = 1});
  consume(&other_route, (SkyConsumerOptions){.ack_wait_ms = 300, .durable = "other"});
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 2 && unacknowledged("JOBS", "tester") == 1 &&
                       unacknowledged("JOBS", "other") == 1);

  nats_server_stop(&server);
  nats_server_restore(&server, "JOBS");
  nats_server_start(&server);
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 2);
  ck_assert_uint_eq(recorder_seen(&recorder, 7), 1);
  SKY_CHECK_EVENTUALLY(recorder_seen(&recorder, 7) == 2 && recorder_seen(&other_recorder, 7) == 2);
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 0);
  ck_assert_uint_eq(recorder_seen(&recorder, 1), 1); /* none of the six came again: they were swept */
  ck_assert_uint_eq(atomic_load(&recorder.calls), 8);
}
END_TEST

/* Three numbers are on disk when the power fails, three more only in the consumer's memory of what it had delivered. */
static void lose_the_tail(const SkyEventType *type, const char *stream) {
  publish_numbers(type, 1, 3);
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 4) == 3 && unacknowledged(stream, "tester") == 0);
  nats_server_stop(&server);
  nats_server_save(&server, stream);
  nats_server_start(&server);
  wait_ready();
  publish_numbers(type, 4, 6);
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 7) == 6 && unacknowledged(stream, "tester") == 0);
  nats_server_stop(&server);
  nats_server_restore(&server, stream);
  nats_server_start(&server);
}

/* What is confirmed from then on has numbers below what the consumer counts as done. */
static void expect_that_nothing_new_is_lost(const SkyEventType *type) {
  wait_ready();
  publish_numbers(type, 10, 15);
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 16) == 12);
  for (unsigned number = 10; number <= 15; number++)
    ck_assert_uint_ge(recorder_seen(&recorder, number), 1);
}

START_TEST(a_work_queue_that_lost_its_tail_loses_nothing_new) {
  consume(&route, (SkyConsumerOptions){.ack_wait_ms = 300});
  lose_the_tail(&happened_type, "JOBS");
  expect_that_nothing_new_is_lost(&happened_type);
}
END_TEST

START_TEST(a_stream_that_lost_its_tail_loses_nothing_new) {
  route = recorder_route(&recorder, &noted_type);
  consume(&route, (SkyConsumerOptions){.ack_wait_ms = 300});
  lose_the_tail(&noted_type, "NOTES");
  expect_that_nothing_new_is_lost(&noted_type);
}
END_TEST

typedef struct Reader {
  natsConnection *connection;
  natsSubscription *subscription;
} Reader;

/* Takes the notes that there are and acknowledges those up to a number; leaves a request for more. */
static Reader read_notes(const char *durable, int count, int acknowledged) {
  natsConnection *connection = NULL;
  natsSubscription *subscription = NULL;
  char subject[64], request[32];
  snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT.NOTES.%s", durable);
  snprintf(request, sizeof(request), "{\"batch\":%d}", count + 1);
  ck_assert_int_eq(natsConnection_ConnectTo(&connection, server.url), NATS_OK);
  ck_assert_int_eq(natsConnection_SubscribeSync(&subscription, connection, "notes.inbox"), NATS_OK);
  ck_assert_int_eq(natsConnection_PublishRequestString(connection, subject, "notes.inbox", request), NATS_OK);
  for (int i = 1; i <= count; i++) {
    natsMsg *message = NULL;
    ck_assert_int_eq(natsSubscription_NextMsg(&message, subscription, WAIT_MS), NATS_OK);
    if (i <= acknowledged)
      ck_assert_int_eq(natsConnection_PublishString(connection, natsMsg_GetReply(message), "+ACK"), NATS_OK);
    natsMsg_Destroy(message);
  }
  return (Reader){connection, subscription};
}

START_TEST(one_that_is_stuck_is_made_anew_after_its_floor_and_once_only) {
  SkyConsumer consumer = double_of("NOTES", "reader", "test.notes.noted.v1.>");
  consumer.ack_wait_ms = 60000;
  must(durable_ensure(&consumer, WAIT_MS));
  publish_numbers(&noted_type, 1, 5);
  Reader reader = read_notes("reader", 5, 3);
  SKY_CHECK_EVENTUALLY(unacknowledged("NOTES", "reader") == 2);
  atomic_store(&consumer.ensured, true);
  look(&consumer);
  ck_assert(atomic_load(&consumer.ensured));
  consumer.progress.since_ns -= INT64_C(1000000) * SKY_NS_PER_MS; /* nothing has moved for a quarter of an hour */
  look(&consumer);
  ck_assert(!atomic_load(&consumer.ensured));
  must(durable_ensure(&consumer, WAIT_MS));
  ck_assert_int_eq(undelivered("NOTES", "reader"), 2);
  natsSubscription_Destroy(reader.subscription);
  natsConnection_Destroy(reader.connection);

  /* A server without its data has other messages under the same numbers: none of them is passed over. */
  nats_server_kill(&server);
  nats_server_wipe(&server);
  nats_server_start(&server);
  SKY_CHECK_EVENTUALLY(stream_messages("NOTES") == 0);
  wait_ready();
  publish_numbers(&noted_type, 1, 5);
  must(durable_ensure(&consumer, WAIT_MS));
  ck_assert_int_eq(undelivered("NOTES", "reader"), 5);
}
END_TEST

/* What the broker passes over, because it is for others, counts as delivered in the stream but not as acknowledged. */
START_TEST(one_that_was_given_nothing_is_not_stuck) {
  SkyConsumer consumer = double_of("NOTES", "reader", "test.notes.noted.v1.>");
  must(durable_ensure(&consumer, WAIT_MS));
  atomic_store(&consumer.ensured, true);
  publish_numbers(&ended_type, 1, 3);
  Reader reader = read_notes("reader", 0, 0);
  SKY_CHECK_EVENTUALLY(look(&consumer) && consumer.progress.delivered_stream == 3);
  consumer.progress.since_ns -= INT64_C(1000000) * SKY_NS_PER_MS;
  look(&consumer);
  ck_assert(atomic_load(&consumer.ensured));
  natsSubscription_Destroy(reader.subscription);
  natsConnection_Destroy(reader.connection);
}
END_TEST

SKY_CHECK_MAIN_WITH("bus/durable", setup, stop_all, what_was_given_back_for_long_comes_again,
                    what_a_killed_server_forgot_to_remove_goes_and_nothing_else,
                    a_work_queue_that_lost_its_tail_loses_nothing_new, a_stream_that_lost_its_tail_loses_nothing_new,
                    one_that_is_stuck_is_made_anew_after_its_floor_and_once_only,
                    one_that_was_given_nothing_is_not_stuck)
