#include "map.h"

#include <string.h>

#include <sky/service/resource.h>

#define SAME(ours, theirs) _Static_assert((int)(ours) == (int)(theirs), "numbered as in the contract")
SAME(LIFE_PHASE_TO_PICKUP, common_MISSION_PHASE_TO_PICKUP);
SAME(LIFE_PHASE_PICKED_UP, common_MISSION_PHASE_PICKED_UP);
SAME(LIFE_PHASE_DELIVERED, common_MISSION_PHASE_DELIVERED);
SAME(LIFE_PHASE_FAILED, common_MISSION_PHASE_FAILED);
SAME(FLEET_SIZE_LARGE, common_PACKAGE_SIZE_LARGE);
SAME(FLEET_IDLE, drone_DRONE_STATE_IDLE);
SAME(FLEET_FAILED, drone_DRONE_STATE_FAILED);
SAME(INTAKE_TAKEN, drone_FRAME_RESULT_TAKEN);
SAME(INTAKE_RETRY, drone_FRAME_RESULT_RETRY);
SAME(INTAKE_LANDED, drone_FLIGHT_MODE_LANDED);
SAME(INTAKE_CHARGING, drone_FLIGHT_MODE_CHARGING);

char *map_text(SkyArena *arena, const char *text) {
  static char empty[] = "";
  char *copy = sky_arena_strndup(arena, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
  return copy == NULL ? empty : copy;
}

LifePlace map_place(const common_Location *location) {
  if (location == NULL)
    return (LifePlace){0};
  return (LifePlace){.point = {location->latitude, location->longitude},
                     .altitude_m = common_Location_has_altitude(location) ? location->altitude : 0,
                     .has_altitude = common_Location_has_altitude(location),
                     .known = true};
}

common_Location *map_point(SkyArena *arena, SkyPoint point) {
  common_Location *location = common_Location_create(arena);
  if (location == NULL)
    return NULL;
  common_Location_set_latitude(location, point.latitude);
  common_Location_set_longitude(location, point.longitude);
  return location;
}

common_Location *map_location(SkyArena *arena, const LifePlace *place) {
  common_Location *location = place->known ? map_point(arena, place->point) : NULL;
  if (location != NULL && place->has_altitude)
    common_Location_set_altitude(location, place->altitude_m);
  return location;
}

common_Eta *map_eta(SkyArena *arena, int64_t time_ms, double confidence) {
  common_Eta *eta = common_Eta_create(arena);
  if (eta == NULL)
    return NULL;
  eta->time = sky_timestamp_create(arena, time_ms);
  eta->confidence = confidence;
  return eta;
}

common_Reason *map_reason(SkyArena *arena, const LifeReason *reason) {
  common_Reason *message = reason->code[0] == '\0' ? NULL : common_Reason_create(arena);
  if (message == NULL)
    return NULL;
  message->code = map_text(arena, reason->code);
  message->message = map_text(arena, reason->message);
  return message;
}

void map_reason_from(LifeReason *reason, const common_Reason *message, const char *default_code) {
  const bool given = message != NULL && message->code[0] != '\0';
  life_reason_set(reason, given ? message->code : default_code, message != NULL ? message->message : "");
}

/* ---- resources ---- */

static void set_mission(SkyArena *arena, const FleetDrone *drone, drone_Drone *message) {
  if (drone->life.busy) {
    message->delivery_id = map_text(arena, drone->life.mission.delivery_id);
    message->phase = (common_MissionPhase)drone->life.mission.phase;
  }
  if (drone->life.failed)
    message->reason = map_reason(arena, &drone->life.fault);
  else if (drone->maintenance)
    message->reason = map_reason(arena, &drone->maintenance_reason);
}

drone_Drone *map_drone(SkyArena *arena, const FleetDrone *drone, const FleetRules *rules, int64_t now_ms) {
  drone_Drone *message = drone_Drone_create(arena);
  if (message == NULL)
    return NULL;
  message->id = map_text(arena, drone->id);
  message->display_name = map_text(arena, drone->display_name);
  message->base_id = map_text(arena, drone->base->id);
  message->home_location = map_location(arena, &drone->base->place);
  message->location = map_location(arena, &drone->place);
  message->location_time = drone->place_ms == 0 ? NULL : sky_timestamp_create(arena, drone->place_ms);
  message->battery_fraction = drone->battery_fraction;
  message->range_m = drone->range_m;
  message->capacity_kg = drone->capacity_kg;
  message->max_size = (common_PackageSize)drone->max_size;
  message->cruise_speed_mps = drone->cruise_speed_mps;
  message->state = (drone_DroneState)fleet_state(drone, rules, now_ms);
  set_mission(arena, drone, message);
  message->heard_time = drone->sequence == 0 ? NULL : sky_timestamp_create(arena, drone->heard_ms);
  message->create_time = sky_timestamp_create(arena, drone->create_ms);
  message->update_time = sky_timestamp_create(arena, drone->update_ms);
  message->etag = sky_etag_create(arena, (int64_t)drone->edit);
  return message;
}

drone_Base *map_base(SkyArena *arena, const FleetBase *base) {
  drone_Base *message = drone_Base_create(arena);
  if (message == NULL)
    return NULL;
  message->id = map_text(arena, base->id);
  message->display_name = map_text(arena, base->display_name);
  message->location = map_location(arena, &base->place);
  message->capacity = base->capacity;
  message->charge_rate_per_s = base->charge_rate_per_s;
  message->create_time = sky_timestamp_create(arena, base->create_ms);
  message->update_time = sky_timestamp_create(arena, base->update_ms);
  message->etag = sky_etag_create(arena, (int64_t)base->edit);
  return message;
}

drone_NoFlyZone *map_zone(SkyArena *arena, const Zone *zone) {
  drone_NoFlyZone *message = drone_NoFlyZone_create(arena);
  common_Location **corners = sky_arena_alloc(arena, zone->corner_count * sizeof(*corners));
  if (message == NULL || corners == NULL)
    return NULL;
  for (size_t i = 0; i < zone->corner_count; i++) {
    corners[i] = map_point(arena, zone->corners[i]);
    if (corners[i] == NULL)
      return NULL;
  }
  message->id = map_text(arena, zone->id);
  message->display_name = map_text(arena, zone->display_name);
  message->corners = corners;
  message->n_corners = zone->corner_count;
  message->ceiling_m = zone->ceiling_m;
  message->start_time = zone->start_ms == 0 ? NULL : sky_timestamp_create(arena, zone->start_ms);
  message->end_time = zone->end_ms == 0 ? NULL : sky_timestamp_create(arena, zone->end_ms);
  message->create_time = sky_timestamp_create(arena, zone->create_ms);
  message->update_time = sky_timestamp_create(arena, zone->update_ms);
  message->etag = sky_etag_create(arena, (int64_t)zone->edit);
  return message;
}

/* ---- orders ---- */

enum { MAX_WAYPOINTS = 3 * (ROUTE_MAX_TURNS + 1) };

typedef struct Waypoints {
  SkyArena *arena;
  common_Waypoint *list[MAX_WAYPOINTS];
  size_t count;
} Waypoints;

static common_Waypoint *add_waypoint(Waypoints *waypoints, common_Location *location) {
  common_Waypoint *waypoint = common_Waypoint_create(waypoints->arena);
  if (waypoint == NULL || location == NULL)
    return NULL;
  waypoint->location = location;
  waypoints->list[waypoints->count++] = waypoint;
  return waypoint;
}

static protobuf_Duration *duration(SkyArena *arena, double seconds) {
  protobuf_Duration *message = protobuf_Duration_create(arena);
  if (message != NULL) {
    message->seconds = (int64_t)seconds;
    message->nanos = (int32_t)((seconds - (double)message->seconds) * 1e9);
  }
  return message;
}

static bool add_leg(Waypoints *waypoints, const Route *route, const LifePlace *stop, LifePhase phase, double dwell_s) {
  for (size_t i = 0; i < route->turn_count; i++) {
    if (add_waypoint(waypoints, map_point(waypoints->arena, route->turns[i])) == NULL)
      return false;
  }
  common_Waypoint *waypoint = add_waypoint(waypoints, map_location(waypoints->arena, stop));
  if (waypoint == NULL)
    return false;
  waypoint->arrival_phase = (common_MissionPhase)phase;
  if (dwell_s > 0)
    waypoint->dwell = duration(waypoints->arena, dwell_s);
  return true;
}

static bool add_legs(Waypoints *waypoints, const FleetDrone *drone, const FleetRules *rules) {
  const LifeMission *mission = &drone->life.mission;
  const double dwell_s = rules->handling_way_m / drone->cruise_speed_mps;
  return add_leg(waypoints, &drone->routes[0], &mission->pickup, LIFE_PHASE_AT_PICKUP, dwell_s) &&
         add_leg(waypoints, &drone->routes[1], &mission->dropoff, LIFE_PHASE_AT_DROPOFF, dwell_s) &&
         add_leg(waypoints, &drone->routes[2], &drone->base->place, LIFE_PHASE_ENDED, 0);
}

drone_FlyMissionsResponse *map_fly(SkyArena *arena, const FleetDrone *drone, const FleetRules *rules) {
  const LifeMission *mission = &drone->life.mission;
  drone_FlyMissionsResponse *response = drone_FlyMissionsResponse_create(arena);
  drone_FlyMission *fly = drone_FlyMission_create(arena);
  Waypoints waypoints = {.arena = arena};
  common_Waypoint **list = sky_arena_alloc(arena, sizeof(waypoints.list));
  if (response == NULL || fly == NULL || list == NULL || !add_legs(&waypoints, drone, rules))
    return NULL;
  memcpy(list, waypoints.list, waypoints.count * sizeof(*list));
  fly->delivery_id = map_text(arena, mission->delivery_id);
  fly->drone_id = map_text(arena, drone->id);
  fly->revision = mission->revision;
  fly->start_location = map_location(arena, drone->place.known ? &drone->place : &mission->start);
  fly->waypoints = list;
  fly->n_waypoints = waypoints.count;
  fly->speed_mps = drone->cruise_speed_mps;
  fly->start_time = drone->start_ms == 0 ? NULL : sky_timestamp_create(arena, drone->start_ms);
  fly->phase = (common_MissionPhase)mission->phase;
  drone_FlyMissionsResponse_set_fly(response, fly);
  return response;
}

drone_FlyMissionsResponse *map_abort(SkyArena *arena, const FleetDrone *drone) {
  drone_FlyMissionsResponse *response = drone_FlyMissionsResponse_create(arena);
  drone_AbortMission *message = drone_AbortMission_create(arena);
  if (response == NULL || message == NULL)
    return NULL;
  message->delivery_id = map_text(arena, drone->life.ended_delivery_id);
  message->drone_id = map_text(arena, drone->id);
  message->revision = drone->life.ended_revision;
  drone_FlyMissionsResponse_set_abort(response, message);
  return response;
}

/* ---- requests ---- */

IntakeFrame map_frame(const drone_TelemetryFrame *message, uint64_t stream) {
  IntakeFrame frame = {.stream = stream,
                       .sequence = message->sequence,
                       .observe_ms = sky_timestamp_ms(message->observe_time),
                       .delta = message->kind == drone_FRAME_KIND_DELTA,
                       .place = map_place(message->location),
                       .has_battery = drone_TelemetryFrame_has_battery_fraction(message),
                       .flight_mode = (int)message->flight_mode,
                       .phase = (LifePhase)message->phase,
                       .revision = message->revision};
  if (frame.has_battery)
    frame.battery_fraction = message->battery_fraction;
  if (message->velocity != NULL) {
    frame.moves = true;
    frame.north_mps = message->velocity->north_mps;
    frame.east_mps = message->velocity->east_mps;
    frame.up_mps = message->velocity->up_mps;
  }
  strncpy(frame.delivery_id, message->delivery_id, sizeof(frame.delivery_id) - 1);
  if (message->health != NULL && message->health->state == drone_HEALTH_STATE_FAILED) {
    frame.health_failed = true;
    map_reason_from(&frame.reason, message->health->reason, "DRONE_FAULT");
  } else if (frame.phase == LIFE_PHASE_FAILED) {
    map_reason_from(&frame.reason, message->health != NULL ? message->health->reason : NULL, "MISSION_FAILED");
  }
  return frame;
}

FleetNeed map_need(const drone_AssignDroneRequest *request) {
  const FleetSize size = (FleetSize)request->package_info->size;
  return (FleetNeed){.pickup = map_place(request->pickup_location).point,
                     .dropoff = map_place(request->dropoff_location).point,
                     .weight_kg = fleet_weight_kg(size, request->package_info->weight_kg),
                     .size = size,
                     .pickup_ms = sky_timestamp_ms(request->pickup_time),
                     .deadline_ms = sky_timestamp_ms(request->deadline)};
}
