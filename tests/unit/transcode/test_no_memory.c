/*
 * Every allocation of the transcoder fails once: the n-th call of malloc and its kin, for each n until a scenario gets
 * through. Nothing may leak, crash or be half done.
 */
#include "library.h"

#include <sky/transcode/canonical.h>

#include "failing_malloc.h"
#include "sky_check.h"

static bool half_done; /* a failure left something in a buffer; noted, because check's macros allocate as well */

/* Runs a scenario once for each of its allocations; it must end without an error only when none failed. */
static void run(SkyStatus (*scenario)(void)) {
  for (int n = 0; n < 10000; n++) {
    failing_malloc_arm(n, 0);
    SkyStatus status = scenario();
    failing_malloc_disarm();
    const SkyCode code = sky_status_code(status);
    sky_status_free(status);
    ck_assert(!half_done);
    if (failing_malloc_failures() == 0) {
      ck_assert_int_eq(code, SKY_CODE_OK);
      ck_assert_int_gt(n, 0);
      return;
    }
    /* What fails while an error is being made costs it a detail; everything else is RESOURCE_EXHAUSTED. */
    ck_assert_int_eq(code, SKY_CODE_RESOURCE_EXHAUSTED);
  }
  ck_abort_msg("the scenario has no end");
}

static SkyStatus load(void) {
  SkyContracts *contracts = NULL;
  SKY_TRY(sky_contracts_load_file(getenv("SKY_TEST_DESCRIPTORS"), NULL, &contracts));
  sky_contracts_destroy(contracts);
  return SKY_OK;
}

static SkyStatus with_memory(SkyStatus (*use)(SkyArena *memory, SkyBuf *out)) {
  SkyArena memory;
  SkyBuf out;
  sky_arena_init(&memory, 1 << 20);
  sky_buf_init(&out, 1 << 20);
  SkyStatus status = use(&memory, &out);
  half_done = half_done || (status != SKY_OK && out.size != 0);
  sky_buf_finish(&out);
  sky_arena_finish(&memory);
  return status;
}

static SkyStatus read_it(SkyArena *memory, SkyBuf *out) {
  const SkyHttpRequest request = {.query = SKY_STR("updateMask=title,author.homeTown"),
                                  .body = SKY_STR("{\"title\":\"a\\nb\",\"tags\":[\"x\"],\"labels\":{\"a\":\"b\",\"c\":"
                                                  "\"d\"},\"published\":\"2026-11-21T00:00:00Z\"}")};
  SkyRoute found;
  SKY_TRY(sky_transcode_route(library, SKY_STR("PATCH"), SKY_STR("/v1/books/a%20b"), &found));
  return sky_transcode_request(library, &found, &request, NULL, memory, out);
}

static SkyStatus read_with_implied_mask(SkyArena *memory, SkyBuf *out) {
  const SkyHttpRequest request = {.body = SKY_STR("{\"title\":\"a\",\"author\":{\"name\":\"x\"}}")};
  SkyRoute found;
  SKY_TRY(sky_transcode_route(library, SKY_STR("PATCH"), SKY_STR("/v1/books/7"), &found));
  return sky_transcode_request(library, &found, &request, NULL, memory, out);
}

static SkyStatus write_it(SkyArena *memory, SkyBuf *out) {
  static const char book[] = "\x0a\x06\x0a\x01"
                             "7\x3a\x01v\x10\x01";
  SkyHttpAnswer answer;
  SkyRoute found;
  SKY_TRY(sky_transcode_route(library, SKY_STR("PUT"), SKY_STR("/v1/books/7"), &found));
  return sky_transcode_response(library, &found, book, sizeof(book) - 1, NULL, memory, out, &answer);
}

static SkyStatus canonicalise(SkyArena *memory, SkyBuf *out) {
  static const char bytes[] = "\xf2\x01\x06\x0a\x01"
                              "b"
                              "\x12\x01"
                              "1"
                              "\xf2\x01\x06\x0a\x01"
                              "a"
                              "\x12\x01"
                              "2"
                              "\x8a\x01\x00\x8a\x01\x09\x09\0\0\0\0\0\0\xf0\x3f";
  const SkyMessageType *type = sky_contracts_message(library, SKY_STR("test.library.v1.Everything"));
  return sky_wire_canonical(library, type, bytes, sizeof(bytes) - 1, memory, out);
}

static SkyStatus read_request(void) {
  return with_memory(read_it);
}

static SkyStatus read_masked_request(void) {
  return with_memory(read_with_implied_mask);
}

static SkyStatus write_response(void) {
  return with_memory(write_it);
}

static SkyStatus write_canonical(void) {
  return with_memory(canonicalise);
}

START_TEST(loading) {
  run(load);
}
END_TEST

START_TEST(requests) {
  run(read_request);
  run(read_masked_request);
}
END_TEST

START_TEST(responses) {
  run(write_response);
  run(write_canonical);
}
END_TEST

SKY_CHECK_MAIN_WITH("transcode/no_memory", library_setup, library_teardown, loading, requests, responses)
