#include "sky_check.h"

#include <string.h>

#include <sky/codec/message.h>

#include "torture.sky.h"

#define M(name) plugin_v1beta1_##name

static SkyArena arena;

static void setup(void) {
  sky_arena_init(&arena, 1 << 16);
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

START_TEST(a_copy_shares_nothing) {
  char name[] = "name";
  M(Tree) leaf = M(Tree_INIT), root = M(Tree_INIT);
  leaf.name = name;
  root.left = &leaf;
  M(Tree) *copy = NULL;
  ck_assert_ptr_null(M(Tree_copy)(&root, &arena, &copy));
  name[0] = 'X';
  leaf.name = "other";
  ck_assert_ptr_ne(copy->left, &leaf);
  ck_assert_str_eq(copy->left->name, "name");
}
END_TEST

START_TEST(a_created_message_is_at_its_defaults) {
  M(Scalars) *scalars = M(Scalars_create)(&arena);
  ck_assert_str_eq(scalars->a_string, "");
  ck_assert_ptr_eq(scalars->base.descriptor, M(Scalars_descriptor));
  SkyArena none;
  sky_arena_init(&none, 8);
  ck_assert_ptr_null(M(Scalars_create)(&none));
  sky_arena_finish(&none);
}
END_TEST

START_TEST(packing_appends) {
  M(Scalars) scalars = M(Scalars_INIT);
  scalars.an_int32 = 5;
  SkyBuf out;
  sky_buf_init(&out, 1024);
  sky_buf_append_text(&out, "head");
  ck_assert_ptr_null(M(Scalars_pack)(&scalars, &out));
  ck_assert_uint_eq(out.size, 6);
  ck_assert_mem_eq(out.data, "head\x18\x05", 6);
  M(Nothing) nothing = M(Nothing_INIT);
  ck_assert_ptr_null(M(Nothing_pack)(&nothing, &out));
  ck_assert_uint_eq(out.size, 6);
  sky_buf_finish(&out);
}
END_TEST

START_TEST(packing_past_the_maximum_says_so) {
  M(Scalars) scalars = M(Scalars_INIT);
  scalars.a_string = "longer than the buffer may become";
  SkyBuf out;
  sky_buf_init(&out, 16);
  SkyStatus status = M(Scalars_pack)(&scalars, &out);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  sky_status_free(status);
  sky_buf_finish(&out);
}
END_TEST

START_TEST(string_fields_by_name) {
  M(Scalars) scalars = M(Scalars_INIT);
  ck_assert_str_eq(sky_message_string_field(&scalars.base, "a_string"), "");
  scalars.a_string = "text";
  ck_assert_str_eq(sky_message_string_field(&scalars.base, "a_string"), "text");
  M(Choice) choice = M(Choice_INIT);
  M(Choice_set_number)(&choice, 7);
  ck_assert_str_eq(sky_message_string_field(&choice.base, "text"), "");
  M(Choice_set_text)(&choice, "chosen");
  ck_assert_str_eq(sky_message_string_field(&choice.base, "text"), "chosen");
}
END_TEST

START_TEST(equal_messages_elsewhere_in_memory_are_the_same) {
  char name[] = "name";
  M(Tree) leaf = M(Tree_INIT), root = M(Tree_INIT);
  leaf.name = "name";
  root.left = &leaf;
  M(Tree) other_leaf = leaf, other = root;
  other_leaf.name = name;
  other.left = &other_leaf;
  ck_assert(sky_message_same(&root.base, &other.base));
}
END_TEST

START_TEST(any_difference_makes_another_message) {
  M(Tree) leaf = M(Tree_INIT), root = M(Tree_INIT);
  leaf.name = "name";
  root.left = &leaf;
  M(Tree) other = root;
  other.left = NULL;
  ck_assert(!sky_message_same(&root.base, &other.base));
  M(Tree) other_leaf = leaf;
  other_leaf.name = "Name";
  other = root;
  other.left = &other_leaf;
  ck_assert(!sky_message_same(&root.base, &other.base));
}
END_TEST

SKY_CHECK_MAIN_WITH("codec/message", setup, teardown, a_copy_shares_nothing, a_created_message_is_at_its_defaults,
                    packing_appends, packing_past_the_maximum_says_so, string_fields_by_name,
                    equal_messages_elsewhere_in_memory_are_the_same, any_difference_makes_another_message)
