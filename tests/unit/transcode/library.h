/* What the transcoder's tests share: the contracts of library.proto, and JSON there and back in one call each. */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/codec/wire.h>
#include <sky/transcode/json.h>
#include <sky/transcode/problem.h>
#include <sky/transcode/request.h>
#include <sky/transcode/response.h>
#include <sky/transcode/route.h>

static SkyContracts *library;
static SkyArena arena;
static SkyBuf wire;
static SkyBuf json;
static SkyRoute route;

static inline void library_setup(void) {
  SkyStatus status = sky_contracts_load_file(getenv("SKY_TEST_DESCRIPTORS"), NULL, &library);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  sky_arena_init(&arena, 1 << 22);
  sky_buf_init(&wire, 1 << 20);
  sky_buf_init(&json, 1 << 20);
}

static inline void library_teardown(void) {
  sky_contracts_destroy(library);
  sky_arena_finish(&arena);
  sky_buf_finish(&wire);
  sky_buf_finish(&json);
}

static inline const SkyMessageType *type_named(const char *name) {
  char full_name[128];
  snprintf(full_name, sizeof(full_name), "%s%s", strchr(name, '.') != NULL ? "" : "test.library.v1.", name);
  const SkyMessageType *type = sky_contracts_message(library, sky_str(full_name));
  ck_assert_msg(type != NULL, "no type %s", name);
  return type;
}

static inline SkyStatus read_json_with(const char *type, const char *text, const SkyJsonReadOptions *options) {
  sky_buf_clear(&wire);
  return sky_json_to_wire(library, type_named(type), sky_str(text), options, &arena, &wire);
}

/* The text as JSON after it has been wire bytes. */
static inline const char *round_trip_with(const char *type, const char *text, const SkyJsonReadOptions *read,
                                          const SkyJsonWriteOptions *write) {
  SkyStatus status = read_json_with(type, text, read);
  ck_assert_msg(status == SKY_OK, "%s: %s", text, sky_status_message(status));
  sky_buf_clear(&json);
  status = sky_json_from_wire(library, type_named(type), wire.data, wire.size, write, &arena, &json);
  ck_assert_msg(status == SKY_OK, "%s: %s", text, sky_status_message(status));
  sky_buf_append_byte(&json, 0);
  return (const char *)json.data;
}

static inline const char *round_trip(const char *type, const char *text) {
  return round_trip_with(type, text, NULL, NULL);
}

#define ck_round_trip(type, text) ck_assert_str_eq(round_trip(type, text), text)
#define ck_reads_as(type, text, canonical) ck_assert_str_eq(round_trip(type, text), canonical)

/* The violations as "field: description" lines, the status freed; "" for SKY_OK. In the arena. */
static inline const char *violations_of(SkyStatus status) {
  SkyBuf text;
  sky_buf_init(&text, 1 << 16);
  for (size_t i = 0; i < sky_status_violation_count(status); i++)
    sky_buf_printf(&text, "%s%s: %s", i == 0 ? "" : "\n", sky_status_violation(status, i)->field,
                   sky_status_violation(status, i)->description);
  if (status != SKY_OK && text.size == 0)
    sky_buf_append_text(&text, sky_status_message(status));
  const char *copy = sky_arena_strndup(&arena, text.size == 0 ? "" : (const char *)text.data, text.size);
  sky_buf_finish(&text);
  sky_status_free(status);
  return copy;
}

#define ck_refuses(type, text, violations) ck_assert_str_eq(violations_of(read_json_with(type, text, NULL)), violations)

/* Binary written by hand: "\x08\x01" */
#define ck_writes_as(type, bytes, expected)                                                                            \
  ck_assert_str_eq(write_json((type), (bytes), sizeof(bytes) - 1, NULL), (expected))

static inline const char *write_json(const char *type, const void *bytes, size_t size,
                                     const SkyJsonWriteOptions *options) {
  sky_buf_clear(&json);
  SkyStatus status = sky_json_from_wire(library, type_named(type), bytes, size, options, &arena, &json);
  if (status != SKY_OK)
    return violations_of(status);
  sky_buf_append_byte(&json, 0);
  return (const char *)json.data;
}

/* Routes a request line; the outcome must be FOUND. */
static inline void find_route(const char *method, const char *path) {
  SkyStatus status = sky_transcode_route(library, sky_str(method), sky_str(path), &route);
  ck_assert_msg(status == SKY_OK, "%s %s: %s", method, path, sky_status_message(status));
  ck_assert_int_eq(route.outcome, SKY_ROUTE_FOUND);
}

static inline SkyStatus transcode_request(const char *line, const SkyHttpRequest *request,
                                          const SkyRequestOptions *options) {
  char method[16];
  char path[512];
  ck_assert_int_eq(sscanf(line, "%15s %511s", method, path), 2);
  SkyHttpRequest with_query = *request;
  char *question_mark = strchr(path, '?');
  if (question_mark != NULL) {
    with_query.query = sky_str(question_mark + 1);
    *question_mark = '\0';
  }
  find_route(method, path);
  sky_buf_clear(&wire);
  return sky_transcode_request(library, &route, &with_query, options, &arena, &wire);
}

/* The request message of an HTTP request, as JSON. */
static inline const char *request_json(const char *line, const SkyHttpRequest *request) {
  SkyStatus status = transcode_request(line, request, NULL);
  if (status != SKY_OK)
    return violations_of(status);
  sky_buf_clear(&json);
  status = sky_json_from_wire(library, route.method->request, wire.data, wire.size, NULL, &arena, &json);
  ck_assert_msg(status == SKY_OK, "%s: %s", line, sky_status_message(status));
  sky_buf_append_byte(&json, 0);
  return (const char *)json.data;
}

#define ck_request(line, content, expected)                                                                            \
  ck_assert_str_eq(request_json((line), &(SkyHttpRequest){.body = sky_str(content)}), (expected))
