/*
 * The event log against a real store (SQLite) and a bus of this test's own. A crash between two steps is made by links
 * that the linker puts around the store's functions (--wrap): the process "dies" there, which to the log looks like an
 * error without effect, or with one.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/service/event_log.h>

#include "../sky_check.h"
#include "../store/fixtures.h"
#include "sky/service/v1/event_log.sky.h"

/* ---- a bus ---- */

enum { BUS_MAX = 4096 };

typedef struct Published {
  char text[48]; /* "name:count" of the item */
  SkyTrace trace;
} Published;

/* Guarded by its lock. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  Published published[BUS_MAX];
  size_t count;
  SkyCode fails; /* every publication, with this code, while it is not OK */
  bool holds;    /* confirmations wait until it is false */
  struct {
    SkyOnPublished done;
    void *user;
  } held[BUS_MAX];
  size_t held_count;
} bus = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static SkyStatus bus_take(const SkyContext *publish_context, const ProtobufCMessage *event) {
  const Storetest__Item *item = (const Storetest__Item *)event;
  if (bus.fails != SKY_CODE_OK)
    return sky_status_new(bus.fails, "the bus says no");
  ck_assert_uint_lt(bus.count, BUS_MAX);
  Published *published = &bus.published[bus.count++];
  snprintf(published->text, sizeof(published->text), "%s:%lld", item->name, (long long)item->count);
  published->trace = publish_context->trace;
  pthread_cond_broadcast(&bus.changed);
  return SKY_OK;
}

SkyStatus sky_event_publish(SkyBus *unused, const SkyContext *publish_context, const SkyEventType *type,
                            const ProtobufCMessage *event) {
  pthread_mutex_lock(&bus.lock);
  SkyStatus status = bus_take(publish_context, event);
  pthread_mutex_unlock(&bus.lock);
  return status;
}

void sky_event_publish_async(SkyBus *unused, const SkyContext *publish_context, const SkyEventType *type,
                             const ProtobufCMessage *event, SkyOnPublished done, void *user) {
  pthread_mutex_lock(&bus.lock);
  SkyStatus status = bus_take(publish_context, event);
  const bool hold = status == SKY_OK && bus.holds;
  if (hold) {
    bus.held[bus.held_count].done = done;
    bus.held[bus.held_count++].user = user;
  }
  pthread_mutex_unlock(&bus.lock);
  if (!hold)
    done(user, status, NULL);
}

static void bus_release(void) {
  pthread_mutex_lock(&bus.lock);
  bus.holds = false;
  const size_t count = bus.held_count;
  bus.held_count = 0;
  pthread_mutex_unlock(&bus.lock);
  for (size_t i = 0; i < count; i++)
    bus.held[i].done(bus.held[i].user, SKY_OK, NULL);
}

static void bus_set(SkyCode fails, bool holds) {
  pthread_mutex_lock(&bus.lock);
  bus.fails = fails;
  bus.holds = holds;
  pthread_mutex_unlock(&bus.lock);
}

/* Waits until so many have been published. */
static void bus_wait(size_t count) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 20;
  pthread_mutex_lock(&bus.lock);
  while (bus.count < count)
    ck_assert_msg(pthread_cond_timedwait(&bus.changed, &bus.lock, &until) == 0, "%zu of %zu were published", bus.count,
                  count);
  pthread_mutex_unlock(&bus.lock);
}

/* ---- crashes ---- */

static atomic_int crash_after_insert;  /* the record is stored; nobody hears of it */
static atomic_int crash_before_insert; /* nothing is stored */
static atomic_int crash_before_mark;   /* published, not marked */

SkyStatus __real_sky_store_insert_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                       const ProtobufCMessage *const *records, size_t count, SkyStatus *results);
SkyStatus __wrap_sky_store_insert_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                       const ProtobufCMessage *const *records, size_t count, SkyStatus *results);
SkyStatus __real_sky_store_replace_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                        const SkyReplacement *replacements, size_t count, SkyStatus *results);
SkyStatus __wrap_sky_store_replace_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                        const SkyReplacement *replacements, size_t count, SkyStatus *results);

SkyStatus __wrap_sky_store_insert_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                       const ProtobufCMessage *const *records, size_t count, SkyStatus *results) {
  if (crash_before_insert)
    return SKY_UNAVAILABLE("crash");
  SkyStatus status = __real_sky_store_insert_many(store, context, collection, records, count, results);
  if (!crash_after_insert || status != SKY_OK)
    return status;
  for (size_t i = 0; i < count; i++)
    sky_status_free(results[i]);
  return SKY_UNAVAILABLE("crash");
}

SkyStatus __wrap_sky_store_replace_many(SkyStore *store, const SkyContext *context, const SkyCollection *collection,
                                        const SkyReplacement *replacements, size_t count, SkyStatus *results) {
  if (crash_before_mark && count > 0)
    return SKY_UNAVAILABLE("crash");
  return __real_sky_store_replace_many(store, context, collection, replacements, count, results);
}

/* ---- a log ---- */

static const SkyEventType item_event = {.name = "storetest.Item",
                                        .subject = "test.item",
                                        .stream = "TEST",
                                        .aggregate_id_field = "name",
                                        .event_id_field = "name",
                                        .message = {&storetest__item__descriptor, NULL}};
static const SkyEventType document_event = {.name = "storetest.Document",
                                            .subject = "test.document",
                                            .stream = "TEST",
                                            .message = {&storetest__document__descriptor, NULL}};
static const SkyEventType *const types[] = {&item_event, &document_event, NULL};
static const SkyEventType *const fewer_types[] = {&document_event, NULL};

static const SkyCollection collection = SKY_EVENT_LOG_COLLECTION("test_events");

static SkyStore *store;
static SkyEventLog *log_;
static SkyManualClock manual;
static SkyArena arena;
static SkyContext context;
static atomic_int projections;
static _Atomic SkyCode projection_fails;

static SkyStatus project(void *self, const SkyContext *project_context, const char *aggregate_id) {
  atomic_fetch_add(&projections, 1);
  return projection_fails == SKY_CODE_OK ? SKY_OK : sky_status_new(projection_fails, "no projection");
}

static SkyEventLog *open_log(const SkyEventType *const *known, size_t max_pending) {
  const SkyEventLogOptions options = {.store = store,
                                      .clock = &manual.clock,
                                      .collection = &collection,
                                      .types = known,
                                      .project = project,
                                      .max_pending = max_pending};
  SkyEventLog *opened = NULL;
  assert_ok(sky_event_log_create(&options, &opened));
  return opened;
}

static void setup(void) {
  static const SkyCollection *const collections[] = {&collection};
  const SkyStoreOptions options = {
      .uri = "sqlite::memory:", .database = "test", .collections = collections, .collection_count = 1};
  sky_arena_init(&arena, 64 << 20);
  sky_manual_clock_init(&manual, 1795230858250);
  context = soon();
  assert_ok(sky_store_open(&options, &store));
  log_ = open_log(types, 0);
}

static void teardown(void) {
  bus_release();
  sky_event_log_destroy(log_);
  sky_store_close(store);
  sky_arena_finish(&arena);
}

static SkyStatus append(const char *aggregate, int64_t expected, int64_t first, size_t count) {
  SkyAppend events[8];
  Storetest__Item items[8];
  for (size_t i = 0; i < count; i++) {
    storetest__item__init(&items[i]);
    items[i].name = format(&arena, "%s", aggregate);
    items[i].count = first + (int64_t)i;
    events[i] = (SkyAppend){&item_event, &items[i].base};
  }
  return sky_event_log_append(log_, &context, aggregate, expected, events, count);
}

/* "version:count " of every event. */
static SkyStatus write_down(void *user, const SkyLogged *logged) {
  char *text = user;
  const Storetest__Item *item = (const Storetest__Item *)logged->event;
  sprintf(text + strlen(text), "%lld:%lld ", (long long)logged->version, item == NULL ? -1 : (long long)item->count);
  return SKY_OK;
}

static const char *load(SkyEventLog *log, const char *aggregate, int64_t after, int64_t *ret_version) {
  char *text = sky_arena_alloc(&arena, 65536);
  assert_ok(sky_event_log_load_after(log, &context, aggregate, after, &arena, write_down, text, ret_version));
  return text;
}

static size_t unpublished(void) {
  SkyPage page;
  const SkyQuery query = {.index = "by_published", .equal = {SKY_V_BOOL(false)}, .page_size = 1000};
  assert_ok(sky_store_find(store, &context, &collection, &query, &arena, &page));
  return page.count;
}

/* Waits until the relay has nothing left, which is after it has marked what it published. */
static void wait_until_idle(void) {
  while (sky_event_log_stats(log_).pending > 0) {
    assert_ok(sky_context_check(&context));
    sched_yield();
  }
}

static const char *published(void) {
  char *text = sky_arena_alloc(&arena, 65536);
  pthread_mutex_lock(&bus.lock);
  for (size_t i = 0; i < bus.count; i++)
    sprintf(text + strlen(text), "%s ", bus.published[i].text);
  pthread_mutex_unlock(&bus.lock);
  return text;
}

/* ---- appending and loading ---- */

START_TEST(events_are_loaded_in_order) {
  assert_ok(append("a", 0, 1, 2));
  assert_ok(append("b", 0, 7, 1));
  assert_ok(append("a", 1, 3, 1));
  int64_t version = -1;
  ck_assert_str_eq(load(log_, "a", 0, &version), "1:1 1:2 2:3 ");
  ck_assert_int_eq(version, 2);
  ck_assert_str_eq(load(log_, "a", 1, &version), "2:3 ");
  ck_assert_int_eq(version, 2);
  ck_assert_str_eq(load(log_, "a", 2, &version), "");
  ck_assert_int_eq(version, 2);
  ck_assert_str_eq(load(log_, "nobody", 0, &version), "");
  ck_assert_int_eq(version, 0);
}
END_TEST

START_TEST(a_long_life_is_loaded_whole) {
  enum { RECORDS = 450 }; /* more than two pages; 10 comes after 9 */
  char wanted[RECORDS * 12] = "";
  for (int i = 0; i < RECORDS; i++) {
    assert_ok(append("long", i, i, 1));
    sprintf(wanted + strlen(wanted), "%d:%d ", i + 1, i);
  }
  int64_t version;
  ck_assert_str_eq(load(log_, "long", 0, &version), wanted);
}
END_TEST

START_TEST(who_comes_second_is_aborted) {
  assert_ok(append("a", 0, 1, 1));
  assert_code(append("a", 0, 2, 1), SKY_CODE_ABORTED);
  int64_t version;
  ck_assert_str_eq(load(log_, "a", 0, &version), "1:1 ");
  assert_ok(append("a", 1, 2, 1));
}
END_TEST

START_TEST(events_of_a_newer_release_are_passed_by) {
  assert_ok(append("a", 0, 1, 1));
  SkyEventLog *older = open_log(fewer_types, 0);
  int64_t version;
  ck_assert_str_eq(load(older, "a", 0, &version), "1:-1 ");
  ck_assert_int_eq(version, 1);
  sky_event_log_destroy(older);
}
END_TEST

START_TEST(a_missing_record_is_data_loss) {
  for (int i = 0; i < 3; i++)
    assert_ok(append("a", i, i, 1));
  wait_until_idle();
  assert_ok(sky_store_delete(store, &context, &collection, "a/2", 0));
  char text[100] = "";
  int64_t version;
  assert_code(sky_event_log_load(log_, &context, "a", &arena, write_down, text, &version), SKY_CODE_DATA_LOSS);
}
END_TEST

static SkyStatus stop_here(void *user, const SkyLogged *logged) {
  ++*(int *)user;
  return SKY_FAILED_PRECONDITION("enough");
}

START_TEST(a_visitor_may_stop) {
  assert_ok(append("a", 0, 1, 3));
  int visits = 0;
  int64_t version;
  assert_code(sky_event_log_load(log_, &context, "a", &arena, stop_here, &visits, &version),
              SKY_CODE_FAILED_PRECONDITION);
  ck_assert_int_eq(visits, 1);
}
END_TEST

START_TEST(wrong_appends_are_refused) {
  Storetest__Item item = STORETEST__ITEM__INIT;
  const SkyAppend wrong_message = {&document_event, &item.base};
  const SkyEventType undeclared = item_event;
  const SkyAppend wrong_type = {&undeclared, &item.base}, fine = {&item_event, &item.base};
  assert_code(sky_event_log_append(log_, &context, "a", 0, &wrong_message, 1), SKY_CODE_INTERNAL);
  assert_code(sky_event_log_append(log_, &context, "a", 0, &wrong_type, 1), SKY_CODE_INTERNAL);
  assert_code(sky_event_log_append(log_, &context, "a", 0, &fine, 0), SKY_CODE_INVALID_ARGUMENT);
  assert_code(sky_event_log_append(log_, &context, "a", -1, &fine, 1), SKY_CODE_INVALID_ARGUMENT);
  assert_code(sky_event_log_append(log_, &context, "", 0, &fine, 1), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

START_TEST(append_many_answers_for_each) {
  assert_ok(append("taken", 0, 0, 1));
  Storetest__Item item = STORETEST__ITEM__INIT;
  const SkyAppend fine = {&item_event, &item.base}, wrong = {&document_event, &item.base};
  const SkyAppendTo appends[] = {
      {"a", 0, &fine, 1, NULL}, {"taken", 0, &fine, 1, NULL}, {"b", 0, &wrong, 1, NULL}, {"c", 0, &fine, 1, NULL}};
  SkyStatus results[4];
  assert_ok(sky_event_log_append_many(log_, &context, appends, 4, results));
  assert_ok(results[0]);
  assert_code(results[1], SKY_CODE_ABORTED);
  assert_code(results[2], SKY_CODE_INTERNAL);
  assert_ok(results[3]);
  int64_t version;
  load(log_, "c", 0, &version);
  ck_assert_int_eq(version, 1);
  bus_wait(3);
  crash_before_insert = 1;
  assert_code(sky_event_log_append_many(log_, &context, appends, 4, results), SKY_CODE_UNAVAILABLE);
}
END_TEST

/* ---- publishing ---- */

START_TEST(what_is_appended_is_projected_published_and_marked) {
  assert_ok(append("a", 0, 1, 3));
  ck_assert_int_eq(projections, 1);
  bus_wait(3);
  wait_until_idle();
  ck_assert_str_eq(published(), "a:1 a:2 a:3 ");
  ck_assert_uint_eq(unpublished(), 0);
  const SkyEventLogStats stats = sky_event_log_stats(log_);
  ck_assert_uint_eq(stats.appended, 1);
  ck_assert_uint_eq(stats.published, 1);
  ck_assert_uint_eq(stats.publish_failed, 0);
}
END_TEST

START_TEST(publication_continues_the_trace_of_the_change) {
  assert_ok(append("a", 0, 1, 1));
  bus_wait(1);
  ck_assert_mem_eq(bus.published[0].trace.trace_id, context.trace.trace_id, 16);
}
END_TEST

START_TEST(an_aggregate_waits_for_its_own_confirmation_only) {
  bus_set(SKY_CODE_OK, true);
  assert_ok(append("a", 0, 1, 2));
  assert_ok(append("a", 1, 3, 1));
  assert_ok(append("b", 0, 1, 1));
  bus_wait(2);
  ck_assert_str_eq(published(), "a:1 b:1 ");
  bus_release();
  bus_wait(4);
  wait_until_idle();
  ck_assert_str_eq(published(), "a:1 b:1 a:2 a:3 ");
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

START_TEST(a_record_waits_for_its_predecessor_of_another_process) {
  bus_set(SKY_CODE_OK, true);
  SkyEventLog *mine = log_, *other = open_log(types, 0);
  log_ = other;
  assert_ok(append("a", 0, 1, 1));
  log_ = mine;
  assert_ok(append("a", 1, 2, 1));
  bus_wait(1);
  bus_release(); /* the other one marks, and this one sees it */
  bus_wait(2);
  wait_until_idle();
  ck_assert_str_eq(published(), "a:1 a:2 ");
  sky_event_log_destroy(other);
}
END_TEST

START_TEST(destroy_waits_for_publications_in_progress) {
  bus_set(SKY_CODE_OK, true);
  assert_ok(append("a", 0, 1, 1));
  bus_wait(1);
  bus_set(SKY_CODE_OK, false);
  pthread_t releaser;
  ck_assert_int_eq(pthread_create(&releaser, NULL, (void *(*)(void *))(void (*)(void))bus_release, NULL), 0);
  sky_event_log_destroy(log_);
  log_ = NULL;
  pthread_join(releaser, NULL);
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

/* ---- what goes wrong, and the sweeper ---- */

static void sweep(int64_t min_age_ms) {
  assert_ok(sky_event_log_sweep(log_, &context, min_age_ms));
}

START_TEST(a_crash_after_the_insert_is_swept) {
  crash_after_insert = 1;
  assert_code(append("a", 0, 1, 2), SKY_CODE_UNAVAILABLE);
  crash_after_insert = 0;
  ck_assert_uint_eq(bus.count, 0);
  ck_assert_int_eq(projections, 0);
  assert_code(append("a", 0, 9, 1), SKY_CODE_ABORTED); /* the caller loads, and sees its own event */
  sweep(0);
  ck_assert_str_eq(published(), "a:1 a:2 ");
  ck_assert_int_eq(projections, 1);
  ck_assert_uint_eq(unpublished(), 0);
  ck_assert_uint_eq(sky_event_log_stats(log_).swept, 1);
}
END_TEST

START_TEST(a_crash_before_the_insert_leaves_nothing) {
  crash_before_insert = 1;
  assert_code(append("a", 0, 1, 1), SKY_CODE_UNAVAILABLE);
  crash_before_insert = 0;
  sweep(0);
  ck_assert_uint_eq(bus.count, 0);
  assert_ok(append("a", 0, 1, 1));
}
END_TEST

START_TEST(a_crash_before_the_mark_publishes_again) {
  crash_before_mark = 1;
  assert_ok(append("a", 0, 1, 1));
  wait_until_idle();
  ck_assert_uint_eq(unpublished(), 1);
  crash_before_mark = 0;
  sweep(0);
  ck_assert_str_eq(published(), "a:1 a:1 "); /* consumers know it by its id */
  ck_assert_uint_eq(unpublished(), 0);
  sweep(0);
  ck_assert_uint_eq(bus.count, 2);
}
END_TEST

START_TEST(a_broker_that_was_away_is_caught_up_with_in_order) {
  bus_set(SKY_CODE_UNAVAILABLE, false);
  for (int i = 0; i < 30; i++)
    assert_ok(append(format(&arena, "a%d", i % 3), i / 3, i / 3, 1));
  wait_until_idle();
  ck_assert_uint_eq(unpublished(), 30);
  ck_assert_uint_gt(sky_event_log_stats(log_).publish_failed, 0);
  assert_code(sky_event_log_sweep(log_, &context, 0), SKY_CODE_UNAVAILABLE);
  bus_set(SKY_CODE_OK, false);
  sweep(0);
  ck_assert_uint_eq(unpublished(), 0);
  ck_assert_uint_eq(bus.count, 30);
  int64_t last[3] = {-1, -1, -1};
  for (size_t i = 0; i < bus.count; i++) {
    const int aggregate = bus.published[i].text[1] - '0';
    ck_assert_int_eq(atoi(bus.published[i].text + 3), last[aggregate] + 1);
    last[aggregate]++;
  }
}
END_TEST

START_TEST(more_than_a_page_is_swept) {
  bus_set(SKY_CODE_UNAVAILABLE, false);
  for (int i = 0; i < 600; i++) {
    assert_ok(append(format(&arena, "a%d", i), 0, 1, 1));
    sky_manual_clock_advance_ms(&manual, 1);
  }
  wait_until_idle();
  bus_set(SKY_CODE_OK, false);
  sweep(0);
  ck_assert_uint_eq(bus.count, 600);
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

START_TEST(young_records_are_left_to_the_relay) {
  bus_set(SKY_CODE_UNAVAILABLE, false);
  assert_ok(append("a", 0, 1, 1));
  wait_until_idle();
  bus_set(SKY_CODE_OK, false);
  sweep(5000);
  ck_assert_uint_eq(bus.count, 0);
  sky_manual_clock_advance_ms(&manual, 5000);
  sweep(5000);
  ck_assert_uint_eq(bus.count, 1);
}
END_TEST

/* The clock of the process that appended first was ahead. */
START_TEST(a_record_is_not_swept_before_its_predecessor) {
  bus_set(SKY_CODE_UNAVAILABLE, false);
  sky_manual_clock_advance_ms(&manual, 60000);
  assert_ok(append("a", 0, 1, 1));
  sky_manual_clock_advance_ms(&manual, -60000);
  assert_ok(append("a", 1, 2, 1));
  wait_until_idle();
  bus_set(SKY_CODE_OK, false);
  sky_manual_clock_advance_ms(&manual, 5000);
  sweep(5000);
  ck_assert_uint_eq(bus.count, 0);
  sky_manual_clock_advance_ms(&manual, 60000);
  sweep(5000);
  ck_assert_str_eq(published(), "a:1 a:2 ");
}
END_TEST

START_TEST(what_could_not_be_projected_is_not_published_before_it_is) {
  projection_fails = SKY_CODE_UNAVAILABLE;
  assert_ok(append("a", 0, 1, 1));
  wait_until_idle();
  ck_assert_uint_eq(bus.count, 0);
  ck_assert_uint_eq(sky_event_log_stats(log_).project_failed, 1);
  assert_code(sky_event_log_sweep(log_, &context, 0), SKY_CODE_UNAVAILABLE);
  ck_assert_uint_eq(bus.count, 0);
  projection_fails = SKY_CODE_OK;
  sweep(0);
  ck_assert_uint_eq(bus.count, 1);
}
END_TEST

START_TEST(one_aggregate_that_cannot_be_projected_does_not_stop_the_others) {
  projection_fails = SKY_CODE_DATA_LOSS;
  assert_ok(append("a", 0, 1, 1));
  projection_fails = SKY_CODE_OK;
  bus_set(SKY_CODE_UNAVAILABLE, false);
  assert_ok(append("b", 0, 1, 1));
  wait_until_idle();
  bus_set(SKY_CODE_OK, false);
  ProtobufCMessage *found;
  assert_ok(sky_store_get(store, &context, &collection, "a/1", &arena, &found, NULL));
  sky_log_EventRecord *record = (sky_log_EventRecord *)found;
  record->events[0]->value = (ProtobufCBinaryData){1, (uint8_t *)"\xff"};
  assert_ok(sky_store_replace(store, &context, &collection, found, 1, NULL));
  assert_code(sky_event_log_sweep(log_, &context, 0), SKY_CODE_DATA_LOSS);
  ck_assert_str_eq(published(), "b:1 ");
  ck_assert_uint_eq(unpublished(), 1);
}
END_TEST

START_TEST(more_than_can_wait_is_left_to_the_sweeper) {
  sky_event_log_destroy(log_);
  log_ = open_log(types, 3);
  bus_set(SKY_CODE_OK, true);
  for (int i = 0; i < 10; i++)
    assert_ok(append(format(&arena, "a%d", i), 0, 1, 1));
  ck_assert_uint_eq(sky_event_log_stats(log_).pending, 3);
  bus_release();
  wait_until_idle();
  ck_assert_uint_eq(unpublished(), 7);
  sweep(0);
  ck_assert_uint_eq(bus.count, 10);
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

/* ---- many writers ---- */

enum { WRITERS = 6, WRITES = 30 };

static void *writer(void *user) {
  atomic_int *done = user;
  SkyArena memory;
  sky_arena_init(&memory, 1 << 22);
  for (int i = 0; i < WRITES;) {
    char text[65536] = "";
    int64_t version = 0;
    Storetest__Item item = STORETEST__ITEM__INIT;
    const SkyAppend event = {&item_event, &item.base};
    SkyStatus status = sky_event_log_load(log_, &context, "hot", &memory, write_down, text, &version);
    item.name = "hot";
    item.count = version;
    if (status == SKY_OK)
      status = sky_event_log_append(log_, &context, "hot", version, &event, 1);
    sky_arena_reset(&memory);
    if (status == SKY_OK) {
      atomic_fetch_add(done, 1);
      i++;
    } else if (!sky_status_take(&status, SKY_CODE_ABORTED)) {
      sky_status_free(status);
      break;
    }
  }
  sky_arena_finish(&memory);
  return NULL;
}

START_TEST(a_hot_aggregate_keeps_its_order) {
  pthread_t threads[WRITERS];
  atomic_int done = 0;
  for (int i = 0; i < WRITERS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, writer, &done), 0);
  for (int i = 0; i < WRITERS; i++)
    pthread_join(threads[i], NULL);
  ck_assert_int_eq(done, WRITERS * WRITES);
  wait_until_idle();
  sweep(0);
  ck_assert_uint_eq(bus.count, WRITERS * WRITES);
  for (size_t i = 0; i < bus.count; i++)
    ck_assert_int_eq(atoi(bus.published[i].text + 4), (int)i);
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

/* Read models that follow later: what was asked for, call by call. */
static struct {
  pthread_mutex_t lock;
  size_t calls, count;
  int64_t version_of_a; /* the highest */
  const char *broken;   /* an aggregate that cannot be projected */
} later = {.lock = PTHREAD_MUTEX_INITIALIZER};

static SkyStatus project_later(void *self, const SkyContext *project_context, const SkyProjection *wanted,
                               size_t count) {
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&later.lock);
  later.calls++;
  later.count += count;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(wanted[i].aggregate_id, "a") == 0 && wanted[i].version > later.version_of_a)
      later.version_of_a = wanted[i].version;
    if (later.broken != NULL && strcmp(wanted[i].aggregate_id, later.broken) == 0 && status == SKY_OK)
      status = SKY_DATA_LOSS("%s is broken", later.broken);
  }
  pthread_mutex_unlock(&later.lock);
  if (status == SKY_OK && projection_fails != SKY_CODE_OK)
    return sky_status_new(projection_fails, "no projection");
  return status;
}

static void open_log_that_projects_later(void) {
  sky_event_log_destroy(log_);
  const SkyEventLogOptions options = {.store = store,
                                      .clock = &manual.clock,
                                      .collection = &collection,
                                      .types = types,
                                      .project_later = project_later};
  assert_ok(sky_event_log_create(&options, &log_));
}

START_TEST(a_read_model_that_follows_later_is_there_before_the_mark) {
  open_log_that_projects_later();
  projection_fails = SKY_CODE_UNAVAILABLE;
  assert_ok(append("a", 0, 1, 1));
  assert_ok(append("b", 0, 2, 1));
  bus_wait(2);
  wait_until_idle();
  ck_assert_uint_eq(later.count, 2);
  ck_assert_uint_eq(unpublished(), 2); /* left to the sweeper, which projects and publishes */
  projection_fails = SKY_CODE_OK;
  assert_ok(sky_event_log_sweep(log_, &context, 0));
  ck_assert_uint_eq(later.count, 4);
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

START_TEST(a_page_is_projected_at_once_up_to_its_last_records) {
  open_log_that_projects_later();
  bus_set(SKY_CODE_UNAVAILABLE, false);
  assert_ok(append("a", 0, 1, 1));
  assert_ok(append("a", 1, 2, 1));
  assert_ok(append("b", 0, 3, 1));
  wait_until_idle();
  ck_assert_uint_eq(later.calls, 0); /* nothing was published, so nothing is to be marked */
  bus_set(SKY_CODE_OK, false);
  assert_ok(sky_event_log_sweep(log_, &context, 0));
  ck_assert_uint_eq(later.calls, 1);
  ck_assert_uint_eq(later.count, 2);
  ck_assert_int_eq(later.version_of_a, 2);
  ck_assert_uint_eq(unpublished(), 0);
}
END_TEST

START_TEST(one_that_cannot_be_projected_does_not_stop_the_others_of_its_page) {
  open_log_that_projects_later();
  bus_set(SKY_CODE_UNAVAILABLE, false);
  later.broken = "b";
  assert_ok(append("a", 0, 1, 1));
  assert_ok(append("b", 0, 2, 1));
  assert_ok(append("c", 0, 3, 1));
  wait_until_idle();
  bus_set(SKY_CODE_OK, false);
  SkyStatus status = sky_event_log_sweep(log_, &context, 0);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_DATA_LOSS);
  sky_status_free(status);
  ck_assert_uint_eq(bus.count, 2);
  ck_assert_uint_eq(unpublished(), 1);
}
END_TEST

SKY_CHECK_MAIN_WITH("service/event_log", setup, teardown, events_are_loaded_in_order, a_long_life_is_loaded_whole,
                    who_comes_second_is_aborted, events_of_a_newer_release_are_passed_by, a_missing_record_is_data_loss,
                    a_visitor_may_stop, wrong_appends_are_refused, append_many_answers_for_each,
                    what_is_appended_is_projected_published_and_marked, publication_continues_the_trace_of_the_change,
                    an_aggregate_waits_for_its_own_confirmation_only,
                    a_record_waits_for_its_predecessor_of_another_process, destroy_waits_for_publications_in_progress,
                    a_crash_after_the_insert_is_swept, a_crash_before_the_insert_leaves_nothing,
                    a_crash_before_the_mark_publishes_again, a_broker_that_was_away_is_caught_up_with_in_order,
                    more_than_a_page_is_swept, young_records_are_left_to_the_relay,
                    a_record_is_not_swept_before_its_predecessor,
                    what_could_not_be_projected_is_not_published_before_it_is,
                    one_aggregate_that_cannot_be_projected_does_not_stop_the_others,
                    more_than_can_wait_is_left_to_the_sweeper, a_hot_aggregate_keeps_its_order,
                    a_read_model_that_follows_later_is_there_before_the_mark,
                    a_page_is_projected_at_once_up_to_its_last_records,
                    one_that_cannot_be_projected_does_not_stop_the_others_of_its_page)
