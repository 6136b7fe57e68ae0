#include "library.h"

#include "sky_check.h"

START_TEST(path_variables_fill_fields) {
  ck_request("GET /v1/books/7", "", "{\"id\":\"7\"}");
  ck_request("GET /v1/kinds/k/-12", "", "{\"kind\":\"k\",\"number\":-12}");
  ck_request("GET /v1/colours/COLOUR_RED/true", "", "{\"colour\":\"COLOUR_RED\",\"flag\":true}");
  ck_request("GET /v1/colours/2/false", "", "{\"colour\":\"COLOUR_GREEN\"}");
  ck_request("GET /v1/kinds/k/x", "", "number: must be an integer of 32 bits");
  ck_request("GET /v1/colours/BLUE/1", "",
             "colour: must be one of COLOUR_UNSPECIFIED, COLOUR_RED, COLOUR_GREEN, COLOUR_NEGATIVE\nflag: must be true "
             "or false");
}
END_TEST

START_TEST(variables_are_percent_decoded_by_their_kind) {
  ck_request("GET /v1/books/a%2Fb%20c", "", "{\"id\":\"a/b c\"}");
  ck_request("GET /v1/files/a%2Fb/c%20d", "", "{\"name\":\"files/a%2Fb/c d\"}");
  ck_request("GET /v1/books/a+b", "", "{\"id\":\"a+b\"}");
  ck_request("GET /v1/books/%ff", "", "id: is not valid UTF-8");
  ck_request("GET /v1/books/a%00b", "", "id: must not contain the character U+0000");
}
END_TEST

START_TEST(query_parameters_reach_every_kind_of_field) {
  ck_request(
      "GET /v1/books?pageSize=3&author.name=x&author.homeTown=y&tags=a&tags=b%26c&colours=COLOUR_RED&colours=2"
      "&after=2026-11-21T03:14:18Z&maxAge=1.5s&fields=title,author.homeTown&inPrint=false&labels[k]=v&labels[l.m]=w"
      "&years=1&years=2&sorted=false&cursor=AAE&shelf=a+b",
      "",
      "{\"pageSize\":3,\"author\":{\"name\":\"x\",\"homeTown\":\"y\"},\"tags\":[\"a\",\"b&c\"],"
      "\"colours\":[\"COLOUR_RED\",\"COLOUR_GREEN\"],\"after\":\"2026-11-21T03:14:18Z\",\"maxAge\":\"1.500s\","
      "\"fields\":\"title,author.homeTown\",\"inPrint\":false,\"labels\":{\"k\":\"v\",\"l.m\":\"w\"},\"years\":[1,2],"
      "\"sorted\":false,\"cursor\":\"AAE=\",\"shelf\":\"a b\"}");
  ck_request("GET /v1/books?page_size=3&author.home_town=x&fields=home_town", "",
             "{\"pageSize\":3,\"author\":{\"homeTown\":\"x\"},\"fields\":\"homeTown\"}");
  ck_request("GET /v1/books?&&tags=&", "", "{\"tags\":[\"\"]}");
}
END_TEST

START_TEST(query_mistakes_are_each_named) {
  ck_request("GET "
             "/v1/"
             "books?pageSize=x&nowhere=1&pageSize=2&author=x&filter=y&examples=z&author.name=a&author.name=b&labels=1&"
             "tags[0]=x"
             "&shelf=a&box=b&a%zz=1&years=99999999999",
             "",
             "pageSize: must be an integer of 32 bits\n"
             "nowhere: is not a query parameter of this method\n"
             "pageSize: is given twice\n"
             "author: is not a field that fits into a query parameter\n"
             "filter: is not a field that fits into a query parameter\n"
             "examples: is not a field that fits into a query parameter\n"
             "author.name: is given twice\n"
             "labels: is not a field that fits into a query parameter\n"
             "tags[0]: is not a field that fits into a query parameter\n"
             "box: cannot be given together with shelf\n"
             "a%zz: has malformed percent-encoding\n"
             "years: must be from -2147483648 to 2147483647");
}
END_TEST

START_TEST(unknown_query_parameters_are_skipped_when_asked) {
  const SkyRequestOptions options = {.ignore_unknown_query = true};
  ck_assert_ptr_null(
      transcode_request("GET /v1/books?utm_source=x&pageSize=1", &(SkyHttpRequest){.body = SKY_STR("")}, &options));
  ck_assert_uint_eq(wire.size, 2);
}
END_TEST

START_TEST(the_body_is_the_request_or_one_field) {
  ck_request("POST /v1/books", "{\"title\":\"t\"}", "{\"book\":{\"title\":\"t\"}}");
  ck_request("POST /v1/books?dryRun=true", "{\"title\":\"t\"}", "{\"book\":{\"title\":\"t\"},\"dryRun\":true}");
  ck_request("POST /v1/books", "", "{}");
  ck_request("POST /v1/books", "{}", "{\"book\":{}}");
  ck_request("POST /v1/books/7:remove", "", "{\"id\":\"7\"}");
  ck_request("POST /v1/books/7:remove", "{}", "{\"id\":\"7\"}");
  ck_request("POST /v1/echo", "{\"anInt32\":1}", "{\"anInt32\":1}");
  ck_request("REPORT /v1/echo", "{\"anInt32\":1}", "{\"anInt32\":1}");
  ck_request("GET /v1/echo?anInt32=1&position.latitude=2", "", "{\"anInt32\":1,\"position\":{\"latitude\":2}}");
}
END_TEST

START_TEST(what_belongs_elsewhere_is_refused) {
  ck_request("POST /v1/books?book.title=x", "{}", "book.title: belongs into the body, not into the query");
  ck_request("POST /v1/books?title=x", "{}", "title: is not a query parameter of this method");
  ck_request("POST /v1/echo?anInt32=1", "{}", "anInt32: is not a query parameter of this method");
  ck_request("GET /v1/books/7", "{}", "body: is not taken by this method");
  ck_request("POST /v1/books", "null", "body: must not be null");
}
END_TEST

START_TEST(nothing_overrides_a_path_variable) {
  ck_request("GET /v1/books/7?id=8", "", "id: contradicts the value that the path gives");
  ck_request("GET /v1/books/7?id=7", "", "{\"id\":\"7\"}");
  ck_request("POST /v1/books/7:remove", "{\"id\":\"8\"}", "id: contradicts the value that the path gives");
  ck_request("POST /v1/books/7:remove", "{\"id\":\"7\"}", "{\"id\":\"7\"}");
  ck_request("POST /v1/books/7:remove", "{\"id\":null}", "{\"id\":\"7\"}");
  ck_request("PUT /v1/books/7", "{\"id\":\"8\",\"title\":\"t\"}", "id: contradicts the value that the path gives");
  ck_request("PUT /v1/books/7", "{\"id\":\"\"}", "id: contradicts the value that the path gives");
  ck_request("PUT /v1/books/7", "{\"title\":\"t\",\"id\":\"7\"}", "{\"book\":{\"id\":\"7\",\"title\":\"t\"}}");
  ck_request("PUT /v1/books/7", "{\"title\":\"t\"}", "{\"book\":{\"id\":\"7\",\"title\":\"t\"}}");
  ck_request("PUT /v1/books/7", "", "{\"book\":{\"id\":\"7\"}}");
  ck_request("PUT /v1/books/7?book.id=8", "{}", "book.id: belongs into the body, not into the query");
}
END_TEST

START_TEST(nothing_overrides_the_oneof_of_a_path_variable) {
  ck_request("PATCH /v1/books/7/shelves/s", "{\"box\":\"b\"}",
             "box: cannot be given together with shelf, which comes from path, query or a header");
  ck_request("PATCH /v1/books/7/shelves/s", "{\"box\":null}", "{\"id\":\"7\",\"shelf\":\"s\",\"updateMask\":\"box\"}");
}
END_TEST

/* The bytes hold one book only: a parser that keeps the last of two would lose the path's. */
START_TEST(the_body_and_the_path_become_one_message) {
  const SkyHttpRequest request = {.body = SKY_STR("{\"title\":\"t\"}")};
  ck_assert_ptr_null(transcode_request("PUT /v1/books/7", &request, NULL));
  static const char expected[] = "\x0a\x06\x12\x01t\x0a\x01"
                                 "7";
  ck_assert_uint_eq(wire.size, sizeof(expected) - 1);
  ck_assert_mem_eq(wire.data, expected, sizeof(expected) - 1);
}
END_TEST

START_TEST(headers_fill_their_fields_and_nothing_else_does) {
  SkyHttpRequest request = {.body = SKY_STR("{}"), .idempotency_key = SKY_STR("\"k-1\"")};
  ck_assert_str_eq(request_json("POST /v1/books", &request), "{\"book\":{},\"requestKey\":\"k-1\"}");
  ck_request("POST /v1/books?requestKey=x", "{}", "requestKey: is taken from a header and cannot be given otherwise");
  ck_request("POST /v1/books?request_key=", "{}", "requestKey: is taken from a header and cannot be given otherwise");
  request = (SkyHttpRequest){.if_match = SKY_STR("\"v1\"")};
  ck_assert_str_eq(request_json("PUT /v1/books/7", &request), "{\"book\":{\"id\":\"7\"},\"ifMatch\":\"v1\"}");
  request = (SkyHttpRequest){.if_match = SKY_STR("W/\"v1\"")};
  ck_assert_str_eq(request_json("PUT /v1/books/7", &request), "{\"book\":{\"id\":\"7\"},\"ifMatch\":\"v1\"}");
  request = (SkyHttpRequest){.if_match = SKY_STR("\"v1\", \"v2\"")};
  ck_assert_str_eq(request_json("PUT /v1/books/7", &request), "If-Match: must be one entity tag");
  request = (SkyHttpRequest){.last_event_id = SKY_STR("12")};
  ck_assert_str_eq(request_json("GET /v1/books:watch", &request), "{\"lastEventId\":\"12\"}");
  ck_assert_str_eq(request_json("GET /v1/books/7", &request), "{\"id\":\"7\"}");
}
END_TEST

START_TEST(patch_implies_the_mask_of_what_the_body_names) {
  ck_request("PATCH /v1/books/7", "{\"title\":\"t\",\"author\":{\"homeTown\":\"x\"}}",
             "{\"id\":\"7\",\"change\":{\"title\":\"t\",\"author\":{\"homeTown\":\"x\"}},\"updateMask\":\"title,author."
             "homeTown\"}");
  ck_request("PATCH /v1/books/7", "{\"title\":null,\"author\":null}",
             "{\"id\":\"7\",\"change\":{},\"updateMask\":\"title,author\"}");
  ck_request("PATCH /v1/books/7",
             "{\"author\":{},\"tags\":[],\"labels\":{\"a\":\"b\"},\"published\":\"2026-11-21T00:00:00Z\"}",
             "{\"id\":\"7\",\"change\":{\"author\":{},\"labels\":{\"a\":\"b\"},\"published\":\"2026-11-21T00:00:00Z\"},"
             "\"updateMask\":\"author,tags,labels,published\"}");
  ck_request("PATCH /v1/books/7", "{}", "{\"id\":\"7\",\"change\":{}}");
}
END_TEST

START_TEST(a_mask_that_the_client_gives_goes_first) {
  ck_request("PATCH /v1/books/7?updateMask=title", "{\"title\":\"t\",\"id\":\"9\"}",
             "{\"id\":\"7\",\"change\":{\"id\":\"9\",\"title\":\"t\"},\"updateMask\":\"title\"}");
  ck_request("PATCH /v1/books/7/shelves/s", "{\"updateMask\":\"mover\",\"mover\":{\"name\":\"m\"}}",
             "{\"id\":\"7\",\"shelf\":\"s\",\"updateMask\":\"mover\",\"mover\":{\"name\":\"m\"}}");
  ck_request("PATCH /v1/books/7/shelves/s", "{\"mover\":{\"name\":\"m\"},\"id\":\"7\"}",
             "{\"id\":\"7\",\"shelf\":\"s\",\"updateMask\":\"mover.name\",\"mover\":{\"name\":\"m\"}}");
}
END_TEST

START_TEST(the_media_type_decides_how_the_body_is_read) {
  SkyHttpRequest request = {.body = SKY_STR("{\"title\":\"t\"}")};
  static const char *const json_types[] = {"", "application/json", "Application/JSON; charset=UTF-8",
                                           "application/merge-patch+json", "application/json;charset=\"utf-8\""};
  for (size_t i = 0; i < sizeof(json_types) / sizeof(*json_types); i++) {
    request.content_type = sky_str(json_types[i]);
    ck_assert_str_eq(request_json("POST /v1/books", &request), "{\"book\":{\"title\":\"t\"}}");
  }
  static const char *const other_types[] = {"text/plain", "application/xml", "application/json; charset=latin1", "json",
                                            "+json"};
  for (size_t i = 0; i < sizeof(other_types) / sizeof(*other_types); i++) {
    request.content_type = sky_str(other_types[i]);
    SkyStatus status = transcode_request("POST /v1/books", &request, NULL);
    ck_assert_uint_eq(sky_problem_http_status(status), 415);
    ck_assert_str_eq(violations_of(status), "Content-Type: must be application/json in UTF-8");
  }
  request = (SkyHttpRequest){.content_type = SKY_STR("application/x-www-form-urlencoded"),
                             .body = SKY_STR("book.title=a+b&book.tags=x&book.tags=y")};
  ck_assert_str_eq(request_json("POST /v1/books", &request), "{\"book\":{\"title\":\"a b\",\"tags\":[\"x\",\"y\"]}}");
  request.body = SKY_STR("book.title=a&colour=red");
  SkyStatus status = transcode_request("POST /v1/books", &request, NULL);
  ck_assert_str_eq(violations_of(status), "colour: is not a field of this form");
}
END_TEST

/* What curl sends when it is not told the type. */
START_TEST(json_that_is_called_a_form_is_known_as_json) {
  static const char *const bodies[] = {"{\"title\":\"t\"}", " \r\n\t[1]"};
  for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
    const SkyHttpRequest request = {.content_type = SKY_STR("application/x-www-form-urlencoded"),
                                    .body = sky_str(bodies[i])};
    SkyStatus status = transcode_request("POST /v1/books", &request, NULL);
    ck_assert_uint_eq(sky_problem_http_status(status), 415);
    ck_assert_str_eq(violations_of(status),
                     "Content-Type: says that the body is a form, but it is JSON: must be application/json");
  }
}
END_TEST

START_TEST(a_raw_body_becomes_an_http_body) {
  const SkyHttpRequest request = {.content_type = SKY_STR("image/png"), .body = {"\x89PNG\0", 5}};
  ck_assert_str_eq(request_json("PUT /v1/files/f", &request),
                   "{\"id\":\"f\",\"content\":{\"contentType\":\"image/png\",\"data\":\"iVBORwA=\"}}");
}
END_TEST

START_TEST(sizes_are_bounded) {
  const SkyRequestOptions options = {.max_body_bytes = 8};
  const SkyHttpRequest request = {.body = SKY_STR("{\"title\":\"t\"}")};
  SkyStatus status = transcode_request("POST /v1/books", &request, &options);
  ck_assert_uint_eq(sky_problem_http_status(status), 413);
  sky_status_free(status);
  sky_buf_finish(&wire);
  sky_buf_init(&wire, 4);
  status = transcode_request("POST /v1/books", &request, NULL);
  ck_assert_uint_eq(sky_problem_http_status(status), 413);
  sky_status_free(status);
}
END_TEST

START_TEST(the_buffer_is_appended_to_and_restored_on_failure) {
  find_route("GET", "/v1/books/7");
  sky_buf_clear(&wire);
  sky_buf_append_text(&wire, "frame");
  SkyHttpRequest request = {.query = SKY_STR("")};
  ck_assert_ptr_null(sky_transcode_request(library, &route, &request, NULL, &arena, &wire));
  ck_assert(sky_str_is(sky_buf_str(&wire), "frame\x0a\x01"
                                           "7"));
  wire.size = 5;
  request.query = SKY_STR("x=1");
  sky_status_free(sky_transcode_request(library, &route, &request, NULL, &arena, &wire));
  ck_assert(sky_str_is(sky_buf_str(&wire), "frame"));
}
END_TEST

START_TEST(violations_of_path_query_and_body_come_together) {
  ck_request("PUT /v1/books/7?x=1", "{\"id\":\"8\",\"tags\":1}",
             "x: is not a query parameter of this method\nid: contradicts the value that the path gives\ntags: must be "
             "a list");
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/request", library_setup, library_teardown, path_variables_fill_fields,
                    variables_are_percent_decoded_by_their_kind, query_parameters_reach_every_kind_of_field,
                    query_mistakes_are_each_named, unknown_query_parameters_are_skipped_when_asked,
                    the_body_is_the_request_or_one_field, what_belongs_elsewhere_is_refused,
                    nothing_overrides_a_path_variable, nothing_overrides_the_oneof_of_a_path_variable,
                    the_body_and_the_path_become_one_message, headers_fill_their_fields_and_nothing_else_does,
                    patch_implies_the_mask_of_what_the_body_names, a_mask_that_the_client_gives_goes_first,
                    the_media_type_decides_how_the_body_is_read, json_that_is_called_a_form_is_known_as_json,
                    a_raw_body_becomes_an_http_body, sizes_are_bounded,
                    the_buffer_is_appended_to_and_restored_on_failure, violations_of_path_query_and_body_come_together)
