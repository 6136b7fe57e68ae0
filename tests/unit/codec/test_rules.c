/* Validation by the tables that protoc-gen-sky writes for torture.proto. One valid message; each test spoils something.
 */
#include "sky_check.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include <sky/codec/message.h>
#include <sky/codec/rules.h>

#include "torture.sky.h"

#define M(name) plugin_v1beta1_##name

static const char uuid[] = "0190b5f0-1c2d-7e3f-8a4b-5c6d7e8f9a0b";
static M(Scalars) scalars = M(Scalars_INIT);
static const char *tags[] = {"a", "b"};
static M(Rules_CountsEntry) count_entry = M(Rules_CountsEntry_INIT);
static M(Rules_CountsEntry) * counts[] = {&count_entry, &count_entry, &count_entry};
static protobuf_Timestamp instant = protobuf_Timestamp_INIT;
static protobuf_Duration duration = protobuf_Duration_INIT;
static uint8_t blob[] = {1, 2};
static M(Rules) rules;

static void setup(void) {
  count_entry.key = "k";
  count_entry.value = 1;
  instant.seconds = 150;
  duration.seconds = 1;
  rules = (M(Rules))M(Rules_INIT);
  rules.required_text = "x";
  rules.behaves = "x";
  rules.required_message = &scalars;
  rules.sized = "abc";
  rules.four = "köln"; /* four characters, five bytes */
  rules.four_bytes = "abcd";
  rules.bytes_sized = "abc";
  rules.pattern = "a.b-c_D9";
  rules.parts = "a\"?mz";
  rules.chosen = "two";
  rules.constant = "this";
  rules.uuid = uuid;
  rules.email = "a@example.com";
  rules.uri = "https://example.com/";
  rules.blob = (ProtobufCBinaryData){sizeof(blob), blob};
  rules.a_uint64 = UINT64_MAX;
  rules.must = true;
  rules.required_color = plugin_v1beta1_COLOR_RED;
  M(Rules_set_required_optional)(&rules, 0);
  rules.n_tags = 2;
  rules.tags = tags;
  rules.n_counts = 1;
  rules.counts = counts;
  rules.time = &instant;
  rules.duration = &duration;
  M(Rules_set_by_number)(&rules, 0);
  rules.n_required_list = 2;
  rules.required_list = tags;
}

static void expect_valid(void) {
  SkyStatus status = M(Rules_validate)(&rules);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

/* Exactly this violation. */
static void expect(const char *field, const char *description) {
  SkyStatus status = M(Rules_validate)(&rules);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_uint_eq(sky_status_violation_count(status), 1);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, field);
  ck_assert_str_eq(sky_status_violation(status, 0)->description, description);
  sky_status_free(status);
  setup();
}

START_TEST(the_valid_message_is_valid) {
  expect_valid();
}
END_TEST

START_TEST(required) {
  rules.required_text = "";
  expect("required_text", "is required");
  rules.behaves = "";
  expect("behaves", "is required");
  rules.required_message = NULL;
  expect("required_message", "is required");
  rules.required_color = plugin_v1beta1_COLOR_UNSPECIFIED;
  expect("required_color", "is required");
  M(Rules_clear_required_optional)(&rules);
  expect("required_optional", "is required");
  rules.n_required_list = 0;
  expect("required_list", "is required");
  rules.required_number = 0; /* by field_behavior only: 0 may be meant */
  expect_valid();
}
END_TEST

START_TEST(text_sizes) {
  rules.sized = "a";
  expect("sized", "must have at least 2 characters");
  rules.sized = "äöüßé";
  expect("sized", "must have at most 4 characters");
  rules.four = "abc";
  expect("four", "must have at least 4 characters");
  rules.four_bytes = "köln";
  expect("four_bytes", "must have at most 4 bytes");
  rules.bytes_sized = "a";
  expect("bytes_sized", "must have at least 2 bytes");
  rules.blob.len = 0;
  SkyStatus status = M(Rules_validate)(&rules);
  ck_assert_uint_eq(sky_status_violation_count(status), 2); /* size and prefix */
  sky_status_free(status);
}
END_TEST

START_TEST(text_contents) {
  rules.pattern = "Upper";
  expect("pattern", "must match ^[a-z][\\w.-]*$");
  rules.pattern = "a b";
  expect("pattern", "must match ^[a-z][\\w.-]*$");
  rules.parts = "a\"?m";
  expect("parts", "must end with \"z\"");
  rules.parts = "mz";
  expect("parts", "must begin with \"a\"?\"");
  rules.parts = "a\"?z";
  expect("parts", "must contain \"m\"");
  rules.parts = "a\"?mxxz";
  expect("parts", "must not contain \"xx\"");
  rules.chosen = "three";
  expect("chosen", "must be one of the 2 values allowed");
  rules.not_chosen = "worse";
  expect("not_chosen", "must not have this value");
  rules.constant = "that";
  expect("constant", "must be \"this\"");
  rules.uuid = "x";
  expect("uuid", "must be a UUID");
  rules.email = "x";
  expect("email", "must be an email address");
  rules.uri = "x";
  expect("uri", "must be an absolute URI");
  blob[0] = 9;
  expect("blob", "must begin with \"\x01\"");
  blob[0] = 1;
}
END_TEST

START_TEST(ignored_when_zero_or_always) {
  rules.maybe_uuid = "x";
  expect("maybe_uuid", "must be a UUID");
  rules.never = "not a uuid";
  expect_valid();
}
END_TEST

START_TEST(integers) {
  rules.an_int32 = -4;
  expect("an_int32", "must be greater than or equal to -3 and less than 10");
  rules.an_int32 = 10;
  expect("an_int32", "must be greater than or equal to -3 and less than 10");
  rules.an_int32 = 6;
  expect("an_int32", "must not have this value");
  rules.an_int64 = INT64_MIN;
  expect("an_int64", "must be greater than -9223372036854775808 and less than or equal to 9223372036854775806");
  rules.an_int64 = INT64_MAX;
  expect("an_int64", "must be greater than -9223372036854775808 and less than or equal to 9223372036854775806");
  rules.a_uint64 = UINT64_MAX - 2;
  expect("a_uint64", "must be greater than or equal to 18446744073709551614");
  rules.a_sint32 = 1;
  expect("a_sint32", "must be one of the 3 values allowed");
  rules.a_sint32 = -2;
  expect_valid();
  rules.a_sfixed32 = -2;
  expect("a_sfixed32", "must be greater than or equal to -1 and less than or equal to 1");
  rules.a_fixed64 = 8;
  expect("a_fixed64", "must be less than or equal to 7");
  rules.outside = 5;
  expect("outside", "must be greater than 10 or less than 1");
  rules.outside = 11;
  expect_valid();
  rules.must = false;
  expect("must", "must be 1");
}
END_TEST

START_TEST(floating) {
  rules.a_double = 0.75;
  expect("a_double", "must be greater than or equal to -0.5 and less than or equal to 0.5");
  rules.a_double = -0.5;
  expect_valid();
  rules.a_float = INFINITY;
  expect("a_float", "must be a finite number");
  rules.a_float = NAN;
  expect("a_float", "must be a finite number");
  rules.a_double = (double)NAN;
  SkyStatus status = M(Rules_validate)(&rules);
  ck_assert_uint_eq(sky_status_violation_count(status), 2); /* in no range, and not finite */
  sky_status_free(status);
}
END_TEST

START_TEST(enums) {
  rules.color = (M(Color))99;
  expect("color", "must be one of the enum's values");
  rules.color = plugin_v1beta1_COLOR_RED;
  expect("color", "must not have this value");
  rules.color = plugin_v1beta1_COLOR_BIG;
  expect_valid();
}
END_TEST

START_TEST(optional_fields_are_checked_when_set) {
  M(Rules_set_optional_number)(&rules, 0);
  expect("optional_number", "must be greater than 0");
}
END_TEST

START_TEST(lists) {
  rules.n_tags = 0;
  expect("tags", "must have at least 1 item");
  static const char *many[41];
  static char texts[41][8];
  for (int i = 0; i < 41; i++) {
    snprintf(texts[i], sizeof(texts[i]), "t%d", i);
    many[i] = texts[i];
  }
  rules.n_tags = 41;
  rules.tags = many;
  expect("tags", "must have at most 40 items");
  const char *empty[] = {"a", ""};
  rules.tags = empty;
  expect("tags[1]", "must have at least 1 character");
  const char *twice[] = {"a", "b", "a"};
  rules.tags = twice;
  rules.n_tags = 3;
  expect("tags", "must not contain an item twice");
  rules.tags = many; /* enough to be sorted */
  rules.n_tags = 40;
  many[7] = many[31];
  expect("tags", "must not contain an item twice");
  int64_t numbers[] = {1, 2, -1, 1};
  rules.uniques = numbers;
  rules.n_uniques = 3;
  expect_valid();
  rules.n_uniques = 4;
  expect("uniques", "must not contain an item twice");
}
END_TEST

START_TEST(paths_into_what_is_inside) {
  M(Nested) good = M(Nested_INIT), bad = M(Nested_INIT), holder = M(Nested_INIT);
  good.tag = "x";
  holder.tag = "x";
  holder.deeper = &bad;
  rules.single = &bad;
  expect("single.tag", "must have at least 1 character");
  rules.single = &holder;
  expect("single.deeper.tag", "must have at least 1 character");
  M(Nested) * list[] = {&good, &good, &holder};
  rules.nested = list;
  rules.n_nested = 3;
  expect("nested[2].deeper.tag", "must have at least 1 character");
  M(Rules_NestedByNumberEntry) entry = M(Rules_NestedByNumberEntry_INIT), empty = M(Rules_NestedByNumberEntry_INIT);
  entry.key = -7;
  entry.value = &bad;
  M(Rules_NestedByNumberEntry) * entries[] = {&empty, &entry};
  rules.nested_by_number = entries;
  rules.n_nested_by_number = 2;
  expect("nested_by_number[-7].tag", "must have at least 1 character");
  M(Holder) inner = M(Holder_INIT), outer = M(Holder_INIT);
  inner.nested = &bad;
  outer.holder = &inner;
  SkyStatus status = M(Holder_validate)(&outer);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "holder.nested.tag");
  sky_status_free(status);
}
END_TEST

START_TEST(maps) {
  rules.n_counts = 3;
  expect("counts", "must have at most 2 items");
  rules.n_counts = 0;
  expect("counts", "must have at least 1 item");
  count_entry.key = "long";
  expect("counts[\"long\"]", "must have at most 3 characters");
  count_entry.value = 0;
  expect("counts[\"k\"]", "must be greater than 0");
}
END_TEST

START_TEST(times) {
  instant = (protobuf_Timestamp)protobuf_Timestamp_INIT;
  instant.seconds = 100;
  instant.nanos = 4;
  expect("time", "must be greater than or equal to 100.000000005s and less than 200s");
  instant.seconds = 100;
  instant.nanos = 5;
  expect_valid();
  instant.seconds = 200;
  expect("time", "must be greater than or equal to 100.000000005s and less than 200s");
  instant.nanos = 0;
  duration.seconds = 0;
  expect("duration", "must be greater than 0s and less than or equal to 60s");
  rules.duration = NULL;
  rules.time = NULL;
  expect_valid();
}
END_TEST

START_TEST(oneofs) {
  rules.required_choice_case = M(Rules_REQUIRED_CHOICE_NOT_SET);
  expect("required_choice", "one of its fields is required");
  M(Rules_set_by_name)(&rules, "ab");
  expect("by_name", "must have at least 3 characters");
  M(AtMostOne) pair = M(AtMostOne_INIT);
  SkyStatus status = M(AtMostOne_validate)(&pair);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "a|b");
  sky_status_free(status);
  pair.a = "x";
  ck_assert_ptr_null(M(AtMostOne_validate)(&pair));
  pair.b = 1;
  status = M(AtMostOne_validate)(&pair);
  ck_assert_str_eq(sky_status_violation(status, 0)->description, "only one of its fields may be set");
  sky_status_free(status);
}
END_TEST

START_TEST(violations_are_bounded) {
  enum { COUNT = 100000 };
  static const char *empty[COUNT];
  static char texts[COUNT][8];
  for (int i = 0; i < COUNT; i++) {
    snprintf(texts[i], sizeof(texts[i]), "%s", "");
    empty[i] = texts[i];
  }
  rules.tags = empty;
  rules.n_tags = COUNT;
  SkyStatus status = M(Rules_validate)(&rules);
  ck_assert_uint_eq(sky_status_violation_count(status), 32);
  sky_status_free(status);
}
END_TEST

START_TEST(no_rules_no_complaint) {
  ck_assert_ptr_null(sky_message_validate(&scalars.base, NULL));
  ck_assert_ptr_null(M(Scalars_rules));
}
END_TEST

static void *validate_often(void *user) {
  size_t *failures = user;
  for (int i = 0; i < 2000; i++) {
    SkyStatus status = M(Rules_validate)(&rules);
    *failures += status != SKY_OK;
    sky_status_free(status);
  }
  return NULL;
}

/* Patterns are compiled at their first use, by whichever thread comes first. */
START_TEST(threads_share_the_tables) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  size_t failures[THREADS] = {0};
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, validate_often, &failures[i]), 0);
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_uint_eq(failures[i], 0);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("codec/rules", setup, NULL, the_valid_message_is_valid, required, text_sizes, text_contents,
                    ignored_when_zero_or_always, integers, floating, enums, optional_fields_are_checked_when_set, lists,
                    paths_into_what_is_inside, maps, times, oneofs, violations_are_bounded, no_rules_no_complaint,
                    threads_share_the_tables)
