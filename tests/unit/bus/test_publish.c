#include <stdio.h>
#include <string.h>

#include <sky/core/time.h>

#include "bus_kit.h"

START_TEST(a_publication_is_confirmed_with_its_sequence) {
  SkyConfirmation confirmation = {0};
  must(publish_raw("test.jobs.a.1", "m1", SKY_STR("one"), &confirmation));
  ck_assert_uint_eq(confirmation.sequence, 1);
  must(publish_raw("test.jobs.a.1", "m2", SKY_STR("two"), &confirmation));
  ck_assert_uint_eq(confirmation.sequence, 2);
  ck_assert_int_eq(stream_messages("JOBS"), 2);
  ck_assert_uint_eq(sky_bus_stats(bus).published, 2);
}
END_TEST

START_TEST(the_same_message_id_is_stored_once) {
  SkyConfirmation confirmation = {0};
  must(publish_raw("test.jobs.a.1", "same", SKY_STR("one"), NULL));
  must(publish_raw("test.jobs.a.1", "same", SKY_STR("one"), &confirmation));
  ck_assert(confirmation.duplicate);
  ck_assert_uint_eq(confirmation.sequence, 1);
  ck_assert_int_eq(stream_messages("JOBS"), 1);
}
END_TEST

START_TEST(a_subject_without_stream_is_unavailable_at_once) {
  int64_t begun = sky_clock_monotonic_ns(sky_clock_system_borrow());
  SkyStatus status = publish_raw("elsewhere.a", "m1", SKY_STR("one"), NULL);
  ck_assert_int_gt(sky_status_retry_after_ms(status), 0);
  expect(SKY_CODE_UNAVAILABLE, status);
  ck_assert_int_lt(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun, SKY_NS_PER_S);
}
END_TEST

START_TEST(wildcards_and_blanks_are_no_subject) {
  expect(SKY_CODE_INVALID_ARGUMENT, publish_raw("test.jobs.*", "m1", SKY_STR("one"), NULL));
  expect(SKY_CODE_INVALID_ARGUMENT, publish_raw("test.jobs.>", "m1", SKY_STR("one"), NULL));
  expect(SKY_CODE_INVALID_ARGUMENT, publish_raw("test jobs", "m1", SKY_STR("one"), NULL));
  expect(SKY_CODE_INVALID_ARGUMENT, publish_raw("", "m1", SKY_STR("one"), NULL));
}
END_TEST

static SkyStatus publish_large(const char *subject, unsigned number) {
  static char large[512 << 10];
  char id[16];
  snprintf(id, sizeof(id), "m%u", number);
  memset(large, 'x', sizeof(large));
  return publish_raw(subject, id, (SkyStr){large, sizeof(large)}, NULL);
}

START_TEST(a_full_queue_is_resource_exhausted) {
  enum { FIT = 31 }; /* in 16 MiB, with their headers */
  for (unsigned i = 0; i < FIT; i++)
    must(publish_large("test.jobs.a.1", i));
  SkyStatus status = publish_large("test.jobs.a.1", FIT);
  ck_assert_int_gt(sky_status_retry_after_ms(status), 0);
  expect(SKY_CODE_RESOURCE_EXHAUSTED, status);
  ck_assert_int_eq(stream_messages("JOBS"), FIT);
}
END_TEST

START_TEST(in_a_full_log_the_oldest_give_way) {
  for (unsigned i = 0; i < 4; i++)
    must(publish_large("test.notes.a.1", i));
  ck_assert_int_eq(stream_messages("NOTES"), 1);
}
END_TEST

START_TEST(more_than_the_broker_takes_is_refused) {
  static char large[1 << 20];
  memset(large, 'x', sizeof(large));
  expect(SKY_CODE_INVALID_ARGUMENT, publish_raw("test.jobs.a.1", "m1", (SkyStr){large, sizeof(large)}, NULL));
  must(publish_raw("test.jobs.a.1", "m2", (SkyStr){large, sizeof(large) - 16384}, NULL));
}
END_TEST

START_TEST(a_context_that_is_over_sends_nothing) {
  SkyContext context = sky_context_background();
  context.deadline_ns = 1;
  const SkyPublication publication = {.subject = "test.jobs.a.1", .message_id = "m1", .data = SKY_STR("one")};
  expect(SKY_CODE_DEADLINE_EXCEEDED, sky_bus_publish(bus, &context, &publication, NULL));
  must(publish_raw("test.jobs.a.1", "m2", SKY_STR("two"), NULL));
  ck_assert_int_eq(stream_messages("JOBS"), 1);
}
END_TEST

typedef struct Results {
  atomic_uint done, ok;
} Results;

static void on_published(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
  Results *results = user;
  if (status == SKY_OK && confirmation->sequence > 0)
    atomic_fetch_add(&results->ok, 1);
  sky_status_free(status);
  atomic_fetch_add(&results->done, 1);
}

START_TEST(asynchronous_publications_are_all_confirmed) {
  enum { COUNT = 5000 };
  static Results results;
  SkyContext context = sky_context_background();
  for (unsigned i = 0; i < COUNT; i++) {
    char id[16];
    snprintf(id, sizeof(id), "m%u", i);
    const SkyPublication publication = {.subject = "test.jobs.a.1", .message_id = id, .data = SKY_STR("x")};
    sky_bus_publish_async(bus, &context, &publication, on_published, &results);
  }
  SKY_CHECK_EVENTUALLY(atomic_load(&results.done) == COUNT);
  ck_assert_uint_eq(atomic_load(&results.ok), COUNT);
  ck_assert_int_eq(stream_messages("JOBS"), COUNT);
  ck_assert_uint_eq(sky_bus_stats(bus).pending, 0);
}
END_TEST

typedef struct First {
  atomic_bool done;
  SkyConfirmation confirmation;
} First;

static void on_first(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
  First *first = user;
  must(status);
  first->confirmation = *confirmation;
  atomic_store(&first->done, true);
}

static SkyConfirmation publish_first(const char *id, const char *thing) {
  static First first;
  const SkyContext context = sky_context_background();
  Happened event = SKY__BUS__TEST__HAPPENED__INIT;
  event.id = (char *)id;
  event.thing_id = (char *)thing;
  atomic_store(&first.done, false);
  sky_event_publish_first_async(bus, &context, &happened_type, &event.base, on_first, &first);
  SKY_CHECK_EVENTUALLY(atomic_load(&first.done));
  return first.confirmation;
}

START_TEST(a_first_is_stored_only_while_no_other_of_its_subject_is_there) {
  ck_assert(!publish_first("e1", "a").duplicate);
  ck_assert(publish_first("e2", "a").duplicate);
  ck_assert(publish_first("e1", "a").duplicate);
  ck_assert(!publish_first("e3", "b").duplicate);
  ck_assert_int_eq(stream_messages("JOBS"), 2);
  remove_message("JOBS", 1);
  ck_assert(!publish_first("e4", "a").duplicate);
  ck_assert_int_eq(stream_messages("JOBS"), 2);
}
END_TEST

START_TEST(an_event_carries_cloud_events_headers_and_the_trace) {
  must(publish(&noted_type, "event-1", 7, "hello"));
  ck_assert_str_eq(last_header("NOTES", "test.notes.noted.v1.t7", "ce-id"), "event-1");
  ck_assert_str_eq(last_header("NOTES", "test.notes.noted.v1.t7", "ce-type"), "sky.bus.test.Noted");
  ck_assert_str_eq(last_header("NOTES", "test.notes.noted.v1.t7", "ce-source"), "/tester");
  ck_assert_str_eq(last_header("NOTES", "test.notes.noted.v1.t7", "ce-subject"), "t7");
  ck_assert_str_eq(last_header("NOTES", "test.notes.noted.v1.t7", "ce-specversion"), "1.0");
  ck_assert_str_eq(last_header("NOTES", "test.notes.noted.v1.t7", "Nats-Msg-Id"), "event-1");
  ck_assert_uint_eq(strlen(last_header("NOTES", "test.notes.noted.v1.t7", "traceparent")), 55);
}
END_TEST

START_TEST(an_event_needs_ids_that_can_stand_in_a_subject) {
  Happened event = SKY__BUS__TEST__HAPPENED__INIT;
  SkyContext context = sky_context_background();
  event.id = (char *)"e1";
  for (size_t i = 0; i < 4; i++) {
    event.thing_id = (char *)(const char *[]){"", "a.b", "a b", "*"}[i];
    expect(SKY_CODE_INVALID_ARGUMENT, sky_event_publish(bus, &context, &noted_type, &event.base));
  }
  event.thing_id = (char *)"fine";
  event.id = (char *)"";
  expect(SKY_CODE_INVALID_ARGUMENT, sky_event_publish(bus, &context, &noted_type, &event.base));
  ck_assert_int_eq(stream_messages("NOTES"), 0);
}
END_TEST

START_TEST(an_address_that_is_none_is_refused) {
  SkyBus *none = NULL;
  const SkyBusOptions options = {.url = "http://nowhere:x", .service_name = "tester"};
  expect(SKY_CODE_INVALID_ARGUMENT, sky_bus_connect(&options, &none));
  ck_assert_ptr_null(none);
}
END_TEST

SKY_CHECK_MAIN_WITH("bus/publish", start_all, stop_all, a_publication_is_confirmed_with_its_sequence,
                    the_same_message_id_is_stored_once, a_subject_without_stream_is_unavailable_at_once,
                    wildcards_and_blanks_are_no_subject, a_full_queue_is_resource_exhausted,
                    in_a_full_log_the_oldest_give_way, more_than_the_broker_takes_is_refused,
                    a_context_that_is_over_sends_nothing, asynchronous_publications_are_all_confirmed,
                    a_first_is_stored_only_while_no_other_of_its_subject_is_there,
                    an_event_carries_cloud_events_headers_and_the_trace, an_event_needs_ids_that_can_stand_in_a_subject,
                    an_address_that_is_none_is_refused)
