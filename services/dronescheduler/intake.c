#include "intake.h"

#include <math.h>
#include <string.h>

/* May this frame change what is known of place and battery? */
static IntakeResult judge(const FleetDrone *drone, const IntakeFrame *frame, int64_t now_ms) {
  if (now_ms - frame->observe_ms > INTAKE_LATE_MS)
    return INTAKE_LATE;
  if (frame->sequence <= drone->sequence)
    return INTAKE_REPEATED;
  if (frame->delta && drone->key_stream != frame->stream)
    return INTAKE_KEY_NEEDED;
  return INTAKE_TAKEN;
}

static void take_place(FleetDrone *drone, const IntakeFrame *frame) {
  if (!frame->place.known)
    return;
  if (drone->place.known && drone->life.busy)
    drone->flown_m += sky_geo_distance_m(drone->place.point, frame->place.point);
  drone->place = frame->place;
  drone->place_ms = frame->observe_ms;
}

static void take_values(FleetDrone *drone, const IntakeFrame *frame) {
  drone->sequence = frame->sequence;
  if (!frame->delta)
    drone->key_stream = frame->stream;
  take_place(drone, frame);
  if (frame->has_battery)
    drone->battery_fraction = frame->battery_fraction;
  if (frame->moves) {
    drone->north_mps = frame->north_mps;
    drone->east_mps = frame->east_mps;
    drone->up_mps = frame->up_mps;
  }
  if (frame->flight_mode != 0)
    drone->flight_mode = frame->flight_mode;
}

/* One that was called off is free again as soon as it stands on the ground and flies nothing. */
static void come_home(FleetDrone *drone, const IntakeFrame *frame) {
  const bool landed = frame->flight_mode == INTAKE_LANDED || frame->flight_mode == INTAKE_CHARGING;
  if (drone->life.homing && landed && frame->delivery_id[0] == '\0')
    drone->life.homing = false;
}

static bool says_more_than_position(const FleetDrone *drone, const IntakeFrame *frame) {
  if (frame->health_failed)
    return !drone->life.failed;
  return frame->phase != LIFE_PHASE_NONE && frame->delivery_id[0] != '\0';
}

static void set_event(const FleetDrone *drone, const IntakeFrame *frame, LifeEvent *event) {
  *event = (LifeEvent){.kind = LIFE_REPORT,
                       .revision = frame->revision,
                       .phase = frame->phase,
                       .health_failed = frame->health_failed,
                       .place = frame->place.known ? frame->place : drone->place,
                       .battery_fraction = frame->has_battery ? frame->battery_fraction : drone->battery_fraction,
                       .speed_mps = hypot(frame->north_mps, frame->east_mps),
                       .flown_m = drone->flown_m,
                       .reason = frame->reason};
  memcpy(event->delivery_id, frame->delivery_id, sizeof(event->delivery_id));
}

/* Takes over what only memory keeps; false when there is more to it. */
static bool pass(FleetDrone *drone, const LifeFacts *facts) {
  for (size_t i = 0; i < facts->count; i++) {
    if (!facts->fact[i].passing)
      return false;
  }
  for (size_t i = 0; i < facts->count; i++)
    life_apply(&drone->life, &facts->fact[i]);
  return true;
}

/*
 * What the log would say to it. A frame the log already has is no news. While earlier frames are on their way into the
 * log nobody can say yet: the writer judges then, when it knows.
 */
static IntakeResult judge_event(FleetDrone *drone, IntakeResult result, int64_t now_ms, IntakeEffects *effects) {
  LifeFacts facts;
  if (drone->held || drone->attachment != NULL) {
    effects->durable = true;
    return INTAKE_TAKEN;
  }
  switch (life_step(&drone->life, &effects->event, now_ms, &facts)) {
  case LIFE_CHANGED:
    effects->durable = !pass(drone, &facts);
    return INTAKE_TAKEN;
  case LIFE_SAME:
    return result;
  case LIFE_IMPOSSIBLE:
  case LIFE_TOO_LATE:
    break;
  }
  return INTAKE_INVALID;
}

/* Somebody waits for the drone: from its departure until the package is dropped. */
static bool is_followed(const Life *life) {
  return life->busy && life->mission.phase > LIFE_PHASE_NONE && life->mission.phase < LIFE_PHASE_DELIVERED;
}

void intake_refuse(FleetDrone *drone, uint64_t stream, const LifeEvent *event) {
  const bool same = drone->gap_stream == stream && strcmp(drone->gap_delivery_id, event->delivery_id) == 0;
  if (event->phase == LIFE_PHASE_NONE || (same && drone->gap_phase <= event->phase))
    return;
  drone->gap_stream = stream;
  drone->gap_phase = event->phase;
  memcpy(drone->gap_delivery_id, event->delivery_id, sizeof(drone->gap_delivery_id));
}

/* A new stream begins with all phases, and a resender with the first that is missing. */
static bool is_after_gap(FleetDrone *drone, const IntakeFrame *frame) {
  if (drone->gap_stream != frame->stream || drone->gap_stream == 0 || frame->health_failed)
    return false;
  const bool says_phase = frame->phase != LIFE_PHASE_NONE && frame->delivery_id[0] != '\0';
  if (!says_phase)
    return true;
  if (strcmp(drone->gap_delivery_id, frame->delivery_id) == 0 && frame->phase > drone->gap_phase)
    return true;
  drone->gap_stream = 0;
  return false;
}

IntakeResult intake_take(Fleet *fleet, FleetDrone *drone, const IntakeFrame *frame, int64_t now_ms,
                         int64_t publish_interval_ms, IntakeEffects *effects) {
  *effects = (IntakeEffects){0};
  IntakeResult result = judge(drone, frame, now_ms);
  if (result != INTAKE_LATE)
    drone->heard_ms = now_ms;
  if (result == INTAKE_TAKEN) {
    take_values(drone, frame);
    come_home(drone, frame);
    effects->moved = true;
    if (is_followed(&drone->life) && now_ms - drone->published_ms >= publish_interval_ms) {
      effects->publish = true;
      drone->published_ms = now_ms;
    }
  }
  if (is_after_gap(drone, frame)) {
    result = INTAKE_RETRY;
  } else if (result != INTAKE_LATE && result != INTAKE_KEY_NEEDED && says_more_than_position(drone, frame)) {
    set_event(drone, frame, &effects->event);
    result = judge_event(drone, result, now_ms, effects);
  }
  if (result != INTAKE_TAKEN && result != INTAKE_RETRY)
    drone->dropped_count++;
  fleet_refresh(fleet, drone);
  return result;
}

static SkyPoint next_stop(const FleetDrone *drone) {
  const LifeMission *mission = &drone->life.mission;
  if (mission->phase < LIFE_PHASE_PICKED_UP)
    return mission->pickup.point;
  return mission->phase < LIFE_PHASE_DELIVERED ? mission->dropoff.point : drone->base->place.point;
}

double intake_remaining_m(const FleetDrone *drone) {
  if (!drone->life.busy || !drone->place.known)
    return 0;
  return sky_geo_distance_m(drone->place.point, next_stop(drone));
}
