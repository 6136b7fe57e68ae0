#include <stdio.h>

#include "bus_kit.h"

static Recorder recorder;
static SkyEventRoute route;

static void setup(void) {
  start_all();
  recorder_init(&recorder);
  route = recorder_route(&recorder, &position_type);
}

static SkySubscription *subscribe(const SkyEventRoute *to, const char *id) {
  SkySubscription *subscription = NULL;
  must(sky_bus_subscribe(bus, to, id, &subscription));
  return subscription;
}

START_TEST(every_subscriber_gets_every_message) {
  static Recorder second;
  recorder_init(&second);
  const SkyEventRoute other = recorder_route(&second, &position_type);
  SkySubscription *a = subscribe(&route, NULL);
  SkySubscription *b = subscribe(&other, NULL);
  for (int i = 0; i < 20; i++)
    must(publish(&position_type, "p", i, "x"));
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 20) == 20 && recorder_distinct(&second, 20) == 20);
  sky_subscription_close(a);
  sky_subscription_close(b);
}
END_TEST

START_TEST(a_subscription_to_one_aggregate_gets_only_that) {
  SkySubscription *subscription = subscribe(&route, "t3");
  for (int i = 0; i < 30; i++)
    must(publish(&position_type, "p", i, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 3);
  ck_assert_uint_eq(recorder_seen(&recorder, 3) + recorder_seen(&recorder, 13) + recorder_seen(&recorder, 23), 3);
  sky_subscription_close(subscription);
}
END_TEST

START_TEST(after_closing_no_handler_runs) {
  for (int round = 0; round < 50; round++) {
    SkySubscription *subscription = subscribe(&route, NULL);
    for (int i = 0; i < 20; i++)
      must(publish(&position_type, "p", i, "x"));
    sky_subscription_close(subscription);
    unsigned calls = atomic_load(&recorder.calls);
    must(publish(&position_type, "p", 1, "x"));
    must(publish_raw("test.jobs.a.1", NULL, SKY_STR("a round trip"), NULL));
    ck_assert_uint_eq(atomic_load(&recorder.calls), calls);
  }
}
END_TEST

static SkySubscription *self_closing;

static SkyStatus close_itself(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self, (void)incoming, (void)event;
  sky_subscription_close(self_closing);
  return SKY_OK;
}

START_TEST(a_handler_may_close_its_own_subscription) {
  recorder.answer = close_itself;
  self_closing = subscribe(&route, NULL);
  for (int i = 0; i < 20; i++)
    must(publish(&position_type, "p", i, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
}
END_TEST

static atomic_bool go_on;

static SkyStatus wait_first(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)incoming, (void)event;
  if (atomic_load(&self->calls) == 0)
    SKY_CHECK_EVENTUALLY(atomic_load(&go_on));
  return SKY_OK;
}

START_TEST(a_slow_subscriber_loses_the_oldest_and_gets_the_newest) {
  recorder.answer = wait_first;
  SkySubscription *subscription = subscribe(&route, NULL);
  for (int i = 0; i < 1000; i++)
    must(publish(&position_type, "p", i, "x"));
  SKY_CHECK_EVENTUALLY(sky_bus_stats(bus).dropped > 900);
  atomic_store(&go_on, true);
  SKY_CHECK_EVENTUALLY(recorder_seen(&recorder, 999) == 1);
  ck_assert_uint_eq(atomic_load(&recorder.calls) + sky_bus_stats(bus).dropped, 1000);
  sky_subscription_close(subscription);
}
END_TEST

START_TEST(subscriptions_survive_a_restart_of_the_server) {
  SkySubscription *subscription = subscribe(&route, "t1");
  nats_server_kill(&server);
  nats_server_start(&server);
  wait_ready();
  must(publish(&position_type, "p", 1, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
  sky_subscription_close(subscription);
}
END_TEST

START_TEST(closing_the_bus_closes_its_subscriptions) {
  subscribe(&route, NULL);
  subscribe(&route, "t1");
  must(publish(&position_type, "p", 1, "x"));
}
END_TEST

/* With messages that are counted: 1 of its own, 2 of another's. */
START_TEST(without_echo_a_bus_hears_others_and_not_itself) {
  SkyBus *other = bus;
  bus = connect_one(true);
  wait_ready();
  SkySubscription *subscription = subscribe(&route, NULL);
  must(publish(&position_type, "p", 1, "x"));
  must(publish_raw("test.jobs.a.1", NULL, SKY_STR("a round trip"), NULL));
  SkyBus *own = bus;
  bus = other;
  must(publish(&position_type, "p", 2, "x"));
  SKY_CHECK_EVENTUALLY(recorder_seen(&recorder, 2) == 1);
  ck_assert_uint_eq(recorder_seen(&recorder, 1), 0);
  sky_subscription_close(subscription);
  sky_bus_close(own, 5000);
}
END_TEST

START_TEST(without_echo_a_consumer_gets_what_its_bus_has_published) {
  SkyBus *other = bus;
  bus = connect_one(true);
  wait_ready();
  const SkyEventRoute jobs = recorder_route(&recorder, &happened_type);
  SkyConsumer *consumer = consume(&jobs, (SkyConsumerOptions){0});
  must(publish(&happened_type, "own", 1, "x"));
  SKY_CHECK_EVENTUALLY(recorder_seen(&recorder, 1) == 1);
  sky_consumer_stop(consumer, 5000);
  sky_bus_close(bus, 5000);
  bus = other;
}
END_TEST

START_TEST(an_id_with_wildcards_is_refused) {
  SkySubscription *subscription = NULL;
  expect(SKY_CODE_INVALID_ARGUMENT, sky_bus_subscribe(bus, &route, "*", &subscription));
  expect(SKY_CODE_INVALID_ARGUMENT, sky_bus_subscribe(bus, &route, "", &subscription));
}
END_TEST

SKY_CHECK_MAIN_WITH("bus/subscribe", setup, stop_all, every_subscriber_gets_every_message,
                    a_subscription_to_one_aggregate_gets_only_that, after_closing_no_handler_runs,
                    a_handler_may_close_its_own_subscription, a_slow_subscriber_loses_the_oldest_and_gets_the_newest,
                    subscriptions_survive_a_restart_of_the_server, closing_the_bus_closes_its_subscriptions,
                    without_echo_a_bus_hears_others_and_not_itself,
                    without_echo_a_consumer_gets_what_its_bus_has_published, an_id_with_wildcards_is_refused)
