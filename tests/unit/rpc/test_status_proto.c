#include "sky/rpc/status_proto.h"

#include <stdio.h>
#include <string.h>

#include <sky/codec/wire.h>

#include "sky_check.h"

static SkyBuf wire;

static void setup(void) {
  sky_buf_init(&wire, SKY_STATUS_DETAILS_MAX_BYTES);
}

static void teardown(void) {
  sky_buf_finish(&wire);
}

START_TEST(a_plain_status_needs_no_details) {
  SkyStatus status = SKY_NOT_FOUND("gone");
  ck_assert(!sky_status_has_details(status));
  ck_assert(!sky_status_has_details(SKY_OK));
  sky_status_free(status);
}
END_TEST

START_TEST(the_bytes_are_those_of_google_rpc_status) {
  SkyStatus status = sky_status_with_reason(SKY_ABORTED("no"), "R");
  sky_status_encode(status, &wire);
  sky_status_free(status);
  /* made with protoc --encode=google.rpc.Status */
  static const char expected[] =
      "\x08\x0a\x12\x02no\x1a\x2f\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x03\x0a\x01R";
  ck_assert_uint_eq(wire.size, sizeof(expected) - 1);
  ck_assert_mem_eq(wire.data, expected, sizeof(expected) - 1);
}
END_TEST

START_TEST(all_details_survive_the_round_trip) {
  SkyStatus status = SKY_OK;
  for (int i = 0; i < 20; i++) {
    char field[32];
    snprintf(field, sizeof(field), "items[%d].tag", i);
    sky_violations_add(&status, field, "must not be empty, %d", i);
  }
  status = sky_status_with_metadata(sky_status_with_reason(status, "WHY"), "key", "value");
  status = sky_status_with_retry_after_ms(status, 61250);
  sky_status_encode(status, &wire);
  sky_status_free(status);
  ck_assert(!wire.failed);

  status = sky_status_decode(SKY_CODE_INVALID_ARGUMENT, SKY_STR("the message"), sky_buf_str(&wire));
  ck_assert_str_eq(sky_status_message(status), "the message");
  ck_assert_uint_eq(sky_status_violation_count(status), 20);
  ck_assert_str_eq(sky_status_violation(status, 19)->field, "items[19].tag");
  ck_assert_str_eq(sky_status_violation(status, 19)->description, "must not be empty, 19");
  ck_assert_str_eq(sky_status_reason(status), "WHY");
  ck_assert_str_eq(sky_status_metadata(status, "key"), "value");
  ck_assert_int_eq(sky_status_retry_after_ms(status), 61250);
  sky_status_free(status);
}
END_TEST

START_TEST(of_too_many_violations_the_first_ones_are_told) {
  SkyStatus status = SKY_OK;
  for (int i = 0; i < 32; i++)
    sky_violations_add(&status, "items[10].a_field_with_a_long_name", "%d %0300d", i, 0);
  status = sky_status_with_reason(status, "WHY");
  sky_status_encode(status, &wire);
  sky_status_free(status);
  ck_assert(!wire.failed);
  status = sky_status_decode(SKY_CODE_INVALID_ARGUMENT, SKY_STR(""), sky_buf_str(&wire));
  ck_assert_uint_ge(sky_status_violation_count(status), 8);
  ck_assert_str_eq(sky_status_reason(status), "WHY");
  sky_status_free(status);
}
END_TEST

START_TEST(details_of_other_types_are_kept_as_bytes) {
  const size_t any_at = sky_wire_begin_field(&wire, 3);
  const char *name = NULL;
  SkyStr bytes;
  sky_wire_append_bytes(&wire, 1, SKY_STR("type.googleapis.com/google.rpc.DebugInfo"));
  sky_wire_append_bytes(&wire, 2, SKY_STR("\xff\xff"));
  sky_wire_end_bytes(&wire, any_at);
  SkyStatus status = sky_status_decode(SKY_CODE_INTERNAL, SKY_STR("x"), sky_buf_str(&wire));
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INTERNAL);
  ck_assert(sky_status_detail_at(status, 0, &name, &bytes));
  ck_assert_str_eq(name, "google.rpc.DebugInfo");
  ck_assert(sky_str_is(bytes, "\xff\xff"));
  ck_assert(!sky_status_detail_at(status, 1, &name, &bytes));
  sky_status_free(status);
}
END_TEST

static SkyStatus with_everything(void) {
  SkyStatus status = SKY_FAILED_PRECONDITION("not now");
  status = sky_status_with_domain(sky_status_with_reason(status, "TOS"), "test.example");
  status = sky_status_with_precondition(
      status, (SkyPrecondition){.type = "TOS", .subject = "accounts/1", .description = "not accepted"});
  status = sky_status_with_precondition(status, (SkyPrecondition){.type = "AGE"});
  status = sky_status_with_resource(
      status, (SkyResourceInfo){.type = "account", .name = "accounts/1", .owner = "ada", .description = "hers"});
  return sky_status_with_detail(status, "test.v1.Thing", SKY_STR("\x08\x01"));
}

static void expect_everything(const SkyError *status) {
  SkyPrecondition precondition;
  SkyResourceInfo resource;
  const char *name;
  SkyStr bytes;
  ck_assert_str_eq(sky_status_reason(status), "TOS");
  ck_assert_str_eq(sky_status_domain(status), "test.example");
  ck_assert(sky_status_precondition_at(status, 0, &precondition));
  ck_assert_str_eq(precondition.subject, "accounts/1");
  ck_assert_str_eq(precondition.description, "not accepted");
  ck_assert(sky_status_precondition_at(status, 1, &precondition));
  ck_assert_str_eq(precondition.type, "AGE");
  ck_assert_str_eq(precondition.subject, "");
  ck_assert(!sky_status_precondition_at(status, 2, &precondition));
  ck_assert(sky_status_resource(status, &resource));
  ck_assert_str_eq(resource.type, "account");
  ck_assert_str_eq(resource.name, "accounts/1");
  ck_assert_str_eq(resource.owner, "ada");
  ck_assert_str_eq(resource.description, "hers");
  ck_assert(sky_status_detail_at(status, 0, &name, &bytes));
  ck_assert_str_eq(name, "test.v1.Thing");
  ck_assert_uint_eq(bytes.size, 2);
}

START_TEST(preconditions_resources_and_others_survive_the_round_trip) {
  SkyStatus status = with_everything(), copy = sky_status_copy(status);
  expect_everything(copy);
  sky_status_free(status);
  sky_status_encode(copy, &wire);
  sky_status_free(copy);
  status = sky_status_decode(SKY_CODE_FAILED_PRECONDITION, SKY_STR("m"), sky_buf_str(&wire));
  expect_everything(status);
  sky_status_free(status);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_the_rest_is_told) {
  static char large[4000];
  memset(large, 'x', sizeof(large) - 1);
  SkyStatus status = sky_status_with_detail(SKY_ABORTED("m"), "test.v1.Large", sky_str(large));
  status = sky_status_with_detail(status, "test.v1.Small", SKY_STR("s"));
  for (int i = 0; i < 40; i++)
    status = sky_status_with_precondition(
        status, (SkyPrecondition){.type = "T", .subject = "a subject of some length", .description = large + 3900});
  sky_status_encode(status, &wire);
  sky_status_free(status);
  ck_assert(!wire.failed);
  status = sky_status_decode(SKY_CODE_ABORTED, SKY_STR("m"), sky_buf_str(&wire));
  const char *name;
  SkyStr bytes;
  SkyPrecondition precondition;
  ck_assert(sky_status_precondition_at(status, 15, &precondition));
  ck_assert(sky_status_detail_at(status, 0, &name, &bytes));
  ck_assert_str_eq(name, "test.v1.Small");
  sky_status_free(status);
}
END_TEST

START_TEST(the_bounds_of_details_hold) {
  static char large[4097];
  memset(large, 'x', sizeof(large) - 1);
  const char *name;
  SkyStr bytes;
  SkyPrecondition precondition;
  SkyStatus status = SKY_ABORTED("m");
  for (int i = 0; i < 50; i++) {
    status = sky_status_with_detail(status, "test.v1.Empty", SKY_STR(""));
    status = sky_status_with_precondition(status, (SkyPrecondition){.type = "T"});
  }
  ck_assert(sky_status_detail_at(status, 7, &name, &bytes) && !sky_status_detail_at(status, 8, &name, &bytes));
  ck_assert(sky_status_precondition_at(status, 31, &precondition));
  ck_assert(!sky_status_precondition_at(status, 32, &precondition));
  sky_status_free(status);
  status = sky_status_with_detail(SKY_ABORTED("m"), "test.v1.Large", (SkyStr){large, 4097});
  ck_assert(!sky_status_detail_at(status, 0, &name, &bytes));
  sky_status_free(status);
  ck_assert_ptr_null(sky_status_with_detail(SKY_OK, "x", SKY_STR("y")));
  ck_assert_ptr_null(sky_status_domain(SKY_OK));
}
END_TEST

START_TEST(no_bytes_lose_the_code) {
  SkyStatus status = sky_status_with_violation(sky_status_with_retry_after_ms(with_everything(), 5), "field", "bad");
  sky_status_encode(status, &wire);
  sky_status_free(status);
  for (size_t size = 0; size < wire.size; size++) { /* cut off anywhere, and with any byte turned over */
    SkyStr cut = {(const char *)wire.data, size};
    status = sky_status_decode(SKY_CODE_ABORTED, SKY_STR("m"), cut);
    ck_assert_int_eq(sky_status_code(status), SKY_CODE_ABORTED);
    sky_status_free(status);
    wire.data[size] ^= 0xff;
    status = sky_status_decode(SKY_CODE_ABORTED, SKY_STR("m"), sky_buf_str(&wire));
    ck_assert_int_eq(sky_status_code(status), SKY_CODE_ABORTED);
    sky_status_free(status);
    wire.data[size] ^= 0xff;
  }
}
END_TEST

START_TEST(ok_stays_ok) {
  ck_assert_ptr_null(sky_status_decode(SKY_CODE_OK, SKY_STR(""), SKY_STR("junk")));
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/status_proto", setup, teardown, a_plain_status_needs_no_details,
                    the_bytes_are_those_of_google_rpc_status, all_details_survive_the_round_trip,
                    of_too_many_violations_the_first_ones_are_told, details_of_other_types_are_kept_as_bytes,
                    preconditions_resources_and_others_survive_the_round_trip,
                    what_does_not_fit_is_left_out_the_rest_is_told, the_bounds_of_details_hold, no_bytes_lose_the_code,
                    ok_stays_ok)
