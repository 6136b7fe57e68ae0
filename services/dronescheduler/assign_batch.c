/*
 * AssignDrone for many at once: what waits together shares one commit for the documents and one for the claims, step by
 * step as in assign.c. Whatever is not plain (a delivery that has a document already, no drone for it, a claim that
 * another process was faster with) is left to assign.c, on a worker, because it may read and wait.
 *
 * While a delivery is in a batch its stripe is locked; one that somebody else has locked goes to a worker as well.
 * There are many more stripes than a batch has deliveries, so that it stands in the way of few.
 */
#include <string.h>

#include "assign.h"
#include "events.h"

enum { BATCH = SCHEDULER_ASSIGN_BATCH, TIMEOUT_MS = 10000, ARENA_BYTES = 16 << 20 };

typedef struct Job {
  SkyBatchJob job; /* first */
  Scheduler *self;
  SkyCall *call;
  const drone_AssignDroneRequest *request;
  FleetDrone *drone; /* held; NULL: not in the batch any more */
  SkyStatus refusal; /* no drone was found */
  FleetPlan plan;
  AssignmentDocument *document;
  bool inserted; /* the document is this call's, whoever makes its claim */
  LifeFacts facts;
} Job;

typedef struct Batch {
  Scheduler *self;
  Job *jobs[BATCH]; /* those that have a drone */
  size_t count;
  pthread_mutex_t *locked[BATCH];
  size_t locked_count;
  bool has_locked[SCHEDULER_STRIPES];
  Job *left[BATCH]; /* for workers */
  size_t left_count;
} Batch;

/* ---- on a worker ---- */

static void assign_alone(void *user) {
  Job *job = user;
  drone_AssignDroneResponse *response = (drone_AssignDroneResponse *)sky_call_response(job->call);
  SkyStatus status = job->refusal == SKY_OK
                         ? assign_one(job->self, job->call, job->request, response)
                         : assign_refused(job->self, job->call, job->request, response, job->refusal);
  response->created |= job->inserted;
  sky_call_finish(job->call, status);
}

static void leave_to_worker(Job *job) {
  SkyStatus status = sky_rpc_run(sky_service_rpc(job->self->service), assign_alone, job);
  if (status == SKY_OK)
    return;
  sky_status_free(job->refusal);
  sky_call_finish(job->call, status);
}

/* ---- who is in ---- */

static bool lock_stripe(Batch *batch, pthread_mutex_t *stripe) {
  bool *has_locked = &batch->has_locked[stripe - batch->self->stripes];
  if (*has_locked)
    return true;
  if (pthread_mutex_trylock(stripe) != 0)
    return false;
  batch->locked[batch->locked_count++] = stripe;
  *has_locked = true;
  return true;
}

static bool is_in(const Batch *batch, const char *delivery_id) {
  for (size_t i = 0; i < batch->count; i++) {
    if (strcmp(batch->jobs[i]->request->delivery_id, delivery_id) == 0)
      return true;
  }
  return false;
}

/* Finds and holds a drone. False: this one is for a worker. */
static bool enter(Batch *batch, Job *job) {
  const char *id = job->request->delivery_id;
  if (!lock_stripe(batch, scheduler_stripe(batch->self, id)) || is_in(batch, id) || assign_is_flown(batch->self, id))
    return false;
  FleetDrone *drone = NULL;
  job->refusal = assign_choose(batch->self, job->request, &drone, &job->plan);
  if (job->refusal != SKY_OK)
    return false;
  SkyStatus status = assign_document(batch->self, job->call, job->request, drone, &job->plan, &job->document);
  if (status != SKY_OK) {
    sky_status_free(status);
    claim_let_go(batch->self, drone);
    return false;
  }
  job->drone = drone;
  batch->jobs[batch->count++] = job;
  return true;
}

/* Takes the job out, without its drone. */
static void drop(Batch *batch, Job *job) {
  claim_let_go(batch->self, job->drone);
  job->drone = NULL;
}

static void leave(Batch *batch, Job *job) {
  drop(batch, job);
  batch->left[batch->left_count++] = job;
}

static void refuse(Batch *batch, Job *job, SkyStatus status) {
  drop(batch, job);
  sky_call_finish(job->call, status);
}

/* ---- the documents ---- */

static void insert_documents(Batch *batch, const SkyContext *context) {
  const ProtobufCMessage *documents[BATCH];
  SkyStatus results[BATCH] = {0};
  for (size_t i = 0; i < batch->count; i++)
    documents[i] = &batch->jobs[i]->document->base;
  SkyStatus whole =
      sky_store_insert_many(batch->self->store, context, &assignment_documents, documents, batch->count, results);
  for (size_t i = 0; i < batch->count; i++) {
    SkyStatus result = whole != SKY_OK ? sky_status_copy(whole) : results[i];
    if (sky_status_take(&result, SKY_CODE_ALREADY_EXISTS))
      leave(batch, batch->jobs[i]);
    else if (result != SKY_OK)
      refuse(batch, batch->jobs[i], result);
    else
      batch->jobs[i]->inserted = true;
  }
  sky_status_free(whole);
}

/* ---- the claims ---- */

static SkyStatus make_events(Batch *batch, Job *job, SkyArena *arena, SkyAppendTo *ret) {
  LifeEvent event;
  assign_event(job->request, &job->plan, 1, &event);
  event.mission.version = 0;
  if (life_step(&job->drone->life, &event, scheduler_now_ms(batch->self), &job->facts) != LIFE_CHANGED)
    return SKY_ABORTED("drone %s is not free any more", job->drone->id);
  SkyAppend *events = sky_arena_alloc(arena, LIFE_MAX_FACTS * sizeof(*events));
  size_t count;
  if (events == NULL)
    return sky_status_no_memory();
  SKY_TRY(events_from_facts(job->drone, job->facts.fact, job->facts.count, job->drone->log_version + 1,
                            batch->self->random, arena, events, &count));
  *ret = (SkyAppendTo){.aggregate_id = job->drone->id,
                       .expected_version = job->drone->log_version,
                       .events = events,
                       .count = count,
                       .trace = &sky_call_context(job->call)->trace};
  return SKY_OK;
}

static void settle(Batch *batch, const SkyContext *context, Job *job, SkyStatus appended) {
  Scheduler *self = batch->self;
  if (sky_status_take(&appended, SKY_CODE_ABORTED)) { /* the document stands; a worker chooses anew */
    sky_status_free(claim_catch_up(self, context, job->drone));
    leave(batch, job);
    return;
  }
  claim_settle(self, job->drone, job->facts.fact, job->facts.count, appended);
  if (appended != SKY_OK) {
    refuse(batch, job, appended);
    return;
  }
  drop(batch, job);
  drone_AssignDroneResponse *response = (drone_AssignDroneResponse *)sky_call_response(job->call);
  sky_call_finish(job->call, assign_answer(self, job->call, job->document, true, response));
}

static void append_claims(Batch *batch, const SkyContext *context, SkyArena *arena) {
  SkyAppendTo appends[BATCH];
  SkyStatus results[BATCH] = {0};
  Job *of[BATCH];
  size_t count = 0;
  for (size_t i = 0; i < batch->count; i++) {
    Job *job = batch->jobs[i];
    if (job->drone == NULL)
      continue;
    SkyStatus status = make_events(batch, job, arena, &appends[count]);
    if (status == SKY_OK)
      of[count++] = job;
    else
      settle(batch, context, job, status);
  }
  if (count == 0)
    return;
  SkyStatus whole = sky_event_log_append_many(batch->self->log, context, appends, count, results);
  for (size_t i = 0; i < count; i++)
    settle(batch, context, of[i], whole != SKY_OK ? sky_status_copy(whole) : results[i]);
  sky_status_free(whole);
}

/* ---- the whole ---- */

static void end(Batch *batch) {
  for (size_t i = 0; i < batch->locked_count; i++)
    pthread_mutex_unlock(batch->locked[i]);
  for (size_t i = 0; i < batch->left_count; i++)
    leave_to_worker(batch->left[i]);
}

void assign_work(void *self, SkyBatchJob *const *jobs, size_t count) {
  Batch batch = {.self = self};
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, TIMEOUT_MS);
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  for (size_t i = 0; i < count; i++) {
    Job *job = (Job *)(void *)jobs[i];
    SkyStatus status = sky_context_check(sky_call_context(job->call)); /* it has waited */
    if (status != SKY_OK)
      sky_call_finish(job->call, status);
    else if (!enter(&batch, job))
      batch.left[batch.left_count++] = job;
  }
  if (batch.count > 0) {
    insert_documents(&batch, &context);
    append_claims(&batch, &context, &arena);
  }
  sky_arena_finish(&arena);
  end(&batch);
}

SkyStatus handle_assign_drone(void *user, SkyCall *call, const drone_AssignDroneRequest *request,
                              drone_AssignDroneResponse *response) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  SKY_TRY(assign_check(request));
  Job *job = sky_arena_alloc(sky_call_arena(call), sizeof(*job));
  if (job == NULL)
    return sky_status_no_memory();
  *job = (Job){.self = self, .call = call, .request = request};
  const SkyStatus deferred = sky_call_defer(call);
  SkyStatus status = sky_batch_add(self->assigns, &job->job);
  if (status != SKY_OK)
    sky_call_finish(call, status);
  return deferred;
}
