/*
 * The bases. There are few and they change seldom: one at a time, under the stripe of their id.
 */
#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/codec/message.h>
#include <sky/service/resource.h>

#include "map.h"
#include "scheduler.h"

enum { DEFAULT_PAGE = 100 };

static SkyStatus unknown(const char *id) {
  return sky_status_with_reason(SKY_NOT_FOUND("there is no base %s", id), "BASE_UNKNOWN");
}

SkyStatus bases_from_document(const BaseDocument *document, int64_t version, FleetBase *base) {
  const drone_Base *message = document->drone_base;
  SKY_TRY(resource_set_text(&base->display_name, message->display_name));
  base->place = map_place(message->location);
  base->capacity = message->capacity;
  base->charge_rate_per_s = message->charge_rate_per_s;
  base->create_ms = sky_timestamp_ms(message->create_time);
  base->update_ms = sky_timestamp_ms(message->update_time);
  base->edit = document->edit;
  base->document_version = version;
  return SKY_OK;
}

static SkyStatus load(Scheduler *self, SkyCall *call, const char *id, BaseDocument **ret, int64_t *ret_version) {
  ProtobufCMessage *message = NULL;
  SkyStatus status = sky_store_get(self->store, sky_call_context(call), &base_documents, id, sky_call_arena(call),
                                   &message, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return unknown(id);
  SKY_TRY(status);
  *ret = (BaseDocument *)message;
  return SKY_OK;
}

static SkyStatus put_locked(Scheduler *self, SkyCall *call, const BaseDocument *document, int64_t version,
                            drone_Base **ret) {
  FleetBase *base = fleet_base(&self->fleet, document->id);
  if (base == NULL)
    SKY_TRY(fleet_add_base(&self->fleet, document->id, &base));
  SKY_TRY(bases_from_document(document, version, base));
  *ret = map_base(sky_call_arena(call), base);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus put(Scheduler *self, SkyCall *call, const BaseDocument *document, int64_t version, drone_Base **ret) {
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = put_locked(self, call, document, version, ret);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

static SkyStatus repeated(Scheduler *self, SkyCall *call, const drone_CreateBaseRequest *request, const char *id,
                          drone_CreateBaseResponse *response) {
  BaseDocument *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, id, &document, &version));
  if (!resource_is_repeat(request->idempotency_key, &request->drone_base->base, document->idempotency_key,
                          (const ProtobufCMessage *)document->requested))
    return sky_status_with_reason(SKY_ALREADY_EXISTS("there is a base %s already", id), "BASE_EXISTS");
  return put(self, call, document, version, &response->drone_base);
}

static SkyStatus create(Scheduler *self, SkyCall *call, const drone_CreateBaseRequest *request, BaseDocument *document,
                        drone_CreateBaseResponse *response) {
  SkyStatus status = sky_store_insert(self->store, sky_call_context(call), &base_documents, &document->base);
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
    return repeated(self, call, request, document->id, response);
  SKY_TRY(status);
  return put(self, call, document, 1, &response->drone_base);
}

static SkyStatus new_document(Scheduler *self, SkyCall *call, const drone_CreateBaseRequest *request,
                              BaseDocument **ret) {
  BaseDocument *document = drone_store_BaseDocument_create(sky_call_arena(call));
  drone_Base *base = drone_Base_create(sky_call_arena(call));
  if (document == NULL || base == NULL)
    return sky_status_no_memory();
  document->id = base->id = resource_id(self, call, request->drone_base->id, request->idempotency_key);
  base->display_name = request->drone_base->display_name;
  base->location = request->drone_base->location;
  base->capacity = request->drone_base->capacity;
  base->charge_rate_per_s = request->drone_base->charge_rate_per_s;
  base->create_time = base->update_time = sky_timestamp_create(sky_call_arena(call), scheduler_now_ms(self));
  document->drone_base = base;
  document->edit = 1;
  document->idempotency_key = request->idempotency_key;
  document->requested = request->idempotency_key[0] == '\0' ? NULL : request->drone_base;
  *ret = document;
  return document->id == NULL || base->create_time == NULL ? sky_status_no_memory() : SKY_OK;
}

SkyStatus handle_create_base(void *user, SkyCall *call, const drone_CreateBaseRequest *request,
                             drone_CreateBaseResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  SkyStatus status = SKY_OK;
  if (request->drone_base->location == NULL)
    sky_violations_add(&status, "drone_base.location", "is required");
  SKY_TRY(status);
  BaseDocument *document = NULL;
  SKY_TRY(new_document(self, call, request, &document));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), document->id, &stripe));
  status = create(self, call, request, document, response);
  pthread_mutex_unlock(stripe);
  return status;
}

SkyStatus handle_get_base(void *user, SkyCall *call, const drone_GetBaseRequest *request,
                          drone_GetBaseResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_lock(&self->mutex);
  const FleetBase *base = fleet_base(&self->fleet, request->id);
  response->drone_base = base == NULL ? NULL : map_base(sky_call_arena(call), base);
  pthread_mutex_unlock(&self->mutex);
  return base == NULL ? unknown(request->id) : SKY_OK;
}

static SkyStatus list_locked(Scheduler *self, SkyCall *call, const drone_ListBasesRequest *request,
                             drone_ListBasesResponse *response) {
  const size_t page_size = request->page_size == 0 ? DEFAULT_PAGE : (size_t)request->page_size;
  drone_Base **bases = sky_arena_alloc(sky_call_arena(call), page_size * sizeof(*bases));
  if (bases == NULL)
    return sky_status_no_memory();
  response->bases = bases;
  for (size_t i = 0; i < self->fleet.base_count; i++) {
    const FleetBase *base = self->fleet.bases[i];
    if (strcmp(base->id, request->page_token) <= 0)
      continue;
    if (response->n_bases == page_size) {
      response->next_page_token = sky_call_strdup(call, bases[page_size - 1]->id);
      return SKY_OK;
    }
    bases[response->n_bases] = map_base(sky_call_arena(call), base);
    if (bases[response->n_bases] == NULL)
      return sky_status_no_memory();
    response->n_bases++;
  }
  return SKY_OK;
}

SkyStatus handle_list_bases(void *user, SkyCall *call, const drone_ListBasesRequest *request,
                            drone_ListBasesResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = list_locked(self, call, request, response);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

static SkyStatus update(Scheduler *self, SkyCall *call, const drone_UpdateBaseRequest *request,
                        drone_UpdateBaseResponse *response) {
  static const char *const changeable[] = {"display_name", "location", "capacity", "charge_rate_per_s", NULL};
  BaseDocument *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, request->drone_base->id, &document, &version));
  SKY_TRY(sky_etag_check(request->if_match, (int64_t)document->edit));
  const size_t count = request->update_mask == NULL ? 0 : request->update_mask->n_paths;
  const char *const *paths = count == 0 ? NULL : request->update_mask->paths;
  SKY_TRY(sky_field_mask_apply(paths, count, changeable, &request->drone_base->base, &document->drone_base->base,
                               sky_call_arena(call)));
  SkyStatus status = SKY_OK;
  if (document->drone_base->location == NULL)
    sky_violations_add(&status, "drone_base.location", "is required");
  SKY_TRY(status);
  document->edit++;
  document->drone_base->update_time = sky_timestamp_create(sky_call_arena(call), scheduler_now_ms(self));
  SKY_TRY(sky_store_replace(self->store, sky_call_context(call), &base_documents, &document->base, version, &version));
  return put(self, call, document, version, &response->drone_base);
}

SkyStatus handle_update_base(void *user, SkyCall *call, const drone_UpdateBaseRequest *request,
                             drone_UpdateBaseResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), request->drone_base->id, &stripe));
  const SkyStatus status = update(self, call, request, response);
  pthread_mutex_unlock(stripe);
  return status;
}

/* Out of memory first, so that no drone can be given to it meanwhile; back again when the store refuses. */
static SkyStatus delete (Scheduler *self, SkyCall *call, const drone_DeleteBaseRequest *request) {
  BaseDocument *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, request->id, &document, &version));
  SKY_TRY(sky_etag_check(request->if_match, (int64_t)document->edit));
  pthread_mutex_lock(&self->mutex);
  FleetBase *base = fleet_base(&self->fleet, request->id);
  const bool used = base != NULL && base->drone_count > 0;
  if (base != NULL && !used)
    fleet_remove_base(&self->fleet, base);
  pthread_mutex_unlock(&self->mutex);
  if (used)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("drones belong to base %s", request->id), "BASE_IN_USE");
  const SkyStatus status = sky_store_delete(self->store, sky_call_context(call), &base_documents, request->id, version);
  if (status != SKY_OK) {
    drone_Base *unused = NULL;
    sky_status_free(put(self, call, document, version, &unused));
  }
  return status;
}

SkyStatus handle_delete_base(void *user, SkyCall *call, const drone_DeleteBaseRequest *request,
                             drone_DeleteBaseResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), request->id, &stripe));
  const SkyStatus status = delete (self, call, request);
  pthread_mutex_unlock(stripe);
  return status;
}
