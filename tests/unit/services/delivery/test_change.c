/* Changes of deliveries on a real store: together, on folds in memory, while others change them too. */
#include "sky_check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "delivery/aggregate.h"
#include "delivery/store.h"
#include "fabrikam/events/v1/delivery.event.h"

enum { MANY = 300, ARENA_BYTES = 1 << 20 };

/* A bus that takes everything, unless it is away. */
static atomic_bool bus_is_away;

static SkyStatus take(void) {
  return bus_is_away ? SKY_UNAVAILABLE("the bus is away") : SKY_OK;
}

SkyStatus sky_event_publish(SkyBus *bus, const SkyContext *publish_context, const SkyEventType *type,
                            const ProtobufCMessage *event) {
  return take();
}

void sky_event_publish_async(SkyBus *bus, const SkyContext *publish_context, const SkyEventType *type,
                             const ProtobufCMessage *event, SkyOnPublished done, void *user) {
  done(user, take(), NULL);
}

/* Reads are counted by functions that the linker puts around the store's (--wrap). */
static atomic_int reads;

SkyStatus __real_sky_store_get(SkyStore *from, const SkyContext *get_context, const SkyCollection *collection,
                               const char *id, SkyArena *memory, ProtobufCMessage **ret, int64_t *ret_version);
SkyStatus __wrap_sky_store_get(SkyStore *from, const SkyContext *get_context, const SkyCollection *collection,
                               const char *id, SkyArena *memory, ProtobufCMessage **ret, int64_t *ret_version);
SkyStatus __real_sky_store_find(SkyStore *from, const SkyContext *find_context, const SkyCollection *collection,
                                const SkyQuery *query, SkyArena *memory, SkyPage *ret);
SkyStatus __wrap_sky_store_find(SkyStore *from, const SkyContext *find_context, const SkyCollection *collection,
                                const SkyQuery *query, SkyArena *memory, SkyPage *ret);

SkyStatus __wrap_sky_store_get(SkyStore *from, const SkyContext *get_context, const SkyCollection *collection,
                               const char *id, SkyArena *memory, ProtobufCMessage **ret, int64_t *ret_version) {
  atomic_fetch_add(&reads, 1);
  return __real_sky_store_get(from, get_context, collection, id, memory, ret, ret_version);
}

SkyStatus __wrap_sky_store_find(SkyStore *from, const SkyContext *find_context, const SkyCollection *collection,
                                const SkyQuery *query, SkyArena *memory, SkyPage *ret) {
  atomic_fetch_add(&reads, 1);
  return __real_sky_store_find(from, find_context, collection, query, memory, ret);
}

static SkyStore *store;
static DeliveryAggregate here, there; /* two processes on one store */
static SkyContext context;
static SkyArena arena;
static atomic_int told;

static void assert_ok(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void on_change(void *user, const DeliveryDocument *document) {
  atomic_fetch_add(&told, 1);
}

static void open_aggregate(DeliveryAggregate *aggregate) {
  const DeliveryAggregateOptions options = {.store = store,
                                            .clock = sky_clock_system_borrow(),
                                            .random = sky_random_system_borrow(),
                                            .eta = {.cruise_mps = 20, .weather_factor = 1, .history_factor = 1},
                                            .on_change = on_change};
  assert_ok(delivery_aggregate_init(aggregate, &options));
}

static void setup(void) {
  const SkyStoreOptions options = {.uri = "sqlite::memory:",
                                   .database = "delivery",
                                   .collections = delivery_collections,
                                   .collection_count = DELIVERY_COLLECTIONS};
  assert_ok(sky_store_open(&options, &store));
  context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, 50000);
  sky_arena_init(&arena, 64 << 20);
  open_aggregate(&here);
  open_aggregate(&there);
}

static void teardown(void) {
  delivery_aggregate_finish(&here);
  delivery_aggregate_finish(&there);
  sky_store_close(store);
  sky_arena_finish(&arena);
}

/* ---- one request ---- */

typedef struct Request {
  DeliveryChange change;
  SkyArena arena;
  delivery_PutDeliveryRequest put;
  DeliveryProgress progress;
  SkyStatus status;
  bool changed;
  common_DeliveryStage stage;
} Request;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static size_t ended_count;

static void done(void *user, SkyStatus status, const DeliveryDocument *document, bool changed) {
  Request *request = user;
  request->status = status;
  request->changed = changed;
  if (document != NULL)
    request->stage = document->delivery->status->stage;
  pthread_mutex_lock(&lock);
  ended_count++;
  pthread_cond_signal(&ended);
  pthread_mutex_unlock(&lock);
}

static SkyStatus decide_put(const void *request, const DeliveryDocument *document, const DeliveryWork *work,
                            DeliveryDecision *ret) {
  return delivery_put(document, request, work, ret);
}

static SkyStatus decide_cancel(const void *id, const DeliveryDocument *document, const DeliveryWork *work,
                               DeliveryDecision *ret) {
  return delivery_cancel(document, id, NULL, work, ret);
}

static Request *new_request(const char *id, DeliveryDecide decide) {
  Request *request = sky_arena_alloc(&arena, sizeof(*request));
  sky_arena_init(&request->arena, ARENA_BYTES);
  request->change = (DeliveryChange){.id = sky_arena_strndup(&arena, id, strlen(id)),
                                     .decide = decide,
                                     .context = &context,
                                     .arena = &request->arena,
                                     .done = done,
                                     .user = request};
  return request;
}

static Request *put(const char *id) {
  Request *request = new_request(id, decide_put);
  request->change.may_begin = true;
  request->change.request = &request->put;
  request->put = (delivery_PutDeliveryRequest)delivery_PutDeliveryRequest_INIT;
  common_DeliveryOrder *order = common_DeliveryOrder_create(&arena);
  order->owner_id = "acme";
  order->pickup_location = common_Location_create(&arena);
  order->dropoff_location = common_Location_create(&arena);
  request->put.id = request->change.id;
  request->put.order = order;
  request->put.drone_id = "drone-1";
  request->put.package_id = "package-1";
  return request;
}

static Request *hear(const char *id, common_MissionPhase phase) {
  Request *request = new_request(id, delivery_decide_progress);
  request->progress = (DeliveryProgress){
      .drone_id = "drone-1", .phase = phase, .observe_ms = sky_clock_wall_ms(sky_clock_system_borrow())};
  request->change.request = &request->progress;
  return request;
}

static Request *cancel(const char *id) {
  Request *request = new_request(id, decide_cancel);
  request->change.may_begin = true;
  request->change.request = request->change.id;
  return request;
}

static void run(DeliveryAggregate *aggregate, Request **requests, size_t count) {
  ended_count = 0;
  for (size_t i = 0; i < count; i++)
    assert_ok(delivery_change(aggregate, &requests[i]->change));
  pthread_mutex_lock(&lock);
  while (ended_count < count)
    pthread_cond_wait(&ended, &lock);
  pthread_mutex_unlock(&lock);
  for (size_t i = 0; i < count; i++)
    sky_arena_finish(&requests[i]->arena);
}

static Request *run_one(DeliveryAggregate *aggregate, Request *request) {
  run(aggregate, &request, 1);
  return request;
}

static DeliveryDocument *load(DeliveryAggregate *aggregate, const char *id) {
  DeliveryDocument *document;
  assert_ok(delivery_load(aggregate, &context, id, &arena, &document));
  return document;
}

/* The document of the read model; NULL when it has none. */
static DeliveryDocument *read_model(const char *id) {
  ProtobufCMessage *message;
  SkyStatus status = sky_store_get(store, &context, &delivery_documents, id, &arena, &message, NULL);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return NULL;
  assert_ok(status);
  return (DeliveryDocument *)message;
}

/* ---- tests ---- */

START_TEST(what_is_changed_is_read_at_once_and_listed_when_asked_for) {
  ck_assert(run_one(&here, put("a"))->changed);
  ck_assert_int_eq(load(&here, "a")->delivery->status->stage, common_DELIVERY_STAGE_CREATED);
  ck_assert_int_eq(load(&there, "a")->log_version, 1);
  assert_ok(delivery_project_all(&here, &context));
  ck_assert_int_eq(read_model("a")->log_version, 1);
  Request *again = run_one(&here, put("a"));
  assert_ok(again->status);
  ck_assert(!again->changed);
}
END_TEST

START_TEST(many_changes_at_once_each_end_and_every_delivery_in_order) {
  static const common_MissionPhase phases[] = {common_MISSION_PHASE_TO_PICKUP, common_MISSION_PHASE_PICKED_UP,
                                               common_MISSION_PHASE_DELIVERED};
  static Request *requests[MANY * 4];
  size_t count = 0;
  char id[24];
  told = 0;
  for (int i = 0; i < MANY; i++) {
    snprintf(id, sizeof(id), "delivery-%d", i);
    requests[count++] = put(id);
  }
  for (size_t phase = 0; phase < 3; phase++)
    for (int i = 0; i < MANY; i++) {
      snprintf(id, sizeof(id), "delivery-%d", i);
      requests[count++] = hear(id, phases[phase]);
    }
  run(&here, requests, count);
  for (size_t i = 0; i < count; i++) {
    assert_ok(requests[i]->status);
    ck_assert(requests[i]->changed);
  }
  ck_assert_int_eq(told, (int)count);
  assert_ok(delivery_project_all(&here, &context));
  for (int i = 0; i < MANY; i++) {
    snprintf(id, sizeof(id), "delivery-%d", i);
    ck_assert_int_eq(read_model(id)->log_version, 4);
    ck_assert_int_eq(read_model(id)->delivery->status->stage, common_DELIVERY_STAGE_COMPLETED);
  }
}
END_TEST

START_TEST(changes_of_one_delivery_in_one_batch_follow_each_other) {
  Request *requests[] = {put("a"), hear("a", common_MISSION_PHASE_TO_PICKUP), hear("a", common_MISSION_PHASE_TO_PICKUP),
                         hear("a", common_MISSION_PHASE_PICKED_UP), put("a")};
  run(&here, requests, 5);
  for (size_t i = 0; i < 5; i++)
    assert_ok(requests[i]->status);
  ck_assert(requests[1]->changed != requests[2]->changed);
  ck_assert(!requests[4]->changed);
  ck_assert_int_eq(load(&here, "a")->log_version, 3);
}
END_TEST

START_TEST(what_another_process_has_changed_is_decided_anew) {
  run_one(&here, put("a"));
  run_one(&there, hear("a", common_MISSION_PHASE_TO_PICKUP));
  run_one(&there, hear("a", common_MISSION_PHASE_PICKED_UP));
  Request *old = run_one(&here, hear("a", common_MISSION_PHASE_TO_PICKUP)); /* memory here would say that it is news */
  assert_ok(old->status);
  ck_assert(!old->changed);
  Request *end = run_one(&here, hear("a", common_MISSION_PHASE_DELIVERED));
  ck_assert(end->changed);
  ck_assert_int_eq(end->stage, common_DELIVERY_STAGE_COMPLETED);
  const SkyProjection wanted = {"a", 4};
  assert_ok(delivery_project(&there, &context, &wanted, 1));
  ck_assert_int_eq(read_model("a")->log_version, 4);
  ck_assert_int_eq(load(&there, "a")->log_version, 4);
}
END_TEST

START_TEST(a_delivery_that_is_not_there_is_unknown_unless_the_change_may_begin_it) {
  Request *stranger = run_one(&here, hear("nobody", common_MISSION_PHASE_TO_PICKUP));
  ck_assert_int_eq(sky_status_code(stranger->status), SKY_CODE_NOT_FOUND);
  sky_status_free(stranger->status);
  ck_assert(run_one(&here, put("nobody"))->changed);
  ck_assert(run_one(&here, hear("nobody", common_MISSION_PHASE_TO_PICKUP))->changed);
}
END_TEST

START_TEST(new_deliveries_are_put_without_a_read) {
  static Request *requests[MANY];
  char id[24];
  for (int i = 0; i < MANY; i++) {
    snprintf(id, sizeof(id), "delivery-%d", i);
    requests[i] = put(id);
  }
  reads = 0;
  run(&here, requests, MANY);
  ck_assert_int_eq(reads, 0);
  for (int i = 0; i < MANY; i++)
    ck_assert(requests[i]->changed);
}
END_TEST

START_TEST(what_may_begin_finds_out_that_it_has_begun_elsewhere) {
  run_one(&there, put("a"));
  run_one(&there, hear("a", common_MISSION_PHASE_TO_PICKUP));
  Request *again = run_one(&here, put("a"));
  assert_ok(again->status);
  ck_assert(!again->changed);
  ck_assert_int_eq(again->stage, load(&there, "a")->delivery->status->stage);
  run_one(&there, put("b"));
  Request *cancelled = run_one(&here, cancel("b"));
  assert_ok(cancelled->status);
  ck_assert(cancelled->changed);
  ck_assert_ptr_nonnull(load(&here, "b")->delivery->order); /* not that of one that was never put */
  ck_assert_int_eq(load(&here, "b")->log_version, 2);
}
END_TEST

START_TEST(an_answer_without_an_append_is_never_from_an_old_fold) {
  run_one(&here, put("a"));
  Request *failed = run_one(&there, hear("a", common_MISSION_PHASE_FAILED));
  ck_assert(failed->changed);
  Request *again = run_one(&here, put("a")); /* memory here still says Created */
  assert_ok(again->status);
  ck_assert_int_eq(again->stage, common_DELIVERY_STAGE_FAILED);
}
END_TEST

START_TEST(the_read_model_follows_by_itself) {
  run_one(&here, put("a"));
  SKY_CHECK_EVENTUALLY(read_model("a") != NULL);
  ck_assert_int_eq(read_model("a")->log_version, 1);
}
END_TEST

START_TEST(what_another_process_left_is_projected_before_it_is_marked) {
  enum { LEFT = 3 };
  char id[24];
  bus_is_away = true; /* so that nothing is projected by itself */
  for (int i = 0; i < LEFT; i++) {
    snprintf(id, sizeof(id), "delivery-%d", i);
    run_one(&here, put(id));
    assert_ok(delivery_project_all(&here, &context)); /* memory here has it, and so has the read model */
    ck_assert(run_one(&there, hear(id, common_MISSION_PHASE_FAILED))->changed); /* and then that process is gone */
  }
  bus_is_away = false;
  SKY_CHECK_EVENTUALLY(sky_event_log_stats(here.log).pending + sky_event_log_stats(there.log).pending == 0);
  assert_ok(sky_event_log_sweep(here.log, &context, 0));
  ck_assert_uint_eq(sky_event_log_stats(here.log).swept, 2 * LEFT);
  for (int i = 0; i < LEFT; i++) {
    snprintf(id, sizeof(id), "delivery-%d", i);
    ck_assert_int_eq(read_model(id)->log_version, 2);
    ck_assert_int_eq(read_model(id)->delivery->status->stage, common_DELIVERY_STAGE_FAILED);
  }
}
END_TEST

START_TEST(a_fold_that_is_of_no_use_any_more_does_not_count_as_projected) {
  bus_is_away = true;
  run_one(&here, put("a"));
  pthread_mutex_lock(folds_mutex(here.folds));
  folds_look(here.folds, "a")->gone = true;
  pthread_mutex_unlock(folds_mutex(here.folds));
  const SkyProjection wanted = {"a", 1};
  assert_ok(delivery_project(&here, &context, &wanted, 1));
  ck_assert_int_eq(read_model("a")->log_version, 1);
}
END_TEST

START_TEST(the_end_projects_what_could_not_be_published) {
  bus_is_away = true;
  run_one(&here, put("a"));
  delivery_aggregate_finish(&here);
  ck_assert_ptr_nonnull(read_model("a"));
}
END_TEST

SKY_CHECK_MAIN_WITH("delivery/change", setup, teardown, what_is_changed_is_read_at_once_and_listed_when_asked_for,
                    many_changes_at_once_each_end_and_every_delivery_in_order,
                    changes_of_one_delivery_in_one_batch_follow_each_other,
                    what_another_process_has_changed_is_decided_anew,
                    a_delivery_that_is_not_there_is_unknown_unless_the_change_may_begin_it,
                    new_deliveries_are_put_without_a_read, what_may_begin_finds_out_that_it_has_begun_elsewhere,
                    an_answer_without_an_append_is_never_from_an_old_fold, the_read_model_follows_by_itself,
                    what_another_process_left_is_projected_before_it_is_marked,
                    a_fold_that_is_of_no_use_any_more_does_not_count_as_projected,
                    the_end_projects_what_could_not_be_published)
