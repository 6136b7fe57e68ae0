/*
 * Load: memory from the store at start, and the healing of what a crash left between two writes.
 *
 * Documents say which drones there are; each drone's log, from the document's snapshot on, says what has become of it.
 * An assignment document that is still ACTIVE is flown by a drone (fine), has ended according to a log (is written so),
 * or was never claimed (stays: the repeated AssignDrone goes on, or ReleaseDrone ends it). A delivery that two drones
 * fly was moved from one to the other: the greater revision has it.
 */
#include <stdlib.h>
#include <string.h>

#include <sky/core/log.h>
#include <sky/service/resource.h>

#include "map.h"
#include "scheduler.h"

enum { PAGE_ARENA_BYTES = 64 << 20 };

typedef SkyStatus (*OnDocument)(Scheduler *self, const SkyContext *context, const ProtobufCMessage *document,
                                int64_t version);

/* Every document of a query, page by page. */
static SkyStatus each(Scheduler *self, const SkyContext *context, const SkyCollection *collection, SkyQuery query,
                      OnDocument on_document) {
  char *token = NULL;
  SkyStatus status = SKY_OK;
  do {
    SkyArena arena;
    sky_arena_init(&arena, PAGE_ARENA_BYTES);
    query.page_size = SKY_PAGE_MAX;
    query.page_token = token;
    SkyPage page = {0};
    status = sky_store_find(self->store, context, collection, &query, &arena, &page);
    for (size_t i = 0; status == SKY_OK && i < page.count; i++)
      status = on_document(self, context, page.documents[i], page.versions[i]);
    free(token);
    token = status == SKY_OK && page.next_page_token[0] != '\0' ? strdup(page.next_page_token) : NULL;
    sky_arena_finish(&arena);
  } while (token != NULL);
  return status;
}

static SkyStatus add_base(Scheduler *self, const SkyContext *context, const ProtobufCMessage *message,
                          int64_t version) {
  const BaseDocument *document = (const BaseDocument *)message;
  FleetBase *base = NULL;
  SKY_TRY(fleet_add_base(&self->fleet, document->id, &base));
  return bases_from_document(document, version, base);
}

static SkyStatus add_zone(Scheduler *self, const SkyContext *context, const ProtobufCMessage *message,
                          int64_t version) {
  const ZoneDocument *document = (const ZoneDocument *)message;
  Zone *zone = NULL;
  SKY_TRY(fleet_add_zone(&self->fleet, document->id, &zone));
  return zones_from_document(document, version, zone);
}

/* Where and how full it was last; who was never seen is at its base, full. */
static void set_last_seen(FleetDrone *drone, const drone_Drone *message, int64_t now_ms) {
  drone->place = map_place(message->location);
  drone->place_ms = sky_timestamp_ms(message->location_time);
  drone->battery_fraction = message->location == NULL ? 1 : message->battery_fraction;
  if (!drone->place.known)
    drone->place = drone->base->place;
  if (drone->life.place.known && drone->life.change_ms > drone->place_ms) {
    drone->place = drone->life.place;
    drone->place_ms = drone->life.change_ms;
    if (drone->life.battery_fraction > 0) /* a phase was reported since */
      drone->battery_fraction = drone->life.battery_fraction;
  }
  drone->heard_ms = now_ms; /* it gets the time to be heard of again */
}

static SkyStatus add_drone(Scheduler *self, const SkyContext *context, const ProtobufCMessage *message,
                           int64_t version) {
  const DroneDocument *document = (const DroneDocument *)message;
  FleetDrone *drone = NULL;
  SKY_TRY(fleet_add_drone(&self->fleet, document->id, &drone));
  const SkyStatus status = drones_from_document(self, document, version, drone);
  if (status != SKY_OK) { /* its base was deleted in the moment it was created: it never was in the fleet */
    fleet_remove_drone(&self->fleet, drone);
    sky_log_status(SKY_WARN, context, "fleet.load", status, "drone left out");
    return SKY_OK;
  }
  drone->log_version = drone->snapshot_version;
  drone->place = drone->base->place;
  SKY_TRY(claim_catch_up(self, context, drone));
  set_last_seen(drone, document->drone, scheduler_now_ms(self));
  if (drone->life.homing) /* its next frame says whether it still flies; until then it counts as home */
    drone->life.homing = false;
  fleet_refresh(&self->fleet, drone);
  return SKY_OK;
}

/* ---- healing ---- */

static SkyStatus release_outdated(Scheduler *self, const SkyContext *context, FleetDrone *drone) {
  LifeEvent event = {.kind = LIFE_RELEASE, .place = drone->place};
  LifeFacts facts;
  memcpy(event.delivery_id, drone->life.mission.delivery_id, sizeof(event.delivery_id));
  life_reason_set(&event.reason, REASON_REASSIGNED, "new terms need another drone");
  if (life_step(&drone->life, &event, scheduler_now_ms(self), &facts) != LIFE_CHANGED)
    return SKY_OK;
  return claim_append(self, context, drone, &facts);
}

/* One drone per delivery: the others are released. */
static SkyStatus settle_doubles(Scheduler *self, const SkyContext *context) {
  for (size_t i = 0; i < self->fleet.drone_count; i++) {
    FleetDrone *drone = self->fleet.drones[i];
    if (!drone->life.busy)
      continue;
    const SkyStr id = sky_str(drone->life.mission.delivery_id);
    FleetDrone *other = sky_map_get(self->drone_by_delivery, id);
    if (other != NULL && other != drone && other->life.mission.revision >= drone->life.mission.revision) {
      SKY_TRY(release_outdated(self, context, drone));
      continue;
    }
    SKY_TRY(sky_map_set(self->drone_by_delivery, id, drone, NULL));
    if (other != NULL && other != drone)
      SKY_TRY(release_outdated(self, context, other));
  }
  return SKY_OK;
}

static SkyMap *active_ids; /* only while loading, on one thread */

static SkyStatus note_active(Scheduler *self, const SkyContext *context, const ProtobufCMessage *message,
                             int64_t version) {
  const AssignmentDocument *document = (const AssignmentDocument *)message;
  return sky_map_set(active_ids, sky_str(document->delivery_id), self, NULL);
}

/* Keeps of the endings that the logs tell only those that are not written yet. */
static void keep_unwritten(Scheduler *self) {
  Finished **at = &self->finished;
  while (*at != NULL) {
    Finished *finished = *at;
    if (sky_map_get(active_ids, sky_str(finished->delivery_id)) != NULL) {
      at = &finished->next;
      continue;
    }
    *at = finished->next;
    if (sky_map_get(self->finished_by_delivery, sky_str(finished->delivery_id)) == finished)
      sky_map_remove(self->finished_by_delivery, sky_str(finished->delivery_id));
    free(finished);
  }
  self->finished_tail = at;
}

static SkyStatus settle_endings(Scheduler *self, const SkyContext *context) {
  active_ids = sky_map_create(FLEET_MAX_DRONES * 2);
  if (active_ids == NULL)
    return sky_status_no_memory();
  const SkyQuery query = {.index = ASSIGNMENTS_BY_STATE, .equal = {SKY_V_INT(drone_ASSIGNMENT_STATE_ACTIVE)}};
  const SkyStatus status = each(self, context, &assignment_documents, query, note_active);
  if (status == SKY_OK)
    keep_unwritten(self);
  sky_map_destroy(active_ids);
  active_ids = NULL;
  return status;
}

static SkyStatus read_all(Scheduler *self, const SkyContext *context) {
  SKY_TRY(each(self, context, &base_documents, (SkyQuery){0}, add_base));
  SKY_TRY(each(self, context, &zone_documents, (SkyQuery){0}, add_zone));
  SKY_TRY(each(self, context, &drone_documents, (SkyQuery){0}, add_drone));
  SKY_TRY(settle_doubles(self, context));
  return settle_endings(self, context);
}

static void forget_all(Scheduler *self) {
  while (self->finished != NULL) {
    Finished *first = self->finished;
    self->finished = first->next;
    sky_map_remove(self->finished_by_delivery, sky_str(first->delivery_id));
    free(first);
  }
  self->finished_tail = &self->finished;
  for (size_t i = 0; i < self->fleet.drone_count; i++)
    sky_map_remove(self->drone_by_delivery, sky_str(self->fleet.drones[i]->life.mission.delivery_id));
  fleet_finish(&self->fleet);
}

SkyStatus load_fleet(void *user, const SkyContext *context) {
  Scheduler *self = user;
  if (self->loaded)
    return SKY_OK;
  SkyStatus status = read_all(self, context);
  if (status != SKY_OK) { /* half a fleet is none: from the beginning, next time */
    forget_all(self);
    SkyStatus again = fleet_init(&self->fleet);
    sky_status_free(again);
    return status;
  }
  sky_log(SKY_INFO, context, "fleet.loaded",
          SKY_FIELDS(SKY_F_INT("skyhook.drones", (int64_t)self->fleet.drone_count),
                     SKY_F_INT("skyhook.missions", (int64_t)sky_map_size(self->drone_by_delivery))),
          "fleet of %zu drones loaded, %zu missions are flown", self->fleet.drone_count,
          sky_map_size(self->drone_by_delivery));
  self->loaded = true;
  return SKY_OK;
}
