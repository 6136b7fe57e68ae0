#include "delivery/delivery.h"

#include <sky_check.h>
#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/events/v1/delivery.event.h"

static SkyArena arena;
static SkySeededRandom seeded;
static const EtaModel model = {.cruise_mps = 20, .weather_factor = 1, .history_factor = 1};
static DeliveryWork work;
static DeliveryDocument *document;

static const char *const id = "29fdc588-9c31-56ca-9749-a9d0f22688b6";

static void setup(void) {
  sky_arena_init(&arena, 8 << 20);
  sky_seeded_random_init(&seeded, 7);
  work = (DeliveryWork){.arena = &arena, .random = &seeded.random, .now_ms = 1700000000000, .eta = &model};
  document = delivery_store_DeliveryDocument_create(&arena);
  document->id = id;
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

static common_Location *place(double latitude, double longitude) {
  common_Location *location = common_Location_create(&arena);
  location->latitude = latitude;
  location->longitude = longitude;
  location->_latitude_case = FABRIKAM__COMMON__V1__LOCATION___LATITUDE_LATITUDE;
  location->_longitude_case = FABRIKAM__COMMON__V1__LOCATION___LONGITUDE_LONGITUDE;
  return location;
}

static delivery_PutDeliveryRequest *put_request(void) {
  delivery_PutDeliveryRequest *request = delivery_PutDeliveryRequest_create(&arena);
  request->id = id;
  request->order = common_DeliveryOrder_create(&arena);
  request->order->owner_id = "acme";
  request->order->pickup_location = place(47.60, -122.30);
  request->order->dropoff_location = place(47.70, -122.30);
  request->order->package_info = common_PackageInfo_create(&arena);
  request->order->package_info->weight_kg = 1;
  request->package_id = "package-1";
  request->drone_id = "drone-1";
  request->drone_location = place(47.59, -122.30);
  return request;
}

/* Folds a decision in as the log would. */
static void take(const DeliveryDecision *decision) {
  const int64_t version = document->log_version + 1;
  for (size_t i = 0; i < decision->count; i++) {
    const SkyLogged logged = {decision->events[i].type, decision->events[i].event, version, work.now_ms};
    ck_assert_ptr_null(delivery_fold(document, &logged, &arena));
  }
}

static void put(void) {
  DeliveryDecision decision;
  ck_assert_ptr_null(delivery_put(document, put_request(), &work, &decision));
  take(&decision);
}

/* Returns how many events the news brought. */
static size_t hear_of(const char *drone_id, common_MissionPhase phase) {
  DeliveryDecision decision;
  work.now_ms += 1000;
  const DeliveryProgress progress = {.drone_id = drone_id,
                                     .phase = phase,
                                     .location = place(47.65, -122.30),
                                     .speed_mps = 20,
                                     .observe_ms = work.now_ms};
  ck_assert_ptr_null(delivery_progress(document, &progress, &work, &decision));
  if (decision.count > 0)
    take(&decision);
  return decision.count;
}

static size_t hear(common_MissionPhase phase) {
  return hear_of("drone-1", phase);
}

static common_DeliveryStage stage(void) {
  return document->delivery->status->stage;
}

static void expect_refusal(SkyStatus status, SkyCode code, const char *reason) {
  ck_assert_int_eq(sky_status_code(status), code);
  ck_assert_str_eq(sky_status_reason(status), reason);
  sky_status_free(status);
}

START_TEST(a_put_delivery_has_estimates_and_the_length_of_its_way) {
  put();
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_CREATED);
  ck_assert(document->active);
  ck_assert_uint_eq(document->delivery->status->version, 1);
  ck_assert_double_eq_tol(document->delivery->distance_m, 11120, 10);
  const int64_t pickup_ms = sky_timestamp_ms(document->delivery->status->pickup_eta->time);
  const int64_t dropoff_ms = sky_timestamp_ms(document->delivery->status->delivery_eta->time);
  ck_assert_int_gt(pickup_ms, work.now_ms);
  ck_assert_int_gt(dropoff_ms, pickup_ms);
}
END_TEST

START_TEST(the_same_put_again_changes_nothing_and_another_is_a_conflict) {
  DeliveryDecision decision;
  put();
  ck_assert_ptr_null(delivery_put(document, put_request(), &work, &decision));
  ck_assert_uint_eq(decision.count, 0);
  delivery_PutDeliveryRequest *other = put_request();
  other->order->owner_id = "other";
  expect_refusal(delivery_put(document, other, &work, &decision), SKY_CODE_ALREADY_EXISTS, "DELIVERY_CONFLICT");
  other = put_request();
  other->order->dropoff_location = place(48, -122);
  expect_refusal(delivery_put(document, other, &work, &decision), SKY_CODE_ALREADY_EXISTS, "DELIVERY_CONFLICT");
  other = put_request();
  other->package_id = "package-2";
  expect_refusal(delivery_put(document, other, &work, &decision), SKY_CODE_ALREADY_EXISTS, "DELIVERY_CONFLICT");
}
END_TEST

START_TEST(progress_goes_through_the_stages_to_the_end) {
  put();
  ck_assert_uint_eq(hear(common_MISSION_PHASE_TO_PICKUP), 1);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_HEADED_TO_PICKUP);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_AT_PICKUP), 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_PICKED_UP), 1);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_HEADED_TO_DROPOFF);
  ck_assert_double_eq(document->delivery->status->pickup_eta->confidence, 1);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_TO_DROPOFF), 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_AT_DROPOFF), 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_DELIVERED), 1);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_COMPLETED);
  ck_assert(!document->active);
  ck_assert_int_eq(sky_timestamp_ms(document->delivery->end_time), work.now_ms);
}
END_TEST

START_TEST(repeats_and_old_news_change_nothing) {
  put();
  hear(common_MISSION_PHASE_PICKED_UP);
  const uint64_t version = document->delivery->status->version;
  ck_assert_uint_eq(hear(common_MISSION_PHASE_PICKED_UP), 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_TO_PICKUP), 0);
  ck_assert_uint_eq(document->delivery->status->version, version);
  hear(common_MISSION_PHASE_DELIVERED);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_FAILED), 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_RETURNING), 0);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_COMPLETED);
}
END_TEST

START_TEST(news_that_skips_stages_brings_the_skipped_events) {
  put();
  DeliveryDecision decision;
  const DeliveryProgress progress = {
      .drone_id = "drone-1", .phase = common_MISSION_PHASE_RETURNING, .observe_ms = work.now_ms};
  ck_assert_ptr_null(delivery_progress(document, &progress, &work, &decision));
  ck_assert_uint_eq(decision.count, 3);
  ck_assert_ptr_eq(decision.events[0].type, &events_DeliveryDeparted_event);
  ck_assert_ptr_eq(decision.events[1].type, &events_DeliveryPickedUp_event);
  ck_assert_ptr_eq(decision.events[2].type, &events_DeliveryCompleted_event);
  take(&decision);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_COMPLETED);
  ck_assert_uint_eq(document->delivery->status->version, 4);
}
END_TEST

START_TEST(only_its_own_drone_moves_a_delivery) {
  put();
  ck_assert_uint_eq(hear_of("drone-2", common_MISSION_PHASE_PICKED_UP), 0);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_CREATED);
}
END_TEST

START_TEST(a_failed_mission_fails_the_delivery_and_an_aborted_one_does_not) {
  put();
  hear(common_MISSION_PHASE_TO_PICKUP);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_ABORTED), 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_FAILED), 1);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_FAILED);
  ck_assert(!document->active);
}
END_TEST

static SkyStatus cancel(DeliveryDecision *decision) {
  common_Reason *reason = common_Reason_create(&arena);
  reason->code = "CANCELLED_BY_OWNER";
  return delivery_cancel(document, id, reason, &work, decision);
}

START_TEST(cancelling_works_until_pickup_and_twice_is_once) {
  DeliveryDecision decision;
  put();
  hear(common_MISSION_PHASE_TO_PICKUP);
  ck_assert_ptr_null(cancel(&decision));
  ck_assert_uint_eq(decision.count, 1);
  take(&decision);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_CANCELLED);
  ck_assert_str_eq(document->delivery->reason->code, "CANCELLED_BY_OWNER");
  ck_assert_ptr_null(cancel(&decision));
  ck_assert_uint_eq(decision.count, 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_PICKED_UP), 0);
}
END_TEST

START_TEST(cancelling_after_pickup_is_refused) {
  DeliveryDecision decision;
  put();
  hear(common_MISSION_PHASE_PICKED_UP);
  expect_refusal(cancel(&decision), SKY_CODE_FAILED_PRECONDITION, "DELIVERY_ALREADY_PICKED_UP");
  hear(common_MISSION_PHASE_DELIVERED);
  expect_refusal(cancel(&decision), SKY_CODE_FAILED_PRECONDITION, "DELIVERY_ALREADY_PICKED_UP");
}
END_TEST

START_TEST(a_delivery_cancelled_before_it_was_put_never_comes_to_life) {
  DeliveryDecision decision;
  ck_assert_ptr_null(cancel(&decision));
  ck_assert_uint_eq(decision.count, 1);
  take(&decision);
  expect_refusal(delivery_put(document, put_request(), &work, &decision), SKY_CODE_FAILED_PRECONDITION,
                 "DELIVERY_FINAL");
}
END_TEST

static const char *mask_paths[4];

static delivery_RescheduleRequest *reschedule_request(const char *path, const char *change_id) {
  delivery_RescheduleRequest *request = delivery_RescheduleRequest_create(&arena);
  request->id = id;
  request->change = common_DeliveryChange_create(&arena);
  request->update_mask = protobuf_FieldMask_create(&arena);
  mask_paths[0] = path;
  request->update_mask->paths = mask_paths;
  request->update_mask->n_paths = 1;
  request->change_id = change_id;
  return request;
}

START_TEST(rescheduling_changes_only_what_the_mask_names_and_once) {
  DeliveryDecision decision;
  put();
  hear(common_MISSION_PHASE_TO_PICKUP);
  delivery_RescheduleRequest *request = reschedule_request("dropoff_location", "change-1");
  request->change->dropoff_location = place(47.80, -122.30);
  request->change->expedited = true; /* not in the mask */
  ck_assert_ptr_null(delivery_reschedule(document, request, &work, &decision));
  take(&decision);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_RESCHEDULED);
  ck_assert_double_eq(document->delivery->order->dropoff_location->latitude, 47.80);
  ck_assert(!document->delivery->order->expedited);
  ck_assert_double_eq_tol(document->delivery->distance_m, 22240, 20);
  ck_assert_ptr_null(delivery_reschedule(document, request, &work, &decision));
  ck_assert_uint_eq(decision.count, 0);
  ck_assert_uint_eq(hear(common_MISSION_PHASE_TO_PICKUP), 1);
  ck_assert_int_eq(stage(), common_DELIVERY_STAGE_HEADED_TO_PICKUP);
}
END_TEST

START_TEST(rescheduling_may_bring_another_drone) {
  DeliveryDecision decision;
  put();
  ck_assert_ptr_null(delivery_reschedule(document, reschedule_request("expedited", "change-1"), &work, &decision));
  take(&decision);
  ck_assert_uint_eq(hear_of("drone-2", common_MISSION_PHASE_TO_PICKUP), 1);
  ck_assert_str_eq(document->delivery->drone_id, "drone-2");
}
END_TEST

START_TEST(rescheduling_refuses_wrong_masks_missing_places_and_late_changes) {
  DeliveryDecision decision;
  put();
  SkyStatus status = delivery_reschedule(document, reschedule_request("owner", "change-1"), &work, &decision);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "update_mask");
  sky_status_free(status);
  status = delivery_reschedule(document, reschedule_request("pickup_location", "change-2"), &work, &decision);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_str_eq(sky_status_violation(status, 0)->field, "change.pickup_location");
  sky_status_free(status);
  hear(common_MISSION_PHASE_PICKED_UP);
  expect_refusal(delivery_reschedule(document, reschedule_request("expedited", "change-3"), &work, &decision),
                 SKY_CODE_FAILED_PRECONDITION, "DELIVERY_ALREADY_PICKED_UP");
}
END_TEST

static size_t estimate_says(int64_t pickup_ms, int64_t dropoff_ms) {
  const DeliveryEstimate now = {.pickup_ms = pickup_ms, .dropoff_ms = dropoff_ms, .confidence = 0.9};
  DeliveryDecision decision;
  ck_assert_ptr_null(delivery_estimate(document, &now, &work, &decision));
  if (decision.count > 0)
    take(&decision);
  return decision.count;
}

static int64_t told_arrival_ms(void) {
  return sky_timestamp_ms(document->delivery->status->delivery_eta->time);
}

START_TEST(an_arrival_that_moves_far_is_told_once) {
  put();
  hear(common_MISSION_PHASE_TO_PICKUP);
  const uint64_t stages = document->delivery->status->version;
  const int64_t first_ms = told_arrival_ms();
  ck_assert_uint_eq(estimate_says(work.now_ms + 1000, first_ms + 59000), 0);
  ck_assert_int_eq(told_arrival_ms(), first_ms);
  const int64_t later_ms = first_ms + 300000;
  ck_assert_uint_eq(estimate_says(work.now_ms + 1000, later_ms), 1);
  ck_assert_int_eq(told_arrival_ms(), later_ms);
  ck_assert_int_eq(sky_timestamp_ms(document->delivery->status->pickup_eta->time), work.now_ms + 1000);
  ck_assert_uint_eq(estimate_says(work.now_ms + 1000, later_ms), 0);
  ck_assert_uint_eq(estimate_says(work.now_ms + 1000, first_ms), 1); /* earlier is news as well */
  ck_assert_uint_eq(document->delivery->status->version, stages);
}
END_TEST

START_TEST(a_long_flight_may_move_by_a_tenth_before_it_is_news) {
  const int64_t now_ms = work.now_ms, hour_ms = 3600000;
  ck_assert(!delivery_arrival_is_news(now_ms + hour_ms, now_ms + hour_ms + 120000, now_ms));
  ck_assert(delivery_arrival_is_news(now_ms + hour_ms, now_ms + hour_ms + 420000, now_ms));
  ck_assert(delivery_arrival_is_news(now_ms + 120000, now_ms + 180000, now_ms));
  ck_assert(!delivery_arrival_is_news(0, now_ms, now_ms)); /* nothing was told that could have moved */
}
END_TEST

START_TEST(news_of_the_arrival_says_what_was_told_and_who_is_told) {
  DeliveryDecision decision;
  put();
  document->delivery->order->notify = common_NotifyTargets_create(&arena);
  const DeliveryEstimate now = {.pickup_ms = work.now_ms, .dropoff_ms = told_arrival_ms() + 600000, .confidence = 0.5};
  const common_Eta *before = document->delivery->status->delivery_eta;
  ck_assert_ptr_null(delivery_estimate(document, &now, &work, &decision));
  ck_assert_uint_eq(decision.count, 1);
  ck_assert_ptr_eq(decision.events[0].type, &events_EtaChanged_event);
  const events_EtaChanged *event = (const events_EtaChanged *)decision.events[0].event;
  ck_assert_ptr_eq(event->delivery_eta_before, before);
  ck_assert_int_eq(sky_timestamp_ms(event->delivery_eta_after->time), now.dropoff_ms);
  ck_assert_double_eq(event->delivery_eta_after->confidence, 0.5);
  ck_assert_str_eq(event->owner_id, "acme");
  ck_assert_str_eq(event->drone_id, "drone-1");
  ck_assert_ptr_eq(event->notify, document->delivery->order->notify);
  ck_assert_uint_eq(event->version, (uint64_t)document->log_version + 1);
}
END_TEST

START_TEST(what_is_picked_up_or_over_has_no_such_estimate) {
  put();
  hear(common_MISSION_PHASE_PICKED_UP);
  const int64_t pickup_ms = sky_timestamp_ms(document->delivery->status->pickup_eta->time);
  ck_assert_uint_eq(estimate_says(pickup_ms + 99000, told_arrival_ms() + 300000), 1);
  ck_assert_int_eq(sky_timestamp_ms(document->delivery->status->pickup_eta->time), pickup_ms);
  hear(common_MISSION_PHASE_DELIVERED);
  ck_assert_uint_eq(estimate_says(0, told_arrival_ms() + 300000), 0);
}
END_TEST

SKY_CHECK_MAIN_WITH("delivery/delivery", setup, teardown, a_put_delivery_has_estimates_and_the_length_of_its_way,
                    the_same_put_again_changes_nothing_and_another_is_a_conflict,
                    progress_goes_through_the_stages_to_the_end, repeats_and_old_news_change_nothing,
                    news_that_skips_stages_brings_the_skipped_events, only_its_own_drone_moves_a_delivery,
                    a_failed_mission_fails_the_delivery_and_an_aborted_one_does_not,
                    cancelling_works_until_pickup_and_twice_is_once, cancelling_after_pickup_is_refused,
                    a_delivery_cancelled_before_it_was_put_never_comes_to_life,
                    rescheduling_changes_only_what_the_mask_names_and_once, rescheduling_may_bring_another_drone,
                    rescheduling_refuses_wrong_masks_missing_places_and_late_changes,
                    an_arrival_that_moves_far_is_told_once, a_long_flight_may_move_by_a_tenth_before_it_is_news,
                    news_of_the_arrival_says_what_was_told_and_who_is_told,
                    what_is_picked_up_or_over_has_no_such_estimate)
