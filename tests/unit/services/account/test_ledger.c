/* What is entered once, limited by the plan, ended once and summed up by month. */
#include "sky_check.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "account/ledger.h"
#include "account/store.h"

static const double metres = 1e-6;

static SkyStore *store;
static SkyManualClock clock_now;
static Ledger *ledger;
static SkyContext context;
static account_Plan plan;
static LedgerCounts counts;
static int64_t november_ms, december_ms;

static void assert_ok(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void setup(void) {
  const SkyStoreOptions options = {.uri = "sqlite::memory:",
                                   .database = "account",
                                   .collections = account_collections,
                                   .collection_count = ACCOUNT_COLLECTIONS};
  november_ms = sky_time_from_civil(2026, 11, 21) * 1000;
  december_ms = sky_time_from_civil(2026, 12, 1) * 1000;
  assert_ok(sky_store_open(&options, &store));
  sky_manual_clock_init(&clock_now, november_ms);
  assert_ok(ledger_create(store, &clock_now.clock, &ledger));
  context = sky_context_background();
  context = sky_context_with_timeout_ms(&context, 50000);
  plan = (account_Plan)account_Plan_INIT;
}

static void teardown(void) {
  ledger_destroy(ledger);
  sky_store_close(store);
}

static SkyStatus try_enter(const char *account, const char *delivery) {
  return ledger_enter(ledger, &context, &plan, account, delivery, november_ms, false, &counts);
}

static void assert_entered(const char *delivery, int64_t month, int64_t active) {
  assert_ok(try_enter("acme", delivery));
  ck_assert_int_eq(counts.month, month);
  ck_assert_int_eq(counts.active, active);
}

static void assert_limit(SkyStatus status) {
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_FAILED_PRECONDITION);
  ck_assert_str_eq(sky_status_reason(status), "PLAN_LIMIT");
  sky_status_free(status);
}

static void settle(const char *delivery, int64_t completed_ms) {
  assert_ok(ledger_settle(ledger, &context, "acme", delivery, completed_ms, 1500, false));
}

static LedgerMonth sum(const char *account, const char *month) {
  LedgerMonth ret;
  assert_ok(ledger_sum(ledger, &context, account, month, &ret));
  return ret;
}

/* ---- months ---- */

START_TEST(a_month_begins_and_ends_in_utc) {
  char text[LEDGER_MONTH_SIZE];
  ledger_month(december_ms - 1, text);
  ck_assert_str_eq(text, "2026-11");
  ledger_month(december_ms, text);
  ck_assert_str_eq(text, "2026-12");
  ledger_month(sky_time_from_civil(2028, 2, 29) * 1000, text);
  ck_assert_str_eq(text, "2028-02");
}
END_TEST

/* ---- entering ---- */

START_TEST(every_delivery_counts) {
  assert_entered("d1", 1, 1);
  assert_entered("d2", 2, 2);
  assert_entered("d3", 3, 3);
}
END_TEST

START_TEST(a_repeat_counts_once) {
  assert_entered("d1", 1, 1);
  assert_entered("d1", 1, 1);
  assert_entered("d2", 2, 2);
  assert_entered("d1", 2, 2);
}
END_TEST

START_TEST(accounts_are_counted_apart) {
  plan.max_active_deliveries = 1;
  assert_entered("d1", 1, 1);
  assert_ok(try_enter("globex", "d2"));
  ck_assert_int_eq(counts.month, 1);
  assert_limit(try_enter("acme", "d3"));
}
END_TEST

START_TEST(a_plan_without_limits_takes_any_number) {
  char id[16];
  for (int i = 1; i <= 200; i++) {
    snprintf(id, sizeof(id), "d%d", i);
    assert_entered(id, i, i);
  }
}
END_TEST

START_TEST(no_more_at_once_than_the_plan_allows) {
  plan.max_active_deliveries = 2;
  assert_entered("d1", 1, 1);
  assert_entered("d2", 2, 2);
  assert_limit(try_enter("acme", "d3"));
  assert_entered("d2", 2, 2); /* a repeat is no new one */
  settle("d1", november_ms);
  assert_entered("d3", 3, 2); /* the refused one was not entered, and now fits */
  assert_limit(try_enter("acme", "d4"));
}
END_TEST

START_TEST(no_more_a_month_than_the_plan_allows) {
  plan.max_deliveries_per_month = 2;
  assert_entered("d1", 1, 1);
  assert_entered("d2", 2, 2);
  settle("d1", november_ms);
  settle("d2", 0);
  assert_limit(try_enter("acme", "d3")); /* begun is begun, also when it has ended */
  assert_ok(ledger_enter(ledger, &context, &plan, "acme", "d3", december_ms, false, &counts));
  ck_assert_int_eq(counts.month, 1);
  ck_assert_int_eq(counts.active, 1);
}
END_TEST

START_TEST(a_refusal_changes_nothing) {
  plan.max_active_deliveries = 1;
  assert_entered("d1", 1, 1);
  counts = (LedgerCounts){77, 88};
  assert_limit(try_enter("acme", "d2"));
  ck_assert_int_eq(counts.month, 77);
  ck_assert_int_eq(counts.active, 88);
  plan.max_active_deliveries = 0;
  assert_entered("d2", 2, 2);
}
END_TEST

/* ---- restarts and replicas ---- */

START_TEST(a_restart_counts_from_the_store) {
  assert_entered("d1", 1, 1);
  assert_entered("d2", 2, 2);
  settle("d1", november_ms);
  ledger_destroy(ledger);
  assert_ok(ledger_create(store, &clock_now.clock, &ledger));
  plan.max_active_deliveries = 2;
  assert_entered("d3", 3, 2);
  assert_limit(try_enter("acme", "d4"));
}
END_TEST

START_TEST(what_other_replicas_let_in_is_seen_within_30_s) {
  Ledger *other;
  plan.max_active_deliveries = 2;
  assert_ok(ledger_create(store, &clock_now.clock, &other));
  assert_entered("d1", 1, 1);
  assert_ok(ledger_enter(other, &context, &plan, "acme", "d2", november_ms, false, &counts));
  ck_assert_int_eq(counts.active, 2);
  sky_manual_clock_advance_ms(&clock_now, 30001);
  assert_limit(try_enter("acme", "d3"));
  assert_entered("d2", 2, 2);
  ledger_destroy(other);
}
END_TEST

enum { THREADS = 8, EACH = 10, PLACES = 25 };

static void *enter_many(void *user) {
  const int thread = *(const int *)user;
  int64_t entered = 0;
  for (int i = 0; i < EACH; i++) {
    char id[32];
    LedgerCounts ignored;
    snprintf(id, sizeof(id), "t%d-%d", thread, i);
    sky_manual_clock_advance_ms(&clock_now, 10001); /* so that some count while others enter */
    SkyStatus status = ledger_enter(ledger, &context, &plan, "acme", id, november_ms, false, &ignored);
    entered += status == SKY_OK;
    sky_status_free(status);
  }
  return (void *)(intptr_t)entered;
}

START_TEST(threads_share_the_places_without_one_too_many) {
  pthread_t threads[THREADS];
  int numbers[THREADS];
  int64_t entered = 0;
  plan.max_active_deliveries = PLACES;
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, enter_many, &numbers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    entered += (intptr_t)result;
  }
  ck_assert_int_eq(entered, PLACES);
}
END_TEST

/* ---- settling ---- */

START_TEST(a_delivery_ends_once) {
  assert_entered("d1", 1, 1);
  assert_entered("d2", 2, 2);
  settle("d1", november_ms);
  settle("d1", november_ms);
  settle("d1", 0); /* and its end is the first one told */
  settle("d1", december_ms);
  assert_entered("d3", 3, 2);
  ck_assert_int_eq(sum("acme", "2026-11").completed, 1);
  ck_assert_int_eq(sum("acme", "2026-12").completed, 0);
}
END_TEST

START_TEST(a_delivery_that_was_not_completed_frees_its_place_and_costs_nothing) {
  assert_entered("d1", 1, 1);
  settle("d1", 0);
  ck_assert_int_eq(sum("acme", "2026-11").completed, 0);
  settle("d1", november_ms);
  ck_assert_int_eq(sum("acme", "2026-11").completed, 0);
  assert_entered("d2", 2, 1);
}
END_TEST

START_TEST(a_delivery_never_entered_is_paid_when_it_was_flown) {
  settle("d1", november_ms);
  settle("d1", november_ms);
  settle("d2", 0);
  ck_assert_int_eq(sum("acme", "2026-11").completed, 1);
  assert_entered("d3", 2, 1);
}
END_TEST

START_TEST(an_end_in_the_month_after_frees_the_place_too) {
  plan.max_active_deliveries = 1;
  assert_entered("d1", 1, 1);
  assert_ok(ledger_settle(ledger, &context, "acme", "d1", december_ms, 1, false));
  assert_ok(ledger_enter(ledger, &context, &plan, "acme", "d2", december_ms, false, &counts));
  ck_assert_int_eq(counts.month, 1);
  ck_assert_int_eq(counts.active, 1);
}
END_TEST

/* ---- sums ---- */

START_TEST(a_month_sums_what_was_completed_in_it) {
  assert_ok(ledger_enter(ledger, &context, &plan, "acme", "d1", november_ms, true, &counts));
  assert_entered("d2", 2, 2);
  assert_entered("d3", 3, 3);
  assert_entered("open", 4, 4);
  assert_ok(ledger_settle(ledger, &context, "acme", "d1", december_ms - 1, 1200.5, true));
  assert_ok(ledger_settle(ledger, &context, "acme", "d2", november_ms, 300, false));
  assert_ok(ledger_settle(ledger, &context, "acme", "d3", december_ms, 4000, false)); /* begun in November */
  assert_ok(ledger_settle(ledger, &context, "globex", "g1", november_ms, 9000, true));
  const LedgerMonth november = sum("acme", "2026-11"), december = sum("acme", "2026-12");
  ck_assert_int_eq(november.completed, 2);
  ck_assert_int_eq(november.expedited, 1);
  ck_assert(fabs(november.distance_m - 1500.5) < metres);
  ck_assert_int_eq(december.completed, 1);
  ck_assert_int_eq(december.expedited, 0);
  ck_assert(fabs(december.distance_m - 4000) < metres);
  ck_assert_int_eq(sum("globex", "2026-11").completed, 1);
}
END_TEST

START_TEST(a_month_of_nothing_is_0) {
  const LedgerMonth nothing = sum("nobody", "2026-11");
  ck_assert_int_eq(nothing.completed, 0);
  ck_assert(nothing.distance_m == 0);
}
END_TEST

START_TEST(a_sum_goes_over_all_pages) {
  char id[16];
  for (int i = 0; i < SKY_PAGE_MAX + 5; i++) {
    snprintf(id, sizeof(id), "d%d", i);
    settle(id, november_ms);
  }
  ck_assert_int_eq(sum("acme", "2026-11").completed, SKY_PAGE_MAX + 5);
  ck_assert(fabs(sum("acme", "2026-11").distance_m - (SKY_PAGE_MAX + 5) * 1500.0) < metres);
  assert_entered("one more", SKY_PAGE_MAX + 6, 1);
}
END_TEST

SKY_CHECK_MAIN_WITH("account/ledger", setup, teardown, a_month_begins_and_ends_in_utc, every_delivery_counts,
                    a_repeat_counts_once, accounts_are_counted_apart, a_plan_without_limits_takes_any_number,
                    no_more_at_once_than_the_plan_allows, no_more_a_month_than_the_plan_allows,
                    a_refusal_changes_nothing, a_restart_counts_from_the_store,
                    what_other_replicas_let_in_is_seen_within_30_s, threads_share_the_places_without_one_too_many,
                    a_delivery_ends_once, a_delivery_that_was_not_completed_frees_its_place_and_costs_nothing,
                    a_delivery_never_entered_is_paid_when_it_was_flown, an_end_in_the_month_after_frees_the_place_too,
                    a_month_sums_what_was_completed_in_it, a_month_of_nothing_is_0, a_sum_goes_over_all_pages)
