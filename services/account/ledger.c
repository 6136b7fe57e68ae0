#include "account/ledger.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/map.h>

#include "account/store.h"

typedef account_store_LedgerEntry Entry;

enum { RECOUNT_MS = 30000, ARENA_BYTES = 32 << 20, SMALL_ARENA_BYTES = 64 * 1024, TOKEN_SIZE = 1024, MAX_TRIES = 8 };

/* Never removed, so that it can be used without the ledger's mutex, which guards all of it but settled. */
typedef struct Counter {
  pthread_rwlock_t settled; /* written while the store is counted, read while an entry is on its way into both */
  char month[LEDGER_MONTH_SIZE];
  LedgerCounts counts;
  int64_t counted_ms; /* 0: never */
} Counter;

struct Ledger {
  SkyStore *store;
  const SkyClock *clock;
  pthread_mutex_t mutex;
  SkyMap *counters; /* by account */
};

void ledger_month(int64_t unix_ms, char text[LEDGER_MONTH_SIZE]) {
  int year, month, day;
  sky_time_civil(unix_ms / SKY_MS_PER_S, &year, &month, &day);
  snprintf(text, LEDGER_MONTH_SIZE, "%04d-%02d", year, month);
}

SkyStatus ledger_create(SkyStore *store, const SkyClock *clock, Ledger **ret) {
  Ledger *ledger = calloc(1, sizeof(*ledger));
  SkyMap *counters = sky_map_create(LEDGER_MAX_ACCOUNTS);
  if (ledger == NULL || counters == NULL) {
    free(ledger);
    sky_map_destroy(counters);
    return sky_status_no_memory();
  }
  *ledger = (Ledger){.store = store, .clock = clock, .counters = counters};
  pthread_mutex_init(&ledger->mutex, NULL);
  *ret = ledger;
  return SKY_OK;
}

static void counter_free(Counter *counter) {
  pthread_rwlock_destroy(&counter->settled);
  free(counter);
}

void ledger_destroy(Ledger *ledger) {
  if (ledger == NULL)
    return;
  size_t cursor = 0;
  SkyStr key;
  void *counter;
  while (sky_map_next(ledger->counters, &cursor, &key, &counter))
    counter_free(counter);
  sky_map_destroy(ledger->counters);
  pthread_mutex_destroy(&ledger->mutex);
  free(ledger);
}

/* ---- counting ---- */

/* Calls visit for every entry that the query finds. */
static SkyStatus for_each(Ledger *ledger, const SkyContext *context, SkyQuery *query,
                          void (*visit)(void *user, const Entry *), void *user) {
  SkyArena arena;
  SkyStatus status = SKY_OK;
  char token[TOKEN_SIZE] = "";
  sky_arena_init(&arena, ARENA_BYTES);
  query->page_size = SKY_PAGE_MAX;
  do {
    SkyPage page;
    sky_arena_reset(&arena);
    query->page_token = token;
    status = sky_store_find(ledger->store, context, &account_ledger, query, &arena, &page);
    if (status != SKY_OK)
      break;
    for (size_t i = 0; i < page.count; i++)
      visit(user, (const Entry *)page.documents[i]);
    snprintf(token, sizeof(token), "%s", page.next_page_token);
  } while (token[0] != '\0');
  sky_arena_finish(&arena);
  return status;
}

static void add_one(void *user, const Entry *entry) {
  ++*(int64_t *)user;
}

static SkyStatus count(Ledger *ledger, const SkyContext *context, const char *account_id, const char *month,
                       LedgerCounts *ret) {
  LedgerCounts counts = {0};
  SkyQuery by_month = {.index = LEDGER_BY_MONTH, .equal = {SKY_V_TEXT(account_id), SKY_V_TEXT(month)}};
  SkyQuery by_active = {.index = LEDGER_BY_ACTIVE, .equal = {SKY_V_TEXT(account_id), SKY_V_BOOL(true)}};
  SKY_TRY(for_each(ledger, context, &by_month, add_one, &counts.month));
  SKY_TRY(for_each(ledger, context, &by_active, add_one, &counts.active));
  *ret = counts;
  return SKY_OK;
}

static bool has_limits(const account_Plan *plan) {
  return plan->max_active_deliveries > 0 || plan->max_deliveries_per_month > 0;
}

static Counter *new_counter(void) {
  Counter *counter = calloc(1, sizeof(*counter));
  if (counter == NULL)
    return NULL;
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  /* However many deliveries are entered, a count gets its turn. */
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&counter->settled, &attributes);
  pthread_rwlockattr_destroy(&attributes);
  return counter;
}

/* With the mutex held. NULL without memory or when the table is full. */
static Counter *add_counter(Ledger *ledger, const char *account_id) {
  Counter *counter = new_counter();
  if (counter == NULL)
    return NULL;
  SkyStatus status = sky_map_set(ledger->counters, sky_str(account_id), counter, NULL);
  if (status == SKY_OK)
    return counter;
  sky_status_free(status);
  counter_free(counter);
  return NULL;
}

static Counter *counter_of(Ledger *ledger, const char *account_id, bool create) {
  pthread_mutex_lock(&ledger->mutex);
  Counter *counter = sky_map_get(ledger->counters, sky_str(account_id));
  if (counter == NULL && create)
    counter = add_counter(ledger, account_id);
  pthread_mutex_unlock(&ledger->mutex);
  return counter;
}

static bool is_stale(Ledger *ledger, const Counter *counter, const account_Plan *plan, const char *month,
                     int64_t now_ms) {
  pthread_mutex_lock(&ledger->mutex);
  const bool stale = counter->counted_ms == 0 || strcmp(counter->month, month) != 0 ||
                     (has_limits(plan) && now_ms - counter->counted_ms > RECOUNT_MS);
  pthread_mutex_unlock(&ledger->mutex);
  return stale;
}

static SkyStatus recount(Ledger *ledger, const SkyContext *context, Counter *counter, const char *account_id,
                         const char *month, int64_t now_ms) {
  LedgerCounts counts;
  SKY_TRY(count(ledger, context, account_id, month, &counts));
  pthread_mutex_lock(&ledger->mutex);
  counter->counts = counts;
  counter->counted_ms = now_ms;
  snprintf(counter->month, sizeof(counter->month), "%s", month);
  pthread_mutex_unlock(&ledger->mutex);
  return SKY_OK;
}

/* Makes sure that the account's counts are there and fresh enough. While the store is counted nothing enters or leaves,
 * so that no entry is counted twice or not at all. */
static SkyStatus refresh(Ledger *ledger, const SkyContext *context, Counter *counter, const account_Plan *plan,
                         const char *account_id, const char *month) {
  const int64_t now_ms = sky_clock_wall_ms(ledger->clock);
  if (!is_stale(ledger, counter, plan, month, now_ms))
    return SKY_OK;
  SkyStatus status = SKY_OK;
  pthread_rwlock_wrlock(&counter->settled);
  if (is_stale(ledger, counter, plan, month, now_ms)) /* nobody else has counted meanwhile */
    status = recount(ledger, context, counter, account_id, month, now_ms);
  pthread_rwlock_unlock(&counter->settled);
  return status;
}

static void add_counts(Ledger *ledger, Counter *counter, const char *month, int change_month, int change_active) {
  pthread_mutex_lock(&ledger->mutex);
  if (counter->counted_ms != 0) {
    if (strcmp(counter->month, month) == 0)
      counter->counts.month += change_month;
    counter->counts.active += change_active;
    if (counter->counts.active < 0)
      counter->counts.active = 0; /* one that another replica let in after the last count */
  }
  pthread_mutex_unlock(&ledger->mutex);
}

static LedgerCounts counts_of(Ledger *ledger, const Counter *counter) {
  pthread_mutex_lock(&ledger->mutex);
  const LedgerCounts counts = counter->counts;
  pthread_mutex_unlock(&ledger->mutex);
  return counts;
}

/* ---- entering ---- */

static SkyStatus plan_limit(const char *what, int64_t most) {
  return sky_status_with_reason(SKY_FAILED_PRECONDITION("the plan allows %lld %s", (long long)most, what),
                                "PLAN_LIMIT");
}

/* Checks and counts in one step, so that two requests cannot take the last place. */
static SkyStatus take_place(Ledger *ledger, Counter *counter, const account_Plan *plan, LedgerCounts *ret) {
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&ledger->mutex);
  if (plan->max_active_deliveries > 0 && counter->counts.active >= plan->max_active_deliveries)
    status = plan_limit("deliveries at once", plan->max_active_deliveries);
  else if (plan->max_deliveries_per_month > 0 && counter->counts.month >= plan->max_deliveries_per_month)
    status = plan_limit("deliveries a month", plan->max_deliveries_per_month);
  if (status == SKY_OK) {
    counter->counts.active++;
    counter->counts.month++;
    *ret = counter->counts;
  }
  pthread_mutex_unlock(&ledger->mutex);
  return status;
}

static SkyStatus find_entry(Ledger *ledger, const SkyContext *context, const char *delivery_id, SkyArena *arena,
                            Entry **ret, int64_t *ret_version) {
  ProtobufCMessage *message = NULL;
  SkyStatus status = sky_store_get(ledger->store, context, &account_ledger, delivery_id, arena, &message, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    message = NULL;
  SKY_TRY(status);
  *ret = (Entry *)message;
  return SKY_OK;
}

static SkyStatus enter_new(Ledger *ledger, const SkyContext *context, Counter *counter, const account_Plan *plan,
                           const Entry *entry, LedgerCounts *ret) {
  SKY_TRY(take_place(ledger, counter, plan, ret));
  SkyStatus status = sky_store_insert(ledger->store, context, &account_ledger, &entry->base);
  if (status != SKY_OK)
    add_counts(ledger, counter, entry->month, -1, -1);
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS)) { /* entered by a repeat of the same request */
    *ret = counts_of(ledger, counter);
    return SKY_OK;
  }
  return status;
}

static SkyStatus enter_once(Ledger *ledger, const SkyContext *context, Counter *counter, const account_Plan *plan,
                            const Entry *wanted, LedgerCounts *ret) {
  SkyArena arena;
  Entry *entry;
  sky_arena_init(&arena, SMALL_ARENA_BYTES);
  SkyStatus status = find_entry(ledger, context, wanted->id, &arena, &entry, NULL);
  if (status == SKY_OK && entry == NULL)
    status = enter_new(ledger, context, counter, plan, wanted, ret);
  else if (status == SKY_OK)
    *ret = counts_of(ledger, counter);
  sky_arena_finish(&arena);
  return status;
}

SkyStatus ledger_enter(Ledger *ledger, const SkyContext *context, const account_Plan *plan, const char *account_id,
                       const char *delivery_id, int64_t request_ms, bool expedited, LedgerCounts *ret) {
  char month[LEDGER_MONTH_SIZE];
  ledger_month(request_ms, month);
  Counter *counter = counter_of(ledger, account_id, true);
  if (counter == NULL)
    return SKY_RESOURCE_EXHAUSTED("too many accounts");
  SKY_TRY(refresh(ledger, context, counter, plan, account_id, month));
  Entry entry = account_store_LedgerEntry_INIT;
  entry.id = delivery_id;
  entry.account_id = account_id;
  entry.month = month;
  entry.active = true;
  entry.expedited = expedited;
  pthread_rwlock_rdlock(&counter->settled);
  SkyStatus status = enter_once(ledger, context, counter, plan, &entry, ret);
  pthread_rwlock_unlock(&counter->settled);
  return status;
}

/* ---- settling ---- */

static SkyStatus end_entry(Ledger *ledger, const SkyContext *context, const Entry *entry, int64_t version) {
  Counter *counter = counter_of(ledger, entry->account_id, false);
  if (counter == NULL)
    return sky_store_replace(ledger->store, context, &account_ledger, &entry->base, version, NULL);
  pthread_rwlock_rdlock(&counter->settled);
  SkyStatus status = sky_store_replace(ledger->store, context, &account_ledger, &entry->base, version, NULL);
  if (status == SKY_OK)
    add_counts(ledger, counter, entry->month, 0, -1);
  pthread_rwlock_unlock(&counter->settled);
  return status;
}

static SkyStatus settle_once(Ledger *ledger, const SkyContext *context, const Entry *wanted, SkyArena *arena) {
  Entry *entry;
  int64_t version;
  SKY_TRY(find_entry(ledger, context, wanted->id, arena, &entry, &version));
  if (entry == NULL) { /* its check is not known here, but it was flown and is to be paid */
    return wanted->invoice_month[0] == '\0' ? SKY_OK
                                            : sky_store_insert(ledger->store, context, &account_ledger, &wanted->base);
  }
  if (!entry->active)
    return SKY_OK;
  entry->active = false;
  entry->invoice_month = wanted->invoice_month;
  entry->distance_m = wanted->distance_m;
  return end_entry(ledger, context, entry, version);
}

SkyStatus ledger_settle(Ledger *ledger, const SkyContext *context, const char *account_id, const char *delivery_id,
                        int64_t completed_ms, double distance_m, bool expedited) {
  char month[LEDGER_MONTH_SIZE] = "";
  if (completed_ms != 0)
    ledger_month(completed_ms, month);
  Entry wanted = account_store_LedgerEntry_INIT;
  wanted.id = delivery_id;
  wanted.account_id = account_id;
  wanted.month = month;
  wanted.invoice_month = month;
  wanted.distance_m = distance_m;
  wanted.expedited = expedited;
  SkyArena arena;
  sky_arena_init(&arena, SMALL_ARENA_BYTES);
  SkyStatus status = SKY_OK;
  for (int i = 0; i < MAX_TRIES; i++) {
    sky_arena_reset(&arena);
    status = settle_once(ledger, context, &wanted, &arena);
    if (!sky_status_take(&status, SKY_CODE_ABORTED) && !sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
      break;
  }
  sky_arena_finish(&arena);
  return status;
}

/* ---- invoices ---- */

static void add_to_month(void *user, const Entry *entry) {
  LedgerMonth *month = user;
  month->completed++;
  month->expedited += entry->expedited;
  month->distance_m += entry->distance_m;
}

SkyStatus ledger_sum(Ledger *ledger, const SkyContext *context, const char *account_id, const char *month,
                     LedgerMonth *ret) {
  SkyQuery query = {.index = LEDGER_BY_INVOICE, .equal = {SKY_V_TEXT(account_id), SKY_V_TEXT(month)}};
  *ret = (LedgerMonth){0};
  return for_each(ledger, context, &query, add_to_month, ret);
}
