#include "account/handlers.h"

#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/service/resource.h>

#include "account/plan_history.h"
#include "account/plans.h"
#include "account/store.h"

typedef account_store_AccountDocument Document;

static SkyStatus unknown(const char *id) {
  return sky_status_with_reason(SKY_NOT_FOUND("there is no account %s", id), "ACCOUNT_UNKNOWN");
}

SkyStatus account_load(AccountService *service, SkyCall *call, const char *id, Document **ret, int64_t *ret_version) {
  ProtobufCMessage *message;
  SkyStatus status = sky_store_get(service->store, sky_call_context(call), &account_documents, id, sky_call_arena(call),
                                   &message, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return unknown(id);
  SKY_TRY(status);
  *ret = (Document *)message;
  return SKY_OK;
}

static SkyStatus present(SkyCall *call, const Document *document, account_Account **ret) {
  document->account->etag = sky_etag_create(sky_call_arena(call), document->revision);
  if (document->account->etag == NULL)
    return sky_status_no_memory();
  *ret = document->account;
  return SKY_OK;
}

static SkyStatus new_id(AccountService *service, SkyCall *call, const char **ret) {
  char text[SKY_UUID_TEXT_SIZE];
  const SkyUuid uuid = sky_uuid_v7(sky_clock_wall_ms(service->clock), service->random);
  sky_uuid_format(&uuid, text);
  *ret = sky_call_strdup(call, text);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus check_plan(const char *plan_id) {
  if (account_plan(plan_id) != NULL)
    return SKY_OK;
  SkyStatus violations = SKY_OK;
  sky_violations_add(&violations, "account.plan_id", "there is no plan \"%s\"", plan_id);
  return sky_status_with_reason(violations, "PLAN_UNKNOWN");
}

static SkyStatus note_plan(AccountService *service, SkyCall *call, Document *document) {
  return plan_history_note(document, plan_month_of(sky_clock_wall_ms(service->clock)), document->account->plan_id,
                           sky_call_arena(call));
}

static SkyStatus check_name(const char *display_name) {
  SkyStatus violations = SKY_OK;
  if (display_name[0] == '\0')
    sky_violations_add(&violations, "account.display_name", "is required");
  return violations;
}

/* ---- create ---- */

static bool is_same(const account_Account *a, const account_Account *b) {
  return strcmp(a->display_name, b->display_name) == 0 && strcmp(a->email, b->email) == 0;
}

/* The same key and content again is the same account. */
static SkyStatus create_again(AccountService *service, SkyCall *call, const account_CreateAccountRequest *request,
                              const char *id, account_CreateAccountResponse *response) {
  Document *document = NULL;
  SKY_TRY(account_load(service, call, id, &document, NULL));
  if (request->idempotency_key[0] != '\0' && strcmp(document->idempotency_key, request->idempotency_key) == 0 &&
      is_same(document->account, request->account))
    return present(call, document, &response->account);
  return sky_status_with_reason(SKY_ALREADY_EXISTS("account %s exists already", id), "ACCOUNT_EXISTS");
}

/* Namespace of the ids of accounts and of users that come from keys. */
static const SkyUuid names = {
    {0x71, 0x0e, 0x4d, 0x95, 0x3a, 0xc8, 0x4f, 0x02, 0x86, 0x5b, 0xd1, 0x37, 0x2c, 0x9f, 0x60, 0xea}};

SkyStatus account_new_id(AccountService *service, SkyCall *call, const char *scope, const char *idempotency_key,
                         const char **ret) {
  char text[SKY_UUID_TEXT_SIZE];
  sky_resource_id(&names, scope, idempotency_key, sky_clock_wall_ms(service->clock), service->random, text);
  *ret = sky_call_strdup(call, text);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

SkyStatus account_create(void *self, SkyCall *call, const account_CreateAccountRequest *request,
                         account_CreateAccountResponse *response) {
  AccountService *service = self;
  account_Account account = *request->account;
  SKY_TRY(check_name(account.display_name));
  if (account.plan_id[0] == '\0')
    account.plan_id = account_plans[0].id;
  SKY_TRY(check_plan(account.plan_id));
  if (account.id[0] == '\0')
    SKY_TRY(account_new_id(service, call, "", request->idempotency_key, &account.id));
  account.status = account_ACCOUNT_STATUS_ACTIVE;
  account.suspend_reason = NULL;
  account.create_time = sky_timestamp_create(sky_call_arena(call), sky_clock_wall_ms(service->clock));
  account.update_time = account.create_time;
  account.etag = "";
  Document document = account_store_AccountDocument_INIT;
  document.id = account.id;
  document.account = &account;
  document.revision = 1;
  document.idempotency_key = request->idempotency_key;
  SKY_TRY(note_plan(service, call, &document));
  SkyStatus status = sky_store_insert(service->store, sky_call_context(call), &account_documents, &document.base);
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
    return create_again(service, call, request, account.id, response);
  SKY_TRY(status);
  SKY_TRY(account_Account_copy(&account, sky_call_arena(call), &document.account));
  return present(call, &document, &response->account);
}

/* ---- get, list ---- */

SkyStatus account_get(void *self, SkyCall *call, const account_GetAccountRequest *request,
                      account_GetAccountResponse *response) {
  Document *document = NULL;
  SKY_TRY(account_load(self, call, request->id, &document, NULL));
  return present(call, document, &response->account);
}

SkyStatus account_list(void *self, SkyCall *call, const account_ListAccountsRequest *request,
                       account_ListAccountsResponse *response) {
  AccountService *service = self;
  SkyQuery query = {.page_size = request->page_size == 0 ? ACCOUNT_DEFAULT_PAGE : (size_t)request->page_size,
                    .page_token = request->page_token};
  if (request->status != account_ACCOUNT_STATUS_UNSPECIFIED) {
    query.index = ACCOUNTS_BY_STATUS;
    query.equal[0] = SKY_V_INT(request->status);
  }
  SkyPage page;
  SKY_TRY(
      sky_store_find(service->store, sky_call_context(call), &account_documents, &query, sky_call_arena(call), &page));
  response->accounts = sky_arena_alloc(sky_call_arena(call), page.count * sizeof(*response->accounts));
  if (response->accounts == NULL)
    return sky_status_no_memory();
  for (; response->n_accounts < page.count; response->n_accounts++)
    SKY_TRY(present(call, (Document *)page.documents[response->n_accounts], &response->accounts[response->n_accounts]));
  response->next_page_token = page.next_page_token;
  return SKY_OK;
}

/* ---- change ---- */

/* Changes the document in place; *ret_changed false: there is nothing to write. */
typedef SkyStatus (*Change)(AccountService *service, SkyCall *call, const void *request, Document *document,
                            bool *ret_changed);

static SkyStatus change_once(AccountService *service, SkyCall *call, const char *id, Change change, const void *request,
                             account_Account **ret) {
  Document *document = NULL;
  int64_t version;
  bool changed = true;
  SKY_TRY(account_load(service, call, id, &document, &version));
  SKY_TRY(change(service, call, request, document, &changed));
  if (changed) {
    document->revision++;
    document->account->update_time = sky_timestamp_create(sky_call_arena(call), sky_clock_wall_ms(service->clock));
    SKY_TRY(
        sky_store_replace(service->store, sky_call_context(call), &account_documents, &document->base, version, NULL));
  }
  if (document->pending)
    sky_pending_soon(service->pending, sky_call_context(call), id);
  return present(call, document, ret);
}

static SkyStatus change_account(AccountService *service, SkyCall *call, const char *id, Change change,
                                const void *request, account_Account **ret) {
  for (int i = 0; i < ACCOUNT_MAX_TRIES; i++) {
    SkyStatus status = change_once(service, call, id, change, request, ret);
    if (sky_status_reason(status) != NULL || !sky_status_take(&status, SKY_CODE_ABORTED))
      return status;
  }
  return SKY_ABORTED("account %s is being changed by others", id);
}

static SkyStatus update(AccountService *service, SkyCall *call, const void *user, Document *document,
                        bool *ret_changed) {
  static const char *const changeable[] = {"display_name", "email", "plan_id", NULL};
  static const char *all[] = {"*"};
  const account_UpdateAccountRequest *request = user;
  const bool has_mask = request->update_mask != NULL;
  SKY_TRY(sky_etag_check(request->if_match, document->revision));
  if (document->n_plan_changes == 0) /* from before changes were kept */
    SKY_TRY(plan_history_note(document, 0, document->account->plan_id, sky_call_arena(call)));
  SKY_TRY(sky_field_mask_apply(has_mask ? request->update_mask->paths : all,
                               has_mask ? request->update_mask->n_paths : 1, changeable, &request->account->base,
                               &document->account->base, sky_call_arena(call)));
  SKY_TRY(check_name(document->account->display_name));
  SKY_TRY(check_plan(document->account->plan_id));
  return note_plan(service, call, document);
}

SkyStatus account_update(void *self, SkyCall *call, const account_UpdateAccountRequest *request,
                         account_UpdateAccountResponse *response) {
  return change_account(self, call, request->account->id, update, request, &response->account);
}

/* The event is told after the change is stored; what an earlier change still has to tell is dropped with it, for only
 * the last state counts. */
static SkyStatus mark(AccountService *service, SkyCall *call, Document *document) {
  document->pending = true;
  return new_id(service, call, &document->event_id);
}

static SkyStatus suspend(AccountService *service, SkyCall *call, const void *user, Document *document,
                         bool *ret_changed) {
  const account_SuspendAccountRequest *request = user;
  *ret_changed = document->account->status != account_ACCOUNT_STATUS_SUSPENDED;
  if (!*ret_changed)
    return SKY_OK;
  common_Reason *reason = common_Reason_create(sky_call_arena(call));
  if (reason == NULL)
    return sky_status_no_memory();
  reason->code = "ACCOUNT_SUSPENDED";
  reason->message = request->reason;
  document->account->status = account_ACCOUNT_STATUS_SUSPENDED;
  document->account->suspend_reason = reason;
  return mark(service, call, document);
}

SkyStatus account_suspend(void *self, SkyCall *call, const account_SuspendAccountRequest *request,
                          account_SuspendAccountResponse *response) {
  return change_account(self, call, request->id, suspend, request, &response->account);
}

static SkyStatus reactivate(AccountService *service, SkyCall *call, const void *user, Document *document,
                            bool *ret_changed) {
  *ret_changed = document->account->status == account_ACCOUNT_STATUS_SUSPENDED;
  if (!*ret_changed)
    return SKY_OK;
  document->account->status = account_ACCOUNT_STATUS_ACTIVE;
  document->account->suspend_reason = NULL;
  return mark(service, call, document);
}

SkyStatus account_reactivate(void *self, SkyCall *call, const account_ReactivateAccountRequest *request,
                             account_ReactivateAccountResponse *response) {
  return change_account(self, call, request->id, reactivate, request, &response->account);
}
