/*
 * Store of accounts, users and the ledger of deliveries.
 */
#pragma once

#include <sky/store/store.h>

#include "account/account_store.sky.h"

extern const SkyCollection account_documents;
extern const SkyCollection account_users;
extern const SkyCollection account_ledger;

enum { ACCOUNT_COLLECTIONS = 3 };
extern const SkyCollection *const account_collections[ACCOUNT_COLLECTIONS]; /* for SkyServiceDefinition */

#define ACCOUNTS_BY_STATUS "by_status" /* status */
#define ACCOUNTS_PENDING "by_pending"  /* an event is still to be published */
#define USERS_BY_ACCOUNT "by_account"  /* account */
#define LEDGER_BY_MONTH "by_month"     /* account, month */
#define LEDGER_BY_ACTIVE "by_active"   /* account, active */
#define LEDGER_BY_INVOICE "by_invoice" /* account, month of completion */
