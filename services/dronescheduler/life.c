#include "life.h"

#include <stdio.h>
#include <string.h>

#include <sky/core/str.h>

static void copy_cut(char *to, size_t size, const char *from) {
  const size_t length = sky_utf8_cut(from, strlen(from), size - 1);
  memcpy(to, from, length);
  to[length] = '\0';
}

void life_reason_set(LifeReason *reason, const char *code, const char *message) {
  copy_cut(reason->code, sizeof(reason->code), code);
  copy_cut(reason->message, sizeof(reason->message), message);
}

bool life_is_picked_up(LifePhase phase) {
  return phase >= LIFE_PHASE_PICKED_UP && phase <= LIFE_PHASE_ENDED;
}

bool life_is_passing(LifePhase phase) {
  return phase == LIFE_PHASE_AT_PICKUP || phase == LIFE_PHASE_TO_DROPOFF || phase == LIFE_PHASE_AT_DROPOFF ||
         phase == LIFE_PHASE_RETURNING || phase == LIFE_PHASE_ENDED;
}

/* ---- deciding ---- */

static LifeFact *add_fact(LifeFacts *facts, LifeFactKind kind, const LifeMission *mission, const LifeEvent *event,
                          int64_t now_ms) {
  LifeFact *fact = &facts->fact[facts->count++];
  *fact = (LifeFact){.kind = kind,
                     .time_ms = now_ms,
                     .mission = *mission,
                     .place = event->place,
                     .battery_fraction = event->battery_fraction,
                     .speed_mps = event->speed_mps,
                     .reason = event->reason};
  return fact;
}

static bool has_delivery(const Life *life, const char *delivery_id) {
  return life->busy && strcmp(life->mission.delivery_id, delivery_id) == 0;
}

static LifeOutcome step_assign(const Life *life, const LifeEvent *event, int64_t now_ms, LifeFacts *facts) {
  LifeMission mission = event->mission;
  if (life->busy) {
    if (!has_delivery(life, mission.delivery_id))
      return LIFE_IMPOSSIBLE;
    if (mission.revision <= life->mission.revision)
      return LIFE_SAME;
    if (life_is_picked_up(life->mission.phase))
      return LIFE_TOO_LATE;
    mission.assign_ms = life->mission.assign_ms;
    mission.version = life->mission.version;
  } else if (life->failed || life->homing) {
    return LIFE_IMPOSSIBLE;
  } else {
    mission.assign_ms = now_ms;
  }
  mission.phase = LIFE_PHASE_NONE;
  mission.version++;
  LifeFact *fact = add_fact(facts, LIFE_ASSIGNED, &mission, event, now_ms);
  memcpy(fact->other_drone_id, event->other_drone_id, sizeof(fact->other_drone_id));
  return LIFE_CHANGED;
}

static void progress(LifeFacts *facts, LifeMission *mission, LifePhase phase, const LifeEvent *event, int64_t now_ms) {
  const LifePhase previous = mission->phase;
  mission->phase = phase;
  if (!life_is_passing(phase))
    mission->version++;
  LifeFact *fact = add_fact(facts, LIFE_PROGRESSED, mission, event, now_ms);
  fact->previous_phase = previous;
  fact->passing = life_is_passing(phase);
}

static void release(LifeFacts *facts, LifeMission *mission, bool completed, const LifeEvent *event, int64_t now_ms) {
  mission->version++;
  LifeFact *fact = add_fact(facts, LIFE_RELEASED, mission, event, now_ms);
  fact->completed = completed;
  fact->distance_m = completed && event->flown_m < mission->distance_m ? mission->distance_m : event->flown_m;
}

static LifeOutcome fail(const Life *life, const LifeEvent *event, int64_t now_ms, LifeFacts *facts) {
  if (life->failed)
    return LIFE_SAME;
  LifeMission mission = life->mission;
  const bool on_board = life->busy && life_is_picked_up(mission.phase) && mission.phase < LIFE_PHASE_DELIVERED;
  if (!life->busy)
    mission = (LifeMission){0};
  else if (mission.phase < LIFE_PHASE_DELIVERED)
    progress(facts, &mission, LIFE_PHASE_FAILED, event, now_ms);
  /* A drone that fails on its way home has flown its mission to the end, as far as anybody waits for it. */
  if (life->busy)
    release(facts, &mission, life->mission.phase >= LIFE_PHASE_DELIVERED, event, now_ms);
  add_fact(facts, LIFE_FAILED, &mission, event, now_ms)->package_on_board = on_board;
  return LIFE_CHANGED;
}

/* Home before the package was dropped: no frame that went missing can explain that. */
static bool skips_delivery(LifePhase from, LifePhase to) {
  return to > LIFE_PHASE_DELIVERED && from < LIFE_PHASE_DELIVERED;
}

/* A later phase implies the milestones before it, whose frames were lost; readers get every milestone, in order. */
static void progress_through(LifeFacts *facts, LifeMission *mission, LifePhase to, const LifeEvent *event,
                             int64_t now_ms) {
  static const LifePhase milestones[] = {LIFE_PHASE_TO_PICKUP, LIFE_PHASE_PICKED_UP};
  for (size_t i = 0; i < sizeof(milestones) / sizeof(milestones[0]); i++) {
    if (mission->phase < milestones[i] && milestones[i] < to)
      progress(facts, mission, milestones[i], event, now_ms);
  }
  progress(facts, mission, to, event, now_ms);
}

static LifeOutcome step_of_no_mission(const Life *life, const LifeEvent *event) {
  return strcmp(life->ended_delivery_id, event->delivery_id) == 0 || life->homing ? LIFE_SAME : LIFE_IMPOSSIBLE;
}

static LifeOutcome step_report(const Life *life, const LifeEvent *event, int64_t now_ms, LifeFacts *facts) {
  if (event->health_failed)
    return fail(life, event, now_ms, facts);
  if (event->phase == LIFE_PHASE_NONE || event->delivery_id[0] == '\0')
    return LIFE_SAME;
  if (!has_delivery(life, event->delivery_id))
    return step_of_no_mission(life, event);
  if (event->revision > life->mission.revision)
    return LIFE_IMPOSSIBLE;
  if (event->revision < life->mission.revision)
    return LIFE_SAME; /* flown under old orders; the new ones are on their way */
  if (event->phase == LIFE_PHASE_FAILED)
    return fail(life, event, now_ms, facts);
  if (event->phase <= life->mission.phase)
    return LIFE_SAME;
  if (event->phase == LIFE_PHASE_ABORTED || skips_delivery(life->mission.phase, event->phase))
    return LIFE_IMPOSSIBLE;
  LifeMission mission = life->mission;
  progress_through(facts, &mission, event->phase, event, now_ms);
  if (event->phase == LIFE_PHASE_ENDED)
    release(facts, &mission, true, event, now_ms);
  return LIFE_CHANGED;
}

static LifeOutcome step_release(const Life *life, const LifeEvent *event, int64_t now_ms, LifeFacts *facts) {
  if (!has_delivery(life, event->delivery_id))
    return LIFE_SAME;
  if (life_is_picked_up(life->mission.phase))
    return LIFE_TOO_LATE;
  LifeMission mission = life->mission;
  release(facts, &mission, false, event, now_ms);
  return LIFE_CHANGED;
}

LifeOutcome life_step(const Life *life, const LifeEvent *event, int64_t now_ms, LifeFacts *facts) {
  facts->count = 0;
  switch (event->kind) {
  case LIFE_ASSIGN:
    return step_assign(life, event, now_ms, facts);
  case LIFE_REPORT:
    return step_report(life, event, now_ms, facts);
  case LIFE_RELEASE:
    return step_release(life, event, now_ms, facts);
  case LIFE_LOSE:
    return life->busy ? fail(life, event, now_ms, facts) : LIFE_SAME;
  }
  return LIFE_IMPOSSIBLE;
}

/* ---- folding ---- */

static void apply_release(Life *life, const LifeFact *fact) {
  if (!has_delivery(life, fact->mission.delivery_id))
    return;
  memcpy(life->ended_delivery_id, life->mission.delivery_id, sizeof(life->ended_delivery_id));
  life->ended_revision = life->mission.revision;
  /* One that has not left yet is at home already; its next frame would say so, but nothing may wait for that. */
  life->homing = !fact->completed && life->mission.phase != LIFE_PHASE_NONE;
  life->busy = false;
  life->mission = (LifeMission){0};
}

static void apply_progress(Life *life, const LifeFact *fact) {
  if (!has_delivery(life, fact->mission.delivery_id))
    return;
  life->mission.phase = fact->mission.phase;
  life->mission.version = fact->mission.version;
}

void life_apply(Life *life, const LifeFact *fact) {
  life->change_ms = fact->time_ms;
  /* Only what the events of the log carry: the fold must be the same from memory and from the store. */
  if (fact->place.known && fact->kind != LIFE_RELEASED)
    life->place = fact->place;
  if (fact->kind == LIFE_PROGRESSED)
    life->battery_fraction = fact->battery_fraction;
  switch (fact->kind) {
  case LIFE_ASSIGNED: {
    const int64_t assigned_ms = has_delivery(life, fact->mission.delivery_id) ? life->mission.assign_ms : fact->time_ms;
    life->busy = true;
    life->homing = false;
    life->mission = fact->mission;
    life->mission.phase = LIFE_PHASE_NONE;
    life->mission.assign_ms = assigned_ms;
    break;
  }
  case LIFE_PROGRESSED:
    apply_progress(life, fact);
    break;
  case LIFE_RELEASED:
    apply_release(life, fact);
    break;
  case LIFE_FAILED:
    life->failed = true;
    life->homing = false;
    life->fault = fact->reason;
    break;
  }
}
