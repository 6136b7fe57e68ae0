/*
 * ReleaseDrone: taking a drone from a delivery before pickup. What was never assigned is marked by a document without
 * terms, so that an AssignDrone that is still on its way is refused.
 */
#include <string.h>

#include <sky/service/resource.h>

#include "map.h"
#include "scheduler.h"

enum { MAX_TRIES = 5 };

static SkyStatus picked_up(const char *delivery_id) {
  return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s has been picked up", delivery_id),
                                REASON_ALREADY_PICKED_UP);
}

static SkyStatus mark(Scheduler *self, SkyCall *call, const char *delivery_id) {
  AssignmentDocument *document = drone_store_AssignmentDocument_create(sky_call_arena(call));
  drone_Assignment *assignment = drone_Assignment_create(sky_call_arena(call));
  if (document == NULL || assignment == NULL)
    return sky_status_no_memory();
  document->delivery_id = assignment->delivery_id = sky_call_strdup(call, delivery_id);
  document->assignment = assignment;
  assignment->state = drone_ASSIGNMENT_STATE_RELEASED;
  assignment->end_time = assignment->create_time = assignment->update_time =
      sky_timestamp_create(sky_call_arena(call), scheduler_now_ms(self));
  return sky_store_insert(self->store, sky_call_context(call), &assignment_documents, &document->base);
}

/* Ends a document whose claim was never made. */
static SkyStatus end_unclaimed(Scheduler *self, SkyCall *call, AssignmentDocument *document, int64_t version) {
  document->assignment->state = drone_ASSIGNMENT_STATE_RELEASED;
  document->assignment->end_time = document->assignment->update_time =
      sky_timestamp_create(sky_call_arena(call), scheduler_now_ms(self));
  return sky_store_replace(self->store, sky_call_context(call), &assignment_documents, &document->base, version, NULL);
}

/* Takes it from the drone that flies it. ABORTED when the drone's log has changed meanwhile. */
static SkyStatus take_from(Scheduler *self, SkyCall *call, const drone_ReleaseDroneRequest *request,
                           const char *drone_id) {
  FleetDrone *drone = NULL;
  SKY_TRY(claim_hold(self, sky_call_context(call), drone_id, &drone));
  LifeEvent event = release_event(self, drone);
  strncpy(event.delivery_id, request->delivery_id, sizeof(event.delivery_id) - 1);
  map_reason_from(&event.reason, request->reason, "RELEASED");
  LifeFacts facts;
  SkyStatus status = SKY_OK;
  switch (life_step(&drone->life, &event, scheduler_now_ms(self), &facts)) {
  case LIFE_CHANGED:
    status = claim_append(self, sky_call_context(call), drone, &facts);
    break;
  case LIFE_TOO_LATE:
    status = picked_up(request->delivery_id);
    break;
  default:
    break; /* ended meanwhile; what is known then is read again */
  }
  claim_let_go(self, drone);
  return status;
}

static bool flying_drone(Scheduler *self, const char *delivery_id, char ret_drone_id[LIFE_ID_SIZE]) {
  pthread_mutex_lock(&self->mutex);
  const FleetDrone *drone = sky_map_get(self->drone_by_delivery, sky_str(delivery_id));
  if (drone != NULL)
    memcpy(ret_drone_id, drone->id, LIFE_ID_SIZE);
  pthread_mutex_unlock(&self->mutex);
  return drone != NULL;
}

/* Nobody flies it: never assigned, never claimed, or ended. */
static SkyStatus release_document(Scheduler *self, SkyCall *call, const char *delivery_id,
                                  drone_ReleaseDroneResponse *response) {
  AssignmentDocument *document = NULL;
  int64_t version = 0;
  SkyStatus status = assignments_get(self, call, delivery_id, &document, &version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND)) {
    status = mark(self, call, delivery_id);
    return sky_status_code(status) == SKY_CODE_ALREADY_EXISTS ? (sky_status_free(status), SKY_ABORTED("try again"))
                                                              : status;
  }
  SKY_TRY(status);
  if (document->terms == NULL)
    return SKY_OK;
  if (document->assignment->state == drone_ASSIGNMENT_STATE_COMPLETED)
    return picked_up(delivery_id);
  if (document->assignment->state == drone_ASSIGNMENT_STATE_ACTIVE)
    SKY_TRY(end_unclaimed(self, call, document, version));
  response->assignment = document->assignment;
  return SKY_OK;
}

static SkyStatus release(Scheduler *self, SkyCall *call, const drone_ReleaseDroneRequest *request,
                         drone_ReleaseDroneResponse *response) {
  char drone_id[LIFE_ID_SIZE];
  SkyStatus status = SKY_OK;
  for (int try = 0; try < MAX_TRIES; try++) {
    sky_status_free(status);
    status = SKY_OK;
    if (flying_drone(self, request->delivery_id, drone_id))
      status = take_from(self, call, request, drone_id);
    if (status == SKY_OK)
      status = release_document(self, call, request->delivery_id, response);
    if (sky_status_code(status) != SKY_CODE_ABORTED)
      return status;
  }
  return status;
}

SkyStatus handle_release_drone(void *user, SkyCall *call, const drone_ReleaseDroneRequest *request,
                               drone_ReleaseDroneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  pthread_mutex_t *stripe;
  SKY_TRY(scheduler_lock(self, sky_call_context(call), request->delivery_id, &stripe));
  pthread_mutex_lock(&self->mutex);
  waiting_remove(&self->waiting, request->delivery_id);
  pthread_mutex_unlock(&self->mutex);
  const SkyStatus status = release(self, call, request, response);
  pthread_mutex_unlock(stripe);
  return status;
}
