/*
 * The no-fly zones. There are few and they change seldom: one at a time, under the stripe of their id.
 */
#include <math.h>
#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/codec/message.h>
#include <sky/service/resource.h>

#include "map.h"
#include "scheduler.h"

enum { DEFAULT_PAGE = 100 };

static SkyStatus unknown(const char *id) {
  return sky_status_with_reason(SKY_NOT_FOUND("there is no no-fly zone %s", id), "NO_FLY_ZONE_UNKNOWN");
}

SkyStatus zones_from_document(const ZoneDocument *document, int64_t version, Zone *zone) {
  const drone_NoFlyZone *message = document->no_fly_zone;
  SKY_TRY(resource_set_text(&zone->display_name, message->display_name));
  zone->corner_count = message->n_corners < ZONE_MAX_CORNERS ? message->n_corners : ZONE_MAX_CORNERS;
  for (size_t i = 0; i < zone->corner_count; i++)
    zone->corners[i] = map_place(message->corners[i]).point;
  zone_measure(zone);
  zone->ceiling_m = message->ceiling_m;
  zone->start_ms = sky_timestamp_ms(message->start_time);
  zone->end_ms = sky_timestamp_ms(message->end_time);
  zone->create_ms = sky_timestamp_ms(message->create_time);
  zone->update_ms = sky_timestamp_ms(message->update_time);
  zone->edit = document->edit;
  zone->document_version = version;
  return SKY_OK;
}

/* A polygon that can be drawn on a flat map: neither over the date line nor around a pole. */
static SkyStatus check_polygon(const drone_NoFlyZone *zone) {
  SkyStatus status = SKY_OK;
  double west = 180, east = -180;
  for (size_t i = 0; i < zone->n_corners; i++) {
    west = fmin(west, zone->corners[i]->longitude);
    east = fmax(east, zone->corners[i]->longitude);
  }
  if (zone->n_corners < 3)
    sky_violations_add(&status, "no_fly_zone.corners", "must have at least 3 entries");
  else if (east - west > 180)
    sky_violations_add(&status, "no_fly_zone.corners", "must not span more than 180 degrees of longitude");
  const int64_t start_ms = sky_timestamp_ms(zone->start_time), end_ms = sky_timestamp_ms(zone->end_time);
  if (start_ms != 0 && end_ms != 0 && end_ms <= start_ms)
    sky_violations_add(&status, "no_fly_zone.end_time", "must be after start_time");
  return status;
}

static SkyStatus load(Scheduler *self, SkyCall *call, const char *id, ZoneDocument **ret, int64_t *ret_version) {
  ProtobufCMessage *message = NULL;
  SkyStatus status = sky_store_get(self->store, sky_call_context(call), &zone_documents, id, sky_call_arena(call),
                                   &message, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return unknown(id);
  SKY_TRY(status);
  *ret = (ZoneDocument *)message;
  return SKY_OK;
}

static SkyStatus put_locked(Scheduler *self, SkyCall *call, const ZoneDocument *document, int64_t version,
                            drone_NoFlyZone **ret) {
  Zone *zone = fleet_zone(&self->fleet, document->id);
  if (zone == NULL)
    SKY_TRY(fleet_add_zone(&self->fleet, document->id, &zone));
  SKY_TRY(zones_from_document(document, version, zone));
  *ret = map_zone(sky_call_arena(call), zone);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus put(Scheduler *self, SkyCall *call, const ZoneDocument *document, int64_t version,
                     drone_NoFlyZone **ret) {
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = put_locked(self, call, document, version, ret);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

static SkyStatus repeated(Scheduler *self, SkyCall *call, const drone_CreateNoFlyZoneRequest *request, const char *id,
                          drone_CreateNoFlyZoneResponse *response) {
  ZoneDocument *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, id, &document, &version));
  if (!resource_is_repeat(request->idempotency_key, &request->no_fly_zone->base, document->idempotency_key,
                          (const ProtobufCMessage *)document->requested))
    return sky_status_with_reason(SKY_ALREADY_EXISTS("there is a no-fly zone %s already", id), "NO_FLY_ZONE_EXISTS");
  return put(self, call, document, version, &response->no_fly_zone);
}

static SkyStatus create(Scheduler *self, SkyCall *call, const drone_CreateNoFlyZoneRequest *request,
                        ZoneDocument *document, drone_CreateNoFlyZoneResponse *response) {
  SkyStatus status = sky_store_insert(self->store, sky_call_context(call), &zone_documents, &document->base);
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
    return repeated(self, call, request, document->id, response);
  SKY_TRY(status);
  return put(self, call, document, 1, &response->no_fly_zone);
}

static SkyStatus new_document(Scheduler *self, SkyCall *call, const drone_CreateNoFlyZoneRequest *request,
                              ZoneDocument **ret) {
  ZoneDocument *document = drone_store_ZoneDocument_create(sky_call_arena(call));
  drone_NoFlyZone *zone = drone_NoFlyZone_create(sky_call_arena(call));
  if (document == NULL || zone == NULL)
    return sky_status_no_memory();
  document->id = zone->id = resource_id(self, call, request->no_fly_zone->id, request->idempotency_key);
  zone->display_name = request->no_fly_zone->display_name;
  zone->corners = request->no_fly_zone->corners;
  zone->n_corners = request->no_fly_zone->n_corners;
  zone->ceiling_m = request->no_fly_zone->ceiling_m;
  zone->start_time = request->no_fly_zone->start_time;
  zone->end_time = request->no_fly_zone->end_time;
  zone->create_time = zone->update_time = sky_timestamp_create(sky_call_arena(call), scheduler_now_ms(self));
  document->no_fly_zone = zone;
  document->edit = 1;
  document->idempotency_key = request->idempotency_key;
  document->requested = request->idempotency_key[0] == '\0' ? NULL : request->no_fly_zone;
  *ret = document;
  return document->id == NULL || zone->create_time == NULL ? sky_status_no_memory() : SKY_OK;
}

SkyStatus handle_create_zone(void *user, SkyCall *call, const drone_CreateNoFlyZoneRequest *request,
                             drone_CreateNoFlyZoneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  SKY_TRY(check_polygon(request->no_fly_zone));
  ZoneDocument *document = NULL;
  SKY_TRY(new_document(self, call, request, &document));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), document->id, &stripe));
  const SkyStatus status = create(self, call, request, document, response);
  pthread_mutex_unlock(stripe);
  return status;
}

SkyStatus handle_get_zone(void *user, SkyCall *call, const drone_GetNoFlyZoneRequest *request,
                          drone_GetNoFlyZoneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_lock(&self->mutex);
  const Zone *zone = fleet_zone(&self->fleet, request->id);
  response->no_fly_zone = zone == NULL ? NULL : map_zone(sky_call_arena(call), zone);
  pthread_mutex_unlock(&self->mutex);
  return zone == NULL ? unknown(request->id) : SKY_OK;
}

static SkyStatus list_locked(Scheduler *self, SkyCall *call, const drone_ListNoFlyZonesRequest *request,
                             drone_ListNoFlyZonesResponse *response) {
  const size_t page_size = request->page_size == 0 ? DEFAULT_PAGE : (size_t)request->page_size;
  drone_NoFlyZone **zones = sky_arena_alloc(sky_call_arena(call), page_size * sizeof(*zones));
  if (zones == NULL)
    return sky_status_no_memory();
  response->no_fly_zones = zones;
  for (size_t i = 0; i < self->fleet.zone_count; i++) {
    const Zone *zone = self->fleet.zones[i];
    if (strcmp(zone->id, request->page_token) <= 0)
      continue;
    if (response->n_no_fly_zones == page_size) {
      response->next_page_token = sky_call_strdup(call, zones[page_size - 1]->id);
      return SKY_OK;
    }
    zones[response->n_no_fly_zones] = map_zone(sky_call_arena(call), zone);
    if (zones[response->n_no_fly_zones] == NULL)
      return sky_status_no_memory();
    response->n_no_fly_zones++;
  }
  return SKY_OK;
}

SkyStatus handle_list_zones(void *user, SkyCall *call, const drone_ListNoFlyZonesRequest *request,
                            drone_ListNoFlyZonesResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = list_locked(self, call, request, response);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

static SkyStatus update(Scheduler *self, SkyCall *call, const drone_UpdateNoFlyZoneRequest *request,
                        drone_UpdateNoFlyZoneResponse *response) {
  static const char *const changeable[] = {"display_name", "corners", "ceiling_m", "start_time", "end_time", NULL};
  ZoneDocument *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, request->no_fly_zone->id, &document, &version));
  SKY_TRY(sky_etag_check(request->if_match, (int64_t)document->edit));
  const size_t count = request->update_mask == NULL ? 0 : request->update_mask->n_paths;
  const char *const *paths = count == 0 ? NULL : request->update_mask->paths;
  SKY_TRY(sky_field_mask_apply(paths, count, changeable, &request->no_fly_zone->base, &document->no_fly_zone->base,
                               sky_call_arena(call)));
  SKY_TRY(check_polygon(document->no_fly_zone));
  document->edit++;
  document->no_fly_zone->update_time = sky_timestamp_create(sky_call_arena(call), scheduler_now_ms(self));
  SKY_TRY(sky_store_replace(self->store, sky_call_context(call), &zone_documents, &document->base, version, &version));
  return put(self, call, document, version, &response->no_fly_zone);
}

SkyStatus handle_update_zone(void *user, SkyCall *call, const drone_UpdateNoFlyZoneRequest *request,
                             drone_UpdateNoFlyZoneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), request->no_fly_zone->id, &stripe));
  const SkyStatus status = update(self, call, request, response);
  pthread_mutex_unlock(stripe);
  return status;
}

static SkyStatus delete (Scheduler *self, SkyCall *call, const drone_DeleteNoFlyZoneRequest *request) {
  ZoneDocument *document = NULL;
  int64_t version;
  SKY_TRY(load(self, call, request->id, &document, &version));
  SKY_TRY(sky_etag_check(request->if_match, (int64_t)document->edit));
  SKY_TRY(sky_store_delete(self->store, sky_call_context(call), &zone_documents, request->id, version));
  pthread_mutex_lock(&self->mutex);
  Zone *zone = fleet_zone(&self->fleet, request->id);
  if (zone != NULL)
    fleet_remove_zone(&self->fleet, zone);
  pthread_mutex_unlock(&self->mutex);
  return SKY_OK;
}

SkyStatus handle_delete_zone(void *user, SkyCall *call, const drone_DeleteNoFlyZoneRequest *request,
                             drone_DeleteNoFlyZoneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), request->id, &stripe));
  const SkyStatus status = delete (self, call, request);
  pthread_mutex_unlock(stripe);
  return status;
}
