/* What an update takes over: the named fields, all of them and nothing else. */
#include "sky_check.h"

#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/codec/message.h>

#include "torture.sky.h"

#define M(name) plugin_v1beta1_##name
#define APPLY(source, target, changeable, ...)                                                                         \
  apply((const char *const[]){__VA_ARGS__, NULL}, changeable, source, target)

static SkyArena arena;

static void setup(void) {
  sky_arena_init(&arena, 1 << 16);
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

static SkyStatus apply(const char *const *paths, const char *const *changeable, const void *source, void *target) {
  size_t count = 0;
  while (paths[count] != NULL)
    count++;
  return sky_field_mask_apply(paths, count, changeable, source, target, &arena);
}

static void assert_ok(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void assert_mask_refused(SkyStatus status, size_t violations) {
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_uint_eq(sky_status_violation_count(status), violations);
  for (size_t i = 0; i < violations; i++)
    ck_assert_str_eq(sky_status_violation(status, i)->field, "update_mask");
  sky_status_free(status);
}

static bool are_equal(const ProtobufCMessage *a, const ProtobufCMessage *b) {
  SkyBuf left, right;
  sky_buf_init(&left, 1 << 16);
  sky_buf_init(&right, 1 << 16);
  assert_ok(sky_message_pack(a, &left));
  assert_ok(sky_message_pack(b, &right));
  const bool equal = sky_str_equal(sky_buf_str(&left), sky_buf_str(&right));
  sky_buf_finish(&left);
  sky_buf_finish(&right);
  return equal;
}

/* Every field set, differently for each number. */
static M(Scalars) scalars(int number, M(Scalars) * inner) {
  M(Scalars) message = M(Scalars_INIT);
  message.a_double = number + 0.5;
  message.a_float = (float)number + 0.25F;
  message.an_int32 = -number;
  message.an_int64 = INT64_MIN + number;
  message.a_uint32 = UINT32_MAX - (uint32_t)number;
  message.a_uint64 = UINT64_MAX - (uint64_t)number;
  message.a_sint32 = INT32_MIN + number;
  message.a_sint64 = INT64_MAX - number;
  message.a_fixed32 = (uint32_t)number;
  message.a_fixed64 = (uint64_t)number << 40;
  message.a_sfixed32 = number * 1000;
  message.a_sfixed64 = (int64_t)number * 1000000000000;
  message.a_bool = number % 2 == 1;
  message.a_string = number == 1 ? "one" : "two";
  message.a_bytes = (ProtobufCBinaryData){.len = (size_t)number, .data = (uint8_t *)"\x01\x02\x03"};
  message.a_color = number == 1 ? M(COLOR_RED) : M(color_small);
  message.a_message = inner;
  message.far = number + 70;
  message.middle = number + 80;
  return message;
}

/* ---- which fields ---- */

/* One by one: the named field gets the source's value, and all others keep theirs. */
START_TEST(a_field_of_every_type_is_taken_alone) {
  const ProtobufCMessageDescriptor *type = M(Scalars_descriptor);
  for (unsigned i = 0; i < type->n_fields; i++) {
    M(Scalars) one = M(Scalars_INIT), two = M(Scalars_INIT);
    one.an_int32 = 1;
    two.an_int32 = 2;
    const M(Scalars) source = scalars(1, &one), before = scalars(2, &two);
    M(Scalars) target = before, back;
    assert_ok(APPLY(&source, &target, NULL, type->fields[i].name));
    ck_assert_msg(!are_equal(&target.base, &before.base), "%s", type->fields[i].name);
    back = target;
    assert_ok(APPLY(&before, &back, NULL, type->fields[i].name));
    ck_assert_msg(are_equal(&back.base, &before.base), "%s: more than it changed", type->fields[i].name);
  }
}
END_TEST

START_TEST(all_fields_by_name_make_the_source) {
  const ProtobufCMessageDescriptor *type = M(Scalars_descriptor);
  M(Scalars) inner = M(Scalars_INIT);
  const M(Scalars) source = scalars(1, &inner);
  M(Scalars) target = scalars(2, NULL);
  for (unsigned i = 0; i < type->n_fields; i++)
    assert_ok(APPLY(&source, &target, NULL, type->fields[i].name));
  ck_assert(are_equal(&target.base, &source.base));
}
END_TEST

START_TEST(a_star_makes_the_source) {
  M(Scalars) inner = M(Scalars_INIT);
  const M(Scalars) source = scalars(1, &inner);
  M(Scalars) target = scalars(2, NULL);
  assert_ok(APPLY(&source, &target, NULL, "*"));
  ck_assert(are_equal(&target.base, &source.base));
}
END_TEST

START_TEST(a_star_names_only_what_may_change) {
  static const char *const changeable[] = {"a_string", "far", NULL};
  const M(Scalars) source = scalars(1, NULL);
  M(Scalars) target = scalars(2, NULL), wanted = scalars(2, NULL);
  wanted.a_string = "one";
  wanted.far = 71;
  assert_ok(APPLY(&source, &target, changeable, "*"));
  ck_assert(are_equal(&target.base, &wanted.base));
}
END_TEST

START_TEST(a_field_unset_in_the_source_is_cleared) {
  const M(Scalars) source = M(Scalars_INIT);
  M(Scalars) inner = M(Scalars_INIT), target = scalars(2, &inner);
  assert_ok(APPLY(&source, &target, NULL, "a_string", "a_message", "a_bytes", "a_double"));
  ck_assert_str_eq(target.a_string, "");
  ck_assert_ptr_null(target.a_message);
  ck_assert_uint_eq(target.a_bytes.len, 0);
  ck_assert(target.a_double == 0);
  ck_assert_int_eq(target.an_int32, -2);
}
END_TEST

START_TEST(an_optional_takes_its_presence_along) {
  M(Optionals) source = M(Optionals_INIT), target = M(Optionals_INIT);
  M(Optionals_set_an_int32)(&source, 0); /* present, though at its default */
  M(Optionals_set_a_bool)(&target, true);
  M(Optionals_set_a_string)(&target, "keeps");
  assert_ok(APPLY(&source, &target, NULL, "an_int32", "a_bool"));
  ck_assert(M(Optionals_has_an_int32)(&target));
  ck_assert_int_eq(target.an_int32, 0);
  ck_assert(!M(Optionals_has_a_bool)(&target));
  ck_assert(M(Optionals_has_a_string)(&target));
  ck_assert_str_eq(target.a_string, "keeps");
}
END_TEST

START_TEST(a_repeated_field_is_replaced_as_a_whole) {
  int32_t ones[] = {1}, twos[] = {2, 2, 2};
  char *names[] = {"a", "b"};
  M(Repeateds) source = M(Repeateds_INIT), target = M(Repeateds_INIT);
  source.int32s = ones;
  source.n_int32s = 1;
  target.int32s = twos;
  target.n_int32s = 3;
  target.strings = (void *)names;
  target.n_strings = 2;
  assert_ok(APPLY(&source, &target, NULL, "int32s"));
  ck_assert_uint_eq(target.n_int32s, 1);
  ck_assert_int_eq(target.int32s[0], 1);
  ck_assert_uint_eq(target.n_strings, 2);
  assert_ok(APPLY(&source, &target, NULL, "strings"));
  ck_assert_uint_eq(target.n_strings, 0);
}
END_TEST

/* ---- oneofs ---- */

START_TEST(a_member_of_a_oneof_replaces_the_other) {
  M(Choice) source = M(Choice_INIT), target = M(Choice_INIT);
  M(Choice_set_number)(&source, 5);
  M(Choice_set_text)(&target, "text");
  assert_ok(APPLY(&source, &target, NULL, "number"));
  ck_assert(are_equal(&target.base, &source.base));
}
END_TEST

START_TEST(a_member_that_the_source_does_not_choose_is_cleared_only_where_it_is) {
  M(Choice) source = M(Choice_INIT), target = M(Choice_INIT);
  const M(Choice) empty = M(Choice_INIT);
  M(Choice_set_number)(&source, 5);
  M(Choice_set_text)(&target, "text");
  assert_ok(APPLY(&source, &target, NULL, "color")); /* neither has it */
  ck_assert_str_eq(target.text, "text");
  assert_ok(APPLY(&source, &target, NULL, "text"));
  ck_assert(are_equal(&target.base, &empty.base));
}
END_TEST

START_TEST(a_path_into_a_member_of_a_oneof_chooses_it) {
  M(Scalars) inner = M(Scalars_INIT);
  inner.far = 9;
  inner.middle = 8;
  M(Choice) source = M(Choice_INIT), target = M(Choice_INIT);
  M(Choice_set_message)(&source, &inner);
  M(Choice_set_text)(&target, "text");
  assert_ok(APPLY(&source, &target, NULL, "message.far"));
  ck_assert(M(Choice_has_message)(&target));
  ck_assert_int_eq(target.message->far, 9);
  ck_assert_int_eq(target.message->middle, 0);
}
END_TEST

/* ---- paths ---- */

START_TEST(a_path_changes_one_field_inside) {
  M(Scalars) from = scalars(1, NULL), to = scalars(2, NULL);
  const M(Scalars) source = scalars(1, &from);
  M(Scalars) target = scalars(2, &to);
  assert_ok(APPLY(&source, &target, NULL, "a_message.a_string"));
  ck_assert_str_eq(target.a_string, "two");
  ck_assert_str_eq(target.a_message->a_string, "one");
  ck_assert_int_eq(target.a_message->an_int32, -2);
}
END_TEST

/* The message inside may be shared with others, who must not see the change. */
START_TEST(a_path_leaves_the_message_that_was_inside_alone) {
  M(Scalars) from = scalars(1, NULL), to = scalars(2, NULL);
  const M(Scalars) source = scalars(1, &from);
  M(Scalars) target = scalars(2, &to);
  assert_ok(APPLY(&source, &target, NULL, "a_message.a_string", "a_message.far"));
  ck_assert_ptr_ne(target.a_message, &to);
  ck_assert_str_eq(to.a_string, "two");
  ck_assert_str_eq(target.a_message->a_string, "one");
  ck_assert_int_eq(target.a_message->far, 71);
}
END_TEST

START_TEST(a_path_makes_the_message_that_is_missing) {
  M(Scalars) from = scalars(1, NULL);
  const M(Scalars) source = scalars(1, &from);
  M(Scalars) target = M(Scalars_INIT);
  assert_ok(APPLY(&source, &target, NULL, "a_message.middle"));
  ck_assert_ptr_nonnull(target.a_message);
  ck_assert_int_eq(target.a_message->middle, 81);
  ck_assert_str_eq(target.a_message->a_string, "");
}
END_TEST

START_TEST(a_path_through_nothing_clears_what_it_names) {
  const M(Scalars) source = M(Scalars_INIT);
  M(Scalars) to = scalars(2, NULL), target = scalars(2, &to);
  assert_ok(APPLY(&source, &target, NULL, "a_message.middle"));
  ck_assert_int_eq(target.a_message->middle, 0);
  ck_assert_str_eq(target.a_message->a_string, "two");
  M(Scalars) empty = M(Scalars_INIT);
  assert_ok(APPLY(&source, &empty, NULL, "a_message.middle"));
  ck_assert_ptr_null(empty.a_message);
}
END_TEST

START_TEST(paths_go_sixteen_deep) {
  char path[128] = "left";
  M(Tree) source = M(Tree_INIT), target = M(Tree_INIT);
  for (int i = 1; i < 16; i++)
    strcat(path, ".left");
  assert_ok(APPLY(&source, &target, NULL, path));
  strcat(path, ".left");
  assert_mask_refused(APPLY(&source, &target, NULL, path), 1);
}
END_TEST

/* ---- refused ---- */

START_TEST(what_is_no_field_is_refused) {
  static const char *const wrong[] = {"",     ".",      "name.",         ".name",   "nam",          "name ",
                                      "Name", "name.x", "children.name", "named.x", "left.nothing", "left..x",
                                      "one",  "*.name", "left.*"};
  M(Tree) source = M(Tree_INIT), target = M(Tree_INIT);
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    SkyStatus status = APPLY(&source, &target, NULL, wrong[i]);
    ck_assert_msg(status != SKY_OK, "\"%s\" is taken for a field", wrong[i]);
    assert_mask_refused(status, 1);
  }
  assert_ok(APPLY(&source, &target, NULL, "named")); /* a map as a whole, unlike its entries */
}
END_TEST

START_TEST(what_may_not_change_is_refused_and_nothing_changes) {
  static const char *const changeable[] = {"a_string", "a_message", NULL};
  M(Scalars) from = scalars(1, NULL), to = scalars(2, NULL);
  const M(Scalars) source = scalars(1, &from), before = scalars(2, &to);
  M(Scalars) target = before;
  assert_mask_refused(APPLY(&source, &target, changeable, "a_string", "far", "nothing"), 2);
  ck_assert(are_equal(&target.base, &before.base));
  assert_ok(APPLY(&source, &target, changeable, "a_message.far")); /* the names are of the top level */
  ck_assert_int_eq(target.a_message->far, 71);
}
END_TEST

START_TEST(no_path_at_all_is_refused) {
  M(Scalars) source = M(Scalars_INIT), target = M(Scalars_INIT);
  assert_mask_refused(sky_field_mask_apply(NULL, 0, NULL, &source.base, &target.base, &arena), 1);
}
END_TEST

START_TEST(a_name_of_any_length_is_refused_without_harm) {
  char path[5000];
  memset(path, 'x', sizeof(path) - 1);
  path[sizeof(path) - 1] = '\0';
  M(Scalars) source = M(Scalars_INIT), target = M(Scalars_INIT);
  assert_mask_refused(APPLY(&source, &target, NULL, path), 1);
}
END_TEST

START_TEST(without_memory_it_says_so) {
  SkyArena none;
  sky_arena_init(&none, 8);
  M(Scalars) from = scalars(1, NULL);
  const M(Scalars) source = scalars(1, &from);
  M(Scalars) target = M(Scalars_INIT);
  const char *const paths[] = {"a_message.far"};
  SkyStatus status = sky_field_mask_apply(paths, 1, NULL, &source.base, &target.base, &none);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  sky_status_free(status);
  ck_assert_ptr_null(target.a_message);
  sky_arena_finish(&none);
}
END_TEST

SKY_CHECK_MAIN_WITH("codec/field_mask", setup, teardown, a_field_of_every_type_is_taken_alone,
                    all_fields_by_name_make_the_source, a_star_makes_the_source, a_star_names_only_what_may_change,
                    a_field_unset_in_the_source_is_cleared, an_optional_takes_its_presence_along,
                    a_repeated_field_is_replaced_as_a_whole, a_member_of_a_oneof_replaces_the_other,
                    a_member_that_the_source_does_not_choose_is_cleared_only_where_it_is,
                    a_path_into_a_member_of_a_oneof_chooses_it, a_path_changes_one_field_inside,
                    a_path_leaves_the_message_that_was_inside_alone, a_path_makes_the_message_that_is_missing,
                    a_path_through_nothing_clears_what_it_names, paths_go_sixteen_deep, what_is_no_field_is_refused,
                    what_may_not_change_is_refused_and_nothing_changes, no_path_at_all_is_refused,
                    a_name_of_any_length_is_refused_without_harm, without_memory_it_says_so)
