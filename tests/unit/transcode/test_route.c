#include "library.h"

#include "sky_check.h"

static const char *route_to(const char *method, const char *path) {
  static char text[256];
  SkyStatus status = sky_transcode_route(library, sky_str(method), sky_str(path), &route);
  static const char *const outcomes[] = {"found", "404", "405", "options", "400"};
  if (route.outcome != SKY_ROUTE_FOUND) {
    snprintf(text, sizeof(text), "%s%s%s", outcomes[route.outcome], *route.allow == '\0' ? "" : " ", route.allow);
    sky_status_free(status);
    return text;
  }
  ck_assert_ptr_null(status);
  const SkyStr name = route.method->full_name;
  const size_t prefix = strlen("test.library.v1.LibraryService.");
  size_t used = (size_t)snprintf(text, sizeof(text), "%.*s", (int)(name.size - prefix), name.data + prefix);
  for (size_t i = 0; i < route.value_count; i++)
    used += (size_t)snprintf(text + used, sizeof(text) - used, " %.*s", SKY_STR_ARGS(route.values[i]));
  return text;
}

START_TEST(literals_and_variables_are_matched) {
  ck_assert_str_eq(route_to("GET", "/v1/books"), "ListBooks");
  ck_assert_str_eq(route_to("GET", "/v1/books/7"), "GetBook 7");
  ck_assert_str_eq(route_to("POST", "/v1/books"), "CreateBook");
  ck_assert_str_eq(route_to("GET", "/v1/shelves/s1/books/b2"), "Named shelves/s1/books/b2");
  ck_assert_str_eq(route_to("GET", "/v1/kinds/k/12"), "Named k 12");
}
END_TEST

START_TEST(a_literal_goes_before_a_star_and_a_star_before_two) {
  ck_assert_str_eq(route_to("GET", "/v1/shelves/special/books/b"), "Named b");
  ck_assert_str_eq(route_to("GET", "/v1/kinds/k/first"), "Named");
  ck_assert_str_eq(route_to("GET", "/v1/shelves/other/books/b"), "Named shelves/other/books/b");
}
END_TEST

START_TEST(matching_goes_back_when_a_literal_leads_nowhere) {
  ck_assert_str_eq(route_to("GET", "/v1/shelves/special/books/b"), "Named b");
  ck_assert_str_eq(route_to("PATCH", "/v1/books/b/shelves/s"), "MoveBook b s");
}
END_TEST

START_TEST(two_stars_take_any_number_of_segments) {
  ck_assert_str_eq(route_to("GET", "/v1/files"), "Named files");
  ck_assert_str_eq(route_to("GET", "/v1/files/a"), "Named files/a");
  ck_assert_str_eq(route_to("GET", "/v1/files/a/b/c"), "Named files/a/b/c");
  ck_assert_str_eq(route_to("GET", "/v1/files/a//c"), "404");
}
END_TEST

START_TEST(verbs_are_cut_off_the_last_segment) {
  ck_assert_str_eq(route_to("POST", "/v1/books/7:remove"), "DeleteBook 7");
  ck_assert_str_eq(route_to("GET", "/v1/books:watch"), "WatchBooks");
  ck_assert_str_eq(route_to("GET", "/v1/files/a/b:copy:all"), "Named files/a/b");
  ck_assert_str_eq(route_to("GET", "/v1/ratings/a:rate"), "Named a");
}
END_TEST

START_TEST(a_colon_that_begins_no_verb_belongs_to_the_segment) {
  ck_assert_str_eq(route_to("GET", "/v1/books/urn:isbn:7"), "GetBook urn:isbn:7");
  ck_assert_str_eq(route_to("POST", "/v1/books/urn:isbn:7:remove"), "DeleteBook urn:isbn:7");
  ck_assert_str_eq(route_to("GET", "/v1/files/a:copy"), "Named files/a:copy");
  ck_assert_str_eq(route_to("GET", "/v1/books/7%3Aremove"), "GetBook 7%3Aremove");
}
END_TEST

START_TEST(a_verb_that_another_method_has_is_405_and_no_id) {
  ck_assert_str_eq(route_to("GET", "/v1/books/7:remove"), "405 POST, OPTIONS");
}
END_TEST

START_TEST(unknown_paths_are_404_and_methods_405) {
  ck_assert_str_eq(route_to("GET", "/v2/books"), "404");
  ck_assert_str_eq(route_to("GET", "/v1/books/"), "404");
  ck_assert_str_eq(route_to("GET", "//v1/books"), "404");
  ck_assert_str_eq(route_to("GET", "/"), "404");
  ck_assert_str_eq(route_to("PUT", "/v1/books"), "405 POST, GET, HEAD, OPTIONS");
  SkyStatus status = sky_transcode_route(library, SKY_STR("PUT"), SKY_STR("/v1/books"), &route);
  ck_assert_uint_eq(sky_problem_http_status(status), 405);
  sky_status_free(status);
  status = sky_transcode_route(library, SKY_STR("PUT"), SKY_STR("/nowhere"), &route);
  ck_assert_uint_eq(sky_problem_http_status(status), 404);
  sky_status_free(status);
}
END_TEST

START_TEST(head_is_get_without_a_body) {
  ck_assert_str_eq(route_to("HEAD", "/v1/books/7"), "GetBook 7");
  ck_assert(route.head);
  ck_assert_str_eq(route_to("GET", "/v1/books/7"), "GetBook 7");
  ck_assert(!route.head);
  ck_assert_str_eq(route_to("HEAD", "/v1/books/7:remove"), "405 POST, OPTIONS");
}
END_TEST

START_TEST(options_says_what_is_allowed) {
  ck_assert_str_eq(route_to("OPTIONS", "/v1/books/7"), "options DELETE, PATCH, PUT, GET, HEAD, OPTIONS");
  ck_assert_str_eq(route_to("OPTIONS", "/v1/nowhere"), "404");
}
END_TEST

START_TEST(custom_methods_are_matched) {
  ck_assert_str_eq(route_to("REPORT", "/v1/echo"), "Echo");
  ck_assert_str_eq(route_to("report", "/v1/echo"), "405 REPORT, GET, HEAD, POST, OPTIONS");
}
END_TEST

START_TEST(internal_methods_have_no_route_unless_asked_for) {
  ck_assert_str_eq(route_to("GET", "/v1/hidden/7"), "404");
  SkyContracts *all = NULL;
  const SkyContractsOptions options = {.route_internal = true};
  ck_assert_ptr_null(sky_contracts_load_file(getenv("SKY_TEST_DESCRIPTORS"), &options, &all));
  ck_assert_ptr_null(sky_transcode_route(all, SKY_STR("GET"), SKY_STR("/v1/hidden/7"), &route));
  sky_contracts_destroy(all);
}
END_TEST

START_TEST(percent_encoding_neither_separates_nor_hides) {
  ck_assert_str_eq(route_to("GET", "/v1/books/a%2Fb"), "GetBook a%2Fb");
  ck_assert_str_eq(route_to("GET", "/%76%31/books/7"), "GetBook 7");
  ck_assert_str_eq(route_to("GET", "/v1/books/%"), "400");
  ck_assert_str_eq(route_to("GET", "/v1/books/%4"), "400");
  ck_assert_str_eq(route_to("GET", "/v1/books/%zz"), "400");
}
END_TEST

START_TEST(dot_segments_are_refused) {
  ck_assert_str_eq(route_to("GET", "/v1/books/.."), "400");
  ck_assert_str_eq(route_to("GET", "/v1/./books"), "400");
  ck_assert_str_eq(route_to("GET", "/v1/books/%2e%2E"), "400");
  ck_assert_str_eq(route_to("GET", "/v1/books/.%2e"), "400");
  ck_assert_str_eq(route_to("GET", "/v1/books/..."), "GetBook ...");
}
END_TEST

START_TEST(paths_are_bounded) {
  char path[1024] = "";
  for (int i = 0; i < 200; i++)
    strcat(path, "/v1");
  ck_assert_str_eq(route_to("GET", path), "400");
  ck_assert_str_eq(route_to("GET", ""), "400");
  ck_assert_str_eq(route_to("GET", "v1/books"), "400");
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/route", library_setup, library_teardown, literals_and_variables_are_matched,
                    a_literal_goes_before_a_star_and_a_star_before_two, matching_goes_back_when_a_literal_leads_nowhere,
                    two_stars_take_any_number_of_segments, verbs_are_cut_off_the_last_segment,
                    a_colon_that_begins_no_verb_belongs_to_the_segment, a_verb_that_another_method_has_is_405_and_no_id,
                    unknown_paths_are_404_and_methods_405, head_is_get_without_a_body, options_says_what_is_allowed,
                    custom_methods_are_matched, internal_methods_have_no_route_unless_asked_for,
                    percent_encoding_neither_separates_nor_hides, dot_segments_are_refused, paths_are_bounded)
