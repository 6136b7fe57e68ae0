/*
 * Plan history: which plan prices which month of an account. A month is priced by the plan that the account has when it
 * ends, so a change of plan changes the invoice of the month it is made in and those to come, never one that is closed.
 *
 * Months are numbered: 12 times the year, plus the month from 0 (plan_month()). Pure.
 */
#pragma once

#include <stdint.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>

#include "account/account_store.sky.h"

/* Changes that are kept; when there are more, the oldest go, and what was before them is priced by the first left. */
enum { PLAN_HISTORY_MAX = 120 };

int plan_month(int year, int month);
int plan_month_of(int64_t unix_ms);

/* The account has this plan from the month on; changes come in order. Shares plan_id; the rest is in the arena. */
SKY_MUST_USE SkyStatus plan_history_note(account_store_AccountDocument *document, int month, const char *plan_id,
                                         SkyArena *arena);
/* The id of the month's plan. */
const char *plan_history_of(const account_store_AccountDocument *document, int month);
