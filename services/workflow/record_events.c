/* Records of a saga's log: the domain's events that are news, and last the state as it is now. */
#include "workflow/record.h"

#include <stdio.h>
#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/events/v1/workflow.event.h"
#include "workflow/workflow_store.event.h"

typedef struct Builder {
  const SagaRecord *record;
  const workflow_store_Saga *document;
  SkyArena *arena;
  SkyAppend *appends;
  size_t count;
  uint64_t version; /* of the next event */
} Builder;

/* Derived from saga, record and place in it: published again after a crash, an event has the same id. */
static const char *event_id(Builder *builder) {
  char name[48];
  char text[SKY_UUID_TEXT_SIZE];
  SkyUuid saga = {{0}};
  if (!sky_uuid_parse(sky_str(builder->record->id), &saga))
    return builder->record->id; /* never: ids are checked where they come in */
  snprintf(name, sizeof(name), "%lld/%zu", (long long)builder->document->record_version, builder->count);
  const SkyUuid id = sky_uuid_v5(&saga, sky_str(name));
  sky_uuid_format(&id, text);
  return sky_arena_strndup(builder->arena, text, strlen(text));
}

/* What all events of the contract have in common. */
#define FILL_HEAD(builder, event)                                                                                      \
  do {                                                                                                                 \
    (event)->event_id = event_id(builder);                                                                             \
    (event)->delivery_id = (builder)->document->id;                                                                    \
    (event)->version = (builder)->version++;                                                                           \
    (event)->occur_time = (builder)->document->workflow->update_time;                                                  \
    (event)->owner_id = (builder)->document->owner_id;                                                                 \
  } while (0)

static SkyStatus add(Builder *builder, const SkyEventType *type, const ProtobufCMessage *event, const char *id) {
  if (id == NULL)
    return sky_status_no_memory();
  builder->appends[builder->count++] = (SkyAppend){.type = type, .event = event};
  return SKY_OK;
}

static SkyStatus add_started(Builder *builder) {
  events_SagaStarted *event = events_SagaStarted_create(builder->arena);
  if (event == NULL)
    return sky_status_no_memory();
  FILL_HEAD(builder, event);
  event->order = builder->document->workflow->order;
  event->request_time = builder->document->workflow->request_time;
  event->complete_by = builder->document->workflow->complete_by;
  return add(builder, &events_SagaStarted_event, &event->base, event->event_id);
}

static events_SagaStepCompleted_Step *completed_step(Builder *builder, SagaStep step) {
  events_SagaStepCompleted_Step *completed = events_SagaStepCompleted_Step_create(builder->arena);
  if (completed == NULL)
    return NULL;
  const SagaStepInfo *info = &builder->record->saga.steps[step];
  completed->step = (common_WorkflowStep)step;
  completed->attempts = info->attempts;
  completed->skipped = info->state == SAGA_STEP_SKIPPED;
  completed->end_time = sky_timestamp_create(builder->arena, info->end_ms);
  return completed->end_time == NULL ? NULL : completed;
}

/* One event for all: they are known together, and every event costs the broker and its readers as much as a request. */
static SkyStatus add_steps(Builder *builder) {
  events_SagaStepCompleted *event = events_SagaStepCompleted_create(builder->arena);
  if (event == NULL)
    return sky_status_no_memory();
  FILL_HEAD(builder, event);
  event->steps = sky_arena_alloc(builder->arena, SAGA_STEP_END * sizeof(events_SagaStepCompleted_Step *));
  if (event->steps == NULL)
    return sky_status_no_memory();
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++) {
    if ((builder->record->saga.news.steps >> step & 1) == 0)
      continue;
    events_SagaStepCompleted_Step *completed = completed_step(builder, step);
    if (completed == NULL)
      return sky_status_no_memory();
    event->steps[event->n_steps++] = completed;
    event->step = completed->step;
    event->attempts = completed->attempts;
    event->skipped = completed->skipped;
    event->occur_time = completed->end_time;
  }
  return add(builder, &events_SagaStepCompleted_event, &event->base, event->event_id);
}

static SkyStatus add_completed(Builder *builder) {
  events_SagaCompleted *event = events_SagaCompleted_create(builder->arena);
  if (event == NULL)
    return sky_status_no_memory();
  const workflow_Workflow *workflow = builder->document->workflow;
  FILL_HEAD(builder, event);
  event->drone_id = workflow->result->drone_id;
  event->carrier_booking_id = workflow->result->carrier_booking_id;
  event->package_id = workflow->result->package_id;
  event->pickup_eta = workflow->result->pickup_eta;
  event->delivery_eta = workflow->result->delivery_eta;
  event->order = workflow->order;
  event->request_time = workflow->request_time;
  return add(builder, &events_SagaCompleted_event, &event->base, event->event_id);
}

static SkyStatus add_compensated(Builder *builder) {
  events_SagaCompensated *event = events_SagaCompensated_create(builder->arena);
  if (event == NULL)
    return sky_status_no_memory();
  FILL_HEAD(builder, event);
  event->failed_step = (common_WorkflowStep)builder->record->saga.failed_step;
  event->reason = builder->document->workflow->reason;
  event->cancelled = builder->record->saga.state == SAGA_CANCELLED;
  event->order = builder->document->workflow->order;
  return add(builder, &events_SagaCompensated_event, &event->base, event->event_id);
}

static SkyStatus add_failed(Builder *builder) {
  events_SagaFailed *event = events_SagaFailed_create(builder->arena);
  if (event == NULL)
    return sky_status_no_memory();
  const Saga *saga = &builder->record->saga;
  FILL_HEAD(builder, event);
  event->failed_step = (common_WorkflowStep)saga->failed_step;
  event->reason = builder->document->workflow->reason;
  event->attempts = saga->steps[saga->failed_step].attempts;
  event->order = builder->document->workflow->order;
  return add(builder, &events_SagaFailed_event, &event->base, event->event_id);
}

static SkyStatus add_state(Builder *builder) {
  workflow_store_SagaChanged *event = workflow_store_SagaChanged_create(builder->arena);
  if (event == NULL)
    return sky_status_no_memory();
  event->event_id = event_id(builder);
  event->delivery_id = builder->document->id;
  event->saga = (workflow_store_Saga *)builder->document;
  return add(builder, &workflow_store_SagaChanged_event, &event->base, event->event_id);
}

unsigned saga_news_count(const SagaNews *news) {
  return (news->steps != 0) + news->started + news->completed + news->compensated + news->failed;
}

SkyStatus saga_record_appends(const SagaRecord *record, const workflow_store_Saga *document, SkyArena *arena,
                              SkyAppend *appends, size_t *ret_count) {
  const SagaNews *news = &record->saga.news;
  const uint64_t last = document->workflow->version;
  Builder builder = {record, document, arena, appends, 0, last + 1 - saga_news_count(news)};
  if (news->started)
    SKY_TRY(add_started(&builder));
  if (news->steps != 0)
    SKY_TRY(add_steps(&builder));
  if (news->completed)
    SKY_TRY(add_completed(&builder));
  if (news->compensated)
    SKY_TRY(add_compensated(&builder));
  if (news->failed)
    SKY_TRY(add_failed(&builder));
  SKY_TRY(add_state(&builder));
  *ret_count = builder.count;
  return SKY_OK;
}
