/* Live data: what is known of deliveries beside the store, and what watchers are told. Calls are the test's own. */
#include "sky_check.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "delivery/live.h"

enum { MAX_WATCHED = 2, T0_MS = 1000000 };

struct SkyCall {
  size_t writes;
  common_DeliveryStage stage; /* that was told last */
  bool finished;
  bool is_cancelled; /* by its client, just when it is finished: the callback is on its way */
  void (*cancelled)(void *user, SkyCall *call);
  void *user;
};

SkyStatus sky_call_write(SkyCall *call, const ProtobufCMessage *message) {
  call->writes++;
  call->stage = ((const delivery_WatchDeliveryResponse *)message)->status->stage;
  return SKY_OK;
}

static void *cancel(void *call) {
  ((SkyCall *)call)->cancelled(((SkyCall *)call)->user, call);
  return NULL;
}

/* Waits for the callback, as the framework does. */
void sky_call_finish(SkyCall *call, SkyStatus status) {
  pthread_t io_thread;
  ck_assert(!call->finished);
  call->finished = true;
  sky_status_free(status);
  if (!call->is_cancelled)
    return;
  ck_assert_int_eq(pthread_create(&io_thread, NULL, cancel, call), 0);
  pthread_join(io_thread, NULL);
}

void sky_call_on_cancel(SkyCall *call, void (*cancelled)(void *user, SkyCall *call), void *user) {
  call->cancelled = cancelled;
  call->user = user;
}

void sky_call_on_writable(SkyCall *call, void (*writable)(void *user, SkyCall *call), void *user) {
}

static Live *live;
static SkyCall call;
static char watched[MAX_WATCHED][SKY_UUID_TEXT_SIZE];

static void setup(void) {
  ck_assert_ptr_null(live_create(&live));
  call = (SkyCall){0};
}

static void teardown(void) {
  live_end_watches(live);
  live_destroy(live);
}

/* ---- what happens ---- */

typedef struct Stored {
  DeliveryDocument document;
  delivery_Delivery delivery;
  delivery_DeliveryStatus status;
} Stored;

/* As the log has it at that version. */
static const DeliveryDocument *stored(Stored *memory, const char *id, common_DeliveryStage stage, int64_t version) {
  memory->status = (delivery_DeliveryStatus)delivery_DeliveryStatus_INIT;
  memory->status.stage = stage;
  memory->status.version = (uint64_t)version;
  memory->delivery = (delivery_Delivery)delivery_Delivery_INIT;
  memory->delivery.status = &memory->status;
  memory->document = (DeliveryDocument)delivery_store_DeliveryDocument_INIT;
  memory->document.id = (char *)id;
  memory->document.delivery = &memory->delivery;
  memory->document.log_version = version;
  return &memory->document;
}

static void change(const char *id, common_DeliveryStage stage, int64_t version) {
  Stored memory;
  live_change(live, stored(&memory, id, stage, version));
}

static void watch(const char *id, int64_t version) {
  Stored memory;
  live_watch(live, &call, stored(&memory, id, common_DELIVERY_STAGE_CREATED, version), "");
}

static LivePosition position(const char *id) {
  static const EtaModel model = {.cruise_mps = 20, .weather_factor = 1, .history_factor = 1};
  static int64_t time_ms = T0_MS;
  common_Location location = common_Location_INIT;
  protobuf_Timestamp time = protobuf_Timestamp_INIT;
  time.seconds = ++time_ms;
  events_DronePositionChanged event = events_DronePositionChanged_INIT;
  event.delivery_id = (char *)id;
  event.location = &location;
  event.occur_time = &time;
  event.phase = common_MISSION_PHASE_TO_PICKUP;
  DeliveryEstimate estimate;
  return live_position(live, &event, &model, &estimate);
}

static size_t forget_quiet(void) {
  return live_forget_quiet(live, watched, MAX_WATCHED);
}

/* ---- tests ---- */

START_TEST(what_nobody_hears_of_and_nobody_watches_is_forgotten) {
  ck_assert_int_eq(position("a"), LIVE_STRANGER);
  change("a", common_DELIVERY_STAGE_CREATED, 1);
  change("b", common_DELIVERY_STAGE_CREATED, 1);
  ck_assert_uint_eq(forget_quiet(), 0); /* both were heard of */
  ck_assert_int_ne(position("b"), LIVE_STRANGER);
  ck_assert_uint_eq(forget_quiet(), 0);
  ck_assert_int_eq(position("a"), LIVE_STRANGER);
  ck_assert_int_ne(position("b"), LIVE_STRANGER);
}
END_TEST

START_TEST(there_is_room_again_when_many_were_forgotten) {
  char id[SKY_UUID_TEXT_SIZE];
  for (int i = 0; i < LIVE_MAX_DELIVERIES; i++) {
    snprintf(id, sizeof(id), "delivery-%d", i);
    change(id, common_DELIVERY_STAGE_CREATED, 1);
  }
  change("late", common_DELIVERY_STAGE_CREATED, 1);
  ck_assert_int_eq(position("late"), LIVE_STRANGER); /* it is full */
  forget_quiet();
  forget_quiet();
  change("late", common_DELIVERY_STAGE_CREATED, 1);
  ck_assert_int_ne(position("late"), LIVE_STRANGER);
}
END_TEST

START_TEST(what_is_watched_and_quiet_is_to_be_loaded) {
  watch("a", 1);
  ck_assert_uint_eq(call.writes, 1);
  ck_assert_uint_eq(forget_quiet(), 0);
  ck_assert_uint_eq(forget_quiet(), 1);
  ck_assert_str_eq(watched[0], "a");
  change("a", common_DELIVERY_STAGE_FAILED, 2); /* which had been missed */
  ck_assert_int_eq(call.stage, common_DELIVERY_STAGE_FAILED);
  ck_assert(call.finished);
  ck_assert_uint_eq(forget_quiet(), 0);
  ck_assert_uint_eq(forget_quiet(), 0);
}
END_TEST

START_TEST(an_end_meets_a_cancellation_that_is_on_its_way) {
  watch("a", 1);
  call.is_cancelled = true;
  change("a", common_DELIVERY_STAGE_COMPLETED, 2);
  ck_assert(call.finished);
}
END_TEST

START_TEST(the_end_of_the_process_meets_a_cancellation_that_is_on_its_way) {
  watch("a", 1);
  call.is_cancelled = true;
  live_end_watches(live);
  ck_assert(call.finished);
}
END_TEST

START_TEST(each_of_many_quiet_ones_has_its_turn) {
  static SkyCall calls[MAX_WATCHED + 1];
  char id[SKY_UUID_TEXT_SIZE];
  for (int i = 0; i <= MAX_WATCHED; i++) {
    Stored memory;
    snprintf(id, sizeof(id), "delivery-%d", i);
    live_watch(live, &calls[i], stored(&memory, id, common_DELIVERY_STAGE_CREATED, 1), "");
  }
  ck_assert_uint_eq(forget_quiet(), 0);
  ck_assert_uint_eq(forget_quiet(), MAX_WATCHED);
  char first[MAX_WATCHED][SKY_UUID_TEXT_SIZE];
  memcpy(first, watched, sizeof(first));
  ck_assert_uint_eq(forget_quiet(), 1);
  for (int i = 0; i < MAX_WATCHED; i++)
    ck_assert_str_ne(first[i], watched[0]);
}
END_TEST

START_TEST(a_change_elsewhere_is_loaded_for_watchers_only) {
  change("unwatched", common_DELIVERY_STAGE_CREATED, 1);
  watch("watched", 1);
  ck_assert(!live_changed_elsewhere(live, "unwatched", 1)); /* it is known as it is */
  ck_assert(!live_changed_elsewhere(live, "watched", 1));
  ck_assert_int_ne(position("unwatched"), LIVE_STRANGER);
  ck_assert(!live_changed_elsewhere(live, "unwatched", 2));
  ck_assert(live_changed_elsewhere(live, "watched", 2));
  ck_assert(!live_changed_elsewhere(live, "unknown", 2));
  ck_assert_int_eq(position("unwatched"), LIVE_STRANGER); /* so a position makes it known as it is now */
  ck_assert_int_ne(position("watched"), LIVE_STRANGER);
}
END_TEST

SKY_CHECK_MAIN_WITH("delivery/live", setup, teardown, what_nobody_hears_of_and_nobody_watches_is_forgotten,
                    there_is_room_again_when_many_were_forgotten, what_is_watched_and_quiet_is_to_be_loaded,
                    an_end_meets_a_cancellation_that_is_on_its_way,
                    the_end_of_the_process_meets_a_cancellation_that_is_on_its_way,
                    each_of_many_quiet_ones_has_its_turn, a_change_elsewhere_is_loaded_for_watchers_only)
