#include "library.h"

#include "sky_check.h"

#include <sky/core/id.h>

START_TEST(methods_carry_their_options) {
  const SkyMethod *method = sky_contracts_method(library, SKY_STR("test.library.v1.LibraryService.GetBook"));
  ck_assert_ptr_nonnull(method);
  ck_assert_ptr_eq(sky_contracts_method_by_path(library, SKY_STR("/test.library.v1.LibraryService/GetBook")), method);
  ck_assert_int_eq(method->deadline_ms, 2500);
  ck_assert(method->is_public && method->no_side_effects && method->idempotent && !method->anonymous);
  ck_assert(sky_str_is(method->scope, "books.read"));
  ck_assert(method->gives_etag && !method->takes_if_match);
  ck_assert(sky_str_is(sky_message_type_name(method->request), "test.library.v1.GetBookRequest"));
  method = sky_contracts_method(library, SKY_STR("test.library.v1.LibraryService.CreateBook"));
  ck_assert_uint_eq(method->http_status, 202);
  ck_assert_int_eq(method->deadline_ms, 5000);
  ck_assert(method->takes_idempotency_key && !method->idempotent);
  method = sky_contracts_method(library, SKY_STR("test.library.v1.LibraryService.WatchBooks"));
  ck_assert(method->server_streaming && method->gives_event_id && method->takes_last_event_id);
  method = sky_contracts_method(library, SKY_STR("test.library.v1.LibraryService.Hidden"));
  ck_assert(!method->is_public);
}
END_TEST

START_TEST(what_is_unknown_is_null) {
  ck_assert_ptr_null(sky_contracts_method(library, SKY_STR("test.library.v1.LibraryService.Nothing")));
  ck_assert_ptr_null(sky_contracts_method(library, SKY_STR("/test.library.v1.LibraryService/GetBook")));
  ck_assert_ptr_null(sky_contracts_method_by_path(library, SKY_STR("test.library.v1.LibraryService.GetBook")));
  ck_assert_ptr_null(sky_contracts_message(library, SKY_STR("test.library.v1.Nothing")));
}
END_TEST

START_TEST(methods_and_routes_can_be_listed) {
  ck_assert_uint_eq(sky_contracts_method_count(library), 12);
  ck_assert_ptr_null(sky_contracts_method_at(library, 12));
  SkyStr http_method, template;
  const SkyMethod *method;
  ck_assert(sky_contracts_route_at(library, 0, &http_method, &template, &method));
  ck_assert(sky_str_is(http_method, "GET") && sky_str_is(template, "/v1/books/{id}"));
  ck_assert(!sky_contracts_route_at(library, 1000, &http_method, &template, &method));
}
END_TEST

/* ---- contracts that are wrong, written as descriptors by hand ---- */

static SkyBuf set;

static void put_text(SkyBuf *buf, uint32_t number, const char *text) {
  sky_wire_append_bytes(buf, number, sky_str(text));
}

/* message Thing { string id = 1; repeated string tags = 2; Thing inner = 3; } */
static void put_thing(void) {
  static const struct {
    const char *name;
    int number, label, type;
  } fields[] = {{"id", 1, 1, 9}, {"tags", 2, 3, 9}, {"inner", 3, 1, 11}};
  const size_t message = sky_wire_begin_field(&set, 4);
  put_text(&set, 1, "Thing");
  for (size_t i = 0; i < 3; i++) {
    const size_t field = sky_wire_begin_field(&set, 2);
    put_text(&set, 1, fields[i].name);
    sky_wire_append_uint64(&set, 3, (uint64_t)fields[i].number);
    sky_wire_append_uint64(&set, 4, (uint64_t)fields[i].label);
    sky_wire_append_uint64(&set, 5, (uint64_t)fields[i].type);
    if (fields[i].type == 11)
      put_text(&set, 6, ".x.Thing");
    sky_wire_end_bytes(&set, field);
  }
  sky_wire_end_bytes(&set, message);
}

static void put_method(const char *name, const char *output, const char *get, const char *body, const char *location) {
  const size_t method = sky_wire_begin_field(&set, 2);
  put_text(&set, 1, name);
  put_text(&set, 2, ".x.Thing");
  put_text(&set, 3, output);
  const size_t options = sky_wire_begin_field(&set, 4);
  const size_t rule = sky_wire_begin_field(&set, 72295728);
  put_text(&set, 2, get);
  if (*body != '\0')
    put_text(&set, 7, body);
  sky_wire_end_bytes(&set, rule);
  const size_t sky = sky_wire_begin_field(&set, 75100);
  sky_wire_append_uint64(&set, 2, 2);
  const size_t http = sky_wire_begin_field(&set, 5);
  put_text(&set, 2, location);
  sky_wire_end_bytes(&set, http);
  sky_wire_end_bytes(&set, sky);
  sky_wire_end_bytes(&set, options);
  sky_wire_end_bytes(&set, method);
}

static const char *load_error(const char *output, const char *first, const char *second, const char *body,
                              const char *location) {
  sky_buf_init(&set, 1 << 16);
  const size_t file = sky_wire_begin_field(&set, 1);
  put_text(&set, 1, "x.proto");
  put_text(&set, 2, "x");
  put_text(&set, 12, "proto3");
  put_thing();
  const size_t service = sky_wire_begin_field(&set, 6);
  put_text(&set, 1, "Service");
  put_method("First", output, first, body, location);
  if (second != NULL)
    put_method("Second", output, second, body, location);
  sky_wire_end_bytes(&set, service);
  sky_wire_end_bytes(&set, file);
  SkyContracts *contracts = NULL;
  SkyStatus status = sky_contracts_load(set.data, set.size, NULL, &contracts);
  sky_buf_finish(&set);
  if (status == SKY_OK)
    sky_contracts_destroy(contracts);
  return violations_of(status);
}

#define ck_load(first, second, body, location, expected)                                                               \
  ck_assert_str_eq(load_error(".x.Thing", (first), (second), (body), (location)), (expected))

START_TEST(sound_contracts_load) {
  ck_load("/a/{id}", "/a/{inner.inner.id}/b", "", "/a/{id}", "");
  ck_load("/a/{id}", "/a/{id}:verb", "", "", "");
}
END_TEST

START_TEST(errors_name_file_and_method_and_why) {
  ck_load("/a/{name}", NULL, "", "",
          "x.proto: method x.Service.First: path \"/a/{name}\": path variable {name} is not a field of x.Thing");
  ck_load("/a/{tags}", NULL, "", "",
          "x.proto: method x.Service.First: path \"/a/{tags}\": path variable {tags} is a list, a map or a message");
  ck_load("/a/{inner}", NULL, "", "",
          "x.proto: method x.Service.First: path \"/a/{inner}\": path variable {inner} is a list, a map or a message");
  ck_load("/a/{tags.x}", NULL, "", "",
          "x.proto: method x.Service.First: path \"/a/{tags.x}\": path variable {tags.x} is not a field of x.Thing");
  ck_load("/a/{id}/{id}", NULL, "", "",
          "x.proto: method x.Service.First: path \"/a/{id}/{id}\": path variable {id} is bound twice");
  ck_load("/a/{id}", "/a/{inner.id}", "", "",
          "x.proto: method x.Service.Second: GET /a/{inner.id} matches the same paths as /a/{id} of x.Service.First");
  ck_load("/a", "/%61", "", "",
          "x.proto: method x.Service.Second: GET /%61 matches the same paths as /a of x.Service.First");
  ck_load("/a", NULL, "nowhere", "", "x.proto: method x.Service.First: body \"nowhere\" is not a field of x.Thing");
  ck_load("/a/{id}", NULL, "id", "", "x.proto: method x.Service.First: \"id\" is both a path variable and the body");
  ck_load(
      "/a", NULL, "", "/a/{name}",
      "x.proto: method x.Service.First: location names {name}, which is not a single text or integer field of x.Thing");
  ck_load("/a", NULL, "", "/a/{id", "x.proto: method x.Service.First: location has a { without its }");
  ck_assert_str_eq(load_error(".x.Other", "/a", NULL, "", ""),
                   "x.proto: method x.Service.First: the set does not contain the type x.Other (--include_imports?)");
}
END_TEST

START_TEST(malformed_templates_are_refused) {
  static const char *const wrong[] = {
      "",      "a",    "//a",  "/a/",   "/a/{id", "/a/{id=}", "/a/{=x}",    "/a/**/b", "/{id={inner.id}}",
      "/a/b}", "/a?b", "/a b", "/a/..", "/a/%2",  "/a:",      "/{id=**}/x", "/a/***",  "/{id=a*}",
      "/{id}x"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
    ck_assert_msg(strstr(load_error(".x.Thing", wrong[i], NULL, "", ""), "x.proto: method x.Service.First: ") != NULL,
                  "%s", wrong[i]);
}
END_TEST

START_TEST(lines_are_named_when_the_set_has_them) {
  /* The same file again under another name: every symbol is there twice. */
  SkyContracts *contracts = NULL;
  FILE *file = fopen(getenv("SKY_TEST_DESCRIPTORS"), "rb");
  char *bytes = malloc(1 << 22);
  const size_t size = fread(bytes, 1, 1 << 22, file);
  fclose(file);
  /* An option that names a field that is not there: "etag" of Book becomes "etah" in GetBook's options only. */
  char *option = memmem(bytes, size,
                        "\x32\x04"
                        "etag",
                        6);
  ck_assert_ptr_nonnull(option);
  option[5] = 'h';
  SkyStatus status = sky_contracts_load(bytes, size, NULL, &contracts);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  const char *message = sky_status_message(status);
  ck_assert_msg(strncmp(message, "library.proto:", 14) == 0 && message[14] >= '1' && message[14] <= '9', "%s", message);
  ck_assert_ptr_nonnull(strstr(message, "test.library.v1.LibraryService.GetBook: etag_field names \"etah\""));
  sky_status_free(status);
  free(bytes);
}
END_TEST

START_TEST(missing_files_and_sizes_are_errors) {
  SkyContracts *contracts = NULL;
  SkyStatus status = sky_contracts_load_file("/nowhere/x.pb", NULL, &contracts);
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), "/nowhere/x.pb: No such file"));
  sky_status_free(status);
  const SkyContractsOptions options = {.max_bytes = 100};
  status = sky_contracts_load_file(getenv("SKY_TEST_DESCRIPTORS"), &options, &contracts);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  sky_status_free(status);
  status = sky_contracts_load("", 0, NULL, &contracts);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  sky_status_free(status);
}
END_TEST

/* Whatever the bytes are: an error or contracts, never a crash. Sanitizers make this test worth its time. */
START_TEST(damaged_sets_never_crash) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, 42);
  FILE *file = fopen(getenv("SKY_TEST_DESCRIPTORS"), "rb");
  uint8_t *whole = malloc(1 << 22);
  const size_t size = fread(whole, 1, 1 << 22, file);
  fclose(file);
  uint8_t *bytes = malloc(size);
  for (int round = 0; round < 300; round++) {
    memcpy(bytes, whole, size);
    const size_t kept = round % 3 == 0 ? sky_random_uint64(&random.random) % size : size;
    for (int i = 0; i < 1 + round % 20; i++)
      bytes[sky_random_uint64(&random.random) % size] = (uint8_t)sky_random_uint64(&random.random);
    SkyContracts *contracts = NULL;
    SkyStatus status = sky_contracts_load(bytes, kept, NULL, &contracts);
    if (status == SKY_OK)
      sky_contracts_destroy(contracts);
    sky_status_free(status);
  }
  free(bytes);
  free(whole);
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/contracts", library_setup, library_teardown, methods_carry_their_options,
                    what_is_unknown_is_null, methods_and_routes_can_be_listed, sound_contracts_load,
                    errors_name_file_and_method_and_why, malformed_templates_are_refused,
                    lines_are_named_when_the_set_has_them, missing_files_and_sizes_are_errors, damaged_sets_never_crash)
