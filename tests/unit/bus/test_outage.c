#define SKY_CHECK_TIMEOUT_S 180 /* a consumer that a killed broker left stuck is found out after 41 s of quiet */

#include <stdio.h>
#include <string.h>

#include <sky/core/time.h>

#include "bus_kit.h"

static Recorder recorder;
static SkyEventRoute route;

static void setup(void) {
  nats_server_init(&server);
  recorder_init(&recorder);
  route = recorder_route(&recorder, &happened_type);
}

/* What must be quick is far quicker than what it must not wait for (5 s), on a busy machine too. */
enum { QUICK_MS = 3000 };

static int64_t now_ms(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) / SKY_NS_PER_MS;
}

static SkyCode try_publish(const char *id, int64_t number) {
  SkyStatus status = publish(&happened_type, id, number, "x");
  SkyCode code = sky_status_code(status);
  if (code == SKY_CODE_UNAVAILABLE)
    ck_assert_int_gt(sky_status_retry_after_ms(status), 0);
  sky_status_free(status);
  return code;
}

static SkyStatus fail_slowly(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self, (void)incoming, (void)event;
  return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("later"), 3000);
}

START_TEST(a_bus_starts_without_a_server_and_becomes_ready_when_it_comes) {
  int64_t begun = now_ms();
  connect_bus();
  ck_assert_int_lt(now_ms() - begun, QUICK_MS);
  ck_assert(!sky_bus_is_ready(bus));
  begun = now_ms();
  ck_assert_int_eq(try_publish("e1", 1), SKY_CODE_UNAVAILABLE);
  ck_assert_int_lt(now_ms() - begun, QUICK_MS);
  consume(&route, (SkyConsumerOptions){0});
  nats_server_start(&server);
  wait_ready();
  ck_assert_int_eq(try_publish("e1", 1), SKY_CODE_OK);
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
}
END_TEST

START_TEST(a_bus_closes_without_having_met_a_server) {
  connect_bus();
  consume(&route, (SkyConsumerOptions){0});
  int64_t begun = now_ms();
  sky_bus_close(bus, 1000);
  bus = NULL;
  ck_assert_int_lt(now_ms() - begun, 5000);
}
END_TEST

START_TEST(a_server_without_jetstream_is_unavailable_at_once) {
  server.jetstream = false;
  nats_server_start(&server);
  connect_bus();
  for (int i = 0; i < 3; i++) {
    int64_t begun = now_ms();
    ck_assert_int_eq(try_publish("e1", 1), SKY_CODE_UNAVAILABLE);
    ck_assert_int_lt(now_ms() - begun, QUICK_MS);
  }
  ck_assert(!sky_bus_is_ready(bus));
  nats_server_kill(&server);
  server.jetstream = true;
  nats_server_start(&server);
  wait_ready();
  ck_assert_int_eq(try_publish("e1", 1), SKY_CODE_OK);
}
END_TEST

START_TEST(a_stopped_server_fails_publications_fast_after_a_moment) {
  nats_server_start(&server);
  connect_bus();
  wait_ready();
  nats_server_pause(&server);
  int64_t begun = now_ms();
  SkyCode first = try_publish("e1", 1); /* unknown whether it is stored */
  ck_assert(first == SKY_CODE_UNAVAILABLE || first == SKY_CODE_DEADLINE_EXCEEDED);
  ck_assert_int_lt(now_ms() - begun, 4900); /* before its own timeout of 5 s: the probe was quicker */
  begun = now_ms();
  ck_assert_int_eq(try_publish("e2", 2), SKY_CODE_UNAVAILABLE);
  ck_assert_int_lt(now_ms() - begun, QUICK_MS);
  ck_assert(!sky_bus_is_ready(bus));
  nats_server_resume(&server);
  wait_ready();
  ck_assert_int_eq(try_publish("e2", 2), SKY_CODE_OK);
}
END_TEST

START_TEST(a_stopped_server_is_left_at_the_deadline_of_the_context) {
  nats_server_start(&server);
  connect_bus();
  wait_ready();
  nats_server_pause(&server);
  SkyContext background = sky_context_background();
  SkyContext context = sky_context_with_timeout_ms(&background, 300);
  const SkyPublication publication = {.subject = "test.jobs.a.1", .message_id = "m1", .data = SKY_STR("one")};
  int64_t begun = now_ms();
  expect(SKY_CODE_DEADLINE_EXCEEDED, sky_bus_publish(bus, &context, &publication, NULL));
  ck_assert_int_ge(now_ms() - begun, 299);
  ck_assert_int_lt(now_ms() - begun, QUICK_MS);
}
END_TEST

static void *cancel_soon(void *cancel) {
  sky_cancel_trigger(cancel);
  return NULL;
}

START_TEST(a_cancelled_publication_is_left_at_once) {
  nats_server_start(&server);
  connect_bus();
  wait_ready();
  nats_server_pause(&server);
  SkyContext context = sky_context_background();
  context.cancel = sky_cancel_create();
  pthread_t canceller;
  ck_assert_int_eq(pthread_create(&canceller, NULL, cancel_soon, context.cancel), 0);
  const SkyPublication publication = {.subject = "test.jobs.a.1", .message_id = "m1", .data = SKY_STR("one")};
  expect(SKY_CODE_CANCELLED, sky_bus_publish(bus, &context, &publication, NULL));
  pthread_join(canceller, NULL);
  sky_cancel_unref(context.cancel);
}
END_TEST

START_TEST(a_server_that_lost_its_data_gets_streams_and_consumers_again) {
  nats_server_start(&server);
  connect_bus();
  wait_ready();
  consume(&route, (SkyConsumerOptions){0});
  ck_assert_int_eq(try_publish("e1", 1), SKY_CODE_OK);
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
  nats_server_kill(&server);
  nats_server_wipe(&server);
  nats_server_start(&server);
  SKY_CHECK_EVENTUALLY(try_publish("e2", 2) == SKY_CODE_OK);
  SKY_CHECK_EVENTUALLY(recorder_seen(&recorder, 2) == 1);
}
END_TEST

START_TEST(a_message_removed_behind_its_back_does_not_hold_a_consumer_up) {
  nats_server_start(&server);
  connect_bus();
  wait_ready();
  route = recorder_route(&recorder, &noted_type);
  recorder.answer = fail_slowly;
  consume(&route, (SkyConsumerOptions){.ack_wait_ms = 500});
  must(publish(&noted_type, "e1", 1, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
  remove_message("NOTES", 1);
  int64_t begun = now_ms();
  SKY_CHECK_EVENTUALLY(unacknowledged("NOTES", "tester") == 0 || now_ms() - begun > 19000);
  ck_assert_int_eq(unacknowledged("NOTES", "tester"), 0);
  recorder.answer = NULL;
  must(publish(&noted_type, "e2", 2, "x"));
  SKY_CHECK_EVENTUALLY(recorder_seen(&recorder, 2) == 1);
}
END_TEST

/* Publishes numbers one after the other, each until it is confirmed. */
typedef struct Publisher {
  unsigned from, to;
  atomic_uint confirmed;
} Publisher;

static void *publish_stubbornly(void *user) {
  Publisher *publisher = user;
  for (unsigned number = publisher->from; number < publisher->to; number++) {
    char id[16];
    snprintf(id, sizeof(id), "e%u", number);
    while (try_publish(id, number) != SKY_CODE_OK) {
      const struct timespec pause = {.tv_nsec = 5000000};
      nanosleep(&pause, NULL);
    }
    atomic_fetch_add(&publisher->confirmed, 1);
  }
  return NULL;
}

START_TEST(nothing_confirmed_is_lost_when_the_server_is_killed_and_restarted) {
  enum { PUBLISHERS = 4, EACH = 1500 };
  nats_server_start(&server);
  connect_bus();
  wait_ready();
  consume(&route, (SkyConsumerOptions){.workers = 3, .ack_wait_ms = 1000});
  Publisher publishers[PUBLISHERS];
  pthread_t threads[PUBLISHERS];
  for (unsigned i = 0; i < PUBLISHERS; i++) {
    publishers[i] = (Publisher){.from = i * EACH, .to = (i + 1) * EACH};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, publish_stubbornly, &publishers[i]), 0);
  }
  for (unsigned kill = 1; kill <= 3; kill++) {
    SKY_CHECK_EVENTUALLY(atomic_load(&publishers[0].confirmed) >= kill * EACH / 5);
    nats_server_kill(&server);
    nats_server_start(&server);
  }
  for (unsigned i = 0; i < PUBLISHERS; i++)
    pthread_join(threads[i], NULL);
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, PUBLISHERS * EACH) == PUBLISHERS * EACH);
  /* Handled, and not left behind in the stream either, where the killed server had forgotten removals. */
  int64_t begun = now_ms();
  while (stream_messages("JOBS") != 0 && now_ms() - begun < 150000) {
    const struct timespec pause = {.tv_nsec = 100000000};
    nanosleep(&pause, NULL);
  }
  ck_assert_int_eq(stream_messages("JOBS"), 0);
  ck_assert_int_eq(stream_messages("DEADLETTERS"), 0);
  ck_assert_uint_ge(sky_bus_stats(bus).reconnects, 3);
}
END_TEST

SKY_CHECK_MAIN_WITH("bus/outage", setup, stop_all, a_bus_starts_without_a_server_and_becomes_ready_when_it_comes,
                    a_bus_closes_without_having_met_a_server, a_server_without_jetstream_is_unavailable_at_once,
                    a_stopped_server_fails_publications_fast_after_a_moment,
                    a_stopped_server_is_left_at_the_deadline_of_the_context, a_cancelled_publication_is_left_at_once,
                    a_server_that_lost_its_data_gets_streams_and_consumers_again,
                    a_message_removed_behind_its_back_does_not_hold_a_consumer_up,
                    nothing_confirmed_is_lost_when_the_server_is_killed_and_restarted)
