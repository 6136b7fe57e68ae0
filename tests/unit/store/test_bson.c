#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sky/codec/bson.h>
#include <sky/core/id.h>

#include "../sky_check.h"
#include "fixtures.h"

static SkyArena arena;
static bson_t bson;

static void setup(void) {
  sky_arena_init(&arena, 64 << 20);
  bson_init(&bson);
}

static void teardown(void) {
  bson_destroy(&bson);
  sky_arena_finish(&arena);
}

static SkyStatus decode(const bson_t *from, Document **ret) {
  ProtobufCMessage *message = NULL;
  SkyStatus status = sky_bson_decode(&storetest__document__descriptor, from, "id", &arena, &message);
  *ret = (Document *)message;
  return status;
}

/* Decodes relaxed extended JSON, as mongosh would write it. */
static SkyStatus decode_json(const char *json, Document **ret) {
  bson_error_t error;
  bson_t *parsed = bson_new_from_json((const uint8_t *)json, -1, &error);
  ck_assert_msg(parsed != NULL, "%s: %s", json, error.message);
  SkyStatus status = decode(parsed, ret);
  bson_destroy(parsed);
  return status;
}

static void assert_json(const char *wanted) {
  char *json = bson_as_relaxed_extended_json(&bson, NULL);
  ck_assert_str_eq(json, wanted);
  bson_free(json);
}

static void assert_round_trip(const Document *document) {
  Document *back;
  assert_ok(sky_bson_encode(DOC(document), "id", &bson));
  assert_ok(decode(&bson, &back));
  assert_same_message(DOC(document), DOC(back));
}

/* ---- what tools see ---- */

/* Encodes only the named fields, so that a test shows what it is about. */
static void keep_only(const char *const *keys) {
  bson_t kept = BSON_INITIALIZER;
  for (; *keys != NULL; keys++) {
    bson_iter_t at;
    if (bson_iter_init_find(&at, &bson, *keys))
      bson_append_iter(&kept, NULL, 0, &at);
  }
  bson_destroy(&bson);
  bson_copy_to(&kept, &bson);
  bson_destroy(&kept);
}
#define KEEP(...) keep_only((const char *const[]){__VA_ARGS__, NULL})

START_TEST(documents_read_as_the_contract_names_them) {
  assert_ok(sky_bson_encode(DOC(full_document(&arena, "d-1")), "id", &bson));
  KEEP("_id", "id", "owner_id", "stage", "create_time", "expedited", "number", "nickname", "rank");
  assert_json("{ \"_id\" : \"d-1\", \"owner_id\" : \"owner-1\", \"stage\" : \"STAGE_FLYING\", "
              "\"create_time\" : { \"$date\" : \"2026-11-21T03:14:18.250Z\" }, \"expedited\" : true, \"number\" : -42, "
              "\"nickname\" : \"\", \"rank\" : 0 }");
}
END_TEST

START_TEST(lists_and_maps_read_naturally) {
  assert_ok(sky_bson_encode(DOC(full_document(&arena, "d-1")), "id", &bson));
  KEEP("tags", "deltas", "stages", "counts", "by_number", "answers", "seen");
  assert_json(
      "{ \"tags\" : [ \"\", \"fragile\", \"größe\" ], \"deltas\" : [ -2147483648, 0, 2147483647 ], "
      "\"stages\" : [ \"STAGE_DONE\", \"STAGE_UNSPECIFIED\", 77 ], "
      "\"counts\" : { \"plain\" : -9223372036854775808, \"second\" : 2 }, "
      "\"by_number\" : { \"-5\" : { \"name\" : \"minus five\", \"count\" : 5 } }, "
      "\"answers\" : { \"true\" : \"yes\" }, "
      "\"seen\" : [ { \"key\" : \"with.dot and $dollar\", \"value\" : { \"$date\" : \"1970-01-01T00:00:01Z\" }, "
      "\"_ns\" : { \"value\" : 1 } } ] }");
}
END_TEST

START_TEST(what_has_no_presence_is_written_and_the_rest_only_when_set) {
  assert_ok(sky_bson_encode(DOC(small_document(&arena, "d-1")), "id", &bson));
  static const char *const written[] = {"owner_id", "stage", "expedited", "number", "picture", "a_uint64", "a_double"};
  static const char *const absent[] = {"id",     "create_time", "eta",    "nickname", "rank",    "email",
                                       "person", "tags",        "counts", "_ns",      "_unknown"};
  for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++)
    ck_assert_msg(bson_has_field(&bson, written[i]), "%s is missing", written[i]);
  for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
    ck_assert_msg(!bson_has_field(&bson, absent[i]), "%s is written", absent[i]);
}
END_TEST

static Google__Protobuf__Any *any_of(const char *url, const void *data, size_t size) {
  Google__Protobuf__Any *any = sky_arena_alloc(&arena, sizeof(*any));
  google__protobuf__any__init(any);
  any->type_url = format(&arena, "%s", url);
  any->value = (ProtobufCBinaryData){size, memcpy(sky_arena_alloc(&arena, size), data, size)};
  return any;
}

START_TEST(what_an_any_holds_can_be_read) {
  Storetest__Item item = STORETEST__ITEM__INIT;
  uint8_t bytes[64];
  item.name = "inside";
  item.count = 7;
  const size_t size = storetest__item__pack(&item, bytes);
  Document *document = small_document(&arena, "any");
  Google__Protobuf__Any *list[] = {any_of("type.googleapis.com/storetest.Item", bytes, size),
                                   any_of("type.googleapis.com/storetest.Stranger", bytes, size),
                                   any_of("type.googleapis.com/storetest.Item", "\xff\xff", 2)};
  document->anything = list;
  document->n_anything = 3;
  sky_bson_register_type(&storetest__item__descriptor);
  sky_bson_register_type(&storetest__item__descriptor);
  assert_round_trip(document);
  KEEP("anything");
  assert_json("{ \"anything\" : [ { \"type_url\" : \"type.googleapis.com/storetest.Item\", "
              "\"value\" : { \"$binary\" : { \"base64\" : \"CgZpbnNpZGUQBw==\", \"subType\" : \"00\" } }, "
              "\"_message\" : { \"name\" : \"inside\", \"count\" : 7 } }, "
              "{ \"type_url\" : \"type.googleapis.com/storetest.Stranger\", "
              "\"value\" : { \"$binary\" : { \"base64\" : \"CgZpbnNpZGUQBw==\", \"subType\" : \"00\" } } }, "
              "{ \"type_url\" : \"type.googleapis.com/storetest.Item\", "
              "\"value\" : { \"$binary\" : { \"base64\" : \"//8=\", \"subType\" : \"00\" } } } ] }");
}
END_TEST

/* ---- nothing is lost ---- */

START_TEST(every_kind_of_field_survives) {
  assert_round_trip(full_document(&arena, "full"));
}
END_TEST

START_TEST(an_empty_document_survives) {
  assert_round_trip(small_document(&arena, "small"));
}
END_TEST

START_TEST(times_survive_to_the_nanosecond) {
  static const struct {
    int64_t seconds;
    int32_t nanos;
  } rows[] = {{0, 0},
              {0, 1},
              {0, 999999},
              {0, 1000000},
              {-1, 0},
              {-1, 1},
              {-1, 999999999},
              {-62135596800, 0},
              {253402300799, 999999999},
              {1795230858, 123456789},
              {INT64_MAX, 5},
              {INT64_MIN, 0},
              {5, -1},
              {5, INT32_MAX}};
  Document *document = small_document(&arena, "times");
  document->create_time = timestamp(&arena, rows[_i].seconds, rows[_i].nanos);
  document->n_times = 1;
  document->times = &document->create_time;
  assert_round_trip(document);
}
END_TEST

START_TEST(numbers_survive_at_their_edges) {
  static const uint64_t edges[] = {0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
  static const double reals[] = {0.0, -0.0, DBL_MIN, DBL_MAX, INFINITY, -INFINITY, 0.1};
  Document *document = small_document(&arena, "numbers");
  document->a_uint64 = edges[_i % 5];
  document->a_fixed64 = edges[_i % 5];
  document->a_double = reals[_i];
  document->a_float = (float)reals[_i];
  assert_round_trip(document);
}
END_TEST

START_TEST(maps_with_awkward_keys_survive) {
  static const char *const keys[] = {"", "$set", "a.b", "_ns", "_unknown", "0", "größe", "same"};
  Storetest__Document__CountsEntry entries[9];
  Storetest__Document__CountsEntry *list[9];
  Document *document = small_document(&arena, "maps");
  for (size_t i = 0; i < 9; i++) {
    storetest__document__counts_entry__init(&entries[i]);
    entries[i].key = format(&arena, "%s", keys[i < 8 ? i : 7]); /* "same" twice */
    entries[i].value = (int64_t)i;
    list[i] = &entries[i];
  }
  document->counts = list;
  for (size_t first = 0; first < 9; first++) {
    document->counts = list + first;
    document->n_counts = _i == 0 ? 1 : 9 - first;
    bson_reinit(&bson);
    assert_round_trip(document);
  }
}
END_TEST

START_TEST(fields_of_a_newer_contract_survive_in_every_message) {
  uint8_t varint[] = {0x96, 0x01}, fixed[] = {1, 2, 3, 4, 5, 6, 7, 8};
  ProtobufCMessageUnknownField unknown[] = {{536870911, PROTOBUF_C_WIRE_TYPE_VARINT, 2, varint},
                                            {900, PROTOBUF_C_WIRE_TYPE_64BIT, 8, fixed}};
  Document *document = full_document(&arena, "newer");
  ProtobufCMessage *messages[] = {&document->base,
                                  &document->eta->base,
                                  &document->eta->time->base,
                                  &document->items[1]->inner->base,
                                  &document->by_number[0]->base,
                                  &document->by_number[0]->value->base,
                                  &document->times[2]->base};
  for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
    messages[i]->n_unknown_fields = 2;
    messages[i]->unknown_fields = unknown;
  }
  assert_round_trip(document);
}
END_TEST

/* ---- documents of other tools ---- */

START_TEST(numbers_of_other_tools_are_taken) {
  Document *document;
  assert_ok(decode_json("{\"_id\": \"x\", \"number\": 5.0, \"a_int32\": {\"$numberLong\": \"7\"}, \"a_uint64\": 9, "
                        "\"a_double\": 3, \"a_float\": 1.5, \"stage\": 2, \"owner_id\": null, \"rank\": 1.0}",
                        &document));
  ck_assert_int_eq(document->number, 5);
  ck_assert_int_eq(document->a_int32, 7);
  ck_assert_uint_eq(document->a_uint64, 9);
  ck_assert_double_eq(document->a_double, 3);
  ck_assert_int_eq(document->stage, STORETEST__STAGE__STAGE_FLYING);
  ck_assert_str_eq(document->owner_id, "");
  ck_assert_int_eq(document->rank, 1);
  ck_assert_int_eq(document->_rank_case, STORETEST__DOCUMENT___RANK_RANK);
}
END_TEST

START_TEST(elements_that_the_contract_does_not_know_are_skipped) {
  Document *document;
  assert_ok(decode_json(
      "{\"_id\": \"x\", \"_version\": 3, \"_keys\": {}, \"future\": [1, {\"a\": null}], \"owner_id\": \"o\"}",
      &document));
  ck_assert_str_eq(document->owner_id, "o");
}
END_TEST

/* ---- hostile documents ---- */

static const char *const hostile[] = {
    "{\"owner_id\": 5}",
    "{\"owner_id\": {\"$oid\": \"507f1f77bcf86cd799439011\"}}",
    "{\"owner_id\": \"a\\u0000b\"}",
    "{\"_id\": 7}",
    "{\"_id\": {\"a\": 1}}",
    "{\"number\": \"5\"}",
    "{\"number\": 5.5}",
    "{\"number\": 1e300}",
    "{\"number\": {\"$numberDouble\": \"NaN\"}}",
    "{\"a_int32\": 2147483648}",
    "{\"a_int32\": {\"$numberLong\": \"-2147483649\"}}",
    "{\"a_uint32\": -1}",
    "{\"a_uint64\": -1}",
    "{\"a_uint64\": \"18446744073709551616\"}",
    "{\"a_uint64\": \"-1\"}",
    "{\"a_double\": \"1\"}",
    "{\"expedited\": 1}",
    "{\"stage\": \"STAGE_LOST\"}",
    "{\"stage\": 2147483648}",
    "{\"picture\": \"text\"}",
    "{\"create_time\": \"2026-11-21T03:14:18Z\"}",
    "{\"create_time\": 5}",
    "{\"create_time\": {\"seconds\": \"5\"}}",
    "{\"eta\": []}",
    "{\"eta\": \"x\"}",
    "{\"eta\": {\"count\": true}}",
    "{\"tags\": \"x\"}",
    "{\"tags\": {\"0\": \"x\"}}",
    "{\"tags\": [\"x\", null]}",
    "{\"items\": [{}, 1]}",
    "{\"items\": {\"a\": {}}}",
    "{\"counts\": {\"a\": \"x\"}}",
    "{\"counts\": [1]}",
    "{\"by_number\": {\"x\": {}}}",
    "{\"by_number\": {\"2147483648\": {}}}",
    "{\"answers\": {\"maybe\": \"x\"}}",
    "{\"_ns\": 5}",
    "{\"create_time\": {\"$date\": \"2026-11-21T03:14:18Z\"}, \"_ns\": {\"create_time\": 1000000}}",
    "{\"create_time\": {\"$date\": \"2026-11-21T03:14:18Z\"}, \"_ns\": {\"create_time\": -1}}",
    "{\"_unknown\": 5}",
    "{\"_unknown\": [5]}",
    "{\"_unknown\": [{\"field\": 0, \"type\": 0, \"data\": {\"$binary\": {\"base64\": \"AA==\", \"subType\": "
    "\"00\"}}}]}",
    "{\"_unknown\": [{\"field\": 5, \"type\": 3, \"data\": {\"$binary\": {\"base64\": \"AA==\", \"subType\": "
    "\"00\"}}}]}",
    "{\"_unknown\": [{\"field\": 5, \"type\": 0}]}",
};
enum { HOSTILE_COUNT = sizeof(hostile) / sizeof(hostile[0]) };

START_TEST(wrong_elements_are_data_loss) {
  Document *document;
  assert_code(decode_json(hostile[_i], &document), SKY_CODE_DATA_LOSS);
  ck_assert_ptr_null(document);
}
END_TEST

static void append_nested(bson_t *to, unsigned depth) {
  if (depth == 0)
    return;
  bson_t child;
  bson_append_document_begin(to, "inner", -1, &child);
  append_nested(&child, depth - 1);
  bson_append_document_end(to, &child);
}

START_TEST(depth_is_bounded) {
  bson_t child;
  Document *document;
  bson_append_document_begin(&bson, "eta", -1, &child);
  append_nested(&child, (unsigned)_i);
  bson_append_document_end(&bson, &child);
  assert_code(decode(&bson, &document), _i < 63 ? SKY_CODE_OK : SKY_CODE_DATA_LOSS);
}
END_TEST

START_TEST(a_message_that_is_too_deep_is_refused) {
  Storetest__Item items[100];
  Document *document = small_document(&arena, "deep");
  for (size_t i = 0; i < 100; i++) {
    storetest__item__init(&items[i]);
    items[i].inner = i == 99 ? NULL : &items[i + 1];
  }
  document->eta = items;
  assert_code(sky_bson_encode(DOC(document), "id", &bson), SKY_CODE_INVALID_ARGUMENT);
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused) {
  Document *document = small_document(&arena, "text");
  document->n_tags = 1;
  document->tags = (char *[]){"\xc0\xaf"};
  assert_code(sky_bson_encode(DOC(document), "id", &bson), SKY_CODE_INVALID_ARGUMENT);
}
END_TEST

START_TEST(the_arena_bounds_a_document) {
  assert_ok(sky_bson_encode(DOC(full_document(&arena, "big")), "id", &bson));
  size_t budget = 0;
  for (SkyCode code = SKY_CODE_RESOURCE_EXHAUSTED; code != SKY_CODE_OK; budget += 7) {
    SkyArena small;
    sky_arena_init(&small, budget);
    ProtobufCMessage *message;
    SkyStatus status = sky_bson_decode(&storetest__document__descriptor, &bson, "id", &small, &message);
    code = sky_status_code(status);
    ck_assert(code == SKY_CODE_OK || code == SKY_CODE_RESOURCE_EXHAUSTED);
    sky_status_free(status);
    sky_arena_finish(&small);
  }
  ck_assert_uint_gt(budget, 1000);
}
END_TEST

/* Whatever a damaged document says, decoding ends, in a message or in an error; the sanitizers watch. */
START_TEST(damaged_bytes_are_survived) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, (uint64_t)_i);
  assert_ok(sky_bson_encode(DOC(full_document(&arena, "fuzz")), "id", &bson));
  unsigned refused = 0;
  for (int round = 0; round < 2000; round++) {
    uint8_t *bytes = malloc(bson.len); /* exactly, so that reading past the end is seen */
    memcpy(bytes, bson_get_data(&bson), bson.len);
    for (uint64_t flips = 1 + sky_random_uint64(&random.random) % 4; flips > 0; flips--)
      bytes[4 + sky_random_uint64(&random.random) % (bson.len - 5)] = (uint8_t)sky_random_uint64(&random.random);
    bson_t damaged;
    Document *document;
    if (bson_init_static(&damaged, bytes, bson.len)) {
      SkyStatus status = decode(&damaged, &document);
      refused += status != SKY_OK;
      if (status == SKY_OK)
        (void)protobuf_c_message_get_packed_size(DOC(document)); /* walks it all */
      sky_status_free(status);
    }
    free(bytes);
    sky_arena_reset(&arena);
  }
  ck_assert_uint_gt(refused, 100);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store/bson");
  TCase *cases = tcase_create("bson");
  tcase_set_timeout(cases, 60);
  tcase_add_checked_fixture(cases, setup, teardown);
  const TTest *const tests[] = {
      documents_read_as_the_contract_names_them,
      lists_and_maps_read_naturally,
      what_has_no_presence_is_written_and_the_rest_only_when_set,
      what_an_any_holds_can_be_read,
      every_kind_of_field_survives,
      an_empty_document_survives,
      fields_of_a_newer_contract_survive_in_every_message,
      numbers_of_other_tools_are_taken,
      elements_that_the_contract_does_not_know_are_skipped,
      a_message_that_is_too_deep_is_refused,
      text_that_is_not_utf8_is_refused,
      the_arena_bounds_a_document,
  };
  for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
    tcase_add_test(cases, tests[i]);
  tcase_add_loop_test(cases, times_survive_to_the_nanosecond, 0, 14);
  tcase_add_loop_test(cases, numbers_survive_at_their_edges, 0, 7);
  tcase_add_loop_test(cases, maps_with_awkward_keys_survive, 0, 2);
  tcase_add_loop_test(cases, wrong_elements_are_data_loss, 0, HOSTILE_COUNT);
  tcase_add_loop_test(cases, depth_is_bounded, 60, 66);
  tcase_add_loop_test(cases, damaged_bytes_are_survived, 1, 4);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  const int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
