#include <string.h>

#include <sky/core/time.h>

#include "bus_kit.h"

static SkyArena arena;
static SkyContext context;

static void setup(void) {
  start_all();
  sky_arena_init(&arena, 4 << 20);
  context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, 20000);
}

static void teardown(void) {
  sky_arena_finish(&arena);
  stop_all();
}

START_TEST(a_queued_message_is_read_back_until_it_is_acknowledged) {
  SkyStr data = {0};
  int64_t time_ms = 0;
  const char *subject = "test.jobs.happened.v1.t1";
  expect(SKY_CODE_NOT_FOUND, sky_bus_get_last(bus, &context, "JOBS", subject, &arena, &data, &time_ms));
  must(publish_raw(subject, "e1",
                   SKY_STR("\x0a\x02"
                           "e1"
                           "\x12\x02"
                           "t1"),
                   NULL));
  must(sky_bus_get_last(bus, &context, "JOBS", subject, &arena, &data, &time_ms));
  ck_assert_uint_eq(data.size, 8);
  int64_t age_ms = sky_clock_wall_ms(sky_clock_system_borrow()) - time_ms;
  ck_assert_int_ge(age_ms, -1000);
  ck_assert_int_lt(age_ms, 60000);
  static Recorder recorder;
  recorder_init(&recorder);
  const SkyEventRoute route = recorder_route(&recorder, &happened_type);
  consume(&route, (SkyConsumerOptions){0});
  SKY_CHECK_EVENTUALLY(stream_messages("JOBS") == 0);
  expect(SKY_CODE_NOT_FOUND, sky_bus_get_last(bus, &context, "JOBS", subject, &arena, &data, &time_ms));
}
END_TEST

START_TEST(the_newest_message_of_a_subject_is_the_one) {
  SkyStr data = {0};
  must(publish_raw("test.notes.a", "m1", SKY_STR("old"), NULL));
  must(publish_raw("test.notes.a", "m2", SKY_STR("new"), NULL));
  must(publish_raw("test.notes.b", "m3", SKY_STR("other"), NULL));
  must(sky_bus_get_last(bus, &context, "NOTES", "test.notes.a", &arena, &data, NULL));
  ck_assert(sky_str_is(data, "new"));
}
END_TEST

START_TEST(reading_back_without_a_server_is_unavailable_at_once) {
  nats_server_kill(&server);
  SkyStr data = {0};
  SKY_CHECK_EVENTUALLY(!sky_bus_is_ready(bus));
  int64_t begun = sky_clock_monotonic_ns(sky_clock_system_borrow());
  expect(SKY_CODE_UNAVAILABLE, sky_bus_get_last(bus, &context, "JOBS", "test.jobs.a", &arena, &data, NULL));
  ck_assert_int_lt(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun, SKY_NS_PER_S);
}
END_TEST

START_TEST(values_of_a_bucket_are_put_replaced_and_got) {
  SkyStr value = {0};
  expect(SKY_CODE_NOT_FOUND, sky_bus_kv_get(bus, &context, "places", "thing-1", &arena, &value));
  must(sky_bus_kv_put(bus, &context, "places", "thing-1", SKY_STR("here")));
  must(sky_bus_kv_put(bus, &context, "places", "thing-2", SKY_STR("")));
  must(sky_bus_kv_put(bus, &context, "places", "thing-1", SKY_STR("there")));
  must(sky_bus_kv_get(bus, &context, "places", "thing-1", &arena, &value));
  ck_assert(sky_str_is(value, "there"));
  must(sky_bus_kv_get(bus, &context, "places", "thing-2", &arena, &value));
  ck_assert_uint_eq(value.size, 0);
  expect(SKY_CODE_NOT_FOUND, sky_bus_kv_get(bus, &context, "places", "thing-3", &arena, &value));
  ck_assert_int_eq(stream_messages("KV_places"), 2); /* last values only */
}
END_TEST

START_TEST(keys_that_cannot_be_are_refused) {
  expect(SKY_CODE_INVALID_ARGUMENT, sky_bus_kv_put(bus, &context, "places", "a b", SKY_STR("x")));
  expect(SKY_CODE_INVALID_ARGUMENT, sky_bus_kv_put(bus, &context, "places", "*", SKY_STR("x")));
  expect(SKY_CODE_INVALID_ARGUMENT, sky_bus_kv_put(bus, &context, "places", "", SKY_STR("x")));
}
END_TEST

SKY_CHECK_MAIN_WITH("bus/read_back", setup, teardown, a_queued_message_is_read_back_until_it_is_acknowledged,
                    the_newest_message_of_a_subject_is_the_one, reading_back_without_a_server_is_unavailable_at_once,
                    values_of_a_bucket_are_put_replaced_and_got, keys_that_cannot_be_are_refused)
