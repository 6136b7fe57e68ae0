#include <stdio.h>
#include <string.h>

#include <sky/core/time.h>

#include "bus_kit.h"

static Recorder recorder;
static SkyEventRoute route;

static void setup(void) {
  start_all();
  recorder_init(&recorder);
  route = recorder_route(&recorder, &happened_type);
}

static void publish_many(const SkyEventType *type, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    char id[40];
    snprintf(id, sizeof(id), "%s-%u", type->subject, i);
    must(publish(type, id, i, "x"));
  }
}

START_TEST(every_event_is_handled_once_and_acknowledged) {
  publish_many(&happened_type, 300);
  consume(&route, (SkyConsumerOptions){.workers = 4});
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 300) == 300);
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 0);
  ck_assert_uint_eq(atomic_load(&recorder.calls), 300);
  ck_assert_str_eq(recorder.source, "/tester");
}
END_TEST

START_TEST(the_trace_of_the_publisher_goes_on) {
  Happened event = SKY__BUS__TEST__HAPPENED__INIT;
  event.id = (char *)"e1";
  event.thing_id = (char *)"t1";
  SkyContext context = sky_context_background();
  must(sky_event_publish(bus, &context, &happened_type, &event.base));
  consume(&route, (SkyConsumerOptions){0});
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
  ck_assert_mem_eq(recorder.trace.trace_id, context.trace.trace_id, 16);
  ck_assert_mem_ne(recorder.trace.span_id, context.trace.span_id, 8);
}
END_TEST

static SkyStatus fail_twice(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self, (void)event;
  return sky_incoming_attempt(incoming) <= 2 ? SKY_UNAVAILABLE("not yet") : SKY_OK;
}

START_TEST(a_retryable_error_brings_it_again_after_a_growing_delay) {
  recorder.answer = fail_twice;
  consume(&route, (SkyConsumerOptions){0});
  must(publish(&happened_type, "e1", 1, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 3);
  int64_t first_ms = (recorder.times_ns[1] - recorder.times_ns[0]) / SKY_NS_PER_MS;
  int64_t second_ms = (recorder.times_ns[2] - recorder.times_ns[1]) / SKY_NS_PER_MS;
  ck_assert_int_ge(first_ms, 95);   /* 100 to 200 ms */
  ck_assert_int_ge(second_ms, 195); /* 200 to 400 ms */
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 0);
  ck_assert_int_eq(stream_messages("DEADLETTERS"), 0);
  ck_assert_uint_eq(sky_bus_stats(bus).redelivered, 2);
}
END_TEST

static SkyStatus refuse(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self, (void)incoming, (void)event;
  return sky_status_with_reason(SKY_FAILED_PRECONDITION("no such\nthing"), "NO_SUCH_THING");
}

START_TEST(a_permanent_error_goes_to_the_dead_letters_with_its_reason) {
  recorder.answer = refuse;
  consume(&route, (SkyConsumerOptions){0});
  must(publish(&happened_type, "e1", 3, "x"));
  SKY_CHECK_EVENTUALLY(stream_messages("DEADLETTERS") == 1 && stream_messages("JOBS") == 0);
  const char *subject = "dead.JOBS.tester";
  ck_assert_str_eq(last_header("DEADLETTERS", subject, "Dead-Code"), "FAILED_PRECONDITION");
  ck_assert_str_eq(last_header("DEADLETTERS", subject, "Dead-Reason"), "NO_SUCH_THING");
  ck_assert_str_eq(last_header("DEADLETTERS", subject, "Dead-Message"), "no such thing");
  ck_assert_str_eq(last_header("DEADLETTERS", subject, "Dead-Attempts"), "1");
  ck_assert_str_eq(last_header("DEADLETTERS", subject, "Dead-Subject"), "test.jobs.happened.v1.t3");
  ck_assert_str_eq(last_header("DEADLETTERS", subject, "Dead-Sequence"), "1");
  ck_assert_str_eq(last_header("DEADLETTERS", subject, "ce-id"), "e1");
  ck_assert_uint_eq(atomic_load(&recorder.calls), 1);
  ck_assert_uint_eq(sky_bus_stats(bus).dead_lettered, 1);
}
END_TEST

static SkyStatus always_unavailable(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self, (void)incoming, (void)event;
  return SKY_UNAVAILABLE("still not");
}

START_TEST(too_many_attempts_end_in_the_dead_letters) {
  recorder.answer = always_unavailable;
  consume(&route, (SkyConsumerOptions){.max_deliver = 2});
  must(publish(&happened_type, "e1", 1, "x"));
  SKY_CHECK_EVENTUALLY(stream_messages("DEADLETTERS") == 1 && stream_messages("JOBS") == 0);
  ck_assert_uint_eq(atomic_load(&recorder.calls), 2);
  ck_assert_str_eq(last_header("DEADLETTERS", "dead.JOBS.tester", "Dead-Attempts"), "2");
}
END_TEST

START_TEST(what_cannot_be_read_goes_to_the_dead_letters) {
  consume(&route, (SkyConsumerOptions){.max_message_bytes = 100});
  must(publish_raw("test.jobs.happened.v1.t1", "bad", SKY_STR("\x0a\xff\xff"), NULL));
  must(publish_raw("test.jobs.happened.v1.t1", "utf8", SKY_STR("\x0a\x02\xff\xfe"), NULL));
  char large[200] = {0};
  must(publish_raw("test.jobs.happened.v1.t1", "large", (SkyStr){large, sizeof(large)}, NULL));
  SKY_CHECK_EVENTUALLY(stream_messages("DEADLETTERS") == 3 && stream_messages("JOBS") == 0);
  ck_assert_uint_eq(atomic_load(&recorder.calls), 0);
  ck_assert_str_eq(last_header("DEADLETTERS", "dead.JOBS.tester", "Dead-Code"), "INVALID_ARGUMENT");
}
END_TEST

static SkyStatus defer(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)event;
  self->deferred[atomic_fetch_add(&self->deferred_count, 1)] = incoming;
  return sky_incoming_defer(incoming);
}

START_TEST(a_deferred_message_is_settled_later_from_any_thread) {
  recorder.answer = defer;
  SkyConsumer *consumer = consume(&route, (SkyConsumerOptions){.workers = 1, .max_ack_pending = 5});
  publish_many(&happened_type, 12);
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.deferred_count) == 5);
  ck_assert_int_eq(stream_messages("JOBS"), 12);
  for (unsigned settled = 0; settled < 12; settled++) {
    SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) > settled);
    ck_assert_uint_le(atomic_load(&recorder.deferred_count),
                      settled + 5); /* never more than max_ack_pending are held */
    sky_incoming_settle(recorder.deferred[settled], SKY_OK);
  }
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 0);
  sky_consumer_stop(consumer, 5000);
  ck_assert_uint_eq(atomic_load(&recorder.calls), 12);
}
END_TEST

START_TEST(acknowledgements_are_confirmed_when_asked_for) {
  publish_many(&happened_type, 50);
  SkyConsumer *consumer = consume(&route, (SkyConsumerOptions){.ack_sync = true});
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 50) == 50);
  sky_consumer_stop(consumer, 5000); /* waits for the confirmations */
  ck_assert_int_eq(stream_messages("JOBS"), 0);
}
END_TEST

static atomic_bool release_handlers;

static SkyStatus hold(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self, (void)event;
  for (int i = 0; i < 30 && !atomic_load(&release_handlers); i++) {
    const struct timespec pause = {.tv_nsec = 100000000};
    nanosleep(&pause, NULL); /* the work that takes long */
    sky_incoming_in_progress(incoming);
  }
  return SKY_OK;
}

START_TEST(work_in_progress_is_not_given_to_another) {
  recorder.answer = hold;
  consume(&route, (SkyConsumerOptions){.workers = 2, .ack_wait_ms = 500});
  must(publish(&happened_type, "e1", 1, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1); /* after 3 s: six ack waits */
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 0);
  ck_assert_uint_eq(recorder_seen(&recorder, 1), 1);
}
END_TEST

static int64_t deadline_left_ns;

static SkyStatus note_deadline(Recorder *self, SkyIncoming *incoming, const Happened *event) {
  (void)self, (void)event;
  deadline_left_ns = sky_incoming_context(incoming)->deadline_ns - sky_clock_monotonic_ns(sky_clock_system_borrow());
  return SKY_OK;
}

START_TEST(the_deadline_of_a_handler_is_the_ack_wait) {
  recorder.answer = note_deadline;
  consume(&route, (SkyConsumerOptions){.ack_wait_ms = 7000});
  must(publish(&happened_type, "e1", 1, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
  ck_assert_int_le(deadline_left_ns, 7 * SKY_NS_PER_S);
  ck_assert_int_ge(deadline_left_ns, 6 * SKY_NS_PER_S);
}
END_TEST

static void *stop_consumer(void *consumer) {
  sky_consumer_stop(consumer, 10000);
  return NULL;
}

START_TEST(stopping_waits_for_handlers_in_progress_and_leaves_the_rest) {
  recorder.answer = hold;
  publish_many(&happened_type, 20);
  SkyConsumer *consumer = consume(&route, (SkyConsumerOptions){.workers = 2});
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 20) == 2);
  pthread_t stopper;
  ck_assert_int_eq(pthread_create(&stopper, NULL, stop_consumer, consumer), 0);
  atomic_store(&release_handlers, true);
  pthread_join(stopper, NULL);
  unsigned handled = atomic_load(&recorder.calls);
  ck_assert_uint_ge(handled, 2);
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 20 - (int64_t)handled);
  /* What was left comes to the next consumer at once: it was given back, not kept until the ack wait is over. */
  recorder.answer = NULL;
  int64_t begun = sky_clock_monotonic_ns(sky_clock_system_borrow());
  consume(&route, (SkyConsumerOptions){.workers = 2});
  SKY_CHECK_EVENTUALLY(recorder_distinct(&recorder, 20) == 20);
  ck_assert_int_lt(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun, 10 * SKY_NS_PER_S);
}
END_TEST

START_TEST(only_the_events_of_the_routes_are_handled) {
  route = recorder_route(&recorder, &noted_type);
  consume(&route, (SkyConsumerOptions){0});
  must(publish_raw("test.notes.ended.v1.t1", "other", SKY_STR("\x0a\x01x"), NULL));
  must(publish(&noted_type, "e1", 5, "x"));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1);
  ck_assert_int_eq(stream_messages("DEADLETTERS"), 0);
  ck_assert_int_eq(stream_messages("NOTES"), 2); /* others may read them */
}
END_TEST

START_TEST(several_routes_share_one_durable) {
  static Recorder ended;
  recorder_init(&ended);
  const SkyEventRoute routes[] = {recorder_route(&recorder, &noted_type), recorder_route(&ended, &ended_type)};
  SkyConsumer *consumer = NULL;
  must(sky_bus_consume(
      bus, &(SkyConsumerOptions){.stream = "NOTES", .durable = "both", .routes = routes, .route_count = 2}, &consumer));
  must(publish(&noted_type, "e1", 5, "x"));
  must(publish_raw("test.notes.ended.v1.t1", "e2",
                   SKY_STR("\x0a\x02"
                           "e2"
                           "\x12\x02"
                           "t1"),
                   NULL));
  must(publish_raw("test.notes.unknown.v1.t1", "e3", SKY_STR("?"), NULL));
  SKY_CHECK_EVENTUALLY(atomic_load(&recorder.calls) == 1 && atomic_load(&ended.calls) == 1);
  ck_assert_int_eq(stream_messages("DEADLETTERS"), 0);
}
END_TEST

START_TEST(a_consumer_of_an_undeclared_stream_is_refused) {
  SkyConsumer *consumer = NULL;
  const SkyConsumerOptions options = {.stream = "OTHER", .durable = "tester", .routes = &route, .route_count = 1};
  expect(SKY_CODE_INVALID_ARGUMENT, sky_bus_consume(bus, &options, &consumer));
}
END_TEST

SKY_CHECK_MAIN_WITH("bus/consume", setup, stop_all, every_event_is_handled_once_and_acknowledged,
                    the_trace_of_the_publisher_goes_on, a_retryable_error_brings_it_again_after_a_growing_delay,
                    a_permanent_error_goes_to_the_dead_letters_with_its_reason,
                    too_many_attempts_end_in_the_dead_letters, what_cannot_be_read_goes_to_the_dead_letters,
                    a_deferred_message_is_settled_later_from_any_thread, acknowledgements_are_confirmed_when_asked_for,
                    work_in_progress_is_not_given_to_another, the_deadline_of_a_handler_is_the_ack_wait,
                    stopping_waits_for_handlers_in_progress_and_leaves_the_rest,
                    only_the_events_of_the_routes_are_handled, several_routes_share_one_durable,
                    a_consumer_of_an_undeclared_stream_is_refused)
