/*
 * Assignments: the documents of deliveries and their drones. While a mission is flown its drone's log is the truth; the
 * document gets the end when it has come, some moments later and many at once. Until then readers see what memory
 * knows.
 */
#include <stdlib.h>
#include <string.h>

#include <sky/service/resource.h>

#include "map.h"
#include "scheduler.h"

enum { FLUSH_BATCH = 256, FLUSH_ARENA_BYTES = 16 << 20 };

/* ---- ended missions ---- */

static drone_AssignmentState end_state(const LifeFact *released, LifePhase phase) {
  if (released->completed)
    return drone_ASSIGNMENT_STATE_COMPLETED;
  return phase == LIFE_PHASE_FAILED ? drone_ASSIGNMENT_STATE_FAILED : drone_ASSIGNMENT_STATE_RELEASED;
}

void assignments_finish_locked(Scheduler *self, const FleetDrone *drone, const LifeFact *released, LifePhase phase) {
  Finished *finished = calloc(1, sizeof(*finished));
  if (finished == NULL)
    return; /* the document stays ACTIVE until the next start heals it */
  memcpy(finished->delivery_id, released->mission.delivery_id, sizeof(finished->delivery_id));
  finished->state = end_state(released, phase);
  finished->phase = finished->state == drone_ASSIGNMENT_STATE_RELEASED ? LIFE_PHASE_ABORTED : phase;
  finished->revision = drone->life.ended_revision;
  finished->end_ms = released->time_ms;
  finished->flown_m = released->distance_m;
  finished->busy_s = (double)(released->time_ms - released->mission.assign_ms) / SKY_MS_PER_S;
  const SkyStatus status = sky_map_set(self->finished_by_delivery, sky_str(finished->delivery_id), finished, NULL);
  if (status != SKY_OK) {
    sky_status_free(status);
    free(finished);
    return;
  }
  *self->finished_tail = finished;
  self->finished_tail = &finished->next;
}

static void set_end(SkyArena *arena, AssignmentDocument *document, const Finished *finished) {
  drone_Assignment *assignment = document->assignment;
  assignment->state = finished->state;
  assignment->phase = (common_MissionPhase)finished->phase;
  assignment->revision = finished->revision;
  assignment->end_time = sky_timestamp_create(arena, finished->end_ms);
  assignment->update_time = assignment->end_time;
  document->flown_m = finished->flown_m;
  document->busy_s = finished->busy_s;
}

static size_t take_batch(Scheduler *self, Finished batch[FLUSH_BATCH]) {
  size_t count = 0;
  pthread_mutex_lock(&self->mutex);
  for (const Finished *at = self->finished; at != NULL && count < FLUSH_BATCH; at = at->next)
    batch[count++] = *at;
  pthread_mutex_unlock(&self->mutex);
  return count;
}

/* Forgets the first ones of the list: their documents are written. */
static void forget(Scheduler *self, size_t count) {
  pthread_mutex_lock(&self->mutex);
  while (count-- > 0) {
    Finished *first = self->finished;
    self->finished = first->next;
    if (self->finished == NULL)
      self->finished_tail = &self->finished;
    if (sky_map_get(self->finished_by_delivery, sky_str(first->delivery_id)) == first)
      sky_map_remove(self->finished_by_delivery, sky_str(first->delivery_id));
    free(first);
  }
  pthread_mutex_unlock(&self->mutex);
}

/* The replacement that ends a document; none when it is ended already, or belongs to nobody. */
static SkyStatus prepare(Scheduler *self, const SkyContext *context, const Finished *finished, SkyArena *arena,
                         SkyReplacement *ret, bool *ret_needed) {
  ProtobufCMessage *message = NULL;
  int64_t version = 0;
  *ret_needed = false;
  SkyStatus status =
      sky_store_get(self->store, context, &assignment_documents, finished->delivery_id, arena, &message, &version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return SKY_OK;
  SKY_TRY(status);
  AssignmentDocument *document = (AssignmentDocument *)message;
  if (document->assignment->state != drone_ASSIGNMENT_STATE_ACTIVE)
    return SKY_OK;
  set_end(arena, document, finished);
  *ret = (SkyReplacement){.document = message, .expected_version = version};
  *ret_needed = true;
  return SKY_OK;
}

/* An error of any keeps the whole batch: writing an end twice does no harm. */
static SkyStatus first_error(SkyStatus *results, size_t count) {
  SkyStatus first = SKY_OK;
  for (size_t i = 0; i < count; i++) {
    if (first == SKY_OK)
      first = results[i];
    else
      sky_status_free(results[i]);
  }
  return first;
}

static SkyStatus flush_batch(Scheduler *self, const SkyContext *context, const Finished *batch, size_t count,
                             SkyArena *arena) {
  SkyReplacement replacements[FLUSH_BATCH];
  SkyStatus results[FLUSH_BATCH] = {0};
  size_t needed_count = 0;
  for (size_t i = 0; i < count; i++) {
    bool needed;
    SKY_TRY(prepare(self, context, &batch[i], arena, &replacements[needed_count], &needed));
    needed_count += needed ? 1 : 0;
  }
  if (needed_count == 0)
    return SKY_OK;
  SKY_TRY(sky_store_replace_many(self->store, context, &assignment_documents, replacements, needed_count, results));
  return first_error(results, needed_count);
}

SkyStatus assignments_flush(void *user, const SkyContext *context) {
  Scheduler *self = user;
  Finished *batch = malloc(FLUSH_BATCH * sizeof(*batch));
  if (batch == NULL)
    return sky_status_no_memory();
  SkyStatus status = SKY_OK;
  for (size_t count; status == SKY_OK && (count = take_batch(self, batch)) > 0;) {
    SkyArena arena;
    sky_arena_init(&arena, FLUSH_ARENA_BYTES);
    status = flush_batch(self, context, batch, count, &arena);
    sky_arena_finish(&arena);
    if (status == SKY_OK)
      forget(self, count);
  }
  free(batch);
  return status;
}

/* ---- reading ---- */

static void overlay_mission(SkyArena *arena, AssignmentDocument *document, const FleetDrone *drone) {
  const LifeMission *mission = &drone->life.mission;
  drone_Assignment *assignment = document->assignment;
  assignment->state = drone_ASSIGNMENT_STATE_ACTIVE;
  assignment->drone_id = map_text(arena, drone->id);
  assignment->phase = (common_MissionPhase)mission->phase;
  assignment->revision = mission->revision;
  assignment->drone_location = map_location(arena, &mission->start);
  assignment->pickup_location = map_location(arena, &mission->pickup);
  assignment->dropoff_location = map_location(arena, &mission->dropoff);
  assignment->distance_m = mission->distance_m;
  assignment->pickup_eta = map_eta(arena, mission->pickup_eta_ms, MAP_PICKUP_CONFIDENCE);
  assignment->delivery_eta = map_eta(arena, mission->delivery_eta_ms, MAP_DELIVERY_CONFIDENCE);
  assignment->update_time = sky_timestamp_create(arena, drone->life.change_ms);
}

void assignments_overlay(Scheduler *self, SkyArena *arena, AssignmentDocument *document) {
  pthread_mutex_lock(&self->mutex);
  const FleetDrone *drone = sky_map_get(self->drone_by_delivery, sky_str(document->delivery_id));
  const Finished *finished = sky_map_get(self->finished_by_delivery, sky_str(document->delivery_id));
  if (drone != NULL)
    overlay_mission(arena, document, drone);
  else if (finished != NULL && document->assignment->state == drone_ASSIGNMENT_STATE_ACTIVE)
    set_end(arena, document, finished);
  pthread_mutex_unlock(&self->mutex);
  document->assignment->etag =
      sky_etag_create(arena, (int64_t)(document->assignment->revision * 32 + (uint64_t)document->assignment->phase * 2 +
                                       (document->assignment->state != drone_ASSIGNMENT_STATE_ACTIVE)));
}

SkyStatus assignments_get(Scheduler *self, SkyCall *call, const char *delivery_id, AssignmentDocument **ret,
                          int64_t *ret_version) {
  ProtobufCMessage *message = NULL;
  SkyStatus status = sky_store_get(self->store, sky_call_context(call), &assignment_documents, delivery_id,
                                   sky_call_arena(call), &message, ret_version);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return sky_status_with_reason(SKY_NOT_FOUND("delivery %s has no drone", delivery_id), REASON_ASSIGNMENT_UNKNOWN);
  SKY_TRY(status);
  *ret = (AssignmentDocument *)message;
  assignments_overlay(self, sky_call_arena(call), *ret);
  return SKY_OK;
}

SkyStatus handle_get_assignment(void *user, SkyCall *call, const drone_GetAssignmentRequest *request,
                                drone_GetAssignmentResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  AssignmentDocument *document = NULL;
  int64_t version;
  SKY_TRY(assignments_get(self, call, request->delivery_id, &document, &version));
  if (document->terms == NULL) /* released before it was ever assigned */
    return sky_status_with_reason(SKY_NOT_FOUND("delivery %s has no drone", request->delivery_id),
                                  REASON_ASSIGNMENT_UNKNOWN);
  response->assignment = document->assignment;
  return SKY_OK;
}

/* ---- use of the fleet ---- */

static int64_t month_start_ns(int year, int month) {
  return sky_unix_ns(sky_time_from_civil(month > 12 ? year + 1 : year, month > 12 ? 1 : month, 1), 0);
}

static void count_in(Scheduler *self, SkyArena *arena, AssignmentDocument *document, drone_Utilization *sum) {
  assignments_overlay(self, arena, document);
  sum->mission_count++;
  if (document->assignment->state == drone_ASSIGNMENT_STATE_COMPLETED)
    sum->completed_count++;
  sum->distance_m += document->flown_m;
  sum->busy_s += document->busy_s;
}

/* Summed up when asked, page by page through an index: exact, at about 3 us per mission. */
SkyStatus handle_get_utilization(void *user, SkyCall *call, const drone_GetUtilizationRequest *request,
                                 drone_GetUtilizationResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  drone_Utilization *sum = drone_Utilization_create(sky_call_arena(call));
  common_Month *month = common_Month_create(sky_call_arena(call));
  if (sum == NULL || month == NULL)
    return sky_status_no_memory();
  char *token = NULL;
  SkyStatus status = SKY_OK;
  do {
    SkyArena arena;
    sky_arena_init(&arena, FLUSH_ARENA_BYTES);
    const SkyQuery query = {.index = ASSIGNMENTS_BY_OWNER,
                            .equal = {SKY_V_TEXT(request->owner_id)},
                            .from = SKY_V_TIME(month_start_ns(request->year, request->month)),
                            .to = SKY_V_TIME(month_start_ns(request->year, request->month + 1)),
                            .page_size = SKY_PAGE_MAX,
                            .page_token = token};
    SkyPage page = {0};
    status = sky_store_find(self->store, sky_call_context(call), &assignment_documents, &query, &arena, &page);
    for (size_t i = 0; status == SKY_OK && i < page.count; i++)
      count_in(self, &arena, (AssignmentDocument *)page.documents[i], sum);
    free(token);
    token = status == SKY_OK && page.next_page_token[0] != '\0' ? strdup(page.next_page_token) : NULL;
    sky_arena_finish(&arena);
  } while (token != NULL);
  month->year = request->year;
  month->month = request->month;
  sum->owner_id = sky_call_strdup(call, request->owner_id);
  sum->month = month;
  response->utilization = sum;
  return status;
}
