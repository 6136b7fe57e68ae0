#include <sky/core/status.h>

#include <stdio.h>
#include <string.h>

#include "sky_check.h"

START_TEST(ok_is_null_and_everything_accepts_it) {
  ck_assert_int_eq(sky_status_code(SKY_OK), SKY_CODE_OK);
  ck_assert_str_eq(sky_status_message(SKY_OK), "");
  ck_assert_ptr_null(sky_status_reason(SKY_OK));
  ck_assert_ptr_null(sky_status_metadata(SKY_OK, "key"));
  ck_assert_int_eq(sky_status_retry_after_ms(SKY_OK), -1);
  ck_assert_uint_eq(sky_status_violation_count(SKY_OK), 0);
  ck_assert(!sky_status_is_retryable(SKY_OK));
  ck_assert_ptr_null(sky_status_copy(SKY_OK));
  ck_assert_ptr_null(sky_status_with_reason(SKY_OK, "R"));
  ck_assert_ptr_null(sky_status_annotate(SKY_OK, "x"));
  sky_status_free(SKY_OK);
}
END_TEST

START_TEST(an_error_has_code_and_message) {
  SkyStatus status = SKY_NOT_FOUND("drone %d", 17);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_NOT_FOUND);
  ck_assert_str_eq(sky_status_message(status), "drone 17");
  ck_assert_int_eq(sky_status_retry_after_ms(status), -1);
  sky_status_free(status);
}
END_TEST

START_TEST(a_code_that_is_no_error_becomes_unknown) {
  static const int codes[] = {0, -1, 17, 1000};
  for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
    SkyStatus status = sky_status_new((SkyCode)codes[i], "x");
    ck_assert_int_eq(sky_status_code(status), SKY_CODE_UNKNOWN);
    sky_status_free(status);
  }
}
END_TEST

START_TEST(long_messages_are_cut_between_characters) {
  char text[4096];
  for (size_t offset = 0; offset < 4; offset++) {
    memset(text, 'a', offset);
    for (size_t at = offset; at + 4 < sizeof(text); at += 4)
      memcpy(text + at, "🚁", 5);
    SkyStatus status = SKY_INTERNAL("%s", text);
    const size_t size = strlen(sky_status_message(status));
    ck_assert_uint_le(size, 2048);
    ck_assert_uint_gt(size, 2044);
    ck_assert_uint_eq((size - offset) % 4, 0);
    sky_status_free(status);
  }
}
END_TEST

START_TEST(names_and_codes_match_both_ways) {
  for (int i = 0; i <= SKY_CODE_UNAUTHENTICATED; i++) {
    SkyCode code;
    ck_assert(sky_code_from_name(sky_code_name((SkyCode)i), &code));
    ck_assert_int_eq(code, i);
  }
  ck_assert_str_eq(sky_code_name(SKY_CODE_FAILED_PRECONDITION), "FAILED_PRECONDITION");
  ck_assert_str_eq(sky_code_name((SkyCode)17), "UNKNOWN");
  ck_assert_str_eq(sky_code_name((SkyCode)-1), "UNKNOWN");
  SkyCode code = SKY_CODE_ABORTED;
  ck_assert(!sky_code_from_name("not_found", &code));
  ck_assert(!sky_code_from_name("", &code));
  ck_assert_int_eq(code, SKY_CODE_ABORTED);
}
END_TEST

START_TEST(four_codes_are_retryable) {
  for (int i = 1; i <= SKY_CODE_UNAUTHENTICATED; i++) {
    SkyStatus status = sky_status_new((SkyCode)i, "x");
    const bool expected = i == SKY_CODE_UNAVAILABLE || i == SKY_CODE_ABORTED || i == SKY_CODE_RESOURCE_EXHAUSTED ||
                          i == SKY_CODE_DEADLINE_EXCEEDED;
    ck_assert(sky_status_is_retryable(status) == expected);
    sky_status_free(status);
  }
}
END_TEST

START_TEST(take_frees_only_its_own_code) {
  SkyStatus status = SKY_NOT_FOUND("x");
  ck_assert(!sky_status_take(&status, SKY_CODE_ABORTED));
  ck_assert_ptr_nonnull(status);
  ck_assert(sky_status_take(&status, SKY_CODE_NOT_FOUND));
  ck_assert_ptr_null(status);
  ck_assert(!sky_status_take(&status, SKY_CODE_NOT_FOUND));
  ck_assert(!sky_status_take(&status, SKY_CODE_OK));
}
END_TEST

static SkyStatus full_error(void) {
  SkyStatus status = SKY_RESOURCE_EXHAUSTED("busy");
  status = sky_status_with_reason(status, "QUOTA");
  status = sky_status_with_metadata(status, "owner", "owner-1");
  status = sky_status_with_metadata(status, "limit", "10");
  status = sky_status_with_retry_after_ms(status, 1500);
  return sky_status_with_violation(status, "pickup.latitude", "must be at most %d", 90);
}

static void assert_full_error(const SkyError *status) {
  const char *key, *value;
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_str_eq(sky_status_reason(status), "QUOTA");
  ck_assert_str_eq(sky_status_metadata(status, "owner"), "owner-1");
  ck_assert_ptr_null(sky_status_metadata(status, "other"));
  ck_assert(sky_status_metadata_at(status, 1, &key, &value));
  ck_assert_str_eq(key, "limit");
  ck_assert_str_eq(value, "10");
  ck_assert(!sky_status_metadata_at(status, 2, &key, &value));
  ck_assert_int_eq(sky_status_retry_after_ms(status), 1500);
  ck_assert_uint_eq(sky_status_violation_count(status), 1);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "pickup.latitude");
  ck_assert_str_eq(sky_status_violation(status, 0)->description, "must be at most 90");
  ck_assert_ptr_null(sky_status_violation(status, 1));
}

START_TEST(details_are_kept_and_copied) {
  SkyStatus status = full_error();
  assert_full_error(status);
  SkyStatus copy = sky_status_copy(status);
  sky_status_free(status);
  assert_full_error(copy);
  ck_assert_str_eq(sky_status_message(copy), "busy");
  sky_status_free(copy);
}
END_TEST

START_TEST(details_replace_and_are_bounded) {
  SkyStatus status = sky_status_with_reason(SKY_ABORTED("x"), "FIRST");
  status = sky_status_with_reason(status, "SECOND");
  ck_assert_str_eq(sky_status_reason(status), "SECOND");
  for (int i = 0; i < 40; i++) {
    char key[16];
    snprintf(key, sizeof(key), "key-%d", i);
    status = sky_status_with_metadata(status, key, "1");
    status = sky_status_with_violation(status, key, "wrong");
  }
  status = sky_status_with_metadata(status, "key-0", "2");
  const char *key, *value;
  ck_assert_str_eq(sky_status_metadata(status, "key-0"), "2");
  ck_assert(sky_status_metadata_at(status, 15, &key, &value));
  ck_assert(!sky_status_metadata_at(status, 16, &key, &value));
  ck_assert_uint_eq(sky_status_violation_count(status), 32);
  status = sky_status_with_retry_after_ms(status, -5);
  ck_assert_int_eq(sky_status_retry_after_ms(status), 0);
  sky_status_free(status);
}
END_TEST

START_TEST(annotate_prefixes_and_keeps_the_details) {
  SkyStatus status = sky_status_annotate(full_error(), "drone-%d: ", 7);
  ck_assert_str_eq(sky_status_message(status), "drone-7: busy");
  assert_full_error(status);
  sky_status_free(status);
}
END_TEST

START_TEST(violations_build_up_one_error) {
  SkyStatus status = SKY_OK;
  sky_violations_add(&status, "weight", "must be > 0, is %d", -1);
  sky_violations_add(&status, "owner_id", "is required");
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_str_eq(sky_status_message(status), "weight: must be > 0, is -1");
  ck_assert_uint_eq(sky_status_violation_count(status), 2);
  ck_assert_str_eq(sky_status_violation(status, 0)->description, "must be > 0, is -1");
  ck_assert_str_eq(sky_status_violation(status, 1)->field, "owner_id");
  for (int i = 0; i < 100; i++)
    sky_violations_add(&status, "tag", "x");
  ck_assert_uint_eq(sky_status_violation_count(status), 32);
  sky_status_free(status);
}
END_TEST

START_TEST(no_memory_is_static_and_takes_no_details) {
  SkyStatus status = sky_status_no_memory();
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_ptr_eq(sky_status_annotate(status, "x"), status);
  ck_assert_ptr_eq(sky_status_with_reason(status, "x"), status);
  ck_assert_ptr_eq(sky_status_with_metadata(status, "x", "y"), status);
  ck_assert_ptr_eq(sky_status_with_violation(status, "x", "y"), status);
  ck_assert_ptr_eq(sky_status_with_retry_after_ms(status, 5), status);
  sky_violations_add(&status, "x", "y");
  ck_assert_str_eq(sky_status_message(status), "out of memory");
  ck_assert_int_eq(sky_status_retry_after_ms(status), -1);
  ck_assert_ptr_null(sky_status_reason(status));
  sky_status_free(status);
  ck_assert_int_eq(sky_status_code(sky_status_no_memory()), SKY_CODE_RESOURCE_EXHAUSTED);
}
END_TEST

static SkyStatus tried(SkyStatus inner) {
  SKY_TRY(inner);
  return SKY_ABORTED("reached");
}

START_TEST(try_returns_the_first_error) {
  SkyStatus status = tried(SKY_NOT_FOUND("x"));
  ck_assert(sky_status_take(&status, SKY_CODE_NOT_FOUND));
  status = tried(SKY_OK);
  ck_assert(sky_status_take(&status, SKY_CODE_ABORTED));
}
END_TEST

SKY_CHECK_MAIN("core/status", ok_is_null_and_everything_accepts_it, an_error_has_code_and_message,
               a_code_that_is_no_error_becomes_unknown, long_messages_are_cut_between_characters,
               names_and_codes_match_both_ways, four_codes_are_retryable, take_frees_only_its_own_code,
               details_are_kept_and_copied, details_replace_and_are_bounded, annotate_prefixes_and_keeps_the_details,
               violations_build_up_one_error, no_memory_is_static_and_takes_no_details, try_returns_the_first_error)
