#include "account/handlers.h"

#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/service/resource.h>

#include "account/store.h"

typedef account_store_UserDocument Document;

static SkyStatus document_id(SkyCall *call, const char *account_id, const char *user_id, const char **ret) {
  *ret = sky_call_printf(call, "%s/%s", account_id, user_id);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus load(AccountService *service, SkyCall *call, const char *account_id, const char *user_id,
                      Document **ret, int64_t *ret_version) {
  const char *id;
  ProtobufCMessage *message;
  SKY_TRY(document_id(call, account_id, user_id, &id));
  SkyStatus status = sky_store_get(service->store, sky_call_context(call), &account_users, id, sky_call_arena(call),
                                   &message, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return sky_status_with_reason(SKY_NOT_FOUND("account %s has no user %s", account_id, user_id), "USER_UNKNOWN");
  SKY_TRY(status);
  *ret = (Document *)message;
  return SKY_OK;
}

static SkyStatus present(SkyCall *call, account_User *user, int64_t version, account_User **ret) {
  user->etag = sky_etag_create(sky_call_arena(call), version);
  if (user->etag == NULL)
    return sky_status_no_memory();
  *ret = user;
  return SKY_OK;
}

static bool is_same(const account_User *a, const account_User *b) {
  return strcmp(a->display_name, b->display_name) == 0 && strcmp(a->email, b->email) == 0 &&
         strcmp(a->phone, b->phone) == 0 && a->role == b->role;
}

static SkyStatus create_again(AccountService *service, SkyCall *call, const account_CreateUserRequest *request,
                              const account_User *wanted, account_CreateUserResponse *response) {
  Document *document = NULL;
  int64_t version;
  SKY_TRY(load(service, call, request->account_id, wanted->id, &document, &version));
  if (request->idempotency_key[0] != '\0' && strcmp(document->idempotency_key, request->idempotency_key) == 0 &&
      is_same(document->user, wanted))
    return present(call, document->user, version, &response->user);
  return sky_status_with_reason(SKY_ALREADY_EXISTS("account %s has a user %s already", request->account_id, wanted->id),
                                "USER_EXISTS");
}

SkyStatus account_create_user(void *self, SkyCall *call, const account_CreateUserRequest *request,
                              account_CreateUserResponse *response) {
  AccountService *service = self;
  account_store_AccountDocument *account;
  SKY_TRY(account_load(service, call, request->account_id, &account, NULL));
  account_User *user;
  SKY_TRY(account_User_copy(request->user, sky_call_arena(call), &user));
  if (user->id[0] == '\0')
    SKY_TRY(account_new_id(service, call, request->account_id, request->idempotency_key, &user->id));
  user->account_id = request->account_id;
  user->create_time = sky_timestamp_create(sky_call_arena(call), sky_clock_wall_ms(service->clock));
  user->update_time = user->create_time;
  user->etag = "";
  Document document = account_store_UserDocument_INIT;
  SKY_TRY(document_id(call, request->account_id, user->id, &document.id));
  document.user = user;
  document.idempotency_key = request->idempotency_key;
  SkyStatus status = sky_store_insert(service->store, sky_call_context(call), &account_users, &document.base);
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
    return create_again(service, call, request, user, response);
  SKY_TRY(status);
  return present(call, user, 1, &response->user);
}

SkyStatus account_get_user(void *self, SkyCall *call, const account_GetUserRequest *request,
                           account_GetUserResponse *response) {
  Document *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, request->account_id, request->id, &document, &version));
  return present(call, document->user, version, &response->user);
}

SkyStatus account_list_users(void *self, SkyCall *call, const account_ListUsersRequest *request,
                             account_ListUsersResponse *response) {
  AccountService *service = self;
  account_store_AccountDocument *account;
  SKY_TRY(account_load(service, call, request->account_id, &account, NULL));
  const SkyQuery query = {.index = USERS_BY_ACCOUNT,
                          .equal = {SKY_V_TEXT(request->account_id)},
                          .page_size = request->page_size == 0 ? ACCOUNT_DEFAULT_PAGE : (size_t)request->page_size,
                          .page_token = request->page_token};
  SkyPage page;
  SKY_TRY(sky_store_find(service->store, sky_call_context(call), &account_users, &query, sky_call_arena(call), &page));
  response->users = sky_arena_alloc(sky_call_arena(call), page.count * sizeof(*response->users));
  if (response->users == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < page.count; i++, response->n_users++)
    SKY_TRY(present(call, ((Document *)page.documents[i])->user, page.versions[i], &response->users[i]));
  response->next_page_token = page.next_page_token;
  return SKY_OK;
}

static SkyStatus update_once(AccountService *service, SkyCall *call, const account_UpdateUserRequest *request,
                             account_User **ret) {
  static const char *const changeable[] = {"display_name", "email", "phone", "role", NULL};
  static const char *all[] = {"*"};
  const bool has_mask = request->update_mask != NULL;
  Document *document = NULL;
  int64_t version;
  SKY_TRY(load(service, call, request->user->account_id, request->user->id, &document, &version));
  SKY_TRY(sky_etag_check(request->if_match, version));
  SKY_TRY(sky_field_mask_apply(has_mask ? request->update_mask->paths : all,
                               has_mask ? request->update_mask->n_paths : 1, changeable, &request->user->base,
                               &document->user->base, sky_call_arena(call)));
  document->user->update_time = sky_timestamp_create(sky_call_arena(call), sky_clock_wall_ms(service->clock));
  SKY_TRY(
      sky_store_replace(service->store, sky_call_context(call), &account_users, &document->base, version, &version));
  return present(call, document->user, version, ret);
}

SkyStatus account_update_user(void *self, SkyCall *call, const account_UpdateUserRequest *request,
                              account_UpdateUserResponse *response) {
  for (int i = 0; i < ACCOUNT_MAX_TRIES; i++) {
    SkyStatus status = update_once(self, call, request, &response->user);
    if (sky_status_reason(status) != NULL || !sky_status_take(&status, SKY_CODE_ABORTED))
      return status;
  }
  return SKY_ABORTED("user %s is being changed by others", request->user->id);
}

SkyStatus account_delete_user(void *self, SkyCall *call, const account_DeleteUserRequest *request,
                              account_DeleteUserResponse *response) {
  AccountService *service = self;
  Document *document = NULL;
  int64_t version;
  SKY_TRY(load(service, call, request->account_id, request->id, &document, &version));
  SKY_TRY(sky_etag_check(request->if_match, version));
  return sky_store_delete(service->store, sky_call_context(call), &account_users, document->id,
                          request->if_match[0] == '\0' ? 0 : version);
}
