/*
 * Ledger: one entry per delivery, for plan limits and invoices.
 *
 * The counts of an account are kept in memory, counted from the store at first use and again when they are older than
 * 30 s and the plan has limits; so with several replicas a limit may be passed by what the others have let in during
 * that time, never by more. Thread-safe. Calls block.
 */
#pragma once

#include <sky/core/time.h>
#include <sky/store/store.h>

#include "account/plans.h"

typedef struct Ledger Ledger;

enum { LEDGER_MAX_ACCOUNTS = 100000, LEDGER_MONTH_SIZE = 16 };

/* "2026-11" in UTC. */
void ledger_month(int64_t unix_ms, char text[LEDGER_MONTH_SIZE]);

SKY_MUST_USE SkyStatus ledger_create(SkyStore *store, const SkyClock *clock, Ledger **ret);
void ledger_destroy(Ledger *ledger); /* NULL-safe */

typedef struct LedgerCounts {
  int64_t month; /* deliveries begun in the month of the request */
  int64_t active;
} LedgerCounts;

/*
 * Enters a delivery, once however often it is asked for. FAILED_PRECONDITION with reason PLAN_LIMIT when the plan has
 * no room for it.
 */
SKY_MUST_USE SkyStatus ledger_enter(Ledger *ledger, const SkyContext *context, const account_Plan *plan,
                                    const char *account_id, const char *delivery_id, int64_t request_ms, bool expedited,
                                    LedgerCounts *ret);

/* The delivery has ended. completed_ms: when it was completed, 0 when it was not. Repeats change nothing. */
SKY_MUST_USE SkyStatus ledger_settle(Ledger *ledger, const SkyContext *context, const char *account_id,
                                     const char *delivery_id, int64_t completed_ms, double distance_m, bool expedited);

typedef struct LedgerMonth {
  int64_t completed;
  int64_t expedited;
  double distance_m;
} LedgerMonth;

/* What was completed in a month. */
SKY_MUST_USE SkyStatus ledger_sum(Ledger *ledger, const SkyContext *context, const char *account_id, const char *month,
                                  LedgerMonth *ret);
