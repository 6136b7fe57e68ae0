#include "events.h"

#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/events/v1/drone.event.h"
#include "map.h"

const SkyEventType *const scheduler_event_types[] = {&events_DroneAssigned_event, &events_DroneReleased_event,
                                                     &events_DroneMissionProgressed_event, &events_DroneFailed_event,
                                                     NULL};

static char *new_id(int64_t now_ms, const SkyRandom *random, SkyArena *arena) {
  char text[SKY_UUID_TEXT_SIZE];
  const SkyUuid uuid = sky_uuid_v7(now_ms, random);
  sky_uuid_format(&uuid, text);
  return map_text(arena, text);
}

/* What all the delivery's events begin with. */
#define SET_HEAD(event)                                                                                                \
  do {                                                                                                                 \
    (event)->event_id = new_id(fact->time_ms, random, arena);                                                          \
    (event)->delivery_id = map_text(arena, fact->mission.delivery_id);                                                 \
    (event)->occur_time = sky_timestamp_create(arena, fact->time_ms);                                                  \
    (event)->owner_id = map_text(arena, fact->mission.owner_id);                                                       \
    (event)->drone_id = map_text(arena, drone->id);                                                                    \
  } while (0)

static ProtobufCMessage *assigned(const FleetDrone *drone, const LifeFact *fact, const SkyRandom *random,
                                  SkyArena *arena) {
  events_DroneAssigned *event = events_DroneAssigned_create(arena);
  if (event == NULL)
    return NULL;
  SET_HEAD(event);
  event->version = fact->mission.version;
  event->drone_location = map_location(arena, &fact->mission.start);
  event->pickup_location = map_location(arena, &fact->mission.pickup);
  event->dropoff_location = map_location(arena, &fact->mission.dropoff);
  event->pickup_eta = map_eta(arena, fact->mission.pickup_eta_ms, MAP_PICKUP_CONFIDENCE);
  event->delivery_eta = map_eta(arena, fact->mission.delivery_eta_ms, MAP_DELIVERY_CONFIDENCE);
  event->distance_m = fact->mission.distance_m;
  event->revision = fact->mission.revision;
  event->previous_drone_id = map_text(arena, fact->other_drone_id);
  return &event->base;
}

static ProtobufCMessage *progressed(const FleetDrone *drone, const LifeFact *fact, const SkyRandom *random,
                                    SkyArena *arena) {
  events_DroneMissionProgressed *event = events_DroneMissionProgressed_create(arena);
  if (event == NULL)
    return NULL;
  SET_HEAD(event);
  event->version = fact->mission.version;
  event->phase = (common_MissionPhase)fact->mission.phase;
  event->previous_phase = (common_MissionPhase)fact->previous_phase;
  event->location = map_location(arena, &fact->place);
  event->battery_fraction = fact->battery_fraction;
  event->speed_mps = fact->speed_mps;
  event->reason = fact->mission.phase == LIFE_PHASE_FAILED ? map_reason(arena, &fact->reason) : NULL;
  event->revision = fact->mission.revision;
  return &event->base;
}

static ProtobufCMessage *released(const FleetDrone *drone, const LifeFact *fact, const SkyRandom *random,
                                  SkyArena *arena) {
  events_DroneReleased *event = events_DroneReleased_create(arena);
  if (event == NULL)
    return NULL;
  SET_HEAD(event);
  event->version = fact->mission.version;
  event->completed = fact->completed;
  event->reason = fact->completed ? NULL : map_reason(arena, &fact->reason);
  event->distance_m = fact->distance_m;
  event->busy_s = (double)(fact->time_ms - fact->mission.assign_ms) / SKY_MS_PER_S;
  return &event->base;
}

static ProtobufCMessage *failed(const FleetDrone *drone, const LifeFact *fact, int64_t log_version,
                                const SkyRandom *random, SkyArena *arena) {
  events_DroneFailed *event = events_DroneFailed_create(arena);
  if (event == NULL)
    return NULL;
  SET_HEAD(event);
  event->version = (uint64_t)log_version;
  event->location = map_location(arena, &fact->place);
  event->reason = map_reason(arena, &fact->reason);
  event->package_on_board = fact->package_on_board;
  return &event->base;
}

static SkyAppend from_fact(const FleetDrone *drone, const LifeFact *fact, int64_t log_version, const SkyRandom *random,
                           SkyArena *arena) {
  switch (fact->kind) {
  case LIFE_ASSIGNED:
    return (SkyAppend){&events_DroneAssigned_event, assigned(drone, fact, random, arena)};
  case LIFE_PROGRESSED:
    return (SkyAppend){&events_DroneMissionProgressed_event, progressed(drone, fact, random, arena)};
  case LIFE_RELEASED:
    return (SkyAppend){&events_DroneReleased_event, released(drone, fact, random, arena)};
  case LIFE_FAILED:
    break;
  }
  return (SkyAppend){&events_DroneFailed_event, failed(drone, fact, log_version, random, arena)};
}

SkyStatus events_from_facts(const FleetDrone *drone, const LifeFact *facts, size_t count, int64_t log_version,
                            const SkyRandom *random, SkyArena *arena, SkyAppend *ret, size_t *ret_count) {
  *ret_count = 0;
  for (size_t i = 0; i < count; i++) {
    if (facts[i].passing)
      continue;
    ret[*ret_count] = from_fact(drone, &facts[i], log_version, random, arena);
    if (ret[(*ret_count)++].event == NULL)
      return sky_status_no_memory();
  }
  return SKY_OK;
}

/* ---- back ---- */

static void copy_id(char *to, size_t size, const char *from) {
  strncpy(to, from == NULL ? "" : from, size - 1);
}

#define READ_HEAD(event)                                                                                               \
  do {                                                                                                                 \
    copy_id(fact->mission.delivery_id, sizeof(fact->mission.delivery_id), (event)->delivery_id);                       \
    copy_id(fact->mission.owner_id, sizeof(fact->mission.owner_id), (event)->owner_id);                                \
    fact->time_ms = sky_timestamp_ms((event)->occur_time);                                                             \
  } while (0)

static void from_assigned(const events_DroneAssigned *event, LifeFact *fact) {
  READ_HEAD(event);
  fact->kind = LIFE_ASSIGNED;
  LifeMission *mission = &fact->mission;
  mission->version = event->version;
  mission->revision = event->revision;
  mission->start = map_place(event->drone_location);
  mission->pickup = map_place(event->pickup_location);
  mission->dropoff = map_place(event->dropoff_location);
  mission->distance_m = event->distance_m;
  mission->assign_ms = fact->time_ms;
  mission->pickup_eta_ms = event->pickup_eta == NULL ? 0 : sky_timestamp_ms(event->pickup_eta->time);
  mission->delivery_eta_ms = event->delivery_eta == NULL ? 0 : sky_timestamp_ms(event->delivery_eta->time);
  fact->place = mission->start;
  copy_id(fact->other_drone_id, sizeof(fact->other_drone_id), event->previous_drone_id);
}

static void from_progressed(const events_DroneMissionProgressed *event, LifeFact *fact) {
  READ_HEAD(event);
  fact->kind = LIFE_PROGRESSED;
  fact->mission.version = event->version;
  fact->mission.revision = event->revision;
  fact->mission.phase = (LifePhase)event->phase;
  fact->previous_phase = (LifePhase)event->previous_phase;
  fact->place = map_place(event->location);
  fact->battery_fraction = event->battery_fraction;
  fact->speed_mps = event->speed_mps;
}

static void from_released(const events_DroneReleased *event, LifeFact *fact) {
  READ_HEAD(event);
  fact->kind = LIFE_RELEASED;
  fact->mission.version = event->version;
  fact->completed = event->completed;
  fact->distance_m = event->distance_m;
  fact->mission.assign_ms = fact->time_ms - (int64_t)(event->busy_s * SKY_MS_PER_S);
  map_reason_from(&fact->reason, event->reason, "");
}

static void from_failed(const events_DroneFailed *event, LifeFact *fact) {
  READ_HEAD(event);
  fact->kind = LIFE_FAILED;
  fact->place = map_place(event->location);
  fact->package_on_board = event->package_on_board;
  map_reason_from(&fact->reason, event->reason, "DRONE_FAULT");
}

bool events_to_fact(const SkyLogged *logged, LifeFact *ret) {
  *ret = (LifeFact){0};
  if (logged->type == &events_DroneAssigned_event)
    from_assigned((const events_DroneAssigned *)logged->event, ret);
  else if (logged->type == &events_DroneMissionProgressed_event)
    from_progressed((const events_DroneMissionProgressed *)logged->event, ret);
  else if (logged->type == &events_DroneReleased_event)
    from_released((const events_DroneReleased *)logged->event, ret);
  else if (logged->type == &events_DroneFailed_event)
    from_failed((const events_DroneFailed *)logged->event, ret);
  else
    return false;
  return true;
}

events_DronePositionChanged *events_position(const FleetDrone *drone, int64_t now_ms, const SkyRandom *random,
                                             SkyArena *arena) {
  events_DronePositionChanged *event = events_DronePositionChanged_create(arena);
  if (event == NULL)
    return NULL;
  event->event_id = new_id(now_ms, random, arena);
  event->drone_id = map_text(arena, drone->id);
  event->version = drone->sequence;
  event->occur_time = sky_timestamp_create(arena, drone->place_ms);
  event->location = map_location(arena, &drone->place);
  event->velocity = common_Motion_create(arena);
  if (event->velocity != NULL) {
    event->velocity->north_mps = drone->north_mps;
    event->velocity->east_mps = drone->east_mps;
    event->velocity->up_mps = drone->up_mps;
  }
  event->battery_fraction = drone->battery_fraction;
  if (drone->life.busy) {
    event->delivery_id = map_text(arena, drone->life.mission.delivery_id);
    event->owner_id = map_text(arena, drone->life.mission.owner_id);
    event->phase = (common_MissionPhase)drone->life.mission.phase;
    event->revision = drone->life.mission.revision;
    event->remaining_distance_m = intake_remaining_m(drone);
  }
  return event;
}
