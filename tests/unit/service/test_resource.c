/* Ids, times and entity tags of resources. */
#include "sky_check.h"

#include <string.h>

#include <sky/core/time.h>
#include <sky/service/resource.h>

static SkyArena arena;
static SkySeededRandom seeded;

static void setup(void) {
  sky_arena_init(&arena, 1 << 16);
  sky_seeded_random_init(&seeded, 3);
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

static int64_t ms(int64_t seconds, int32_t nanos) {
  protobuf_Timestamp timestamp = protobuf_Timestamp_INIT;
  timestamp.seconds = seconds;
  timestamp.nanos = nanos;
  return sky_timestamp_ms(&timestamp);
}

static void assert_timestamp(int64_t unix_ms, int64_t seconds, int32_t nanos) {
  const protobuf_Timestamp *timestamp = sky_timestamp_create(&arena, unix_ms);
  ck_assert_int_eq(timestamp->seconds, seconds);
  ck_assert_int_eq(timestamp->nanos, nanos);
  ck_assert_int_eq(sky_timestamp_ms(timestamp), unix_ms);
}

/* ---- ids ---- */

static const int64_t now_ms = 1795000000000;
/* The namespace of DNS (RFC 9562, 6.6). */
static const SkyUuid names = {
    {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}};

static const char *id_at(const char *scope, const char *key, int64_t at_ms) {
  static char ids[4][SKY_UUID_TEXT_SIZE];
  static size_t next;
  char *id = ids[next++ % 4];
  SkyUuid uuid;
  sky_resource_id(&names, scope, key, at_ms, &seeded.random, id);
  ck_assert(sky_uuid_parse(sky_str(id), &uuid));
  return id;
}

static const char *id_of(const char *scope, const char *key) {
  return id_at(scope, key, now_ms);
}

START_TEST(the_same_key_gives_the_same_id_at_any_time) {
  const char *first = id_at("acme", "key-1", now_ms), *again = id_at("acme", "key-1", now_ms + 3600000);
  ck_assert_str_eq(first, again);
  ck_assert_int_eq(first[14], '5');
}
END_TEST

/* What is stored is found again by its key only while these stay. Made by Python's uuid.uuid5(). */
START_TEST(the_id_of_a_key_never_changes) {
  ck_assert_str_eq(id_of("acme", "key-1"), "684ef187-6842-5f3f-9718-483e9c980e7b");
  ck_assert_str_eq(id_of("", "key-1"), "9ab06f63-8a18-5565-8776-623fff02e91b");
  ck_assert_str_eq(id_of(NULL, "key-1"), "f32396dc-3a2b-52cf-8dae-1f652dede6a7");
}
END_TEST

START_TEST(another_key_or_scope_gives_another_id) {
  const char *id = id_of("acme", "key-1");
  ck_assert_str_ne(id, id_of("acme", "key-2"));
  ck_assert_str_ne(id, id_of("acme2", "key-1"));
  ck_assert_str_ne(id, id_of("", "key-1"));
  ck_assert_str_ne(id_of("a", "bc"), id_of("ab", "c"));
}
END_TEST

/* The contracts count characters: a key of 255 may have 1020 bytes, and the last of them counts like the first. */
START_TEST(the_last_byte_of_the_longest_key_counts) {
  char scope[4 * 64 + 1], key[4 * 255 + 1], other[4 * 255 + 1];
  for (size_t i = 0; i < 64; i++)
    memcpy(scope + 4 * i, "\xF0\x9F\x9A\x81", 5);
  for (size_t i = 0; i < 255; i++)
    memcpy(key + 4 * i, "\xF0\x9F\x9A\x81", 5);
  memcpy(other, key, sizeof(key));
  other[4 * 255 - 1] = '\x82';
  ck_assert_str_ne(id_of(scope, key), id_of(scope, other));
}
END_TEST

START_TEST(without_a_key_ids_are_new_and_ordered_by_time) {
  const char *first = id_at("acme", "", now_ms), *second = id_at("acme", "", now_ms);
  const char *later = id_at("acme", "", now_ms + 1);
  ck_assert_int_eq(first[14], '7');
  ck_assert_str_ne(first, second);
  ck_assert_int_lt(strcmp(first, later), 0);
}
END_TEST

/* ---- times ---- */

START_TEST(times_are_the_same_there_and_back) {
  assert_timestamp(0, 0, 0);
  assert_timestamp(1, 0, 1000000);
  assert_timestamp(1795000000999, 1795000000, 999000000);
}
END_TEST

/* google.protobuf.Timestamp: nanos count forward, also before 1970. */
START_TEST(before_1970_nanos_still_count_forward) {
  assert_timestamp(-1, -1, 999000000);
  assert_timestamp(-1000, -1, 0);
  assert_timestamp(-1001, -2, 999000000);
}
END_TEST

START_TEST(the_ends_of_the_calendar_are_kept) {
  assert_timestamp(sky_time_from_civil(1, 1, 1) * 1000, -62135596800, 0);
  assert_timestamp(253402300799999, 253402300799, 999000000);
}
END_TEST

START_TEST(parts_of_a_ms_are_cut) {
  ck_assert_int_eq(ms(5, 1999999), 5001);
  ck_assert_int_eq(ms(5, 999999), 5000);
}
END_TEST

START_TEST(no_time_is_0) {
  ck_assert_int_eq(sky_timestamp_ms(NULL), 0);
}
END_TEST

START_TEST(times_outside_the_calendar_become_the_nearest_inside) {
  ck_assert_int_eq(ms(INT64_MAX, 0), 253402300799000);
  ck_assert_int_eq(ms(INT64_MIN, 0), -62135596800000);
}
END_TEST

START_TEST(ns_stop_at_the_ends_of_their_range) {
  ck_assert_int_eq(sky_unix_ns(5, 7), 5000000007);
  ck_assert_int_eq(sky_unix_ns(-1, 999999999), -1);
  ck_assert_int_eq(sky_unix_ns(253402300799, 0), INT64_MAX);
  ck_assert_int_eq(sky_unix_ns(9223372036, 999999999), INT64_MAX);
  ck_assert_int_eq(sky_unix_ns(-62135596800, 0), INT64_MIN);
}
END_TEST

START_TEST(without_memory_there_is_none) {
  SkyArena none;
  sky_arena_init(&none, 1);
  ck_assert_ptr_null(sky_timestamp_create(&none, 0));
  ck_assert_ptr_null(sky_etag_create(&none, 1));
  sky_arena_finish(&none);
}
END_TEST

/* ---- entity tags ---- */

static void assert_match(const char *if_match, int64_t version) {
  SkyStatus status = sky_etag_check(if_match, version);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void assert_mismatch(const char *if_match, int64_t version) {
  SkyStatus status = sky_etag_check(if_match, version);
  ck_assert_msg(sky_status_code(status) == SKY_CODE_ABORTED, "\"%s\" matches", if_match);
  ck_assert_str_eq(sky_status_reason(status), "ETAG_MISMATCH");
  sky_status_free(status);
}

START_TEST(a_tag_names_its_version) {
  ck_assert_str_eq(sky_etag_create(&arena, 3), "v3");
  ck_assert_str_eq(sky_etag_create(&arena, INT64_MAX), "v9223372036854775807");
}
END_TEST

START_TEST(a_tag_matches_its_own_version_alone) {
  for (int64_t version = 1; version < 12; version++) {
    assert_match(sky_etag_create(&arena, version), version);
    assert_mismatch(sky_etag_create(&arena, version), version + 1);
  }
  assert_mismatch("v1", 11);
  assert_mismatch("v11", 1);
}
END_TEST

START_TEST(nothing_and_a_star_match_every_version) {
  assert_match("", 1);
  assert_match("*", INT64_MAX);
}
END_TEST

START_TEST(what_is_no_tag_matches_nothing) {
  static const char *const wrong[] = {"1", "v", "V1", "v1 ", " v1", "v01", "v1,v2", "\"v1\"", "**"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
    assert_mismatch(wrong[i], 1);
}
END_TEST

SKY_CHECK_MAIN_WITH("service/resource", setup, teardown, the_same_key_gives_the_same_id_at_any_time,
                    the_id_of_a_key_never_changes, another_key_or_scope_gives_another_id,
                    the_last_byte_of_the_longest_key_counts, without_a_key_ids_are_new_and_ordered_by_time,
                    times_are_the_same_there_and_back, before_1970_nanos_still_count_forward,
                    the_ends_of_the_calendar_are_kept, parts_of_a_ms_are_cut, no_time_is_0,
                    times_outside_the_calendar_become_the_nearest_inside, ns_stop_at_the_ends_of_their_range,
                    without_memory_there_is_none, a_tag_names_its_version, a_tag_matches_its_own_version_alone,
                    nothing_and_a_star_match_every_version, what_is_no_tag_matches_nothing)
