#include "pub_ack.h"

#include "sky_check.h"

static SkyCode parse(const char *reply, SkyConfirmation *ret) {
  SkyStatus status = pub_ack_parse(sky_str(reply), ret);
  SkyCode code = sky_status_code(status);
  sky_status_free(status);
  return code;
}

START_TEST(an_acknowledgement_has_a_sequence) {
  SkyConfirmation confirmation;
  ck_assert_int_eq(parse("{\"stream\":\"JOBS\", \"seq\":17}", &confirmation), SKY_CODE_OK);
  ck_assert_uint_eq(confirmation.sequence, 17);
  ck_assert(!confirmation.duplicate);
}
END_TEST

START_TEST(a_duplicate_says_so) {
  SkyConfirmation confirmation;
  ck_assert_int_eq(parse("{\"stream\":\"JOBS\", \"seq\":3,\"duplicate\": true}", &confirmation), SKY_CODE_OK);
  ck_assert(confirmation.duplicate);
}
END_TEST

START_TEST(a_first_that_is_none_is_a_duplicate_of_the_one_there) {
  SkyConfirmation confirmation;
  const char *other = "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"wrong last sequence: 12\"},"
                      "\"stream\":\"JOBS\",\"seq\":0}";
  ck_assert_int_eq(parse(other, &confirmation), SKY_CODE_OK);
  ck_assert(confirmation.duplicate);
  ck_assert_uint_eq(confirmation.sequence, 12);
}
END_TEST

START_TEST(a_full_stream_is_resource_exhausted) {
  SkyConfirmation confirmation = {.sequence = 9};
  const char *full =
      "{\"type\":\"io.nats.jetstream.api.v1.pub_ack_response\",\"error\":{\"code\":503,\"err_code\":10077,"
      "\"description\":\"maximum bytes exceeded\"},\"stream\":\"JOBS\",\"seq\":0}";
  ck_assert_int_eq(parse(full, &confirmation), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(confirmation.sequence, 9); /* untouched */
}
END_TEST

START_TEST(a_failing_disk_is_unavailable) {
  SkyConfirmation confirmation;
  const char *broken = "{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"no space left on device\"}}";
  ck_assert_int_eq(parse(broken, &confirmation), SKY_CODE_UNAVAILABLE);
}
END_TEST

START_TEST(anything_else_is_no_confirmation) {
  SkyConfirmation confirmation;
  ck_assert_int_eq(parse("", &confirmation), SKY_CODE_DATA_LOSS);
  ck_assert_int_eq(parse("+OK", &confirmation), SKY_CODE_DATA_LOSS);
}
END_TEST

SKY_CHECK_MAIN("bus/pub_ack", an_acknowledgement_has_a_sequence, a_duplicate_says_so,
               a_first_that_is_none_is_a_duplicate_of_the_one_there, a_full_stream_is_resource_exhausted,
               a_failing_disk_is_unavailable, anything_else_is_no_confirmation)
