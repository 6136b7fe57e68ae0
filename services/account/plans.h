/*
 * Plans: what accounts may use and what it costs. A table of the product, the same in every replica.
 */
#pragma once

#include "fabrikam/account/v1/account.sky.h"

enum { ACCOUNT_PLANS = 3 };

/* Smallest first; the first is what an account gets that names none. Constant. */
extern const account_Plan account_plans[ACCOUNT_PLANS];

/* NULL when there is none of that id. */
const account_Plan *account_plan(const char *id);
