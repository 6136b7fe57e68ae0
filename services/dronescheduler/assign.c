/*
 * AssignDrone. The steps, each of which a crash may be the last of:
 *
 *   1. choose a drone and hold it (memory)
 *   2. insert the delivery's document, naming the drone: of two calls for one delivery, one wins here
 *   3. append DroneAssigned to the drone's log: the claim; of two deliveries for one drone, one wins here
 *
 * After a crash between 2 and 3 no drone is bound; the repeated call finds a document whose drone does not fly it,
 * chooses anew and goes on with 3. New terms (change_id) are appended to the drone's log first and then written to the
 * document; the log is believed.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/codec/message.h>
#include <sky/service/resource.h>

#include "map.h"
#include "assign.h"

enum { MAX_TRIES = 5, MAX_CHANGE_IDS = 32, RETRY_EXPEDITED_MS = 250, RETRY_MS = 1000 };

static const int64_t MAX_LOCK_NS = 60 * SKY_NS_PER_S;

pthread_mutex_t *scheduler_stripe(Scheduler *self, const char *id) {
  static const uint64_t key[2] = {1, 2}; /* only spreads; nothing is kept in chains */
  return &self->stripes[sky_map_hash(key, sky_str(id)) % SCHEDULER_STRIPES];
}

/* When the context's time ends, as locks tell time: by the wall clock. (ThreadSanitizer does not know clocklock.) */
static struct timespec lock_until(const SkyContext *context) {
  const SkyClock *clock = sky_clock_system_borrow();
  int64_t left_ns = context->deadline_ns - sky_clock_monotonic_ns(clock);
  left_ns = left_ns < 0 ? 0 : left_ns < MAX_LOCK_NS ? left_ns : MAX_LOCK_NS;
  const int64_t until_ns = sky_clock_wall_ns(clock) + left_ns;
  return (struct timespec){.tv_sec = (time_t)(until_ns / SKY_NS_PER_S), .tv_nsec = (long)(until_ns % SKY_NS_PER_S)};
}

SkyStatus scheduler_lock(Scheduler *self, const SkyContext *context, const char *id, pthread_mutex_t **ret) {
  pthread_mutex_t *stripe = scheduler_stripe(self, id);
  const struct timespec until = lock_until(context);
  if (pthread_mutex_timedlock(stripe, &until) != 0)
    return SKY_DEADLINE_EXCEEDED("others were at work on %s", id);
  *ret = stripe;
  return SKY_OK;
}

/* ---- choosing ---- */

static SkyStatus refusal(FleetAnswer answer, bool expedited) {
  if (answer == FLEET_IMPOSSIBLE)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("no drone of the fleet can fly this delivery"),
                                  REASON_NO_DRONE_IN_WINDOW);
  return sky_status_with_retry_after_ms(
      sky_status_with_reason(SKY_RESOURCE_EXHAUSTED("all drones that could fly this delivery are busy"),
                             REASON_NO_DRONE_AVAILABLE),
      expedited ? RETRY_EXPEDITED_MS : RETRY_MS);
}

/* Chooses and holds. Who is not expedited leaves alone what waiting expedited deliveries would get. */
static SkyStatus choose_locked(Scheduler *self, const drone_AssignDroneRequest *terms, FleetDrone **ret,
                               FleetPlan *ret_plan) {
  FleetDrone *kept[WAITING_MAX];
  const FleetNeed need = map_need(terms);
  const int64_t now_ms = scheduler_now_ms(self);
  const size_t kept_count =
      terms->expedited ? 0 : waiting_claims(&self->waiting, &self->fleet, &self->rules, now_ms, kept);
  const FleetAnswer answer = fleet_choose(&self->fleet, &self->rules, &need, kept, kept_count, now_ms, ret, ret_plan);
  if (answer == FLEET_FOUND) {
    (*ret)->held = true;
    return SKY_OK;
  }
  if (answer == FLEET_ALL_BUSY && terms->expedited)
    waiting_add(&self->waiting, terms->delivery_id, &need, now_ms);
  return refusal(answer, terms->expedited);
}

SkyStatus assign_choose(Scheduler *self, const drone_AssignDroneRequest *terms, FleetDrone **ret, FleetPlan *ret_plan) {
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = choose_locked(self, terms, ret, ret_plan);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

void assign_event(const drone_AssignDroneRequest *terms, const FleetPlan *plan, uint64_t revision, LifeEvent *ret) {
  *ret = (LifeEvent){.kind = LIFE_ASSIGN, .place = plan->from, .battery_fraction = plan->battery_fraction};
  LifeMission *mission = &ret->mission;
  strncpy(mission->delivery_id, terms->delivery_id, sizeof(mission->delivery_id) - 1);
  strncpy(mission->owner_id, terms->owner_id, sizeof(mission->owner_id) - 1);
  mission->revision = revision;
  mission->start = plan->from;
  mission->pickup = map_place(terms->pickup_location);
  mission->dropoff = map_place(terms->dropoff_location);
  mission->distance_m = plan->distance_m;
  mission->pickup_eta_ms = plan->pickup_eta_ms;
  mission->delivery_eta_ms = plan->delivery_eta_ms;
}

void assign_plan_routes(Scheduler *self, FleetDrone *drone, int64_t now_ms) {
  const LifeMission *mission = &drone->life.mission;
  const SkyPoint stops[] = {mission->start.point, mission->pickup.point, mission->dropoff.point,
                            drone->base->place.point};
  const int64_t from_ms = now_ms == 0 ? scheduler_now_ms(self) : now_ms;
  for (size_t leg = 0; leg < 3; leg++) {
    /* A zone declared since: what is in the air comes down where it was promised. */
    if (!route_plan((const Zone *const *)self->fleet.zones, self->fleet.zone_count, stops[leg], stops[leg + 1], from_ms,
                    mission->delivery_eta_ms, &drone->routes[leg]))
      drone->routes[leg] = (Route){.distance_m = sky_geo_distance_m(stops[leg], stops[leg + 1])};
  }
  const int64_t leave_ms =
      mission->pickup_eta_ms - (int64_t)(drone->routes[0].distance_m / drone->cruise_speed_mps * SKY_MS_PER_S);
  enum { SOON_MS = 2000 };
  drone->start_ms = leave_ms > from_ms + SOON_MS ? leave_ms : 0;
}

/* ---- documents ---- */

static bool fill_assignment(SkyArena *arena, drone_Assignment *assignment, const drone_AssignDroneRequest *terms,
                            const FleetDrone *drone, const FleetPlan *plan, int64_t now_ms) {
  assignment->delivery_id = map_text(arena, terms->delivery_id);
  assignment->owner_id = map_text(arena, terms->owner_id);
  assignment->drone_id = map_text(arena, drone->id);
  assignment->state = drone_ASSIGNMENT_STATE_ACTIVE;
  assignment->phase = common_MISSION_PHASE_UNSPECIFIED;
  assignment->drone_location = map_location(arena, &plan->from);
  assignment->pickup_location = terms->pickup_location;
  assignment->dropoff_location = terms->dropoff_location;
  assignment->pickup_eta = map_eta(arena, plan->pickup_eta_ms, MAP_PICKUP_CONFIDENCE);
  assignment->delivery_eta = map_eta(arena, plan->delivery_eta_ms, MAP_DELIVERY_CONFIDENCE);
  assignment->distance_m = plan->distance_m;
  assignment->update_time = sky_timestamp_create(arena, now_ms);
  return assignment->pickup_eta != NULL && assignment->delivery_eta != NULL && assignment->update_time != NULL;
}

SkyStatus assign_document(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                          const FleetDrone *drone, const FleetPlan *plan, AssignmentDocument **ret) {
  SkyArena *arena = sky_call_arena(call);
  AssignmentDocument *document = drone_store_AssignmentDocument_create(arena);
  drone_Assignment *assignment = drone_Assignment_create(arena);
  drone_AssignDroneRequest *terms = NULL;
  SKY_TRY(drone_AssignDroneRequest_copy(request, arena, &terms));
  if (document == NULL || assignment == NULL ||
      !fill_assignment(arena, assignment, terms, drone, plan, scheduler_now_ms(self)))
    return sky_status_no_memory();
  assignment->revision = 1;
  assignment->assign_time = assignment->create_time = assignment->update_time;
  document->delivery_id = assignment->delivery_id;
  document->assignment = assignment;
  document->terms = terms;
  *ret = document;
  return SKY_OK;
}

/* Equal but for the id of the change. */
static bool same_terms(const drone_AssignDroneRequest *a, const drone_AssignDroneRequest *b) {
  drone_AssignDroneRequest left = *a, right = *b;
  left.change_id = right.change_id = "";
  return sky_message_same(&left.base, &right.base);
}

static bool has_change(const AssignmentDocument *document, const char *change_id) {
  if (document->terms != NULL && strcmp(document->terms->change_id, change_id) == 0)
    return true;
  for (size_t i = 0; i < document->n_change_ids; i++) {
    if (strcmp(document->change_ids[i], change_id) == 0)
      return true;
  }
  return false;
}

SkyStatus assign_answer(Scheduler *self, SkyCall *call, AssignmentDocument *document, bool created,
                        drone_AssignDroneResponse *response) {
  assignments_overlay(self, sky_call_arena(call), document);
  response->assignment = document->assignment;
  response->created = created;
  return SKY_OK;
}

/* ---- the claim ---- */

/* Step 3, and letting go. ABORTED: another process was faster. */
static SkyStatus claim(Scheduler *self, SkyCall *call, FleetDrone *drone, const drone_AssignDroneRequest *terms,
                       const FleetPlan *plan, uint64_t revision, uint64_t last_version) {
  LifeEvent event;
  LifeFacts facts;
  assign_event(terms, plan, revision, &event);
  event.mission.version = last_version;
  SkyStatus status = SKY_OK;
  if (life_step(&drone->life, &event, scheduler_now_ms(self), &facts) != LIFE_CHANGED)
    status = SKY_ABORTED("drone %s is not free any more", drone->id);
  else
    status = claim_append(self, sky_call_context(call), drone, &facts);
  claim_let_go(self, drone);
  return status;
}

/* The document is there, but its drone does not fly it: choose until a claim holds. */
static SkyStatus claim_for(Scheduler *self, SkyCall *call, AssignmentDocument *document, int64_t version) {
  SkyStatus status = SKY_OK;
  for (int try = 0; try < MAX_TRIES; try++) {
    sky_status_free(status);
    FleetDrone *drone = NULL;
    FleetPlan plan;
    SKY_TRY(assign_choose(self, document->terms, &drone, &plan));
    const bool filled = fill_assignment(sky_call_arena(call), document->assignment, document->terms, drone, &plan,
                                        scheduler_now_ms(self));
    status = filled ? sky_store_replace(self->store, sky_call_context(call), &assignment_documents, &document->base,
                                        version, &version)
                    : sky_status_no_memory();
    if (status != SKY_OK) {
      claim_let_go(self, drone);
      return status;
    }
    status = claim(self, call, drone, document->terms, &plan, document->assignment->revision, 0);
    if (sky_status_code(status) != SKY_CODE_ABORTED)
      return status;
  }
  return status;
}

/* ---- new terms ---- */

static SkyStatus picked_up(const char *delivery_id) {
  return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s has been picked up", delivery_id),
                                REASON_ALREADY_PICKED_UP);
}

static SkyStatus ended(const char *delivery_id) {
  return sky_status_with_reason(SKY_FAILED_PRECONDITION("the assignment of delivery %s has ended", delivery_id),
                                REASON_ASSIGNMENT_ENDED);
}

static void add_change(SkyArena *arena, AssignmentDocument *document, drone_AssignDroneRequest *terms) {
  const char **ids = sky_arena_alloc(arena, (document->n_change_ids + 1) * sizeof(*ids));
  if (document->first_terms == NULL)
    document->first_terms = document->terms;
  document->terms = terms;
  if (ids == NULL)
    return; /* the newest is in the terms anyway */
  const size_t skip = document->n_change_ids >= MAX_CHANGE_IDS ? 1 : 0;
  for (size_t i = skip; i < document->n_change_ids; i++)
    ids[i - skip] = document->change_ids[i];
  ids[document->n_change_ids - skip] = map_text(arena, terms->change_id);
  document->n_change_ids = document->n_change_ids - skip + 1;
  document->change_ids = ids;
}

LifeEvent release_event(Scheduler *self, const FleetDrone *drone) {
  pthread_mutex_lock(&self->mutex); /* telemetry goes on while the drone is held */
  const LifeEvent event = {.kind = LIFE_RELEASE,
                           .place = drone->place,
                           .battery_fraction = drone->battery_fraction,
                           .flown_m = drone->flown_m};
  pthread_mutex_unlock(&self->mutex);
  return event;
}

/* Takes the mission from a held drone because another has it now. */
static SkyStatus take_back(Scheduler *self, SkyCall *call, FleetDrone *drone, const char *delivery_id) {
  LifeEvent event = release_event(self, drone);
  LifeFacts facts;
  strncpy(event.delivery_id, delivery_id, sizeof(event.delivery_id) - 1);
  life_reason_set(&event.reason, REASON_REASSIGNED, "new terms need another drone");
  if (life_step(&drone->life, &event, scheduler_now_ms(self), &facts) != LIFE_CHANGED)
    return SKY_OK;
  return claim_append(self, sky_call_context(call), drone, &facts);
}

static SkyStatus move_to_other(Scheduler *self, SkyCall *call, FleetDrone *old, AssignmentDocument *document,
                               FleetDrone *new, const FleetPlan *plan) {
  LifeEvent event;
  LifeFacts facts;
  const LifeMission *mission = &old->life.mission;
  assign_event(document->terms, plan, mission->revision + 1, &event);
  event.mission.version = mission->version + 1; /* the release of the old drone is between */
  memcpy(event.other_drone_id, old->id, sizeof(event.other_drone_id));
  SkyStatus status = SKY_ABORTED("drone %s is not free any more", new->id);
  if (life_step(&new->life, &event, scheduler_now_ms(self), &facts) == LIFE_CHANGED) {
    sky_status_free(status);
    status = claim_append(self, sky_call_context(call), new, &facts);
  }
  claim_let_go(self, new);
  if (status == SKY_OK)
    status = take_back(self, call, old, document->delivery_id);
  return status;
}

/* With the drone that has it when it can, else with another. old is held. */
static SkyStatus change_terms(Scheduler *self, SkyCall *call, FleetDrone *old, AssignmentDocument *document) {
  const FleetNeed need = map_need(document->terms);
  FleetPlan plan;
  pthread_mutex_lock(&self->mutex);
  const bool keeps = fleet_plan(&self->fleet, &self->rules, old, &need, scheduler_now_ms(self), &plan);
  pthread_mutex_unlock(&self->mutex);
  if (!keeps) {
    FleetDrone *new = NULL;
    SKY_TRY(assign_choose(self, document->terms, &new, &plan));
    return move_to_other(self, call, old, document, new, &plan);
  }
  LifeEvent event;
  LifeFacts facts;
  assign_event(document->terms, &plan, old->life.mission.revision + 1, &event);
  switch (life_step(&old->life, &event, scheduler_now_ms(self), &facts)) {
  case LIFE_CHANGED:
    return claim_append(self, sky_call_context(call), old, &facts);
  case LIFE_TOO_LATE:
    return picked_up(document->delivery_id);
  default:
    return SKY_ABORTED("drone %s has lost delivery %s", old->id, document->delivery_id);
  }
}

static SkyStatus change(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                        AssignmentDocument *document, int64_t version, drone_AssignDroneResponse *response) {
  drone_AssignDroneRequest *terms = NULL;
  SKY_TRY(drone_AssignDroneRequest_copy(request, sky_call_arena(call), &terms));
  FleetDrone *drone = NULL;
  SKY_TRY(claim_hold(self, sky_call_context(call), document->assignment->drone_id, &drone));
  SkyStatus status = SKY_OK;
  if (!drone->life.busy || strcmp(drone->life.mission.delivery_id, request->delivery_id) != 0)
    status = SKY_ABORTED("drone %s has lost delivery %s", drone->id, request->delivery_id);
  else if (life_is_picked_up(drone->life.mission.phase))
    status = picked_up(request->delivery_id);
  if (status == SKY_OK) {
    add_change(sky_call_arena(call), document, terms);
    status = change_terms(self, call, drone, document);
  }
  claim_let_go(self, drone);
  SKY_TRY(status);
  assignments_overlay(self, sky_call_arena(call), document);
  SKY_TRY(
      sky_store_replace(self->store, sky_call_context(call), &assignment_documents, &document->base, version, NULL));
  return assign_answer(self, call, document, false, response);
}

/* ---- the method ---- */

bool assign_is_flown(Scheduler *self, const char *delivery_id) {
  pthread_mutex_lock(&self->mutex);
  const bool flown = sky_map_get(self->drone_by_delivery, sky_str(delivery_id)) != NULL;
  pthread_mutex_unlock(&self->mutex);
  return flown;
}

/* The delivery has a document: the same answer, new terms, or a claim that is still to be made. */
static SkyStatus again(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                       drone_AssignDroneResponse *response) {
  AssignmentDocument *document = NULL;
  int64_t version = 0;
  SKY_TRY(assignments_get(self, call, request->delivery_id, &document, &version));
  const drone_AssignmentState state = document->assignment->state;
  if (document->terms == NULL || state == drone_ASSIGNMENT_STATE_RELEASED || state == drone_ASSIGNMENT_STATE_FAILED)
    return ended(request->delivery_id);
  const bool changes = request->change_id[0] != '\0' && !has_change(document, request->change_id);
  if (changes && state == drone_ASSIGNMENT_STATE_COMPLETED)
    return picked_up(request->delivery_id);
  if (request->change_id[0] == '\0' && !same_terms(request, document->terms) &&
      (document->first_terms == NULL || !same_terms(request, document->first_terms)))
    return sky_status_with_reason(SKY_ALREADY_EXISTS("delivery %s was assigned on other terms", request->delivery_id),
                                  REASON_ASSIGNMENT_CONFLICT);
  if (state == drone_ASSIGNMENT_STATE_ACTIVE && !assign_is_flown(self, request->delivery_id))
    SKY_TRY(claim_for(self, call, document, version));
  else if (changes)
    return change(self, call, request, document, version, response);
  return assign_answer(self, call, document, false, response);
}

/* It may have a drone already; then that is the answer, not the refusal. */
static SkyStatus known_or(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                          drone_AssignDroneResponse *response, SkyStatus refusal) {
  SkyStatus known = again(self, call, request, response);
  if (sky_status_take(&known, SKY_CODE_NOT_FOUND))
    return refusal;
  sky_status_free(refusal);
  return known;
}

static SkyStatus first_time(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                            drone_AssignDroneResponse *response) {
  FleetDrone *drone = NULL;
  FleetPlan plan;
  SkyStatus status = assign_choose(self, request, &drone, &plan);
  if (status != SKY_OK)
    return known_or(self, call, request, response, status);
  AssignmentDocument *document = NULL;
  status = assign_document(self, call, request, drone, &plan, &document);
  if (status == SKY_OK)
    status = sky_store_insert(self->store, sky_call_context(call), &assignment_documents, &document->base);
  if (status != SKY_OK) {
    claim_let_go(self, drone);
    return sky_status_take(&status, SKY_CODE_ALREADY_EXISTS) ? again(self, call, request, response) : status;
  }
  status = claim(self, call, drone, request, &plan, 1, 0);
  if (sky_status_take(&status, SKY_CODE_ABORTED))
    status = claim_for(self, call, document, 1);
  SKY_TRY(status);
  return assign_answer(self, call, document, true, response);
}

SkyStatus assign_check(const drone_AssignDroneRequest *request) {
  SkyStatus status = SKY_OK;
  const int64_t pickup_ms = sky_timestamp_ms(request->pickup_time), deadline_ms = sky_timestamp_ms(request->deadline);
  if (pickup_ms != 0 && deadline_ms != 0 && deadline_ms <= pickup_ms)
    sky_violations_add(&status, "deadline", "must be after pickup_time");
  return status;
}

SkyStatus assign_one(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                     drone_AssignDroneResponse *response) {
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), request->delivery_id, &stripe));
  SkyStatus status = sky_context_check(sky_call_context(call)); /* it may have waited */
  if (status == SKY_OK)
    status = assign_is_flown(self, request->delivery_id) ? again(self, call, request, response)
                                                         : first_time(self, call, request, response);
  pthread_mutex_unlock(stripe);
  return status;
}

SkyStatus assign_refused(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                         drone_AssignDroneResponse *response, SkyStatus refusal) {
  pthread_mutex_t *stripe;
  SkyStatus status = scheduler_lock(self, sky_call_context(call), request->delivery_id, &stripe);
  if (status != SKY_OK) {
    sky_status_free(refusal);
    return status;
  }
  status = known_or(self, call, request, response, refusal);
  pthread_mutex_unlock(stripe);
  return status;
}
