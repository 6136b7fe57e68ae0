/*
 * Claim: the right to append to a drone's log, and the append itself. The append compares the log's version, so even a
 * second process could not give a drone away twice; holding it first only spares this process the conflicts with
 * itself.
 */
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "scheduler.h"

enum { ARENA_BYTES = 1 << 20, LOG_ARENA_BYTES = 64 << 20 };

/* Absolute time of the condition variable's clock, from a context's deadline. */
static struct timespec wait_until(const SkyContext *context) {
  int64_t at_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + SKY_NS_PER_S;
  if (context->deadline_ns < at_ns)
    at_ns = context->deadline_ns;
  return (struct timespec){.tv_sec = (time_t)(at_ns / SKY_NS_PER_S), .tv_nsec = (long)(at_ns % SKY_NS_PER_S)};
}

static SkyStatus hold_locked(Scheduler *self, const SkyContext *context, const char *drone_id, FleetDrone **ret) {
  for (;;) {
    FleetDrone *drone = fleet_drone(&self->fleet, drone_id);
    if (drone == NULL)
      return SKY_NOT_FOUND("there is no drone %s", drone_id);
    if (!drone->held) {
      drone->held = true;
      *ret = drone;
      return SKY_OK;
    }
    SKY_TRY(sky_context_check(context));
    const struct timespec until = wait_until(context);
    pthread_cond_clockwait(&self->let_go, &self->mutex, CLOCK_MONOTONIC, &until);
  }
}

SkyStatus claim_hold(Scheduler *self, const SkyContext *context, const char *drone_id, FleetDrone **ret) {
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = hold_locked(self, context, drone_id, ret);
  pthread_mutex_unlock(&self->mutex);
  if (status != SKY_OK || !(*ret)->unsure)
    return status;
  const SkyStatus caught_up = claim_catch_up(self, context, *ret);
  if (caught_up != SKY_OK)
    claim_let_go(self, *ret);
  return caught_up;
}

void claim_let_go_locked(Scheduler *self, FleetDrone *drone) {
  drone->held = false;
  if (writer_is_waiting(drone))
    writer_queue_locked(self, drone);
  pthread_cond_broadcast(&self->let_go);
}

void claim_let_go(Scheduler *self, FleetDrone *drone) {
  pthread_mutex_lock(&self->mutex);
  claim_let_go_locked(self, drone);
  pthread_mutex_unlock(&self->mutex);
  writer_kick(self);
}

/* ---- what follows from a fact ---- */

static void set_mission(Scheduler *self, FleetDrone *drone) {
  const LifeMission *mission = &drone->life.mission;
  sky_status_free(sky_map_set(self->drone_by_delivery, sky_str(mission->delivery_id), drone, NULL));
  waiting_remove(&self->waiting, mission->delivery_id);
}

static void unset_mission(Scheduler *self, FleetDrone *drone, const char *delivery_id) {
  /* A delivery that has moved on to another drone stays with that one. */
  if (sky_map_get(self->drone_by_delivery, sky_str(delivery_id)) == drone)
    sky_map_remove(self->drone_by_delivery, sky_str(delivery_id));
}

static void tell(Scheduler *self, const FleetDrone *drone, bool orders) {
  for (FeedSubscriber *subscriber = self->feeds.first; subscriber != NULL; subscriber = subscriber->next) {
    if ((subscriber->kind == FEED_ORDERS) == orders && feed_wants(subscriber, drone->id, drone->base->id))
      feed_push(subscriber, drone->id);
  }
}

static void apply_one(Scheduler *self, FleetDrone *drone, const LifeFact *fact) {
  const LifePhase phase = drone->life.mission.phase;
  const bool had = drone->life.busy && strcmp(drone->life.mission.delivery_id, fact->mission.delivery_id) == 0;
  life_apply(&drone->life, fact);
  if (fact->kind == LIFE_ASSIGNED) {
    if (!had)
      drone->flown_m = 0;
    set_mission(self, drone);
    assign_plan_routes(self, drone, 0);
  } else if (fact->kind == LIFE_RELEASED && had) {
    unset_mission(self, drone, fact->mission.delivery_id);
    if (strcmp(fact->reason.code, REASON_REASSIGNED) != 0)
      assignments_finish_locked(self, drone, fact, phase);
  }
  if (fact->kind == LIFE_ASSIGNED || (fact->kind == LIFE_RELEASED && !fact->completed))
    tell(self, drone, true);
}

void claim_apply_locked(Scheduler *self, FleetDrone *drone, const LifeFact *facts, size_t count) {
  for (size_t i = 0; i < count; i++)
    apply_one(self, drone, &facts[i]);
  fleet_refresh(&self->fleet, drone);
  tell(self, drone, false);
  orders_send_locked(self);
}

void claim_tell_watchers_locked(Scheduler *self, const FleetDrone *drone) {
  tell(self, drone, false);
}

/* ---- log ---- */

typedef struct Caught {
  LifeFact *facts;
  size_t count, capacity;
} Caught;

static SkyStatus catch_fact(void *user, const SkyLogged *logged) {
  Caught *caught = user;
  LifeFact fact;
  if (!events_to_fact(logged, &fact))
    return SKY_OK;
  if (caught->count == caught->capacity) {
    const size_t capacity = caught->capacity == 0 ? 16 : caught->capacity * 2;
    LifeFact *facts = realloc(caught->facts, capacity * sizeof(*facts));
    if (facts == NULL)
      return sky_status_no_memory();
    caught->facts = facts;
    caught->capacity = capacity;
  }
  caught->facts[caught->count++] = fact;
  return SKY_OK;
}

SkyStatus claim_catch_up(Scheduler *self, const SkyContext *context, FleetDrone *drone) {
  SkyArena arena;
  sky_arena_init(&arena, LOG_ARENA_BYTES);
  Caught caught = {0};
  int64_t version = drone->log_version;
  const SkyStatus status = sky_event_log_load_after(self->log, context, drone->id, drone->log_version, &arena,
                                                    catch_fact, &caught, &version);
  pthread_mutex_lock(&self->mutex);
  if (status == SKY_OK) {
    claim_apply_locked(self, drone, caught.facts, caught.count);
    drone->log_version = version;
  }
  drone->unsure = status != SKY_OK;
  pthread_mutex_unlock(&self->mutex);
  free(caught.facts);
  sky_arena_finish(&arena);
  return status;
}

static SkyStatus append(Scheduler *self, const SkyContext *context, FleetDrone *drone, const LifeFacts *facts,
                        SkyArena *arena) {
  SkyAppend events[LIFE_MAX_FACTS];
  size_t count;
  SKY_TRY(
      events_from_facts(drone, facts->fact, facts->count, drone->log_version + 1, self->random, arena, events, &count));
  return sky_event_log_append(self->log, context, drone->id, drone->log_version, events, count);
}

SkyStatus claim_append(Scheduler *self, const SkyContext *context, FleetDrone *drone, const LifeFacts *facts) {
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  SkyStatus status = append(self, context, drone, facts, &arena);
  sky_arena_finish(&arena);
  if (sky_status_code(status) == SKY_CODE_ABORTED) {
    const SkyStatus caught_up = claim_catch_up(self, context, drone);
    if (caught_up != SKY_OK) {
      sky_status_free(status);
      status = caught_up;
    }
    return status;
  }
  claim_settle(self, drone, facts->fact, facts->count, status);
  return status;
}

void claim_settle(Scheduler *self, FleetDrone *drone, const LifeFact *facts, size_t count, const SkyError *appended) {
  pthread_mutex_lock(&self->mutex);
  drone->unsure = appended != SKY_OK;
  if (appended == SKY_OK) {
    drone->log_version++;
    claim_apply_locked(self, drone, facts, count);
  }
  pthread_mutex_unlock(&self->mutex);
}

static bool next_unsure(Scheduler *self, char ret_id[LIFE_ID_SIZE], size_t *cursor) {
  bool found = false;
  pthread_mutex_lock(&self->mutex);
  for (; *cursor < self->fleet.drone_count && !found; ++*cursor) {
    const FleetDrone *drone = self->fleet.drones[*cursor];
    found = drone->unsure && !drone->held;
    if (found)
      memcpy(ret_id, drone->id, LIFE_ID_SIZE);
  }
  pthread_mutex_unlock(&self->mutex);
  return found;
}

SkyStatus claim_catch_up_unsure(void *user, const SkyContext *context) {
  Scheduler *self = user;
  char id[LIFE_ID_SIZE];
  for (size_t cursor = 0; next_unsure(self, id, &cursor);) {
    FleetDrone *drone = NULL;
    SkyStatus status = claim_hold(self, context, id, &drone); /* which catches up */
    if (status == SKY_OK)
      claim_let_go(self, drone);
    else if (!sky_status_take(&status, SKY_CODE_NOT_FOUND))
      return status;
  }
  return SKY_OK;
}
