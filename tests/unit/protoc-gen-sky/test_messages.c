/* What the plugin writes for messages: names, initialisers, enums, oneofs. Most of this test is that it compiles. */
#include "sky_check.h"

#include "no_package.sky.h"
#include "torture.sky.h"

#define M(name) plugin_v1beta1_##name

START_TEST(names_of_packages_files_and_scopes) {
  M(Outer_Inner_Innermost) innermost = M(Outer_Inner_Innermost_INIT);
  M(Outer_Inner_Innermost_Depth) depth = M(Outer_Inner_Innermost_DEPTH_DEEP);
  innermost.depth = depth;
  ck_assert_int_eq(innermost.depth, 3);
  imp_Imported imported = imp_Imported_INIT; /* c_prefix */
  deep_Behind behind = deep_Behind_INIT;     /* by a public import; proto2 */
  Bare bare = Bare_INIT;                     /* no package */
  ck_assert_str_eq(imported.name, "");
  ck_assert_int_eq(behind.count, -7);
  ck_assert_int_eq(bare.a, 0);
  ck_assert_int_eq(BARE_ENUM_UNSPECIFIED, 0);
  M(lower_case_Message) lower = M(lower_case_Message_INIT);
  M(HTTPServer2Go) http = M(HTTPServer2Go_INIT);
  M(WellKnown) known = M(WellKnown_INIT);
  known.behind = &behind;
  known.imported = &imported;
  ck_assert_str_eq(known.behind->name, "nobody");
  ck_assert_str_eq(lower.base.descriptor->name, "torture.of_the.plugin.v1beta1.lower_case_Message");
  ck_assert_str_eq(http.base.descriptor->name, "torture.of_the.plugin.v1beta1.HTTPServer2Go");
}
END_TEST

START_TEST(reserved_words_and_our_own) {
  M(Reserved) reserved = M(Reserved_INIT), *copy = NULL;
  reserved.register_ = 1;
  reserved.base = 2;
  reserved.message = 3;
  M(Reserved_set_for)(&reserved, 4);
  M(Reserved_set_default)(&reserved, 5);
  SkyArena arena;
  sky_arena_init(&arena, 1 << 16);
  ck_assert_ptr_null(M(Reserved_copy)(&reserved, &arena, &copy));
  ck_assert_int_eq(copy->register_, 1);
  ck_assert_int_eq(copy->base, 2);
  ck_assert_int_eq(copy->message, 3);
  ck_assert(M(Reserved_has_for)(copy));
  ck_assert_int_eq(copy->for_, 4);
  ck_assert_int_eq(copy->switch_case, M(Reserved_SWITCH_DEFAULT));
  sky_arena_finish(&arena);
}
END_TEST

START_TEST(enums_have_names_both_ways) {
  ck_assert_str_eq(M(Color_name)(M(COLOR_RED)), "COLOR_RED");
  ck_assert_str_eq(M(Color_name)(M(COLOR_BIG)), "COLOR_BIG");
  ck_assert_str_eq(M(Color_name)((M(Color))77), "");
  ck_assert_str_eq(M(Outer_Kind_name)(M(Outer_KIND_NEGATIVE)), "KIND_NEGATIVE");
  M(Color) color = M(COLOR_UNSPECIFIED);
  ck_assert(M(Color_from_name)("color_small", &color));
  ck_assert_int_eq(color, M(color_small));
  ck_assert(!M(Color_from_name)("COLOR_SMALL", &color));
  ck_assert_int_eq(color, M(color_small)); /* untouched */
  M(Outer_Kind) kind;
  ck_assert(M(Outer_Kind_from_name)("KIND_SAME", &kind));
  ck_assert_int_eq(kind, M(Outer_KIND_ALIAS));
}
END_TEST

START_TEST(oneofs_switch_by_case) {
  M(Choice) choice = M(Choice_INIT);
  ck_assert_int_eq(choice.pick_one_case, M(Choice_PICK_ONE_NOT_SET));
  M(Choice_set_text)(&choice, "x");
  M(Choice_clear_number)(&choice); /* not set: nothing happens */
  ck_assert(M(Choice_has_text)(&choice));
  M(Choice_set_blob)(&choice, (ProtobufCBinaryData){0});
  ck_assert(!M(Choice_has_text)(&choice));
  const M(Choice_PickOneCase) which = choice.pick_one_case;
  ck_assert_int_eq(which, M(Choice_PICK_ONE_BLOB));
  M(Choice_set_yes)(&choice, true);
  ck_assert_int_eq(choice.second_case, M(Choice_SECOND_YES));
  M(Choice_clear_blob)(&choice);
  ck_assert_int_eq(choice.pick_one_case, M(Choice_PICK_ONE_NOT_SET));
}
END_TEST

START_TEST(initialisers_are_at_the_defaults_of_the_contract) {
  const ProtobufCMessageDescriptor *types[] = {M(Scalars_descriptor), M(Optionals_descriptor), M(Choice_descriptor)};
  M(Scalars) scalars = M(Scalars_INIT), generated_scalars;
  M(Optionals) optionals = M(Optionals_INIT);
  M(Choice) choice = M(Choice_INIT);
  const ProtobufCMessage *ours[] = {&scalars.base, &optionals.base, &choice.base};
  protobuf_c_message_init(types[0], &generated_scalars);
  ck_assert_ptr_eq(scalars.a_string, generated_scalars.a_string);
  for (size_t i = 0; i < 3; i++) {
    ck_assert_ptr_eq(ours[i]->descriptor, types[i]);
    ck_assert_uint_eq(protobuf_c_message_get_packed_size(ours[i]), 0);
  }
}
END_TEST

START_TEST(message_types_carry_their_rules) {
  ck_assert_ptr_eq(M(Rules_type).descriptor, M(Rules_descriptor));
  ck_assert_ptr_eq(M(Rules_type).rules, M(Rules_rules));
  ck_assert_ptr_nonnull(M(Holder_rules)); /* for what it holds */
  ck_assert_ptr_null(M(Scalars_type).rules);
}
END_TEST

/* optimize_for = CODE_SIZE would leave them out, and reflection, JSON and violations need them. */
START_TEST(descriptors_keep_their_names) {
  ck_assert_str_eq(imp_Imported_descriptor->fields[0].name, "name");
}
END_TEST

SKY_CHECK_MAIN("protoc-gen-sky/messages", names_of_packages_files_and_scopes, reserved_words_and_our_own,
               enums_have_names_both_ways, oneofs_switch_by_case, initialisers_are_at_the_defaults_of_the_contract,
               message_types_carry_their_rules, descriptors_keep_their_names)
