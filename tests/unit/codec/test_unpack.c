/* The decoder against good bytes, bytes of other versions, and bytes that lie. */
#include "sky_check.h"

#include <string.h>

#include <sky/codec/message.h>
#include <sky/codec/wire.h>
#include <sky/core/id.h>

#include "torture.sky.h"

static SkyArena arena;
static SkyBuf wire;

static void setup(void) {
  sky_arena_init(&arena, 1 << 20);
  sky_buf_init(&wire, 64 << 20);
}

static void teardown(void) {
  sky_arena_finish(&arena);
  sky_buf_finish(&wire);
}

#define M(name) plugin_v1beta1_##name

static void ck_code(SkyStatus status, SkyCode code) {
  ck_assert_msg(sky_status_code(status) == code, "%s: %s", sky_code_name(sky_status_code(status)),
                sky_status_message(status));
  sky_status_free(status);
}

static ProtobufCMessage *unpacked(const ProtobufCMessageDescriptor *type) {
  ProtobufCMessage *message = NULL;
  ck_code(sky_message_unpack(type, sky_buf_str(&wire), &arena, &message), SKY_CODE_OK);
  return message;
}

static void expect_refusal(const ProtobufCMessageDescriptor *type, SkyCode code, const char *field) {
  ProtobufCMessage *message = (ProtobufCMessage *)&arena;
  SkyStatus status = sky_message_unpack(type, sky_buf_str(&wire), &arena, &message);
  ck_assert_ptr_eq(message, (ProtobufCMessage *)&arena); /* untouched on failure */
  if (field != NULL) {
    ck_assert_uint_eq(sky_status_violation_count(status), 1);
    ck_assert_str_eq(sky_status_violation(status, 0)->field, field);
  }
  ck_code(status, code);
}

START_TEST(every_scalar_survives) {
  M(Scalars) inner = M(Scalars_INIT);
  inner.an_int32 = -1;
  M(Scalars) before = M(Scalars_INIT);
  before.a_double = -1.5;
  before.a_float = 0.25f;
  before.an_int32 = INT32_MIN;
  before.an_int64 = INT64_MIN;
  before.a_uint32 = UINT32_MAX;
  before.a_uint64 = UINT64_MAX;
  before.a_sint32 = INT32_MIN;
  before.a_sint64 = INT64_MIN;
  before.a_fixed32 = UINT32_MAX;
  before.a_fixed64 = UINT64_MAX;
  before.a_sfixed32 = -2;
  before.a_sfixed64 = -3;
  before.a_bool = true;
  before.a_string = "Köln";
  before.a_bytes = (ProtobufCBinaryData){4, (uint8_t *)(uintptr_t) "a\0b"};
  before.a_color = plugin_v1beta1_COLOR_BIG;
  before.a_message = &inner;
  before.far = 77;
  before.middle = 66;
  ck_code(M(Scalars_pack)(&before, &wire), SKY_CODE_OK);
  M(Scalars) *after = NULL;
  ck_code(M(Scalars_unpack)(sky_buf_str(&wire), &arena, &after), SKY_CODE_OK);
  ck_assert_double_eq(after->a_double, -1.5);
  ck_assert_float_eq(after->a_float, 0.25f);
  ck_assert_int_eq(after->an_int32, INT32_MIN);
  ck_assert_int_eq(after->an_int64, INT64_MIN);
  ck_assert_uint_eq(after->a_uint32, UINT32_MAX);
  ck_assert_uint_eq(after->a_uint64, UINT64_MAX);
  ck_assert_int_eq(after->a_sint32, INT32_MIN);
  ck_assert_int_eq(after->a_sint64, INT64_MIN);
  ck_assert_uint_eq(after->a_fixed32, UINT32_MAX);
  ck_assert_uint_eq(after->a_fixed64, UINT64_MAX);
  ck_assert_int_eq(after->a_sfixed32, -2);
  ck_assert_int_eq(after->a_sfixed64, -3);
  ck_assert(after->a_bool);
  ck_assert_str_eq(after->a_string, "Köln");
  ck_assert_uint_eq(after->a_bytes.len, 4);
  ck_assert_mem_eq(after->a_bytes.data, "a\0b", 4);
  ck_assert_int_eq(after->a_color, plugin_v1beta1_COLOR_BIG);
  ck_assert_int_eq(after->a_message->an_int32, -1);
  ck_assert_int_eq(after->far, 77);
  ck_assert_int_eq(after->middle, 66);
}
END_TEST

START_TEST(nothing_gives_defaults) {
  M(Scalars) *scalars = (M(Scalars) *)unpacked(M(Scalars_descriptor));
  ck_assert_str_eq(scalars->a_string, "");
  ck_assert_ptr_null(scalars->a_message);
  Torture__Imported__Deep__Behind *proto2 =
      (Torture__Imported__Deep__Behind *)unpacked(&torture__imported__deep__behind__descriptor);
  ck_assert_str_eq(proto2->name, "nobody");
  ck_assert_int_eq(proto2->count, -7);
  ck_assert(!proto2->has_count);
  ck_assert(proto2->flag);
}
END_TEST

START_TEST(proto2_presence) {
  sky_wire_append_uint64(&wire, 2, 0);
  sky_wire_append_bytes(&wire, 3, SKY_STR(""));
  Torture__Imported__Deep__Behind *proto2 =
      (Torture__Imported__Deep__Behind *)unpacked(&torture__imported__deep__behind__descriptor);
  ck_assert(proto2->has_count);
  ck_assert_int_eq(proto2->count, 0);
  ck_assert(proto2->has_blob);
  ck_assert(!proto2->has_flag);
}
END_TEST

START_TEST(optionals_know_zero_from_unset) {
  M(Optionals) before = M(Optionals_INIT);
  M(Optionals_set_an_int32)(&before, 0);
  M(Optionals_set_a_string)(&before, "");
  M(Optionals_set_a_bool)(&before, false);
  M(Optionals_set_a_bytes)(&before, (ProtobufCBinaryData){0, NULL});
  ck_code(M(Optionals_pack)(&before, &wire), SKY_CODE_OK);
  M(Optionals) *after = (M(Optionals) *)unpacked(M(Optionals_descriptor));
  ck_assert(M(Optionals_has_an_int32)(after));
  ck_assert(M(Optionals_has_a_string)(after));
  ck_assert_str_eq(after->a_string, "");
  ck_assert(M(Optionals_has_a_bool)(after));
  ck_assert(M(Optionals_has_a_bytes)(after));
  ck_assert(!M(Optionals_has_a_double)(after));
  ck_assert(!M(Optionals_has_a_message)(after));
  M(Optionals_clear_an_int32)(after);
  ck_assert(!M(Optionals_has_an_int32)(after));
}
END_TEST

START_TEST(repeated_fields_of_any_length) {
  enum { COUNT = 1000 };
  static int32_t int32s[COUNT];
  static uint32_t unpacked_numbers[COUNT];
  static const char *strings[COUNT];
  static M(Scalars) items[COUNT];
  static M(Scalars) * pointers[COUNT];
  for (int i = 0; i < COUNT; i++) {
    int32s[i] = -i;
    unpacked_numbers[i] = (uint32_t)i;
    strings[i] = i % 2 ? "odd" : "";
    items[i] = (M(Scalars))M(Scalars_INIT);
    items[i].an_int32 = i;
    pointers[i] = &items[i];
  }
  for (size_t count = 0; count <= COUNT; count = count * 2 + 1) {
    M(Repeateds) before = M(Repeateds_INIT);
    before.n_int32s = before.n_unpacked = before.n_strings = before.n_messages = count;
    before.int32s = int32s;
    before.unpacked = unpacked_numbers;
    before.strings = strings;
    before.messages = pointers;
    sky_buf_clear(&wire);
    ck_code(M(Repeateds_pack)(&before, &wire), SKY_CODE_OK);
    M(Repeateds) *after = (M(Repeateds) *)unpacked(M(Repeateds_descriptor));
    ck_assert_uint_eq(after->n_int32s, count);
    ck_assert_uint_eq(after->n_unpacked, count);
    ck_assert_uint_eq(after->n_strings, count);
    ck_assert_uint_eq(after->n_messages, count);
    for (size_t i = 0; i < count; i++) {
      ck_assert_int_eq(after->int32s[i], int32s[i]);
      ck_assert_uint_eq(after->unpacked[i], unpacked_numbers[i]);
      ck_assert_str_eq(after->strings[i], strings[i]);
      ck_assert_int_eq(after->messages[i]->an_int32, (int32_t)i);
    }
  }
}
END_TEST

START_TEST(packed_and_unpacked_are_read_either_way) {
  sky_wire_append_uint64(&wire, 3, 1);                  /* int32s, declared packed, alone */
  sky_wire_append_bytes(&wire, 3, SKY_STR("\x02\x03")); /* packed */
  sky_wire_append_uint64(&wire, 3, 4);
  sky_wire_append_bytes(&wire, 5, SKY_STR("\x05\x80\x01")); /* declared unpacked, packed */
  sky_wire_append_bytes(&wire, 3, SKY_STR(""));
  M(Repeateds) *after = (M(Repeateds) *)unpacked(M(Repeateds_descriptor));
  ck_assert_uint_eq(after->n_int32s, 4);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(after->int32s[i], i + 1);
  ck_assert_uint_eq(after->n_unpacked, 2);
  ck_assert_uint_eq(after->unpacked[1], 128);
}
END_TEST

START_TEST(a_message_that_comes_twice_is_merged) {
  sky_wire_append_bytes(&wire, 17, SKY_STR("\x18\x05\x72\x01x")); /* an_int32 = 5, a_string = "x" */
  sky_wire_append_bytes(&wire, 17, SKY_STR("\x20\x06\x72\x01y")); /* an_int64 = 6, a_string = "y" */
  M(Scalars) *after = (M(Scalars) *)unpacked(M(Scalars_descriptor));
  ck_assert_int_eq(after->a_message->an_int32, 5);
  ck_assert_int_eq(after->a_message->an_int64, 6);
  ck_assert_str_eq(after->a_message->a_string, "y");
}
END_TEST

START_TEST(the_last_member_of_a_oneof_counts) {
  sky_wire_append_bytes(&wire, 1, SKY_STR("text"));
  sky_wire_append_bytes(&wire, 3, SKY_STR("\x18\x05")); /* message{an_int32 = 5} over what was a pointer to text */
  M(Choice) *after = (M(Choice) *)unpacked(M(Choice_descriptor));
  ck_assert_int_eq(after->pick_one_case, M(Choice_PICK_ONE_MESSAGE));
  ck_assert_int_eq(after->message->an_int32, 5);
  sky_wire_append_bytes(&wire, 3, SKY_STR("\x20\x06")); /* merged */
  sky_wire_append_uint64(&wire, 7, 1);
  after = (M(Choice) *)unpacked(M(Choice_descriptor));
  ck_assert_int_eq(after->message->an_int32, 5);
  ck_assert_int_eq(after->message->an_int64, 6);
  ck_assert_int_eq(after->second_case, M(Choice_SECOND_YES));
  sky_wire_append_uint64(&wire, 2, 9);
  after = (M(Choice) *)unpacked(M(Choice_descriptor));
  ck_assert_int_eq(after->pick_one_case, M(Choice_PICK_ONE_NUMBER));
  ck_assert_int_eq(after->number, 9);
}
END_TEST

START_TEST(maps_arrive_as_entries) {
  sky_wire_append_bytes(&wire, 1, SKY_STR("\x0a\x01k\x12\x01v"));
  sky_wire_append_bytes(&wire, 1, SKY_STR("")); /* both at their defaults */
  M(Maps) *after = (M(Maps) *)unpacked(M(Maps_descriptor));
  ck_assert_uint_eq(after->n_labels, 2);
  ck_assert_str_eq(after->labels[0]->key, "k");
  ck_assert_str_eq(after->labels[0]->value, "v");
  ck_assert_str_eq(after->labels[1]->key, "");
}
END_TEST

START_TEST(unknown_fields_are_packed_again) {
  M(Scalars) before = M(Scalars_INIT);
  before.an_int32 = 5;
  before.a_string = "kept";
  before.a_double = 1.5;
  before.a_fixed32 = 7;
  before.far = -1;
  ck_code(M(Scalars_pack)(&before, &wire), SKY_CODE_OK);
  M(OldScalars) *old = (M(OldScalars) *)unpacked(M(OldScalars_descriptor));
  ck_assert_int_eq(old->an_int32, 5);
  ck_assert_uint_eq(old->base.n_unknown_fields, 4);
  sky_buf_clear(&wire);
  ck_code(M(OldScalars_pack)(old, &wire), SKY_CODE_OK);
  M(Scalars) *after = (M(Scalars) *)unpacked(M(Scalars_descriptor));
  ck_assert_str_eq(after->a_string, "kept");
  ck_assert_double_eq(after->a_double, 1.5);
  ck_assert_uint_eq(after->a_fixed32, 7);
  ck_assert_int_eq(after->far, -1);
  ck_assert_uint_eq(after->base.n_unknown_fields, 0);
}
END_TEST

START_TEST(another_wire_type_is_another_field) {
  sky_wire_append_bytes(&wire, 3, SKY_STR("abc")); /* an_int32 as text */
  sky_wire_append_uint64(&wire, 14, 5);            /* a_string as number */
  M(Scalars) *after = (M(Scalars) *)unpacked(M(Scalars_descriptor));
  ck_assert_int_eq(after->an_int32, 0);
  ck_assert_str_eq(after->a_string, "");
  ck_assert_uint_eq(after->base.n_unknown_fields, 2);
}
END_TEST

START_TEST(groups_are_skipped) {
  sky_buf_append(&wire, "\xa3\x06\x08\x01\xa4\x06\x18\x05", 8); /* group 100 {1: 1}, an_int32 = 5 */
  M(Scalars) *after = (M(Scalars) *)unpacked(M(Scalars_descriptor));
  ck_assert_int_eq(after->an_int32, 5);
}
END_TEST

START_TEST(text_that_is_not_utf8_is_named) {
  static const char *const bad[] = {"\xff", "\xc3", "\xed\xa0\x80" /* surrogate */, "\xc0\xaf" /* overlong */,
                                    "a\xf5\x80\x80\x80"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    sky_buf_clear(&wire);
    sky_wire_append_bytes(&wire, 14, sky_str(bad[i]));
    expect_refusal(M(Scalars_descriptor), SKY_CODE_INVALID_ARGUMENT, "a_string");
  }
}
END_TEST

START_TEST(an_embedded_nul_is_named_with_its_path) {
  sky_wire_append_bytes(&wire, 2, SKY_STR("\x0a\x01y"));            /* children[0].name */
  sky_wire_append_bytes(&wire, 2, SKY_STR("\x1a\x05\x0a\x03x\0y")); /* children[1].left.name */
  expect_refusal(M(Tree_descriptor), SKY_CODE_INVALID_ARGUMENT, "children[1].left.name");
}
END_TEST

START_TEST(a_bad_string_in_a_list_is_named_by_index) {
  sky_wire_append_bytes(&wire, 14, SKY_STR("good"));
  sky_wire_append_bytes(&wire, 14, SKY_STR("good"));
  sky_wire_append_bytes(&wire, 14, SKY_STR("\xff"));
  expect_refusal(M(Repeateds_descriptor), SKY_CODE_INVALID_ARGUMENT, "strings[2]");
}
END_TEST

/* Messages inside each other; the innermost is empty. */
static void nest(uint32_t field, size_t levels) {
  sky_buf_clear(&wire);
  for (size_t i = 0; i < levels; i++) {
    SkyBuf outer;
    sky_buf_init(&outer, 64 << 20);
    sky_wire_append_bytes(&outer, field, sky_buf_str(&wire));
    sky_buf_finish(&wire);
    wire = outer;
  }
}

START_TEST(nesting_is_bounded) {
  nest(1, SKY_MESSAGE_MAX_DEPTH - 1); /* with the outermost: exactly the maximum */
  (void)unpacked(M(Numb_descriptor));
  nest(1, SKY_MESSAGE_MAX_DEPTH);
  expect_refusal(M(Numb_descriptor), SKY_CODE_INVALID_ARGUMENT, NULL);
  nest(1, 5000);
  expect_refusal(M(Numb_descriptor), SKY_CODE_INVALID_ARGUMENT, NULL);
  nest(5, SKY_MESSAGE_MAX_DEPTH); /* through a oneof */
  expect_refusal(M(Tree_descriptor), SKY_CODE_INVALID_ARGUMENT, NULL);
}
END_TEST

START_TEST(the_budget_stops_amplification) {
  for (int i = 0; i < 1000000; i++)
    sky_buf_append(&wire, "\x8a\x01\x00", 3); /* an empty message, 200 bytes in C */
  expect_refusal(M(Repeateds_descriptor), SKY_CODE_RESOURCE_EXHAUSTED, NULL);
  ck_assert_uint_le(arena.used_bytes, arena.budget_bytes);
}
END_TEST

START_TEST(the_budget_stops_unknown_fields) {
  for (int i = 0; i < 1000000; i++)
    sky_buf_append(&wire, "\x08\x00", 2);
  expect_refusal(M(Nothing_descriptor), SKY_CODE_RESOURCE_EXHAUSTED, NULL);
}
END_TEST

START_TEST(a_length_that_lies_is_refused) {
  static const char *const bad[] = {
      "\x72\x05shrt",                                     /* longer than the rest */
      "\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",     /* 2^64 - 1 */
      "\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* a varint of eleven bytes */
      "\x72",                                             /* nothing after the tag */
      "\x18",                                             /* no varint */
      "\x09"
      "1234567", /* seven of eight bytes */
      "\x4d"
      "123",          /* three of four */
      "\x1c",         /* the end of a group that never began */
      "\x1b\x08\x01", /* a group that never ends */
      "\x1f",         /* wire type 7 */
      "\x80",         /* half a tag */
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    sky_buf_clear(&wire);
    sky_buf_append_text(&wire, bad[i]);
    expect_refusal(M(Scalars_descriptor), SKY_CODE_INVALID_ARGUMENT, NULL);
  }
  sky_buf_clear(&wire);
  sky_buf_append(&wire, "\x02\x00", 2); /* field number 0 */
  expect_refusal(M(Scalars_descriptor), SKY_CODE_INVALID_ARGUMENT, NULL);
  sky_buf_clear(&wire);
  sky_wire_append_bytes(&wire, 1, SKY_STR("1234567")); /* packed doubles that do not come out even */
  expect_refusal(M(Repeateds_descriptor), SKY_CODE_INVALID_ARGUMENT, NULL);
  sky_buf_clear(&wire);
  sky_wire_append_bytes(&wire, 3, SKY_STR("\x80")); /* packed varints cut off */
  expect_refusal(M(Repeateds_descriptor), SKY_CODE_INVALID_ARGUMENT, NULL);
}
END_TEST

static void pack_tree(void) {
  M(Tree) leaf = M(Tree_INIT), root = M(Tree_INIT);
  leaf.name = "leaf";
  M(Tree) * children[] = {&leaf, &leaf};
  root.n_children = 2;
  root.children = children;
  M(Tree_set_inner)(&root, &leaf);
  ck_code(M(Tree_pack)(&root, &wire), SKY_CODE_OK);
}

static void pack_lists(void) {
  M(Scalars) scalars = M(Scalars_INIT);
  scalars.an_int32 = -5;
  scalars.a_string = "some text";
  scalars.a_double = 3.5;
  int32_t numbers[] = {1, 300, -1};
  M(Scalars) * messages[] = {&scalars, &scalars};
  M(Repeateds) all = M(Repeateds_INIT);
  all.n_int32s = 3;
  all.int32s = numbers;
  all.n_messages = 2;
  all.messages = messages;
  ck_code(M(Repeateds_pack)(&all, &wire), SKY_CODE_OK);
}

/* Has the message, or one in it, a field that did not fit? */
static bool has_unknown(const ProtobufCMessage *message) {
  bool found = message->n_unknown_fields > 0;
  for (unsigned i = 0; i < message->descriptor->n_fields && !found; i++) {
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
    const char *base = (const char *)message;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                                                   *(const uint32_t *)(base + field->quantifier_offset) != field->id))
      continue;
    ProtobufCMessage *const *members = (ProtobufCMessage *const *)(base + field->offset);
    const bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
    const size_t count = is_list ? *(const size_t *)(base + field->quantifier_offset) : 1;
    if (is_list)
      members = *(ProtobufCMessage *const *const *)(base + field->offset);
    for (size_t m = 0; m < count && !found; m++)
      found = members[m] != NULL && has_unknown(members[m]);
  }
  return found;
}

/* Packs both; true when they could be compared (and are equal, or the test has failed). */
static bool compare(const ProtobufCMessage *ours, SkyStr noise, int round) {
  /* protobuf-c refuses groups, which we skip, and takes any wire type for a bool, which is then no known field to us.
   */
  ProtobufCMessage *theirs = protobuf_c_message_unpack(ours->descriptor, NULL, noise.size, (const uint8_t *)noise.data);
  if (theirs == NULL)
    return false;
  const bool comparable = !has_unknown(ours) || has_unknown(theirs);
  SkyBuf a, b;
  sky_buf_init(&a, 1 << 20);
  sky_buf_init(&b, 1 << 20);
  ck_code(sky_message_pack(ours, &a), SKY_CODE_OK);
  ck_code(sky_message_pack(theirs, &b), SKY_CODE_OK);
  ck_assert_msg(!comparable || sky_str_equal(sky_buf_str(&a), sky_buf_str(&b)), "round %d: %s differs", round,
                ours->descriptor->name);
  sky_buf_finish(&a);
  sky_buf_finish(&b);
  protobuf_c_message_free_unpacked(theirs, NULL);
  return comparable;
}

/* Flips some bytes of the sample, sometimes cuts it. */
static void make_noise(const SkyRandom *random, SkyBuf *noise) {
  sky_buf_append_str(noise, sky_buf_str(&wire));
  const uint64_t flips = sky_random_uint64(random) % 4;
  for (uint64_t i = 0; i < flips; i++)
    noise->data[sky_random_uint64(random) % noise->size] = (uint8_t)sky_random_uint64(random);
  if (sky_random_uint64(random) % 4 == 0)
    noise->size = sky_random_uint64(random) % noise->size;
}

/* Mutated bytes: what both accept is the same, so both pack it to the same bytes. */
START_TEST(agrees_with_protobuf_c_on_noise) {
  static const ProtobufCMessageDescriptor *const types[] = {
      M(Repeateds_descriptor), M(Tree_descriptor),      M(Scalars_descriptor),  M(Choice_descriptor),
      M(Maps_descriptor),      M(Optionals_descriptor), M(WellKnown_descriptor)};
  SkySeededRandom random;
  sky_seeded_random_init(&random, 20261121);
  size_t compared = 0;
  for (int round = 0; round < 40000; round++) {
    sky_buf_clear(&wire);
    if (round % 2)
      pack_tree();
    else
      pack_lists();
    SkyBuf noise;
    sky_buf_init(&noise, 1 << 20);
    make_noise(&random.random, &noise);
    const uint64_t pick = sky_random_uint64(&random.random) % (sizeof(types) / sizeof(types[0]));
    ProtobufCMessage *ours = NULL;
    sky_arena_reset(&arena);
    SkyStatus status = sky_message_unpack(types[pick], sky_buf_str(&noise), &arena, &ours);
    if (status == SKY_OK)
      compared += compare(ours, sky_buf_str(&noise), round);
    sky_status_free(status);
    sky_buf_finish(&noise);
  }
  ck_assert_uint_gt(compared, 1000);
}
END_TEST

/* With every budget from nothing up the decoder either succeeds or says so. */
START_TEST(every_allocation_may_fail) {
  pack_tree();
  bool done = false;
  for (size_t budget = 0; !done; budget += 8) {
    SkyArena small;
    sky_arena_init(&small, budget);
    ProtobufCMessage *message = NULL;
    SkyStatus status = sky_message_unpack(M(Tree_descriptor), sky_buf_str(&wire), &small, &message);
    done = status == SKY_OK;
    ck_code(status, done ? SKY_CODE_OK : SKY_CODE_RESOURCE_EXHAUSTED);
    sky_arena_finish(&small);
    ck_assert_uint_lt(budget, 1 << 20);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("codec/unpack", setup, teardown, every_scalar_survives, nothing_gives_defaults, proto2_presence,
                    optionals_know_zero_from_unset, repeated_fields_of_any_length,
                    packed_and_unpacked_are_read_either_way, a_message_that_comes_twice_is_merged,
                    the_last_member_of_a_oneof_counts, maps_arrive_as_entries, unknown_fields_are_packed_again,
                    another_wire_type_is_another_field, groups_are_skipped, text_that_is_not_utf8_is_named,
                    an_embedded_nul_is_named_with_its_path, a_bad_string_in_a_list_is_named_by_index,
                    nesting_is_bounded, the_budget_stops_amplification, the_budget_stops_unknown_fields,
                    a_length_that_lies_is_refused, agrees_with_protobuf_c_on_noise, every_allocation_may_fail)
