#include "library.h"

#include "sky_check.h"

static const char *problem_of(SkyStatus status, const SkyProblemContext *context) {
  sky_buf_clear(&json);
  sky_problem_write(status, context, &json);
  sky_buf_append_byte(&json, 0);
  sky_status_free(status);
  return (const char *)json.data;
}

START_TEST(every_part_of_a_problem_is_written) {
  SkyStatus status = SKY_INVALID_ARGUMENT("weight \"x\" is wrong");
  status = sky_status_with_reason(status, "WEIGHT_WRONG");
  status = sky_status_with_violation(status, "weight_kg", "must be positive");
  const SkyProblemContext context = {.instance = SKY_STR("/v1/books"),
                                     .trace_id = SKY_STR("0af7651916cd43dd8448eb211c80319c"),
                                     .type_base = SKY_STR("https://example.org/problems/")};
  ck_assert_str_eq(
      problem_of(status, &context),
      "{\"type\":\"https://example.org/problems/WEIGHT_WRONG\",\"title\":\"Bad Request\",\"status\":400,"
      "\"detail\":\"weight \\\"x\\\" is wrong\",\"instance\":\"/v1/books\",\"code\":\"INVALID_ARGUMENT\","
      "\"reason\":\"WEIGHT_WRONG\",\"violations\":[{\"field\":\"weight_kg\",\"description\":\"must be positive\"}],"
      "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\"}");
}
END_TEST

START_TEST(what_is_not_known_is_left_out) {
  ck_assert_str_eq(
      problem_of(SKY_NOT_FOUND("book 7"), NULL),
      "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"book 7\",\"code\":\"NOT_FOUND\"}");
}
END_TEST

START_TEST(nothing_internal_gets_out) {
  static const SkyCode secret[] = {SKY_CODE_UNKNOWN,     SKY_CODE_INTERNAL,          SKY_CODE_DATA_LOSS,
                                   SKY_CODE_UNAVAILABLE, SKY_CODE_DEADLINE_EXCEEDED, SKY_CODE_CANCELLED};
  for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++)
    ck_assert_ptr_null(
        strstr(problem_of(sky_status_new(secret[i], "connect to 10.0.0.7:9001 failed"), NULL), "10.0.0.7"));
  ck_assert_ptr_null(strstr(problem_of(sky_status_with_reason(SKY_INTERNAL("10.0.0.7"), "X"), NULL), "10.0.0.7"));
  ck_assert_ptr_nonnull(strstr(problem_of(sky_status_with_reason(SKY_UNAVAILABLE("the queue is full"), "BUSY"), NULL),
                               "the queue is full"));
}
END_TEST

START_TEST(http_status_is_by_reason_then_by_code) {
  SkyStatus status = SKY_FAILED_PRECONDITION("it has left");
  ck_assert_uint_eq(sky_problem_http_status(status), 409);
  status = sky_status_with_reason(status, SKY_REASON_ETAG);
  ck_assert_uint_eq(sky_problem_http_status(status), 412);
  sky_status_free(status);
  static const struct {
    const char *reason;
    uint32_t http;
  } reasons[] = {{SKY_REASON_URI_TOO_LONG, 414}, {SKY_REASON_HEADERS_TOO_LARGE, 431}, {SKY_REASON_TIMEOUT, 408}};
  for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++) {
    status = sky_status_with_reason(SKY_INVALID_ARGUMENT("x"), reasons[i].reason);
    ck_assert_uint_eq(sky_problem_http_status(status), reasons[i].http);
    ck_assert_str_ne(sky_http_status_title(reasons[i].http), "");
    sky_status_free(status);
  }
  ck_assert_uint_eq(sky_problem_http_status(SKY_OK), 200);
  static const struct {
    SkyCode code;
    uint32_t http;
  } cases[] = {{SKY_CODE_CANCELLED, 499},      {SKY_CODE_UNKNOWN, 500},           {SKY_CODE_DEADLINE_EXCEEDED, 504},
               {SKY_CODE_ALREADY_EXISTS, 409}, {SKY_CODE_PERMISSION_DENIED, 403}, {SKY_CODE_RESOURCE_EXHAUSTED, 429},
               {SKY_CODE_ABORTED, 409},        {SKY_CODE_OUT_OF_RANGE, 400},      {SKY_CODE_UNIMPLEMENTED, 501},
               {SKY_CODE_UNAVAILABLE, 503},    {SKY_CODE_UNAUTHENTICATED, 401}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    status = sky_status_new(cases[i].code, "x");
    ck_assert_uint_eq(sky_problem_http_status(status), cases[i].http);
    ck_assert_str_ne(sky_http_status_title(cases[i].http), "");
    sky_status_free(status);
  }
}
END_TEST

START_TEST(retry_after_is_whole_seconds) {
  SkyStatus status = SKY_UNAVAILABLE("x");
  ck_assert_uint_eq(sky_problem_retry_after_s(status), 1);
  status = sky_status_with_retry_after_ms(status, 2001);
  ck_assert_uint_eq(sky_problem_retry_after_s(status), 3);
  sky_status_free(status);
  status = SKY_NOT_FOUND("x");
  ck_assert_uint_eq(sky_problem_retry_after_s(status), 0);
  sky_status_free(status);
}
END_TEST

START_TEST(violations_of_a_backend_get_the_names_of_the_body) {
  find_route("POST", "/v1/books");
  const SkyProblemContext context = {.route = &route};
  SkyStatus status = SKY_OK;
  sky_violations_add(&status, "book.author.home_town", "a");
  sky_violations_add(&status, "book.tags[2]", "b");
  sky_violations_add(&status, "request_key", "c");
  sky_violations_add(&status, "book", "d");
  sky_violations_add(&status, "elsewhere.some_field", "e");
  const char *text = problem_of(status, &context);
  static const char *const fields[] = {"author.homeTown", "tags[2]", "requestKey", "body", "elsewhere.some_field"};
  for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "{\"field\":\"%s\",", fields[i]);
    ck_assert_msg(strstr(text, wanted) != NULL, "%s in %s", wanted, text);
  }
  ck_assert_msg(strstr(text, "\"detail\":\"author.homeTown: a\"") != NULL, "%s", text);
}
END_TEST

/* google.rpc.Status with ErrorInfo, BadRequest, RetryInfo and a detail of a type that nobody knows. */
START_TEST(grpc_details_are_understood) {
  static const char details[] =
      "\x08\x03\x12\x03"
      "bad"
      "\x1a\x3d\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x11\x0a\x06REASON\x1a\x07\x0a\x01k\x12\x02vv"
      "\x1a\x36\x0a\x29type.googleapis.com/google.rpc.BadRequest\x12\x09\x0a\x07\x0a\x01"
      "f\x12\x02no"
      "\x1a\x07\x0a\x05x/a.B"
      "\x1a\x32\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x06\x0a\x04\x08\x02\x10\x01";
  SkyStatus status = sky_status_from_grpc(3, SKY_STR("caf%C3%A9 %zz 100%"), details, sizeof(details) - 1);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_str_eq(sky_status_message(status), "caf\xc3\xa9 %zz 100%");
  ck_assert_str_eq(sky_status_reason(status), "REASON");
  ck_assert_str_eq(sky_status_metadata(status, "k"), "vv");
  ck_assert_uint_eq(sky_status_violation_count(status), 1);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "f");
  ck_assert_str_eq(sky_status_violation(status, 0)->description, "no");
  ck_assert_int_eq(sky_status_retry_after_ms(status), 2001);
  sky_status_free(status);
}
END_TEST

START_TEST(malformed_details_never_lose_the_error) {
  SkyStatus status = sky_status_from_grpc(5, SKY_STR("gone"), "\x1a\x7f\x0a", 3);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_NOT_FOUND);
  ck_assert_str_eq(sky_status_message(status), "gone");
  sky_status_free(status);
  status = sky_status_from_grpc(99, SKY_STR(""), NULL, 0);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_UNKNOWN);
  sky_status_free(status);
  status = sky_status_from_grpc(0, SKY_STR(""), NULL, 0);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_UNKNOWN);
  sky_status_free(status);
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/problem", library_setup, library_teardown, every_part_of_a_problem_is_written,
                    what_is_not_known_is_left_out, nothing_internal_gets_out, http_status_is_by_reason_then_by_code,
                    retry_after_is_whole_seconds, violations_of_a_backend_get_the_names_of_the_body,
                    grpc_details_are_understood, malformed_details_never_lose_the_error)
