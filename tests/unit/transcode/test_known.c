#include "library.h"

#include "sky_check.h"

START_TEST(timestamps) {
  ck_round_trip("Everything", "{\"time\":\"2026-11-21T03:14:18.250Z\"}");
  ck_round_trip("Everything", "{\"time\":\"0001-01-01T00:00:00Z\",\"times\":[\"9999-12-31T23:59:59.999999999Z\"]}");
  ck_reads_as("Everything", "{\"time\":\"2026-11-21T05:14:18.25+02:00\"}", "{\"time\":\"2026-11-21T03:14:18.250Z\"}");
  ck_reads_as("Everything", "{\"time\":\"1970-01-01T00:00:00.000000001Z\"}",
              "{\"time\":\"1970-01-01T00:00:00.000000001Z\"}");
  static const char *const wrong[] = {"2026-13-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-11-21",
                                      "2026-11-21T03:14:18",
                                      "2026-11-21t03:14:18Z",
                                      "2026-11-21T03:14:18z",
                                      "2026-11-21T24:00:00Z",
                                      "0000-01-01T00:00:00Z",
                                      "2026-11-21T03:14:18.Z",
                                      "2026-11-21 03:14:18Z",
                                      "",
                                      "0001-01-01T00:00:00+01:00",
                                      "2026-11-21T03:14:18.0000000001Z"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
    char text[128];
    snprintf(text, sizeof(text), "{\"time\":\"%s\"}", wrong[i]);
    ck_refuses("Everything", text, "time: must be a time of RFC 3339 such as \"2026-11-21T09:30:00Z\"");
  }
  ck_refuses("Everything", "{\"time\":12}", "time: must be a time of RFC 3339 such as \"2026-11-21T09:30:00Z\"");
}
END_TEST

START_TEST(durations) {
  ck_round_trip("Everything", "{\"duration\":\"-0.500s\"}");
  ck_round_trip("Everything", "{\"duration\":\"315576000000s\"}");
  ck_round_trip("Everything", "{\"duration\":\"-1.000000001s\"}");
  ck_reads_as("Everything", "{\"duration\":\"1.5s\"}", "{\"duration\":\"1.500s\"}");
  static const char *const wrong[] = {"1",    "s",   "1.s",  ".5s", "1m", "315576000001s", "1.0000000001s",
                                      "--1s", "+1s", "1e3s", "- 1s"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
    char text[128];
    snprintf(text, sizeof(text), "{\"duration\":\"%s\"}", wrong[i]);
    ck_refuses("Everything", text, "duration: must be a duration in seconds such as \"90s\" or \"0.5s\"");
  }
}
END_TEST

START_TEST(field_masks) {
  ck_round_trip("Everything", "{\"mask\":\"fooBar.baz,qux\"}");
  ck_round_trip("Everything", "{\"mask\":\"\"}");
  ck_refuses("Everything", "{\"mask\":\"foo_bar\"}",
             "mask: must be field names in lowerCamelCase, separated by commas");
  ck_refuses("Everything", "{\"mask\":\"a,,b\"}", "mask: must be field names in lowerCamelCase, separated by commas");
  ck_writes_as("Everything",
               "\xa2\x03\x05\x0a\x03"
               "a_1",
               "a path of a google.protobuf.FieldMask has no JSON form");
}
END_TEST

START_TEST(any_json_in_struct_value_and_list) {
  ck_round_trip("Everything",
                "{\"struct\":{\"a\":null,\"b\":[1,\"x\",true,{}],\"c\":{\"d\":-0.5}},\"value\":[],\"list\":[[],null]}");
  ck_round_trip("Everything", "{\"value\":null}");
  ck_round_trip("Everything", "{\"values\":[null,1,\"\",false,{},[]]}");
  ck_refuses("Everything", "{\"struct\":[],\"list\":{}}", "struct: must be an object\nlist: must be a list");
  ck_writes_as("Everything", "\xb2\x03\x00", "a google.protobuf.Value holds nothing");
  ck_writes_as("Everything", "\xb2\x03\x09\x11\0\0\0\0\0\0\xf8\x7f",
               "a google.protobuf.Value holds a number that JSON does not have");
}
END_TEST

START_TEST(wrappers_are_their_values) {
  ck_round_trip("Everything",
                "{\"wrappedInt64\":\"0\",\"wrappedString\":\"\",\"wrappedBytes\":\"AQ==\",\"wrappedDouble\":1.5,"
                "\"wrappedBool\":false,\"wrappedFloat\":0.1}");
  ck_reads_as("Everything", "{\"wrappedInt64\":null}", "{}");
  ck_refuses("Everything", "{\"wrappedBool\":\"true\"}", "wrappedBool: must be true or false");
}
END_TEST

START_TEST(any_holds_messages_of_known_types) {
  ck_round_trip("Everything", "{\"any\":{\"@type\":\"type.googleapis.com/test.library.v1.Position\",\"latitude\":1}}");
  ck_round_trip("Everything",
                "{\"any\":{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}}");
  ck_round_trip("Everything", "{\"any\":{}}");
  ck_round_trip("Everything", "{\"any\":{\"@type\":\"x/google.protobuf.Any\",\"value\":{\"@type\":\"y/"
                              "test.library.v1.Position\",\"longitude\":2}}}");
  ck_reads_as("Everything", "{\"any\":{\"latitude\":1,\"@type\":\"/test.library.v1.Position\"}}",
              "{\"any\":{\"@type\":\"/test.library.v1.Position\",\"latitude\":1}}");
  ck_refuses("Everything", "{\"any\":{\"latitude\":1}}", "any.@type: is missing");
  ck_refuses("Everything", "{\"any\":{\"@type\":\"x/unknown.Type\",\"a\":{\"b\":1}},\"anInt32\":\"x\"}",
             "any.@type: is not a type that is known here\nanInt32: must be an integer of 32 bits");
  ck_refuses("Everything", "{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"seconds\":1}}",
             "any.seconds: is not a field of this message\nany: has no \"value\", which this type needs");
}
END_TEST

START_TEST(an_any_of_unknown_type_is_an_error_or_base64) {
  static const char bytes[] = "\xc2\x03\x0c\x0a\x05x/a.B\x12\x03"
                              "abc";
  ck_writes_as("Everything",
               "\xc2\x03\x0c\x0a\x05x/a.B\x12\x03"
               "abc",
               "a google.protobuf.Any holds a type that is not known here");
  const SkyJsonWriteOptions options = {.lenient_any = true};
  ck_assert_str_eq(write_json("Everything", bytes, sizeof(bytes) - 1, &options),
                   "{\"any\":{\"@type\":\"x/a.B\",\"value\":\"YWJj\"}}");
}
END_TEST

START_TEST(times_out_of_range_have_no_json) {
  ck_writes_as("google.protobuf.Timestamp", "\x10\x80\x94\xeb\xdc\x03", "a google.protobuf.Timestamp is out of range");
  ck_writes_as("google.protobuf.Duration", "\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
               "a google.protobuf.Duration is out of range");
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/known", library_setup, library_teardown, timestamps, durations, field_masks,
                    any_json_in_struct_value_and_list, wrappers_are_their_values, any_holds_messages_of_known_types,
                    an_any_of_unknown_type_is_an_error_or_base64, times_out_of_range_have_no_json)
