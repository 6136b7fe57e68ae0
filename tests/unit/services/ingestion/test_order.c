/* What an order must be beyond the contract's rules, and which id a request gets. */
#include "sky_check.h"

#include <stdio.h>
#include <string.h>

#include "ingestion/order.h"

static const int64_t now_ms = 1795000000000;
static const double seattle[] = {47.6062, -122.3321}, bellevue[] = {47.6101, -122.2015};

static common_Location pickup, dropoff;
static common_PackageInfo package;
static protobuf_Timestamp pickup_time, deadline;
static common_DeliveryOrder order;
static SkySeededRandom seeded;

static void locate(common_Location *location, const double place[2]) {
  *location = (common_Location)common_Location_INIT;
  common_Location_set_latitude(location, place[0]);
  common_Location_set_longitude(location, place[1]);
}

static void setup(void) {
  locate(&pickup, seattle);
  locate(&dropoff, bellevue);
  package = (common_PackageInfo)common_PackageInfo_INIT;
  package.weight_kg = 2.5;
  order = (common_DeliveryOrder)common_DeliveryOrder_INIT;
  order.owner_id = "acme";
  order.pickup_location = &pickup;
  order.dropoff_location = &dropoff;
  order.package_info = &package;
  sky_seeded_random_init(&seeded, 7);
}

/* Times relative to now, in ms. */
static void set_time(protobuf_Timestamp *time, protobuf_Timestamp **field, int64_t from_now_ms) {
  *time = (protobuf_Timestamp)protobuf_Timestamp_INIT;
  time->seconds = (now_ms + from_now_ms) / 1000;
  time->nanos = (int32_t)((now_ms + from_now_ms) % 1000) * 1000000;
  *field = time;
}

static void set_pickup_time(int64_t from_now_ms) {
  set_time(&pickup_time, &order.pickup_time, from_now_ms);
}

static void set_deadline(int64_t from_now_ms) {
  set_time(&deadline, &order.deadline, from_now_ms);
}

static void assert_accepted(void) {
  SkyStatus status = order_check(&order, "order.", now_ms);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

/* Exactly one fault, of this field. */
static void assert_fault(const char *field) {
  SkyStatus status = order_check(&order, "order.", now_ms);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_uint_eq(sky_status_violation_count(status), 1);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, field);
  ck_assert_uint_gt(strlen(sky_status_violation(status, 0)->description), 0);
  sky_status_free(status);
}

static const char *request_id(const char *owner, const char *key) {
  static char ids[4][SKY_UUID_TEXT_SIZE];
  static size_t next;
  char *id = ids[next++ % 4];
  order_request_id(owner, key, now_ms, &seeded.random, id);
  SkyUuid uuid;
  ck_assert(sky_uuid_parse(sky_str(id), &uuid));
  return id;
}

/* ---- checking ---- */

START_TEST(a_plain_order_needs_no_times) {
  assert_accepted();
}
END_TEST

START_TEST(an_order_with_times_in_order_is_accepted) {
  set_pickup_time(3600000);
  set_deadline(3600001);
  assert_accepted();
}
END_TEST

START_TEST(drop_off_at_the_pickup_is_refused) {
  locate(&dropoff, seattle);
  assert_fault("order.dropoff_location");
}
END_TEST

START_TEST(altitude_makes_no_other_place) {
  locate(&dropoff, seattle);
  common_Location_set_altitude(&dropoff, 120);
  assert_fault("order.dropoff_location");
}
END_TEST

START_TEST(places_some_metres_apart_are_two) {
  locate(&dropoff, seattle);
  dropoff.latitude += 0.0001; /* about 11 m */
  assert_accepted();
}
END_TEST

START_TEST(a_pickup_in_the_past_is_refused_beyond_a_minute) {
  set_pickup_time(-60000);
  assert_accepted();
  set_pickup_time(-60001);
  assert_fault("order.pickup_time");
}
END_TEST

START_TEST(a_deadline_that_is_over_is_refused) {
  set_deadline(1);
  assert_accepted();
  set_deadline(0);
  assert_fault("order.deadline");
  set_deadline(-86400000);
  assert_fault("order.deadline");
}
END_TEST

START_TEST(a_deadline_not_after_the_pickup_is_refused) {
  set_pickup_time(60000);
  set_deadline(60000);
  assert_fault("order.deadline");
  set_deadline(59999);
  assert_fault("order.deadline");
}
END_TEST

START_TEST(times_at_the_ends_of_the_number_range_are_judged_too) {
  set_pickup_time(0);
  pickup_time.seconds = INT64_MIN;
  assert_fault("order.pickup_time");
  set_pickup_time(0);
  set_deadline(0);
  deadline.seconds = INT64_MAX;
  assert_accepted();
}
END_TEST

START_TEST(a_package_needs_a_weight_or_a_size) {
  package.weight_kg = 0;
  assert_fault("order.package_info");
  package.size = common_PACKAGE_SIZE_SMALL;
  assert_accepted();
}
END_TEST

START_TEST(every_fault_is_named_under_the_prefix) {
  locate(&dropoff, seattle);
  set_pickup_time(-3600000);
  set_deadline(-1);
  package.weight_kg = 0;
  SkyStatus status = order_check(&order, "items[3].order.", now_ms);
  const char *const fields[] = {"items[3].order.dropoff_location", "items[3].order.pickup_time",
                                "items[3].order.deadline", "items[3].order.package_info"};
  ck_assert_uint_eq(sky_status_violation_count(status), 4);
  for (size_t i = 0; i < 4; i++)
    ck_assert_str_eq(sky_status_violation(status, i)->field, fields[i]);
  sky_status_free(status);
}
END_TEST

/* ---- changes ---- */

static SkyArena arena;
static common_DeliveryChange terms;
static char *paths[4];
static protobuf_FieldMask mask;

static void name_terms(size_t count) {
  mask = (protobuf_FieldMask)protobuf_FieldMask_INIT;
  mask.paths = (void *)paths;
  mask.n_paths = count;
}

/* What is said of the named terms; "" when nothing is. */
static const char *said_of_change(void) {
  static char said[512];
  sky_arena_init(&arena, 1 << 20);
  SkyStatus status = order_check_change(&order, &terms, &mask, "change.", now_ms, &arena);
  ck_assert(status == SKY_OK || sky_status_code(status) == SKY_CODE_INVALID_ARGUMENT);
  snprintf(said, sizeof(said), "%s", status == SKY_OK ? "" : sky_status_message(status));
  sky_status_free(status);
  sky_arena_finish(&arena);
  return said;
}

static const char *said_of(char *path) {
  paths[0] = path;
  name_terms(1);
  return said_of_change();
}

START_TEST(a_change_is_held_against_the_order_it_makes) {
  terms = (common_DeliveryChange)common_DeliveryChange_INIT;
  ck_assert_str_eq(said_of("expedited"), "");
  ck_assert_str_eq(said_of("pickup_time"), "");
  ck_assert_ptr_nonnull(strstr(said_of("dropoff_location"), "change.dropoff_location: cannot be taken away"));
  ck_assert_ptr_nonnull(strstr(said_of("pickup_location.latitude"), "change.pickup_location: cannot be taken away"));
  terms.dropoff_location = &pickup;
  ck_assert_ptr_nonnull(strstr(said_of("dropoff_location"), "change.dropoff_location: is the same place"));
  ck_assert_str_eq(said_of("notify"), ""); /* what is not named does not count */
  ck_assert_str_ne(said_of("colour"), "");
  name_terms(0);
  ck_assert_str_ne(said_of_change(), "");
}
END_TEST

START_TEST(times_of_a_change_are_new_or_have_been_judged) {
  protobuf_Timestamp time;
  terms = (common_DeliveryChange)common_DeliveryChange_INIT;
  set_pickup_time(-3600000); /* was in the future when the order was made */
  set_deadline(3600000);
  ck_assert_str_eq(said_of("expedited"), "");
  set_time(&time, &terms.deadline, -1000);
  ck_assert_ptr_nonnull(strstr(said_of("deadline"), "change.deadline: lies in the past"));
  set_time(&time, &terms.pickup_time, -3700000);
  ck_assert_ptr_nonnull(strstr(said_of("pickup_time"), "change.pickup_time: lies in the past"));
  set_time(&time, &terms.pickup_time, 3700000);
  ck_assert_ptr_nonnull(strstr(said_of("pickup_time"), "change.deadline: must be after pickup_time"));
  set_time(&time, &terms.pickup_time, 1800000);
  ck_assert_str_eq(said_of("pickup_time"), "");
}
END_TEST

/* ---- ids ---- */

START_TEST(the_same_owner_and_key_give_the_same_id) {
  const char *first = request_id("acme", "order-17");
  sky_seeded_random_init(&seeded, 99);
  char later[SKY_UUID_TEXT_SIZE];
  order_request_id("acme", "order-17", now_ms + 86400000, &seeded.random, later);
  ck_assert_str_eq(first, later);
  ck_assert_int_eq(first[14], '5');
}
END_TEST

/* Stored requests are found again by their keys only while this id stays. Made by Python's uuid.uuid5(). */
START_TEST(the_id_of_a_key_never_changes) {
  ck_assert_str_eq(request_id("acme", "order-17"), "98465c8d-961f-5ffb-be3c-0f9bab2add0c");
}
END_TEST

/* ---- digests ---- */

START_TEST(a_digest_tells_orders_apart) {
  char digest[SKY_UUID_TEXT_SIZE], again[SKY_UUID_TEXT_SIZE], other[SKY_UUID_TEXT_SIZE];
  order_digest(&order, digest);
  order_digest(&order, again);
  order.expedited = !order.expedited;
  order_digest(&order, other);
  ck_assert_uint_eq(strlen(digest), SKY_UUID_TEXT_SIZE - 1);
  ck_assert_str_eq(digest, again);
  ck_assert_str_ne(digest, other);
}
END_TEST

SKY_CHECK_MAIN_WITH("ingestion/order", setup, NULL, a_plain_order_needs_no_times,
                    an_order_with_times_in_order_is_accepted, drop_off_at_the_pickup_is_refused,
                    altitude_makes_no_other_place, places_some_metres_apart_are_two,
                    a_pickup_in_the_past_is_refused_beyond_a_minute, a_deadline_that_is_over_is_refused,
                    a_deadline_not_after_the_pickup_is_refused, times_at_the_ends_of_the_number_range_are_judged_too,
                    a_package_needs_a_weight_or_a_size, every_fault_is_named_under_the_prefix,
                    a_change_is_held_against_the_order_it_makes, times_of_a_change_are_new_or_have_been_judged,
                    the_same_owner_and_key_give_the_same_id, the_id_of_a_key_never_changes, a_digest_tells_orders_apart)
