/*
 * The account service's methods: businesses, their users, plans, the saga's check, invoices.
 *
 * Reasons: ACCOUNT_UNKNOWN, USER_UNKNOWN, PLAN_UNKNOWN, INVOICE_UNKNOWN, ACCOUNT_EXISTS, USER_EXISTS,
 * ACCOUNT_SUSPENDED, PLAN_LIMIT, ETAG_MISMATCH.
 */
#pragma once

#include <sky/bus/bus.h>
#include <sky/core/id.h>
#include <sky/rpc/server.h>
#include <sky/service/pending.h>

#include "account/account_store.sky.h"
#include "account/ledger.h"
#include "fabrikam/account/v1/account.sky.h"

typedef struct AccountService {
  SkyStore *store;
  SkyBus *bus;
  const SkyClock *clock;
  const SkyRandom *random;
  Ledger *ledger;
  SkyPending *pending; /* accounts whose suspension or reactivation is still to be told */
} AccountService;

/* service must outlive the server. */
SkyServiceBinding account_service_bind(AccountService *service);

enum { ACCOUNT_MAX_TRIES = 8 /* of a change that others overtake */, ACCOUNT_DEFAULT_PAGE = 100 };

/* accounts.c */
SKY_MUST_USE SkyStatus account_load(AccountService *service, SkyCall *call, const char *id,
                                    account_store_AccountDocument **ret, int64_t *ret_version);
/* An id for what is created without one: sky_resource_id(). scope: "" for accounts, the account for its users. */
SKY_MUST_USE SkyStatus account_new_id(AccountService *service, SkyCall *call, const char *scope,
                                      const char *idempotency_key, const char **ret);
SkyStatus account_create(void *self, SkyCall *call, const account_CreateAccountRequest *request,
                         account_CreateAccountResponse *response);
SkyStatus account_get(void *self, SkyCall *call, const account_GetAccountRequest *request,
                      account_GetAccountResponse *response);
SkyStatus account_list(void *self, SkyCall *call, const account_ListAccountsRequest *request,
                       account_ListAccountsResponse *response);
SkyStatus account_update(void *self, SkyCall *call, const account_UpdateAccountRequest *request,
                         account_UpdateAccountResponse *response);
SkyStatus account_suspend(void *self, SkyCall *call, const account_SuspendAccountRequest *request,
                          account_SuspendAccountResponse *response);
SkyStatus account_reactivate(void *self, SkyCall *call, const account_ReactivateAccountRequest *request,
                             account_ReactivateAccountResponse *response);

/* users.c */
SkyStatus account_create_user(void *self, SkyCall *call, const account_CreateUserRequest *request,
                              account_CreateUserResponse *response);
SkyStatus account_get_user(void *self, SkyCall *call, const account_GetUserRequest *request,
                           account_GetUserResponse *response);
SkyStatus account_list_users(void *self, SkyCall *call, const account_ListUsersRequest *request,
                             account_ListUsersResponse *response);
SkyStatus account_update_user(void *self, SkyCall *call, const account_UpdateUserRequest *request,
                              account_UpdateUserResponse *response);
SkyStatus account_delete_user(void *self, SkyCall *call, const account_DeleteUserRequest *request,
                              account_DeleteUserResponse *response);

/* check.c */
SkyStatus account_check(void *self, SkyCall *call, const account_CheckAccountRequest *request,
                        account_CheckAccountResponse *response);

/* invoices.c */
SkyStatus account_list_plans(void *self, SkyCall *call, const account_ListPlansRequest *request,
                             account_ListPlansResponse *response);
SkyStatus account_get_invoice(void *self, SkyCall *call, const account_GetInvoiceRequest *request,
                              account_GetInvoiceResponse *response);
SkyStatus account_list_invoices(void *self, SkyCall *call, const account_ListInvoicesRequest *request,
                                account_ListInvoicesResponse *response);
