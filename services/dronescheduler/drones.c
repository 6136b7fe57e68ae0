/*
 * The drones as operators set them up: create, read, change, delete, maintenance. A drone is held while it is changed,
 * so its document has one writer.
 */
#include <stdlib.h>
#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/codec/message.h>
#include <sky/service/resource.h>

#include "map.h"
#include "scheduler.h"

enum { DEFAULT_PAGE = 100, SNAPSHOT_EVERY = 64, SNAPSHOT_BATCH = 64 };

static SkyStatus unknown(const char *id) {
  return sky_status_with_reason(SKY_NOT_FOUND("there is no drone %s", id), "DRONE_UNKNOWN");
}

static SkyStatus exists(const char *id) {
  return sky_status_with_reason(SKY_ALREADY_EXISTS("there is a drone %s already", id), "DRONE_EXISTS");
}

/* ---- documents ---- */

SkyStatus drones_from_document(Scheduler *self, const DroneDocument *document, int64_t version, FleetDrone *drone) {
  const drone_Drone *message = document->drone;
  FleetBase *base = fleet_base(&self->fleet, message->base_id);
  if (base == NULL)
    return SKY_DATA_LOSS("drone %s belongs to base %s, which does not exist", document->id, message->base_id);
  SKY_TRY(resource_set_text(&drone->display_name, message->display_name));
  fleet_set_base(drone, base);
  drone->range_m = message->range_m;
  drone->capacity_kg = message->capacity_kg;
  drone->cruise_speed_mps = message->cruise_speed_mps;
  drone->max_size = (FleetSize)message->max_size;
  drone->maintenance = document->maintenance;
  map_reason_from(&drone->maintenance_reason, document->maintenance_reason, "");
  drone->create_ms = sky_timestamp_ms(message->create_time);
  drone->update_ms = sky_timestamp_ms(message->update_time);
  drone->edit = document->edit;
  drone->document_version = version;
  drone->snapshot_version = document->snapshot_version;
  return SKY_OK;
}

/* The document of a drone as memory has it. key and requested stay as they are in the store. */
static SkyStatus load_document(Scheduler *self, const SkyContext *context, SkyArena *arena, const char *id,
                               DroneDocument **ret, int64_t *ret_version) {
  ProtobufCMessage *message = NULL;
  SkyStatus status = sky_store_get(self->store, context, &drone_documents, id, arena, &message, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return unknown(id);
  SKY_TRY(status);
  *ret = (DroneDocument *)message;
  return SKY_OK;
}

/* What the fold starts from next time. Only of a drone that has neither a delivery nor a fault. With the mutex. */
static void set_snapshot(SkyArena *arena, const FleetDrone *drone, DroneDocument *document) {
  document->drone->location = map_location(arena, &drone->place);
  document->drone->location_time = drone->place_ms == 0 ? NULL : sky_timestamp_create(arena, drone->place_ms);
  document->drone->battery_fraction = drone->battery_fraction;
  document->snapshot_version = drone->log_version;
}

/* Writes a held drone's document and takes it over into memory. */
static SkyStatus save(Scheduler *self, SkyCall *call, FleetDrone *drone, DroneDocument *document, int64_t version) {
  document->edit++;
  document->drone->update_time = sky_timestamp_create(sky_call_arena(call), scheduler_now_ms(self));
  SKY_TRY(sky_store_replace(self->store, sky_call_context(call), &drone_documents, &document->base, version, &version));
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = drones_from_document(self, document, version, drone);
  claim_apply_locked(self, drone, NULL, 0);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

static drone_Drone *show(Scheduler *self, SkyCall *call, const FleetDrone *drone) {
  pthread_mutex_lock(&self->mutex);
  drone_Drone *message = map_drone(sky_call_arena(call), drone, &self->rules, scheduler_now_ms(self));
  pthread_mutex_unlock(&self->mutex);
  return message;
}

/* ---- create ---- */

static SkyStatus check_able(const drone_Drone *drone, bool creating) {
  SkyStatus status = SKY_OK;
  if (creating && drone->base_id[0] == '\0')
    sky_violations_add(&status, "drone.base_id", "is required");
  if (drone->range_m <= 0)
    sky_violations_add(&status, "drone.range_m", "must be greater than 0");
  if (drone->capacity_kg <= 0)
    sky_violations_add(&status, "drone.capacity_kg", "must be greater than 0");
  if (drone->cruise_speed_mps <= 0)
    sky_violations_add(&status, "drone.cruise_speed_mps", "must be greater than 0");
  return status;
}

static SkyStatus check_base(Scheduler *self, const char *base_id) {
  pthread_mutex_lock(&self->mutex);
  const bool found = fleet_base(&self->fleet, base_id) != NULL;
  pthread_mutex_unlock(&self->mutex);
  return found ? SKY_OK : sky_status_with_reason(SKY_NOT_FOUND("there is no base %s", base_id), "BASE_UNKNOWN");
}

/* Puts a created drone into the fleet: at its base, charged, as far as nobody has said anything else. */
static SkyStatus add_locked(Scheduler *self, const DroneDocument *document, FleetDrone **ret) {
  FleetDrone *drone = NULL;
  SKY_TRY(fleet_add_drone(&self->fleet, document->id, &drone));
  const SkyStatus status = drones_from_document(self, document, 1, drone);
  if (status != SKY_OK) {
    fleet_remove_drone(&self->fleet, drone);
    return status;
  }
  drone->place = drone->base->place;
  drone->battery_fraction = 1;
  drone->heard_ms = drone->place_ms = drone->create_ms;
  drone->held = drone->unsure = true; /* until its log, of an earlier life under the same id, has been looked at */
  *ret = drone;
  return SKY_OK;
}

static SkyStatus insert(Scheduler *self, SkyCall *call, const DroneDocument *document, FleetDrone **ret) {
  SKY_TRY(sky_store_insert(self->store, sky_call_context(call), &drone_documents, &document->base));
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = add_locked(self, document, ret);
  pthread_mutex_unlock(&self->mutex);
  SKY_TRY(status);
  const SkyStatus caught_up = claim_catch_up(self, sky_call_context(call), *ret);
  claim_let_go(self, *ret); /* unsure still, when that failed: caught up later */
  sky_status_free(caught_up);
  return SKY_OK;
}

/* The same key and content as before? */
static SkyStatus repeated(Scheduler *self, SkyCall *call, const drone_CreateDroneRequest *request, const char *id,
                          drone_CreateDroneResponse *response) {
  DroneDocument *document = NULL;
  int64_t version;
  SKY_TRY(load_document(self, sky_call_context(call), sky_call_arena(call), id, &document, &version));
  if (!resource_is_repeat(request->idempotency_key, &request->drone->base, document->idempotency_key,
                          (const ProtobufCMessage *)document->requested))
    return exists(id);
  pthread_mutex_lock(&self->mutex);
  const FleetDrone *drone = fleet_drone(&self->fleet, id);
  response->drone = drone == NULL ? NULL : map_drone(sky_call_arena(call), drone, &self->rules, scheduler_now_ms(self));
  pthread_mutex_unlock(&self->mutex);
  return response->drone == NULL ? exists(id) : SKY_OK;
}

static SkyStatus new_document(Scheduler *self, SkyCall *call, const drone_CreateDroneRequest *request,
                              DroneDocument **ret) {
  SkyArena *arena = sky_call_arena(call);
  DroneDocument *document = drone_store_DroneDocument_create(arena);
  drone_Drone *drone = drone_Drone_create(arena);
  protobuf_Timestamp *now = sky_timestamp_create(arena, scheduler_now_ms(self));
  if (document == NULL || drone == NULL || now == NULL)
    return sky_status_no_memory();
  document->id = drone->id = resource_id(self, call, request->drone->id, request->idempotency_key);
  drone->display_name = request->drone->display_name;
  drone->base_id = request->drone->base_id;
  drone->range_m = request->drone->range_m;
  drone->capacity_kg = request->drone->capacity_kg;
  drone->max_size = request->drone->max_size;
  drone->cruise_speed_mps = request->drone->cruise_speed_mps;
  drone->create_time = drone->update_time = now;
  document->drone = drone;
  document->edit = 1;
  document->idempotency_key = request->idempotency_key;
  document->requested = request->idempotency_key[0] == '\0' ? NULL : request->drone;
  *ret = document;
  return document->id == NULL ? sky_status_no_memory() : SKY_OK;
}

SkyStatus handle_create_drone(void *user, SkyCall *call, const drone_CreateDroneRequest *request,
                              drone_CreateDroneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  SKY_TRY(check_able(request->drone, true));
  SKY_TRY(check_base(self, request->drone->base_id));
  DroneDocument *document = NULL;
  SKY_TRY(new_document(self, call, request, &document));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), document->id, &stripe));
  FleetDrone *drone = NULL;
  SkyStatus status = insert(self, call, document, &drone);
  if (sky_status_take(&status, SKY_CODE_ALREADY_EXISTS))
    status = repeated(self, call, request, document->id, response);
  else if (status == SKY_OK)
    response->drone = show(self, call, drone);
  pthread_mutex_unlock(stripe);
  return status;
}

/* ---- read ---- */

SkyStatus handle_get_drone(void *user, SkyCall *call, const drone_GetDroneRequest *request,
                           drone_GetDroneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_lock(&self->mutex);
  const FleetDrone *drone = fleet_drone(&self->fleet, request->id);
  response->drone = drone == NULL ? NULL : map_drone(sky_call_arena(call), drone, &self->rules, scheduler_now_ms(self));
  pthread_mutex_unlock(&self->mutex);
  return drone == NULL ? unknown(request->id) : SKY_OK;
}

static bool matches(const Scheduler *self, const drone_ListDronesRequest *request, const FleetDrone *drone,
                    int64_t now_ms) {
  if (request->base_id[0] != '\0' && strcmp(request->base_id, drone->base->id) != 0)
    return false;
  return request->state == drone_DRONE_STATE_UNSPECIFIED ||
         (int)request->state == (int)fleet_state(drone, &self->rules, now_ms);
}

/* The page token is the last id of the page before. */
static SkyStatus list_locked(Scheduler *self, SkyCall *call, const drone_ListDronesRequest *request,
                             drone_ListDronesResponse *response) {
  SkyArena *arena = sky_call_arena(call);
  const size_t page_size = request->page_size == 0 ? DEFAULT_PAGE : (size_t)request->page_size;
  const int64_t now_ms = scheduler_now_ms(self);
  drone_Drone **drones = sky_arena_alloc(arena, page_size * sizeof(*drones));
  if (drones == NULL)
    return sky_status_no_memory();
  response->drones = drones;
  for (size_t i = fleet_drones_after(&self->fleet, request->page_token); i < self->fleet.drone_count; i++) {
    const FleetDrone *drone = self->fleet.drones[i];
    if (!matches(self, request, drone, now_ms))
      continue;
    if (response->n_drones == page_size) {
      response->next_page_token = map_text(arena, drones[page_size - 1]->id);
      return SKY_OK;
    }
    drones[response->n_drones] = map_drone(arena, drone, &self->rules, now_ms);
    if (drones[response->n_drones] == NULL)
      return sky_status_no_memory();
    response->n_drones++;
  }
  return SKY_OK;
}

SkyStatus handle_list_drones(void *user, SkyCall *call, const drone_ListDronesRequest *request,
                             drone_ListDronesResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = list_locked(self, call, request, response);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

/* ---- change ---- */

static SkyStatus hold(Scheduler *self, SkyCall *call, const char *id, FleetDrone **ret) {
  SkyStatus status = claim_hold(self, sky_call_context(call), id, ret);
  return sky_status_take(&status, SKY_CODE_NOT_FOUND) ? unknown(id) : status;
}

static SkyStatus update_held(Scheduler *self, SkyCall *call, const drone_UpdateDroneRequest *request,
                             FleetDrone *drone) {
  static const char *const changeable[] = {"display_name", "base_id",          "range_m", "capacity_kg",
                                           "max_size",     "cruise_speed_mps", NULL};
  DroneDocument *document = NULL;
  int64_t version;
  SKY_TRY(sky_etag_check(request->if_match, (int64_t)drone->edit));
  SKY_TRY(load_document(self, sky_call_context(call), sky_call_arena(call), drone->id, &document, &version));
  const size_t count = request->update_mask == NULL ? 0 : request->update_mask->n_paths;
  const char *const *paths = count == 0 ? NULL : request->update_mask->paths;
  SKY_TRY(sky_field_mask_apply(paths, count, changeable, &request->drone->base, &document->drone->base,
                               sky_call_arena(call)));
  SKY_TRY(check_able(document->drone, true));
  SKY_TRY(check_base(self, document->drone->base_id));
  return save(self, call, drone, document, version);
}

SkyStatus handle_update_drone(void *user, SkyCall *call, const drone_UpdateDroneRequest *request,
                              drone_UpdateDroneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  FleetDrone *drone = NULL;
  SKY_TRY(hold(self, call, request->drone->id, &drone));
  const SkyStatus status = update_held(self, call, request, drone);
  if (status == SKY_OK)
    response->drone = show(self, call, drone);
  claim_let_go(self, drone);
  return status;
}

static SkyStatus set_maintenance(Scheduler *self, SkyCall *call, const drone_SetMaintenanceRequest *request,
                                 FleetDrone *drone) {
  DroneDocument *document = NULL;
  int64_t version;
  SKY_TRY(load_document(self, sky_call_context(call), sky_call_arena(call), drone->id, &document, &version));
  LifeReason reason = {0};
  life_reason_set(&reason, request->maintenance ? "MAINTENANCE" : "", request->maintenance ? request->reason : "");
  document->maintenance = request->maintenance;
  document->maintenance_reason = map_reason(sky_call_arena(call), &reason);
  pthread_mutex_lock(&self->mutex);
  const bool clears = !request->maintenance && drone->life.failed;
  if (clears)
    set_snapshot(sky_call_arena(call), drone, document); /* the fold starts behind the fault */
  pthread_mutex_unlock(&self->mutex);
  SKY_TRY(save(self, call, drone, document, version));
  if (clears) {
    pthread_mutex_lock(&self->mutex);
    drone->life.failed = false;
    claim_apply_locked(self, drone, NULL, 0);
    pthread_mutex_unlock(&self->mutex);
  }
  return SKY_OK;
}

SkyStatus handle_set_maintenance(void *user, SkyCall *call, const drone_SetMaintenanceRequest *request,
                                 drone_SetMaintenanceResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  FleetDrone *drone = NULL;
  SKY_TRY(hold(self, call, request->id, &drone));
  const SkyStatus status = set_maintenance(self, call, request, drone);
  if (status == SKY_OK)
    response->drone = show(self, call, drone);
  claim_let_go(self, drone);
  return status;
}

static SkyStatus delete_held(Scheduler *self, SkyCall *call, const drone_DeleteDroneRequest *request,
                             FleetDrone *drone) {
  SKY_TRY(sky_etag_check(request->if_match, (int64_t)drone->edit));
  if (drone->life.busy)
    return sky_status_with_reason(
        SKY_FAILED_PRECONDITION("drone %s flies delivery %s", drone->id, drone->life.mission.delivery_id),
        "DRONE_BUSY");
  SkyStatus status = sky_store_delete(self->store, sky_call_context(call), &drone_documents, drone->id, 0);
  sky_status_take(&status, SKY_CODE_NOT_FOUND);
  return status;
}

SkyStatus handle_delete_drone(void *user, SkyCall *call, const drone_DeleteDroneRequest *request,
                              drone_DeleteDroneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  FleetDrone *drone = NULL;
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), request->id, &stripe));
  SkyStatus status = hold(self, call, request->id, &drone);
  if (status == SKY_OK) {
    status = delete_held(self, call, request, drone);
    if (status == SKY_OK) {
      pthread_mutex_lock(&self->mutex);
      claim_apply_locked(self, drone, NULL, 0); /* tells watchers, who will find it gone */
      writer_forget_locked(self, drone);
      fleet_remove_drone(&self->fleet, drone);
      pthread_cond_broadcast(&self->let_go);
      pthread_mutex_unlock(&self->mutex);
    } else {
      claim_let_go(self, drone);
    }
  }
  pthread_mutex_unlock(stripe);
  return status;
}

/* ---- snapshots ---- */

static bool next_long(Scheduler *self, size_t *cursor, char ret_id[LIFE_ID_SIZE]) {
  bool found = false;
  pthread_mutex_lock(&self->mutex);
  for (; *cursor < self->fleet.drone_count && !found; ++*cursor) {
    const FleetDrone *drone = self->fleet.drones[*cursor];
    found = !drone->held && !drone->unsure && !drone->life.busy && !drone->life.failed &&
            drone->log_version - drone->snapshot_version >= SNAPSHOT_EVERY;
    if (found)
      memcpy(ret_id, drone->id, LIFE_ID_SIZE);
  }
  pthread_mutex_unlock(&self->mutex);
  return found;
}

static SkyStatus snapshot(Scheduler *self, const SkyContext *context, FleetDrone *drone) {
  SkyArena arena;
  sky_arena_init(&arena, 1 << 20);
  DroneDocument *document = NULL;
  int64_t version = 0;
  SkyStatus status = load_document(self, context, &arena, drone->id, &document, &version);
  if (status == SKY_OK && !drone->life.busy && !drone->life.failed) {
    pthread_mutex_lock(&self->mutex);
    set_snapshot(&arena, drone, document);
    pthread_mutex_unlock(&self->mutex);
    status = sky_store_replace(self->store, context, &drone_documents, &document->base, version, &version);
    if (status == SKY_OK) {
      drone->snapshot_version = document->snapshot_version;
      drone->document_version = version;
    }
  }
  sky_arena_finish(&arena);
  return status;
}

SkyStatus drones_snapshot(void *user, const SkyContext *context) {
  Scheduler *self = user;
  char id[LIFE_ID_SIZE];
  size_t cursor = 0;
  for (int done = 0; done < SNAPSHOT_BATCH && next_long(self, &cursor, id); done++) {
    FleetDrone *drone = NULL;
    SkyStatus status = claim_hold(self, context, id, &drone);
    if (status == SKY_OK) {
      status = snapshot(self, context, drone);
      claim_let_go(self, drone);
    }
    if (!sky_status_take(&status, SKY_CODE_NOT_FOUND) && status != SKY_OK)
      return status;
  }
  return SKY_OK;
}
