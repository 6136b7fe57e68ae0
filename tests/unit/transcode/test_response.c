#include "library.h"

#include "sky_check.h"

static SkyHttpAnswer answer;

/* The answer's body for a response given as JSON of its type. */
static const char *respond(const char *method, const char *path, const char *type, const char *text) {
  SkyStatus status = read_json_with(type, text, NULL);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  find_route(method, path);
  sky_buf_clear(&json);
  status = sky_transcode_response(library, &route, wire.data, wire.size, NULL, &arena, &json, &answer);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  sky_buf_append_byte(&json, 0);
  return (const char *)json.data;
}

#define ck_str(str, text) ck_assert_msg(sky_str_is((str), (text)), "%.*s", SKY_STR_ARGS(str))

START_TEST(the_status_and_the_location_are_the_contracts) {
  ck_assert_str_eq(respond("POST", "/v1/books", "Book", "{\"id\":\"a/b \xc3\xa9\",\"title\":\"t\"}"),
                   "{\"id\":\"a/b \xc3\xa9\",\"title\":\"t\"}");
  ck_assert_uint_eq(answer.status, 202);
  ck_assert(answer.has_body);
  ck_str(answer.content_type, "application/json");
  ck_str(answer.location, "/v1/books/a%2Fb%20%C3%A9");
}
END_TEST

START_TEST(a_location_without_its_value_is_left_out) {
  respond("POST", "/v1/books", "Book", "{\"title\":\"t\"}");
  ck_str(answer.location, "");
}
END_TEST

START_TEST(created_tells_201_with_location_and_is_not_written) {
  ck_assert_str_eq(respond("PUT", "/v1/books/7", "PutBookResponse", "{\"book\":{\"id\":\"7\"},\"created\":true}"),
                   "{\"book\":{\"id\":\"7\"}}");
  ck_assert_uint_eq(answer.status, 201);
  ck_assert(answer.created);
  ck_str(answer.location, "/v1/books/7");
  ck_assert_str_eq(respond("PUT", "/v1/books/7", "PutBookResponse", "{\"book\":{\"id\":\"7\"}}"),
                   "{\"book\":{\"id\":\"7\"}}");
  ck_assert_uint_eq(answer.status, 200);
  ck_assert(!answer.created);
  ck_str(answer.location, "");
}
END_TEST

START_TEST(no_content_has_no_body) {
  ck_assert_str_eq(respond("DELETE", "/v1/books/7", "google.protobuf.Empty", "{}"), "");
  ck_assert_uint_eq(answer.status, 204);
  ck_assert(!answer.has_body);
}
END_TEST

START_TEST(response_body_is_one_field) {
  ck_assert_str_eq(respond("GET", "/v1/books", "ListBooksResponse", "{\"books\":[{\"id\":\"1\"},{}]}"),
                   "[{\"id\":\"1\"},{}]");
  ck_assert_str_eq(respond("GET", "/v1/books", "ListBooksResponse", "{}"), "[]");
}
END_TEST

START_TEST(the_etag_is_quoted_and_safe) {
  respond("GET", "/v1/books/7", "Book", "{\"etag\":\"v1\"}");
  ck_str(answer.etag, "\"v1\"");
  respond("GET", "/v1/books/7", "Book", "{\"etag\":\"a\\\"b\"}");
  ck_str(answer.etag, "");
  respond("GET", "/v1/books/7", "Book", "{\"etag\":\"a\\r\\nb\"}");
  ck_str(answer.etag, "");
}
END_TEST

START_TEST(an_http_body_is_sent_as_it_is) {
  ck_assert_str_eq(
      respond("PUT", "/v1/files/f", "google.api.HttpBody", "{\"contentType\":\"text/plain\",\"data\":\"aGk=\"}"), "hi");
  ck_str(answer.content_type, "text/plain");
  respond("PUT", "/v1/files/f", "google.api.HttpBody", "{}");
  ck_str(answer.content_type, "application/octet-stream");
}
END_TEST

START_TEST(stream_messages_carry_the_event_id) {
  SkyStr event_id;
  ck_assert_ptr_null(read_json_with("BookEvent", "{\"eventId\":\"e7\",\"book\":{\"title\":\"a\\nb\"}}", NULL));
  find_route("GET", "/v1/books:watch");
  ck_assert(route.method->server_streaming);
  sky_buf_clear(&json);
  ck_assert_ptr_null(
      sky_transcode_response_message(library, &route, wire.data, wire.size, NULL, &arena, &json, &event_id));
  ck_str(sky_buf_str(&json), "{\"eventId\":\"e7\",\"book\":{\"title\":\"a\\nb\"}}");
  ck_str(event_id, "e7");
}
END_TEST

START_TEST(a_malformed_response_is_the_backends_fault) {
  find_route("GET", "/v1/books/7");
  sky_buf_clear(&json);
  SkyStatus status = sky_transcode_response(library, &route, "\x0a\x05", 2, NULL, &arena, &json, &answer);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INTERNAL);
  ck_assert_uint_eq(json.size, 0);
  sky_status_free(status);
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/response", library_setup, library_teardown,
                    the_status_and_the_location_are_the_contracts, a_location_without_its_value_is_left_out,
                    created_tells_201_with_location_and_is_not_written, no_content_has_no_body,
                    response_body_is_one_field, the_etag_is_quoted_and_safe, an_http_body_is_sent_as_it_is,
                    stream_messages_carry_the_event_id, a_malformed_response_is_the_backends_fault)
