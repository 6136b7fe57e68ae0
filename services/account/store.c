#include "account/store.h"

static const SkyIndex account_indexes[] = {{.name = ACCOUNTS_BY_STATUS, .fields = {"account.status"}},
                                           {.name = ACCOUNTS_PENDING, .fields = {"pending"}}};
static const SkyIndex user_indexes[] = {{.name = USERS_BY_ACCOUNT, .fields = {"user.account_id"}}};
static const SkyIndex ledger_indexes[] = {{.name = LEDGER_BY_MONTH, .fields = {"account_id", "month"}},
                                          {.name = LEDGER_BY_ACTIVE, .fields = {"account_id", "active"}},
                                          {.name = LEDGER_BY_INVOICE, .fields = {"account_id", "invoice_month"}}};

const SkyCollection account_documents = {.name = "accounts",
                                         .type = account_store_AccountDocument_descriptor,
                                         .id_field = "id",
                                         .indexes = account_indexes,
                                         .index_count = 2};
const SkyCollection account_users = {.name = "users",
                                     .type = account_store_UserDocument_descriptor,
                                     .id_field = "id",
                                     .indexes = user_indexes,
                                     .index_count = 1};
const SkyCollection account_ledger = {.name = "ledger",
                                      .type = account_store_LedgerEntry_descriptor,
                                      .id_field = "id",
                                      .indexes = ledger_indexes,
                                      .index_count = 3};

const SkyCollection *const account_collections[ACCOUNT_COLLECTIONS] = {&account_documents, &account_users,
                                                                       &account_ledger};
