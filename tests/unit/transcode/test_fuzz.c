/*
 * Random paths, queries, bodies and responses: whatever comes, the answer is a status or a result that can be read
 * again, the buffers are as promised, and nothing is leaked or read out of bounds (which sanitizers see). The seed is
 * fixed, so a failure repeats.
 */
#include "library.h"

#include <sky/core/id.h>
#include <sky/transcode/canonical.h>

#include "sky_check.h"

static SkySeededRandom seeded;

static size_t below(size_t limit) {
  return (size_t)(sky_random_uint64(&seeded.random) % limit);
}

#define PICK(pieces) (pieces)[below(sizeof(pieces) / sizeof(*(pieces)))]

static void add_piece(SkyBuf *text, const char *piece) {
  if (below(12) == 0)
    sky_buf_append_byte(text, (uint8_t)below(256));
  else
    sky_buf_append_text(text, piece);
}

static SkyStr random_text(SkyBuf *text, const char *const *pieces, size_t piece_count, size_t length) {
  sky_buf_clear(text);
  for (size_t i = 0; i < length; i++)
    add_piece(text, pieces[below(piece_count)]);
  return sky_buf_str(text);
}

static const char *const path_pieces[] = {
    "/",    "/v1",     "/books",   "/shelves",    "/special", "/files",    "/kinds", "/first", "/echo",
    "/7",   ":remove", ":watch",   ":",           "%2F",      "%",         "%2e",    "..",     "*",
    "{id}", "a",       "/colours", "/COLOUR_RED", "/true",    ":copy:all", "//"};
static const char *const query_pieces[] = {"pageSize",
                                           "=",
                                           "&",
                                           "1",
                                           "author",
                                           ".name",
                                           "tags",
                                           "[",
                                           "]",
                                           "labels[k]",
                                           "%20",
                                           "+",
                                           "%",
                                           "after",
                                           "2026-11-21T00:00:00Z",
                                           "maxAge",
                                           "3s",
                                           "fields",
                                           "a,b",
                                           "shelf",
                                           "box",
                                           "anInt32",
                                           "position.latitude",
                                           "wrappedInt64",
                                           "colour",
                                           "someBytes",
                                           "AAE=",
                                           "NaN",
                                           "-1",
                                           "child.child.aString",
                                           "id",
                                           "book.title"};
static const char *const json_pieces[] = {"{",
                                          "}",
                                          "[",
                                          "]",
                                          ":",
                                          ",",
                                          "\"",
                                          "null",
                                          "true",
                                          "false",
                                          "1",
                                          "-0.5e3",
                                          "\"a\"",
                                          "\"aString\":",
                                          "\"child\":{",
                                          "\"numbers\":[",
                                          "\"labels\":{",
                                          "\"struct\":",
                                          "\"any\":{\"@type\":",
                                          "\"x/test.library.v1.Position\"",
                                          "\"value\":",
                                          "\"time\":\"2026-11-21T00:00:00Z\"",
                                          "\"mask\":\"a,b\"",
                                          "\"choiceText\":",
                                          "\"choiceNumber\":",
                                          "\\u0041",
                                          "\\ud83d",
                                          "\\",
                                          "\"id\":\"7\"",
                                          "\"title\":\"t\"",
                                          "\"author\":{",
                                          "\"updateMask\":",
                                          " ",
                                          "\"list\":[",
                                          "\"wrappedBytes\":\"AA\""};
static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "REPORT", "x"};

#define RANDOM_TEXT(text, pieces, length) random_text((text), (pieces), sizeof(pieces) / sizeof(*(pieces)), (length))

static void setup(void) {
  library_setup();
  sky_seeded_random_init(&seeded, 20261121);
}

/* A request that was accepted has wire bytes that can be read. */
static void check_wire(void) {
  SkyBuf canonical;
  sky_buf_init(&canonical, 1 << 20);
  SkyStatus status = sky_wire_canonical(library, route.method->request, wire.data, wire.size, &arena, &canonical);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  sky_buf_clear(&json);
  status = sky_json_from_wire(library, route.method->request, canonical.data, canonical.size, NULL, &arena, &json);
  ck_assert_msg(status == SKY_OK || strstr(sky_status_message(status), "no JSON form") != NULL ||
                    strstr(sky_status_message(status), "JSON does not have") != NULL,
                "%s", sky_status_message(status));
  sky_status_free(status);
  sky_buf_finish(&canonical);
}

static bool try_request(SkyStr method, SkyStr path, const SkyHttpRequest *request) {
  SkyStatus status = sky_transcode_route(library, method, path, &route);
  const bool found = route.outcome == SKY_ROUTE_FOUND;
  ck_assert_int_eq(status == SKY_OK, found || route.outcome == SKY_ROUTE_OPTIONS);
  if (found) {
    sky_buf_clear(&wire);
    status = sky_transcode_request(library, &route, request, NULL, &arena, &wire);
    ck_assert(status == SKY_OK || wire.size == 0);
    if (status == SKY_OK)
      check_wire();
  }
  const bool accepted = found && status == SKY_OK;
  if (status != SKY_OK) {
    const uint32_t http_status = sky_problem_http_status(status);
    ck_assert_msg(http_status >= 400 && http_status < 500, "%s", sky_status_message(status));
    sky_buf_clear(&json);
    sky_problem_write(status, &(SkyProblemContext){.instance = path}, &json);
    ck_assert(sky_utf8_valid(json.data, json.size));
  }
  sky_status_free(status);
  sky_arena_reset(&arena);
  return accepted;
}

START_TEST(random_paths) {
  SkyBuf path;
  sky_buf_init(&path, 1 << 16);
  for (int i = 0; i < 20000; i++)
    try_request(sky_str(PICK(methods)), RANDOM_TEXT(&path, path_pieces, 1 + below(8)),
                &(SkyHttpRequest){.query = SKY_STR("")});
  sky_buf_finish(&path);
}
END_TEST

START_TEST(random_queries) {
  static const char *const paths[] = {"/v1/books", "/v1/books/7", "/v1/echo", "/v1/kinds/k/7"};
  SkyBuf query;
  size_t accepted = 0;
  sky_buf_init(&query, 1 << 16);
  for (int i = 0; i < 20000; i++) {
    const SkyHttpRequest request = {.query = RANDOM_TEXT(&query, query_pieces, below(9))};
    accepted += try_request(SKY_STR("GET"), sky_str(PICK(paths)), &request);
  }
  ck_assert_uint_gt(accepted, 1000);
  sky_buf_finish(&query);
}
END_TEST

START_TEST(random_bodies) {
  static const struct {
    const char *method, *path;
  } targets[] = {{"POST", "/v1/echo"},
                 {"PATCH", "/v1/books/7"},
                 {"PUT", "/v1/books/7"},
                 {"PATCH", "/v1/books/7/shelves/s"},
                 {"POST", "/v1/books/7:remove"}};
  SkyBuf body;
  size_t accepted = 0;
  sky_buf_init(&body, 1 << 16);
  for (int i = 0; i < 30000; i++) {
    const size_t target = below(sizeof(targets) / sizeof(*targets));
    RANDOM_TEXT(&body, json_pieces, below(20));
    if (below(3) != 0) { /* a beginning that leads further in */
      sky_buf_clear(&body);
      sky_buf_append_byte(&body, '{');
      for (size_t k = 0; k < 12; k++)
        add_piece(&body, PICK(json_pieces));
    }
    accepted += try_request(sky_str(targets[target].method), sky_str(targets[target].path),
                            &(SkyHttpRequest){.body = sky_buf_str(&body)});
  }
  ck_assert_uint_gt(accepted, 100);
  sky_buf_finish(&body);
}
END_TEST

/* Every way to cut or change one byte of a good body and of its wire bytes. */
START_TEST(damaged_bodies_and_responses) {
  static const char good[] = "{\"aDouble\":1.5,\"aString\":\"x\\u00e9\",\"someBytes\":\"AAEC\",\"position\":{"
                             "\"latitude\":1},\"numbers\":[1,2],\"labels\":{\"a\":\"b\"},"
                             "\"places\":{\"1\":{}},\"choicePosition\":{},\"time\":\"2026-11-21T03:14:18.25Z\","
                             "\"duration\":\"1.5s\",\"mask\":\"a.bC\","
                             "\"struct\":{\"a\":[1,null,{}]},\"any\":{\"@type\":\"x/"
                             "test.library.v1.Position\",\"latitude\":1},\"wrappedInt64\":\"5\",\"values\":[true]}";
  char text[sizeof(good)];
  for (size_t i = 0; i < sizeof(good) - 1; i++) {
    memcpy(text, good, sizeof(good));
    try_request(SKY_STR("POST"), SKY_STR("/v1/echo"), &(SkyHttpRequest){.body = {text, i}});
    for (int k = 0; k < 6; k++) {
      memcpy(text, good, sizeof(good));
      text[i] = k < 4 ? "\"{]\\"[k] : (char)below(256);
      try_request(SKY_STR("POST"), SKY_STR("/v1/echo"), &(SkyHttpRequest){.body = {text, sizeof(good) - 1}});
    }
  }
  find_route("POST", "/v1/echo");
  sky_buf_clear(&wire);
  ck_assert_ptr_null(
      sky_transcode_request(library, &route, &(SkyHttpRequest){.body = {good, sizeof(good) - 1}}, NULL, &arena, &wire));
  uint8_t *bytes = malloc(wire.size);
  for (size_t i = 0; i < wire.size; i++)
    for (int k = 0; k < 20; k++) {
      memcpy(bytes, wire.data, wire.size);
      bytes[i] = (uint8_t)below(256);
      sky_buf_clear(&json);
      SkyHttpAnswer answer;
      SkyStatus status =
          sky_transcode_response(library, &route, bytes, k == 0 ? i : wire.size, NULL, &arena, &json, &answer);
      ck_assert(status == SKY_OK ? sky_utf8_valid(json.data, json.size) : json.size == 0);
      sky_status_free(status);
      sky_arena_reset(&arena);
    }
  free(bytes);
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/fuzz", setup, library_teardown, random_paths, random_queries, random_bodies,
                    damaged_bodies_and_responses)
