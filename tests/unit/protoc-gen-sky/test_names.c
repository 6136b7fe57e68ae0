#include "sky_check.h"

#include "names.h"

static SkyArena arena;

static void setup(void) {
  sky_arena_init(&arena, 1 << 16);
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

START_TEST(as_protoc_gen_c_writes_them) {
  ck_assert_str_eq(sky_names_c_type(&arena, "a.b_c.v1.FooBar.in_ner"), "A__BC__V1__FooBar__InNer");
  ck_assert_str_eq(sky_names_c_type(&arena, ".a.B"), "A__B");
  ck_assert_str_eq(sky_names_c_lower(&arena, "a.HTTPServer2Go.x_y"), "a__httpserver2_go__x_y");
  ck_assert_str_eq(sky_names_c_upper(&arena, "a.FooBar"), "A__FOO_BAR");
  ck_assert_str_eq(sky_names_camel(&arena, "pick_one"), "PickOne");
}
END_TEST

START_TEST(members_avoid_reserved_words) {
  ck_assert_str_eq(sky_names_c_member(&arena, "register"), "register_");
  ck_assert_str_eq(sky_names_c_member(&arena, "class"), "class_");
  ck_assert_str_eq(sky_names_c_member(&arena, "CamelCase"), "camelcase");
  ck_assert_str_eq(sky_names_c_member(&arena, "plain"), "plain");
}
END_TEST

START_TEST(snake_case_knows_abbreviations) {
  ck_assert_str_eq(sky_names_snake(&arena, "GetDelivery"), "get_delivery");
  ck_assert_str_eq(sky_names_snake(&arena, "HTTPGet"), "http_get");
  ck_assert_str_eq(sky_names_snake(&arena, "GetHTTP"), "get_http");
  ck_assert_str_eq(sky_names_snake(&arena, "get_it"), "get_it");
  ck_assert_str_eq(sky_names_snake(&arena, "Get_It"), "get_it");
  ck_assert_str_eq(sky_names_snake(&arena, "Get2Items"), "get2_items");
}
END_TEST

START_TEST(default_prefix_is_the_last_name_and_its_version) {
  ck_assert_str_eq(sky_names_default_prefix(&arena, "fabrikam.delivery.v1"), "delivery_v1");
  ck_assert_str_eq(sky_names_default_prefix(&arena, "a.v2.b"), "b");
  ck_assert_str_eq(sky_names_default_prefix(&arena, "a.b.v1p1alpha1"), "b_v1p1alpha1");
  ck_assert_str_eq(sky_names_default_prefix(&arena, "google.protobuf"), "protobuf");
  ck_assert_str_eq(sky_names_default_prefix(&arena, "vehicle"), "vehicle");
  ck_assert_str_eq(sky_names_default_prefix(&arena, "v1"), "v1");
  ck_assert_str_eq(sky_names_default_prefix(&arena, ""), "");
}
END_TEST

START_TEST(identifiers) {
  ck_assert(sky_names_is_identifier("delivery_v1"));
  ck_assert(sky_names_is_identifier("_x"));
  ck_assert(!sky_names_is_identifier(""));
  ck_assert(!sky_names_is_identifier("1x"));
  ck_assert(!sky_names_is_identifier("a-b"));
  ck_assert(!sky_names_is_identifier("double"));
}
END_TEST

SKY_CHECK_MAIN_WITH("protoc-gen-sky/names", setup, teardown, as_protoc_gen_c_writes_them, members_avoid_reserved_words,
                    snake_case_knows_abbreviations, default_prefix_is_the_last_name_and_its_version, identifiers)
