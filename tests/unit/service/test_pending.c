/* An outbox inside documents, on a real store; the workers and what is published are the test's own. */
#include "../sky_check.h"

#include <pthread.h>
#include <stdatomic.h>

#include <sky/service/pending.h>

#include "../store/fixtures.h"

enum { MANY = 250, MOST_SETTLED = 100 * 100 /* by one sweep */ };

/* ---- workers ---- */

static bool workers_are_busy;
static atomic_bool workers_wait;

typedef struct Work {
  void (*work)(void *user);
  void *user;
} Work;

static void *run(void *user) {
  Work work = *(Work *)user;
  free(user);
  SKY_CHECK_EVENTUALLY(!workers_wait);
  work.work(work.user);
  return NULL;
}

SkyStatus sky_rpc_run(SkyRpc *rpc, void (*work)(void *user), void *user) {
  pthread_t thread;
  if (workers_are_busy)
    return SKY_RESOURCE_EXHAUSTED("the workers are busy");
  Work *copy = malloc(sizeof(*copy));
  *copy = (Work){work, user};
  ck_assert_int_eq(pthread_create(&thread, NULL, run, copy), 0);
  pthread_detach(thread);
  return SKY_OK;
}

/* ---- documents: what is still to be published is expedited ---- */

static SkyStore *store;
static SkyPending *pending;
static SkyContext context;
static SkyArena arena;
static atomic_int published;
static _Atomic SkyCode broker_says;
static bool keeps_mark; /* a settle function that is wrong */

static SkyStatus settle(void *self, const SkyContext *settle_context, const ProtobufCMessage *message, int64_t version,
                        SkyArena *memory) {
  Document document = *(const Document *)message;
  if (broker_says != SKY_CODE_OK)
    return sky_status_new(broker_says, "the broker says no");
  atomic_fetch_add(&published, 1);
  if (keeps_mark)
    return SKY_OK;
  document.expedited = false;
  return sky_store_replace(store, settle_context, &loose_documents, DOC(&document), version, NULL);
}

static void open_pending(void) {
  const SkyPendingOptions options = {
      .store = store, .collection = &loose_documents, .index = "by_flags", .settle = settle};
  assert_ok(sky_pending_create(&options, &pending));
}

static void setup(void) {
  static const SkyCollection *const collections[] = {&loose_documents};
  const SkyStoreOptions options = {
      .uri = "sqlite::memory:", .database = "test", .collections = collections, .collection_count = 1};
  sky_arena_init(&arena, 64 << 20);
  context = within_ms(50000);
  assert_ok(sky_store_open(&options, &store));
  open_pending();
}

static void teardown(void) {
  sky_pending_destroy(pending);
  sky_store_close(store);
  sky_arena_finish(&arena);
}

static char *insert(int number) {
  Document *document = small_document(&arena, format(&arena, "document-%d", number));
  document->expedited = true;
  assert_ok(sky_store_insert(store, &context, &loose_documents, DOC(document)));
  return document->id;
}

/* At most a page of them. */
static size_t marked(void) {
  const SkyQuery query = {.index = "by_flags", .equal = {SKY_V_BOOL(true)}, .page_size = SKY_PAGE_MAX};
  SkyPage page;
  assert_ok(sky_store_find(store, &context, &loose_documents, &query, &arena, &page));
  return page.count;
}

/* ---- tests ---- */

START_TEST(what_is_pending_is_published_once_and_unmarked) {
  sky_pending_soon(pending, &context, insert(1));
  SKY_CHECK_EVENTUALLY(marked() == 0);
  assert_ok(sky_pending_sweep(pending, &context));
  ck_assert_int_eq(published, 1);
}
END_TEST

START_TEST(what_busy_workers_leave_is_swept) {
  workers_are_busy = true;
  sky_pending_soon(pending, &context, insert(1));
  ck_assert_uint_eq(marked(), 1);
  assert_ok(sky_pending_sweep(pending, &context));
  ck_assert_uint_eq(marked(), 0);
  ck_assert_int_eq(published, 1);
}
END_TEST

START_TEST(what_a_lost_broker_leaves_is_swept_when_it_is_back) {
  broker_says = SKY_CODE_UNAVAILABLE;
  for (int i = 0; i < MANY; i++)
    sky_pending_soon(pending, &context, insert(i));
  assert_code(sky_pending_sweep(pending, &context), SKY_CODE_UNAVAILABLE);
  sky_pending_destroy(pending); /* waits for the workers, and what they could not do stays */
  ck_assert_uint_eq(marked(), MANY);
  open_pending();
  broker_says = SKY_CODE_OK;
  assert_ok(sky_pending_sweep(pending, &context));
  ck_assert_uint_eq(marked(), 0);
  ck_assert_int_eq(published, MANY);
}
END_TEST

START_TEST(what_somebody_else_has_settled_is_no_error) {
  insert(1);
  broker_says = SKY_CODE_ABORTED;
  assert_ok(sky_pending_sweep(pending, &context));
  broker_says = SKY_CODE_NOT_FOUND;
  assert_ok(sky_pending_sweep(pending, &context));
  sky_pending_soon(pending, &context, "nobody"); /* deleted meanwhile */
}
END_TEST

START_TEST(a_sweep_ends_even_when_nothing_is_ever_unmarked) {
  keeps_mark = true;
  for (int i = 0; i < MANY; i++)
    insert(i);
  assert_ok(sky_pending_sweep(pending, &context));
  ck_assert_int_eq(published, MOST_SETTLED);
}
END_TEST

static void *let_go(void *user) {
  workers_wait = false;
  return NULL;
}

START_TEST(the_end_waits_for_what_is_being_settled) {
  pthread_t thread;
  workers_wait = true;
  sky_pending_soon(pending, &context, insert(1));
  ck_assert_int_eq(published, 0);
  ck_assert_int_eq(pthread_create(&thread, NULL, let_go, NULL), 0);
  sky_pending_destroy(pending);
  pending = NULL;
  ck_assert_int_eq(published, 1);
  pthread_join(thread, NULL);
}
END_TEST

SKY_CHECK_MAIN_WITH("service/pending", setup, teardown, what_is_pending_is_published_once_and_unmarked,
                    what_busy_workers_leave_is_swept, what_a_lost_broker_leaves_is_swept_when_it_is_back,
                    what_somebody_else_has_settled_is_no_error, a_sweep_ends_even_when_nothing_is_ever_unmarked,
                    the_end_waits_for_what_is_being_settled)
