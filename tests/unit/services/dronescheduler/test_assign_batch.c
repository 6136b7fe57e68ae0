/*
 * AssignDrone for many at once, on a real store, with two processes on it. Calls are the test's own, and so are the
 * workers: the linker puts the test's functions around those of the framework (--wrap).
 */
#include "fleet_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <sky/rpc/server.h>

#include "assign.h"

enum { MAX_CALLS = 16, ARENA_BYTES = 4 << 20, TIMEOUT_MS = 50000, SHORT_MS = 20 };

struct SkyCall {
  SkyArena arena;
  SkyContext context;
  drone_AssignDroneRequest request;
  drone_AssignDroneResponse response;
  common_Location pickup, dropoff;
  common_PackageInfo package;
  bool finished;
  SkyStatus status;
};

static SkyStore *store;
static Scheduler here, there; /* two processes */
static SkyContext context;
static SkyCall calls[MAX_CALLS];
static size_t call_count;
static SkyBatchJob *waiting[MAX_CALLS];
static size_t waiting_count;
static size_t worked;                /* calls that went to a worker */
static const SkyCollection *failing; /* inserts into it fail */

/* ---- around the framework ---- */

SkyArena *__wrap_sky_call_arena(SkyCall *call);
const SkyContext *__wrap_sky_call_context(const SkyCall *call);
ProtobufCMessage *__wrap_sky_call_response(SkyCall *call);
SkyStatus __wrap_sky_call_defer(SkyCall *call);
void __wrap_sky_call_finish(SkyCall *call, SkyStatus status);
SkyStatus __wrap_sky_batch_add(SkyBatch *batch, SkyBatchJob *job);
SkyStatus __wrap_sky_rpc_run(SkyRpc *rpc, void (*work)(void *user), void *user);
SkyRpc *__wrap_sky_service_rpc(SkyService *service);
SkyStore *__wrap_sky_service_store(SkyService *service);
SkyBus *__wrap_sky_service_bus(SkyService *service);
const SkyClock *__wrap_sky_service_clock(SkyService *service);
const SkyRandom *__wrap_sky_service_random(SkyService *service);
void __wrap_sky_event_publish_async(SkyBus *bus, const SkyContext *publish_context, const SkyEventType *type,
                                    const ProtobufCMessage *event, SkyOnPublished done, void *user);
SkyStatus __real_sky_store_insert_many(SkyStore *into, const SkyContext *insert_context,
                                       const SkyCollection *collection, const ProtobufCMessage *const *documents,
                                       size_t count, SkyStatus *results);
SkyStatus __wrap_sky_store_insert_many(SkyStore *into, const SkyContext *insert_context,
                                       const SkyCollection *collection, const ProtobufCMessage *const *documents,
                                       size_t count, SkyStatus *results);

SkyArena *__wrap_sky_call_arena(SkyCall *call) {
  return &call->arena;
}

const SkyContext *__wrap_sky_call_context(const SkyCall *call) {
  return &call->context;
}

ProtobufCMessage *__wrap_sky_call_response(SkyCall *call) {
  return &call->response.base;
}

SkyStatus __wrap_sky_call_defer(SkyCall *call) {
  return SKY_OK;
}

void __wrap_sky_call_finish(SkyCall *call, SkyStatus status) {
  ck_assert(!call->finished);
  call->finished = true;
  call->status = status;
}

SkyStatus __wrap_sky_batch_add(SkyBatch *batch, SkyBatchJob *job) {
  waiting[waiting_count++] = job;
  return SKY_OK;
}

SkyStatus __wrap_sky_rpc_run(SkyRpc *rpc, void (*work)(void *user), void *user) {
  worked++;
  work(user);
  return SKY_OK;
}

SkyRpc *__wrap_sky_service_rpc(SkyService *service) {
  return NULL;
}

SkyStore *__wrap_sky_service_store(SkyService *service) {
  return store;
}

SkyBus *__wrap_sky_service_bus(SkyService *service) {
  return NULL;
}

const SkyClock *__wrap_sky_service_clock(SkyService *service) {
  return sky_clock_system_borrow();
}

const SkyRandom *__wrap_sky_service_random(SkyService *service) {
  return sky_random_system_borrow();
}

void __wrap_sky_event_publish_async(SkyBus *bus, const SkyContext *publish_context, const SkyEventType *type,
                                    const ProtobufCMessage *event, SkyOnPublished done, void *user) {
  done(user, SKY_OK, NULL);
}

SkyStatus __wrap_sky_store_insert_many(SkyStore *into, const SkyContext *insert_context,
                                       const SkyCollection *collection, const ProtobufCMessage *const *documents,
                                       size_t count, SkyStatus *results) {
  if (collection == failing)
    return SKY_UNAVAILABLE("the store is away");
  return __real_sky_store_insert_many(into, insert_context, collection, documents, count, results);
}

/* ---- processes ---- */

static void assert_ok(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

/* All at one base, so the first by id that is free is chosen. */
static void add_drones(Scheduler *scheduler, int count) {
  FleetBase *base = fixture_base(&scheduler->fleet, "base", fixture_seattle);
  for (int i = 1; i <= count; i++) {
    char id[LIFE_ID_SIZE];
    snprintf(id, sizeof(id), "drone-%d", i);
    fixture_drone(&scheduler->fleet, id, base)->heard_ms = scheduler_now_ms(scheduler);
  }
}

static void open_scheduler(Scheduler *scheduler) {
  scheduler->settings = (SchedulerSettings){
      .reserve_percent = 10, .assignable_percent = 30, .handling_way_m = 600, .offline_after_ns = 600 * SKY_NS_PER_S};
  assert_ok(scheduler_init(scheduler, NULL));
  scheduler->loaded = true;
}

static void setup(void) {
  const SkyStoreOptions options = {.uri = "sqlite::memory:",
                                   .database = "dronescheduler",
                                   .collections = scheduler_collections,
                                   .collection_count = SCHEDULER_COLLECTIONS};
  assert_ok(sky_store_open(&options, &store));
  const SkyContext background = sky_context_background();
  context = sky_context_with_timeout_ms(&background, TIMEOUT_MS);
  open_scheduler(&here);
  open_scheduler(&there);
}

static void teardown(void) {
  scheduler_finish(&here);
  scheduler_finish(&there);
  for (size_t i = 0; i < call_count; i++) {
    sky_status_free(calls[i].status);
    sky_arena_finish(&calls[i].arena);
  }
  sky_store_close(store);
}

/* ---- calls ---- */

static void set_location(common_Location *location, SkyPoint point) {
  *location = (common_Location)common_Location_INIT;
  location->latitude = point.latitude;
  location->longitude = point.longitude;
  location->_latitude_case = FABRIKAM__COMMON__V1__LOCATION___LATITUDE_LATITUDE;
  location->_longitude_case = FABRIKAM__COMMON__V1__LOCATION___LONGITUDE_LONGITUDE;
}

/* An AssignDrone that waits for its batch. */
static SkyCall *ask(Scheduler *scheduler, const char *delivery_id) {
  SkyCall *call = &calls[call_count++];
  sky_arena_init(&call->arena, ARENA_BYTES);
  call->context = context;
  call->response = (drone_AssignDroneResponse)drone_AssignDroneResponse_INIT;
  call->request = (drone_AssignDroneRequest)drone_AssignDroneRequest_INIT;
  const FleetNeed need = fixture_need();
  set_location(&call->pickup, need.pickup);
  set_location(&call->dropoff, need.dropoff);
  call->package = (common_PackageInfo)common_PackageInfo_INIT;
  call->package.weight_kg = need.weight_kg;
  call->request.delivery_id = (char *)delivery_id;
  call->request.owner_id = (char *)"acme";
  call->request.pickup_location = &call->pickup;
  call->request.dropoff_location = &call->dropoff;
  call->request.package_info = &call->package;
  assert_ok(handle_assign_drone(scheduler, call, &call->request, &call->response));
  return call;
}

/* All that wait, in one batch. */
static void work(Scheduler *scheduler) {
  assign_work(scheduler, waiting, waiting_count);
  waiting_count = 0;
}

static void assert_assigned(const SkyCall *call, const char *drone_id, bool created) {
  ck_assert(call->finished);
  assert_ok(call->status);
  ck_assert_str_eq(call->response.assignment->drone_id, drone_id);
  ck_assert_int_eq(call->response.created, created);
}

static void assert_refused(const SkyCall *call, SkyCode code) {
  ck_assert(call->finished);
  ck_assert_int_eq(sky_status_code(call->status), code);
}

/* ---- tests ---- */

START_TEST(those_that_wait_together_get_each_a_drone_without_a_worker) {
  add_drones(&here, 3);
  SkyCall *a = ask(&here, "a"), *b = ask(&here, "b"), *c = ask(&here, "c");
  work(&here);
  assert_assigned(a, "drone-1", true);
  assert_assigned(b, "drone-2", true);
  assert_assigned(c, "drone-3", true);
  ck_assert_uint_eq(worked, 0);
}
END_TEST

START_TEST(a_delivery_twice_in_a_batch_gets_one_drone) {
  add_drones(&here, 2);
  SkyCall *first = ask(&here, "a"), *again = ask(&here, "a"), *other = ask(&here, "b");
  work(&here);
  assert_assigned(first, "drone-1", true);
  assert_assigned(again, "drone-1", false);
  assert_assigned(other, "drone-2", true);
  ck_assert_uint_eq(worked, 1);
  SkyCall *later = ask(&here, "a");
  work(&here);
  assert_assigned(later, "drone-1", false);
}
END_TEST

START_TEST(who_finds_no_drone_is_told_so_and_the_others_get_theirs) {
  add_drones(&here, 1);
  SkyCall *lucky = ask(&here, "a"), *late = ask(&here, "b");
  work(&here);
  assert_assigned(lucky, "drone-1", true);
  assert_refused(late, SKY_CODE_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(a_drone_that_another_process_was_faster_with_is_given_up_for_another) {
  add_drones(&here, 2);
  add_drones(&there, 2);
  SkyCall *fast = ask(&there, "a");
  work(&there);
  assert_assigned(fast, "drone-1", true);
  SkyCall *slow = ask(&here, "b"); /* memory here still has drone-1 free */
  work(&here);
  assert_assigned(slow, "drone-2", true);
  ck_assert(fleet_drone(&here.fleet, "drone-1")->life.busy); /* as the log told */
  ck_assert(!fleet_drone(&here.fleet, "drone-1")->held);
}
END_TEST

START_TEST(a_delivery_that_another_process_has_assigned_keeps_its_drone) {
  add_drones(&here, 2);
  add_drones(&there, 2);
  SkyCall *first = ask(&there, "a");
  work(&there);
  assert_assigned(first, "drone-1", true);
  FleetDrone *drone = fleet_drone(&here.fleet, "drone-1");
  assert_ok(claim_catch_up(&here, &context, drone));
  sky_map_remove(here.drone_by_delivery, sky_str("a")); /* so that the document must tell */
  SkyCall *again = ask(&here, "a");
  work(&here);
  ck_assert_uint_eq(worked, 1);
  ck_assert(again->finished);
  ck_assert(!fleet_drone(&here.fleet, "drone-2")->held);
}
END_TEST

START_TEST(without_the_store_nothing_is_assigned_and_nothing_stays_held) {
  add_drones(&here, 2);
  failing = &assignment_documents;
  SkyCall *a = ask(&here, "a"), *b = ask(&here, "b");
  work(&here);
  assert_refused(a, SKY_CODE_UNAVAILABLE);
  assert_refused(b, SKY_CODE_UNAVAILABLE);
  failing = NULL;
  SkyCall *again = ask(&here, "a");
  work(&here);
  assert_assigned(again, "drone-1", true);
}
END_TEST

START_TEST(a_claim_that_may_have_failed_is_made_good_when_it_is_asked_again) {
  add_drones(&here, 1);
  failing = &drone_log_records;
  SkyCall *unsure = ask(&here, "a");
  work(&here);
  assert_refused(unsure, SKY_CODE_UNAVAILABLE);
  ck_assert(fleet_drone(&here.fleet, "drone-1")->unsure); /* and not given to another meanwhile */
  failing = NULL;
  assert_ok(claim_catch_up_unsure(&here, &context));
  SkyCall *again = ask(&here, "a");
  work(&here);
  assert_assigned(again, "drone-1", false); /* its document was there */
  ck_assert_uint_eq(worked, 1);
}
END_TEST

START_TEST(who_waits_for_another_at_the_same_delivery_waits_no_longer_than_its_call) {
  add_drones(&here, 1);
  pthread_mutex_t *stripe = scheduler_stripe(&here, "a");
  pthread_mutex_lock(stripe);
  SkyCall *late = ask(&here, "a");
  late->context = sky_context_with_timeout_ms(&context, SHORT_MS);
  work(&here);
  assert_refused(late, SKY_CODE_DEADLINE_EXCEEDED);
  ck_assert_uint_eq(worked, 1);
  pthread_mutex_unlock(stripe);
}
END_TEST

SKY_CHECK_MAIN_WITH("dronescheduler/assign_batch", setup, teardown,
                    those_that_wait_together_get_each_a_drone_without_a_worker,
                    a_delivery_twice_in_a_batch_gets_one_drone, who_finds_no_drone_is_told_so_and_the_others_get_theirs,
                    a_drone_that_another_process_was_faster_with_is_given_up_for_another,
                    a_delivery_that_another_process_has_assigned_keeps_its_drone,
                    without_the_store_nothing_is_assigned_and_nothing_stays_held,
                    a_claim_that_may_have_failed_is_made_good_when_it_is_asked_again,
                    who_waits_for_another_at_the_same_delivery_waits_no_longer_than_its_call)
