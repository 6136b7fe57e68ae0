#include "library.h"

#include "sky_check.h"

START_TEST(every_scalar_type_is_read) {
  ck_round_trip(
      "Everything",
      "{\"aDouble\":1.5,\"aFloat\":-0.25,\"anInt64\":\"-9223372036854775808\",\"aUint64\":\"18446744073709551615\","
      "\"anInt32\":-2147483648,\"aFixed64\":\"7\",\"aFixed32\":4294967295,\"aBool\":true,\"aString\":\"text\","
      "\"someBytes\":\"AAEC\",\"aUint32\":4294967295,\"colour\":\"COLOUR_RED\",\"aSfixed32\":-5,"
      "\"aSfixed64\":\"-6\",\"aSint32\":-2147483648,\"aSint64\":\"9223372036854775807\"}");
}
END_TEST

START_TEST(lists_maps_messages_and_oneofs_are_read) {
  ck_round_trip("Everything",
                "{\"position\":{\"latitude\":1},\"child\":{\"child\":{}},\"numbers\":[1,-2,0],\"looseNumbers\":[\"3\"],"
                "\"names\":[\"a\",\"\"],\"positions\":[{},{\"longitude\":2}],\"colours\":[\"COLOUR_NEGATIVE\",7],"
                "\"doubles\":[\"NaN\",\"Infinity\",\"-Infinity\",0.1],\"labels\":{\"\":\"x\",\"k\":\"\"},"
                "\"places\":{\"-1\":{},\"2\":{\"latitude\":3}},\"flags\":{\"false\":\"1\",\"true\":\"0\"},"
                "\"colourOf\":{\"a\":\"COLOUR_UNSPECIFIED\"},\"weights\":{\"18446744073709551615\":0.5},"
                "\"choiceNumber\":0,\"maybeNumber\":0,\"maybeText\":\"\"}");
}
END_TEST

START_TEST(names_may_be_those_of_the_contract) {
  ck_reads_as("Everything", "{\"an_int32\": 1, \"renamed\": \"x\", \"snake2_case\":\"y\"}",
              "{\"anInt32\":1,\"other-name\":\"x\",\"snake2Case\":\"y\"}");
}
END_TEST

START_TEST(integers_are_read_in_every_form_that_is_one) {
  ck_reads_as("Everything",
              "{\"anInt32\":\"12\",\"aUint32\":1e3,\"anInt64\":5.0,\"aUint64\":120e-1,\"aDouble\":\"2.5\"}",
              "{\"aDouble\":2.5,\"anInt64\":\"5\",\"aUint64\":\"12\",\"anInt32\":12,\"aUint32\":1000}");
}
END_TEST

START_TEST(null_is_the_same_as_nothing) {
  ck_reads_as("Everything",
              "{\"anInt32\":null,\"position\":null,\"numbers\":null,\"labels\":null,\"maybeNumber\":null,"
              "\"choiceText\":null,\"choiceNumber\":4}",
              "{\"choiceNumber\":4}");
  ck_round_trip("Everything", "{\"choiceNull\":null}");
}
END_TEST

START_TEST(escapes_are_undone) {
  ck_reads_as("Everything", "{\"a\\u0053tring\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude80 \xc3\xa9\"}",
              "{\"aString\":\"\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa9\xf0\x9f\x9a\x80 \xc3\xa9\"}");
}
END_TEST

START_TEST(base64_is_read_in_both_alphabets_with_and_without_padding) {
  ck_reads_as("Everything", "{\"someBytes\":\"-_8\"}", "{\"someBytes\":\"+/8=\"}");
  ck_reads_as("Everything", "{\"someBytes\":\"+/8=\"}", "{\"someBytes\":\"+/8=\"}");
  ck_refuses("Everything", "{\"someBytes\":\"a\"}", "someBytes: must be a string of base64");
  ck_refuses("Everything", "{\"someBytes\":\"a b=\"}", "someBytes: must be a string of base64");
}
END_TEST

START_TEST(all_violations_are_named_with_their_paths) {
  ck_refuses("Everything",
             "{\"anInt32\":\"x\",\"position\":{\"latitude\":\"north\",\"nowhere\":1},\"numbers\":[1,true],"
             "\"positions\":[{},{\"longitude\":[]}],\"places\":{\"7\":{\"latitude\":{}}},\"colour\":\"BLUE\",\"extra\":"
             "{\"a\":[1]}}",
             "anInt32: must be an integer of 32 bits\n"
             "position.latitude: must be a number\n"
             "position.nowhere: is not a field of this message\n"
             "numbers[1]: must be an integer of 32 bits\n"
             "positions[1].longitude: must be a number\n"
             "places[\"7\"].latitude: must be a number\n"
             "colour: must be one of COLOUR_UNSPECIFIED, COLOUR_RED, COLOUR_GREEN, COLOUR_NEGATIVE\n"
             "extra: is not a field of this message");
}
END_TEST

START_TEST(numbers_out_of_range_are_refused) {
  ck_refuses("Everything", "{\"anInt32\":2147483648}", "anInt32: must be from -2147483648 to 2147483647");
  ck_refuses("Everything", "{\"aUint32\":4294967296}", "aUint32: must be from 0 to 4294967295");
  ck_refuses("Everything", "{\"aUint32\":-1}", "aUint32: must be an integer of 32 bits, not negative");
  ck_refuses("Everything", "{\"anInt64\":9223372036854775808}", "anInt64: must be an integer of 64 bits");
  ck_refuses("Everything", "{\"anInt32\":0.5}", "anInt32: must be an integer of 32 bits");
  ck_refuses("Everything", "{\"aFloat\":3.5e38}", "aFloat: is too large for a number of single precision");
  ck_refuses("Everything", "{\"aDouble\":1e309}", "aDouble: must be a number");
  ck_refuses("Everything", "{\"anInt64\":1e400000000}", "anInt64: must be an integer of 64 bits");
}
END_TEST

START_TEST(what_is_given_twice_is_refused) {
  ck_refuses("Everything", "{\"anInt32\":1,\"an_int32\":1}", "anInt32: is given twice");
  ck_refuses("Everything", "{\"choiceText\":\"a\",\"choiceNumber\":1}",
             "choiceNumber: cannot be given together with another field of the same oneof");
  ck_refuses("Everything", "{\"labels\":{\"a\":\"1\",\"b\":\"\",\"\\u0061\":\"2\"}}", "labels[\"a\"]: is given twice");
  ck_refuses("Everything", "{\"struct\":{\"a\":1,\"a\":1}}", "struct[\"a\"]: is given twice");
}
END_TEST

START_TEST(null_has_no_place_in_lists_and_maps) {
  ck_refuses("Everything", "{\"numbers\":[1,null]}", "numbers[1]: must not be null inside a list");
  ck_refuses("Everything", "{\"labels\":{\"a\":null}}", "labels[\"a\"]: must not be null inside a map");
}
END_TEST

START_TEST(what_is_no_json_is_refused_where_reading_ends) {
  static const char *const texts[][2] = {
      {"", "body: is not valid JSON at line 1, column 1: it ends too early"},
      {"{} x", "body: is not valid JSON at line 1, column 4: something follows the value"},
      {"{\n\"anInt32\":01}", "anInt32: is not valid JSON at line 2, column 11: a number is malformed"},
      {"{\"anInt32\":1,}", "body: is not valid JSON at line 1, column 14: a field name in quotes is expected"},
      {"{\"anInt32\" 1}", "body: is not valid JSON at line 1, column 12: a colon is expected"},
      {"{'anInt32':1}", "body: is not valid JSON at line 1, column 2: a field name in quotes is expected"},
      {"{\"numbers\":[1 2]}", "numbers[1]: is not valid JSON at line 1, column 15: a comma or ] is expected"},
      {"{\"aString\":\"a", "aString: is not valid JSON at line 1, column 14: a string has no end"},
      {"{\"aString\":\"a\nb\"}",
       "aString: is not valid JSON at line 1, column 14: a control character stands in a string"},
      {"{\"aBool\":TRUE}", "aBool: is not valid JSON at line 1, column 10: a value is expected"},
      {"{\"aDouble\":NaN}", "aDouble: is not valid JSON at line 1, column 12: a value is expected"},
      {"{\"aDouble\":+1}", "aDouble: is not valid JSON at line 1, column 12: a value is expected"},
      {"{\"aDouble\":1.}", "aDouble: is not valid JSON at line 1, column 12: a number is malformed"},
      {"\xef\xbb\xbf{}", "body: is not valid JSON at line 1, column 1: a value is expected"},
      {"[]", "body: must be an object"},
      {"null", "body: must not be null"},
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
    ck_refuses("Everything", texts[i][0], texts[i][1]);
}
END_TEST

START_TEST(text_that_is_no_utf8_is_refused) {
  ck_refuses("Everything", "{\"aString\":\"\xc0\x80\"}", "aString: is not valid UTF-8");
  ck_refuses("Everything", "{\"aString\":\"\\ud800\"}",
             "aString: has a backslash escape that JSON does not have, or half of a surrogate pair");
  ck_refuses("Everything", "{\"aString\":\"\\x41\"}",
             "aString: has a backslash escape that JSON does not have, or half of a surrogate pair");
  ck_assert_ptr_nonnull(strstr(violations_of(read_json_with("Everything", "{\"no\xff\":1}", NULL)), "UTF-8"));
  ck_refuses("Everything", "{\"unknown\":[\"\xff\"]}",
             "unknown: is not a field of this message\nunknown: is not valid JSON at line 1, column 16: a string is "
             "not valid UTF-8");
}
END_TEST

START_TEST(a_nul_is_refused_unless_allowed) {
  ck_refuses("Everything", "{\"aString\":\"a\\u0000b\"}", "aString: must not contain the character U+0000");
  const SkyJsonReadOptions options = {.allow_nul = true};
  ck_assert_str_eq(round_trip_with("Everything", "{\"aString\":\"a\\u0000b\"}", &options, NULL),
                   "{\"aString\":\"a\\u0000b\"}");
}
END_TEST

START_TEST(depth_is_bounded) {
  enum { DEEP = 10000 };
  char *text = malloc(2 * DEEP * 10 + 16);
  size_t size = 0;
  for (int i = 0; i < DEEP; i++)
    size += (size_t)sprintf(text + size, "{\"child\":");
  strcpy(text + size, "{}");
  ck_assert_ptr_nonnull(strstr(violations_of(read_json_with("Everything", text, NULL)), "it is nested too deep"));
  size = 0;
  for (int i = 0; i < DEEP; i++)
    text[size++] = '[';
  text[size] = '\0';
  ck_assert_ptr_nonnull(strstr(violations_of(read_json_with("google.protobuf.Value", text, NULL)), "nested too deep"));
  size = (size_t)sprintf(text, "{\"unknown\":");
  memset(text + size, '[', DEEP);
  text[size + DEEP] = '\0';
  ck_assert_ptr_nonnull(strstr(violations_of(read_json_with("Everything", text, NULL)), "nested too deep"));
  free(text);
}
END_TEST

START_TEST(the_deepest_that_is_allowed_comes_through) {
  char text[4096] = "";
  for (int i = 0; i < SKY_JSON_MAX_DEPTH - 1; i++)
    strcat(text, "{\"child\":");
  strcat(text, "{}");
  for (int i = 0; i < SKY_JSON_MAX_DEPTH - 1; i++)
    strcat(text, "}");
  ck_round_trip("Everything", text);
  *text = '\0';
  for (int i = 0; i < SKY_JSON_MAX_DEPTH; i++)
    strcat(text, i % 2 == 0 ? "[" : "{\"a\":");
  for (int i = SKY_JSON_MAX_DEPTH; i-- > 0;)
    strcat(text, i % 2 == 0 ? "]" : i == SKY_JSON_MAX_DEPTH - 1 ? "1}" : "}");
  ck_round_trip("google.protobuf.Value", text);
}
END_TEST

START_TEST(unknown_names_are_skipped_when_asked) {
  const SkyJsonReadOptions options = {.ignore_unknown = true};
  ck_assert_str_eq(
      round_trip_with("Everything",
                      "{\"nowhere\":{\"a\":[1,{\"b\":null}]},\"colour\":\"BLUE\",\"colours\":[\"BLUE\",\"COLOUR_RED\"],"
                      "\"colourOf\":{\"a\":\"BLUE\",\"b\":\"COLOUR_RED\"},\"anInt32\":1}",
                      &options, NULL),
      "{\"anInt32\":1,\"colours\":[\"COLOUR_RED\"],\"colourOf\":{\"b\":\"COLOUR_RED\"}}");
}
END_TEST

START_TEST(limits_of_output_and_memory_are_kept_and_leave_the_buffer_alone) {
  SkyBuf small;
  sky_buf_init(&small, 8);
  sky_buf_append_text(&small, "ab");
  SkyStatus status = sky_json_to_wire(library, type_named("Everything"), SKY_STR("{\"aString\":\"0123456789\"}"), NULL,
                                      &arena, &small);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert(sky_str_is(sky_buf_str(&small), "ab"));
  ck_assert(!small.failed);
  sky_status_free(status);
  sky_buf_finish(&small);
  SkyArena tight;
  sky_arena_init(&tight, 16);
  sky_buf_clear(&wire);
  status = sky_json_to_wire(library, type_named("Everything"),
                            SKY_STR("{\"aString\":\"\\n0123456789012345678901234567890\"}"), NULL, &tight, &wire);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  sky_status_free(status);
  sky_arena_finish(&tight);
}
END_TEST

START_TEST(at_most_32_violations_are_collected) {
  char text[4096] = "{\"numbers\":[";
  for (int i = 0; i < 100; i++)
    strcat(text, i == 0 ? "\"x\"" : ",\"x\"");
  strcat(text, "]}");
  SkyStatus status = read_json_with("Everything", text, NULL);
  ck_assert_uint_eq(sky_status_violation_count(status), 32);
  sky_status_free(status);
}
END_TEST

/* A message of over 127 bytes needs a length of two bytes, which is only known after it has been written. */
START_TEST(long_messages_get_long_lengths) {
  char text[40000];
  for (size_t size = 100; size < 30000; size = size * 3 / 2) {
    const int prefix = sprintf(text, "{\"child\":{\"child\":{\"aString\":\"");
    memset(text + prefix, 'x', size);
    strcpy(text + prefix + size, "\"}}}");
    ck_round_trip("Everything", text);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/json_read", library_setup, library_teardown, every_scalar_type_is_read,
                    lists_maps_messages_and_oneofs_are_read, names_may_be_those_of_the_contract,
                    integers_are_read_in_every_form_that_is_one, null_is_the_same_as_nothing, escapes_are_undone,
                    base64_is_read_in_both_alphabets_with_and_without_padding,
                    all_violations_are_named_with_their_paths, numbers_out_of_range_are_refused,
                    what_is_given_twice_is_refused, null_has_no_place_in_lists_and_maps,
                    what_is_no_json_is_refused_where_reading_ends, text_that_is_no_utf8_is_refused,
                    a_nul_is_refused_unless_allowed, depth_is_bounded, the_deepest_that_is_allowed_comes_through,
                    unknown_names_are_skipped_when_asked,
                    limits_of_output_and_memory_are_kept_and_leave_the_buffer_alone,
                    at_most_32_violations_are_collected, long_messages_get_long_lengths)
