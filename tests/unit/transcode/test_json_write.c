#include "library.h"

#include "sky_check.h"

START_TEST(fields_come_in_declared_order_whatever_the_wire_says) {
  ck_writes_as("Position", "\x11\0\0\0\0\0\0\xf0\x3f\x09\0\0\0\0\0\0\0\x40", "{\"latitude\":2,\"longitude\":1}");
}
END_TEST

START_TEST(the_last_of_a_single_field_counts) {
  ck_writes_as("Everything", "\x28\x01\x28\x02", "{\"anInt32\":2}");
}
END_TEST

START_TEST(pieces_of_a_message_are_merged) {
  ck_writes_as("Book",
               "\x1a\x03\x0a\x01"
               "a"
               "\x0a\x01"
               "7"
               "\x1a\x03\x12\x01"
               "b",
               "{\"id\":\"7\",\"author\":{\"name\":\"a\",\"homeTown\":\"b\"}}");
}
END_TEST

START_TEST(lists_may_be_packed_or_not_and_scattered) {
  ck_writes_as("Everything", "\xa2\x01\x02\x01\x02\x28\x09\xa0\x01\x03", "{\"anInt32\":9,\"numbers\":[1,2,3]}");
  ck_writes_as("Everything", "\xaa\x01\x02\x01\x02\xa8\x01\x03", "{\"looseNumbers\":[\"1\",\"2\",\"3\"]}");
}
END_TEST

START_TEST(the_last_member_of_a_oneof_counts) {
  ck_writes_as("Everything",
               "\xc2\x02\x01"
               "a"
               "\xc8\x02\x05",
               "{\"choiceNumber\":5}");
  ck_writes_as("Everything", "\xc8\x02\x05\xc2\x02\x00", "{\"choiceText\":\"\"}");
  /* A message member that is left and taken up again starts anew. */
  ck_writes_as("Everything", "\xd2\x02\x09\x09\0\0\0\0\0\0\xf0\x3f\xc8\x02\x05\xd2\x02\x09\x11\0\0\0\0\0\0\xf0\x3f",
               "{\"choicePosition\":{\"longitude\":1}}");
}
END_TEST

START_TEST(map_entries_are_sorted_and_the_last_of_a_key_counts) {
  ck_writes_as("Everything",
               "\xf2\x01\x06\x0a\x01"
               "b"
               "\x12\x01"
               "1"
               "\xf2\x01\x06\x0a\x01"
               "a"
               "\x12\x01"
               "2"
               "\xf2\x01\x06\x0a\x01"
               "b"
               "\x12\x01"
               "3",
               "{\"labels\":{\"a\":\"2\",\"b\":\"3\"}}");
  ck_writes_as("Everything", "\xf2\x01\x00", "{\"labels\":{\"\":\"\"}}");
  ck_writes_as("Everything", "\xfa\x01\x02\x08\x02\xfa\x01\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
               "{\"places\":{\"-1\":{},\"2\":{}}}");
}
END_TEST

START_TEST(zeros_without_presence_are_left_out_and_with_presence_written) {
  ck_writes_as("Everything", "\x28\x00\x4a\x00\xe0\x02\x00\xea\x02\x00", "{\"maybeNumber\":0,\"maybeText\":\"\"}");
}
END_TEST

START_TEST(unknown_fields_and_wrong_wire_types_are_skipped) {
  ck_writes_as("Everything", "\xd8\x3e\x01\xdb\x3e\x08\x01\xe3\x3e\xe4\x3e\xdc\x3e\x2d\x01\x02\x03\x04\x28\x07",
               "{\"anInt32\":7}");
}
END_TEST

START_TEST(malformed_bytes_are_refused) {
  static const struct {
    const char *bytes;
    size_t size;
  } cases[] = {{"\x28", 1},
               {"\x28\x80", 2},
               {"\x4a\x05"
                "abc",
                5},
               {"\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
               {"\x00\x01", 2},
               {"\x2c", 1},
               {"\x2b\x34", 2},
               {"\x2b\x28\x01", 3},
               {"\x0e", 1},
               {"\x09\x01\x02\x03", 4},
               {"\x2d\x01", 2},
               {"\x8a\x01\x02\x09\x01", 5},
               {"\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
               {"\xa2\x01\x01\x80", 4}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    sky_buf_clear(&json);
    SkyStatus status =
        sky_json_from_wire(library, type_named("Everything"), cases[i].bytes, cases[i].size, NULL, &arena, &json);
    ck_assert_msg(sky_status_code(status) == SKY_CODE_INVALID_ARGUMENT, "case %zu", i);
    ck_assert_uint_eq(json.size, 0);
    sky_status_free(status);
  }
}
END_TEST

START_TEST(text_is_escaped_and_checked) {
  ck_writes_as("Everything",
               "\x4a\x06"
               "\"\\\n\x01\xc3\xa9",
               "{\"aString\":\"\\\"\\\\\\n\\u0001\xc3\xa9\"}");
  ck_writes_as("Everything", "\x4a\x01\xff", "a string is not valid UTF-8");
}
END_TEST

START_TEST(options_change_names_enums_and_defaults) {
  const SkyJsonWriteOptions options = {.preserve_names = true, .numeric_enums = true};
  ck_assert_str_eq(write_json("Everything", "\x60\x01\x28\x02", 4, &options), "{\"an_int32\":2,\"colour\":1}");
  const SkyJsonWriteOptions defaults = {.emit_defaults = true};
  ck_assert_str_eq(write_json("Book", "", 0, &defaults),
                   "{\"id\":\"\",\"title\":\"\",\"tags\":[],\"labels\":{},\"etag\":\"\"}");
  ck_assert_str_eq(write_json("Position", "", 0, &defaults), "{\"latitude\":0,\"longitude\":0}");
}
END_TEST

START_TEST(enum_numbers_without_a_name_stay_numbers) {
  ck_writes_as("Everything", "\x60\x63", "{\"colour\":99}");
  ck_writes_as("Everything", "\x60\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "{\"colour\":\"COLOUR_NEGATIVE\"}");
}
END_TEST

START_TEST(depth_is_bounded) {
  uint8_t bytes[2048];
  size_t size = 0;
  for (int i = 0; i < 150; i++) { /* from the inside: each level wraps the one before */
    uint8_t head[4] = {0x92, 0x01};
    const size_t head_size = 2 + sky_wire_put_varint(head + 2, size);
    memmove(bytes + head_size, bytes, size);
    memcpy(bytes, head, head_size);
    size += head_size;
  }
  ck_assert_str_eq(write_json("Everything", bytes, size, NULL), "the message is nested too deep");
}
END_TEST

START_TEST(output_that_does_not_fit_is_refused_and_taken_back) {
  SkyBuf small;
  sky_buf_init(&small, 10);
  sky_buf_append_text(&small, "ab");
  SkyStatus status = sky_json_from_wire(library, type_named("Everything"),
                                        "\x4a\x0a"
                                        "0123456789",
                                        12, NULL, &arena, &small);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(small.size, 2);
  sky_status_free(status);
  sky_buf_finish(&small);
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/json_write", library_setup, library_teardown,
                    fields_come_in_declared_order_whatever_the_wire_says, the_last_of_a_single_field_counts,
                    pieces_of_a_message_are_merged, lists_may_be_packed_or_not_and_scattered,
                    the_last_member_of_a_oneof_counts, map_entries_are_sorted_and_the_last_of_a_key_counts,
                    zeros_without_presence_are_left_out_and_with_presence_written,
                    unknown_fields_and_wrong_wire_types_are_skipped, malformed_bytes_are_refused,
                    text_is_escaped_and_checked, options_change_names_enums_and_defaults,
                    enum_numbers_without_a_name_stay_numbers, depth_is_bounded,
                    output_that_does_not_fit_is_refused_and_taken_back)
