#include "workflow/record.h"

#include <stdio.h>
#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/service/resource.h>

#include "fabrikam/events/v1/workflow.event.h"
#include "workflow/store.h"
#include "workflow/workflow_store.event.h"

enum { RECORD_ARENA_BYTES = 1 << 20, LOAD_ARENA_BYTES = 16 << 20 };

/* The terms of a DeliveryChange, which have the same names in a DeliveryOrder. Stored positions are in this order. */
static const char *const changeable[SAGA_TERMS + 1] = {
    "pickup_location", "dropoff_location", "pickup_time", "deadline", "expedited", "confirmation_required", "notify"};

void saga_record_init(SagaRecord *record, const char *id) {
  *record = (SagaRecord){.package_id = "", .drone_id = "", .carrier_booking_id = ""};
  saga_init(&record->saga);
  snprintf(record->id, sizeof(record->id), "%s", id);
  sky_arena_init(&record->arena, RECORD_ARENA_BYTES);
}

void saga_record_finish(SagaRecord *record) {
  sky_arena_finish(&record->arena);
}

bool saga_record_is_open(const SagaRecord *record) {
  const Saga *saga = &record->saga;
  return saga->state == SAGA_RUNNING || saga->state == SAGA_COMPENSATING ||
         (saga->state == SAGA_COMPLETED && (saga->cancel_asked || saga->change != SAGA_CHANGE_NONE));
}

static char *copy(SkyArena *arena, const char *text) {
  return sky_arena_strndup(arena, text, strlen(text));
}

/* ---- order and change ---- */

SkyStatus saga_record_set_order(SagaRecord *record, const common_DeliveryOrder *order) {
  common_DeliveryOrder *copy;
  SKY_TRY(common_DeliveryOrder_copy(order, &record->arena, &copy));
  record->order = copy;
  const char *package_id = copy->package_info == NULL ? "" : copy->package_info->package_id;
  record->package_id = package_id[0] != '\0' ? package_id : record->id;
  return SKY_OK;
}

/* Of the term's name alone, or of a part of it ("notify.email"); SAGA_TERMS for a path of no term. */
static size_t term_of(const char *path) {
  size_t i = 0;
  while (i < SAGA_TERMS &&
         (strncmp(path, changeable[i], strlen(changeable[i])) != 0 || strchr(".", path[strlen(changeable[i])]) == NULL))
    i++;
  return i;
}

static bool names_all(const protobuf_FieldMask *mask) {
  for (size_t i = 0; i < mask->n_paths; i++)
    if (strcmp(mask->paths[i], "*") == 0)
      return true;
  return false;
}

/* The paths of terms that no later change has set; "*" is all terms. */
static SkyStatus copy_later_paths(SagaRecord *record, const protobuf_FieldMask *mask, int64_t position,
                                  protobuf_FieldMask **ret) {
  const bool all = names_all(mask);
  const size_t count = all ? SAGA_TERMS : mask->n_paths;
  protobuf_FieldMask *later = protobuf_FieldMask_create(&record->arena);
  const char **paths = sky_arena_alloc(&record->arena, (count + 1) * sizeof(*paths));
  if (later == NULL || paths == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < count; i++) {
    const char *path = all ? changeable[i] : mask->paths[i];
    const size_t term = term_of(path);
    if (term < SAGA_TERMS && record->term_positions[term] > position)
      continue;
    paths[later->n_paths] = copy(&record->arena, path);
    if (paths[later->n_paths++] == NULL)
      return sky_status_no_memory();
  }
  later->paths = (void *)paths;
  *ret = later;
  return SKY_OK;
}

static SkyStatus check_changed_order(SagaRecord *record) {
  SkyArena arena;
  common_DeliveryOrder *changed;
  sky_arena_init(&arena, RECORD_ARENA_BYTES);
  SkyStatus status = saga_changed_order(record, &arena, &changed);
  if (status == SKY_OK)
    status = common_DeliveryOrder_validate(changed);
  sky_arena_finish(&arena);
  return status;
}

SkyStatus saga_record_set_change(SagaRecord *record, const common_DeliveryChange *terms, const protobuf_FieldMask *mask,
                                 const char *id, int64_t position, bool *ret_any) {
  common_DeliveryChange *terms_copy;
  protobuf_FieldMask *later;
  SKY_TRY(common_DeliveryChange_copy(terms, &record->arena, &terms_copy));
  SKY_TRY(copy_later_paths(record, mask, position, &later));
  *ret_any = later->n_paths > 0;
  if (!*ret_any)
    return SKY_OK;
  record->change_terms = terms_copy;
  record->change_mask = later;
  record->change_position = position;
  snprintf(record->change_id, sizeof(record->change_id), "%s", id);
  SkyStatus status = check_changed_order(record);
  if (status != SKY_OK)
    saga_record_drop_change(record);
  return status;
}

void saga_record_drop_change(SagaRecord *record) {
  record->change_terms = NULL;
  record->change_mask = NULL;
  record->change_id[0] = '\0';
  record->change_position = 0;
}

/* A change as an order of which only the changeable fields are set. */
static common_DeliveryOrder *as_order(const common_DeliveryChange *terms, SkyArena *arena) {
  common_DeliveryOrder *order = common_DeliveryOrder_create(arena);
  if (order == NULL)
    return NULL;
  order->pickup_location = terms->pickup_location;
  order->dropoff_location = terms->dropoff_location;
  order->pickup_time = terms->pickup_time;
  order->deadline = terms->deadline;
  order->expedited = terms->expedited;
  order->confirmation_required = terms->confirmation_required;
  order->notify = terms->notify;
  return order;
}

SkyStatus saga_changed_order(const SagaRecord *record, SkyArena *arena, common_DeliveryOrder **ret) {
  common_DeliveryOrder *changed;
  SKY_TRY(common_DeliveryOrder_copy(record->order, arena, &changed));
  common_DeliveryOrder *terms = as_order(record->change_terms, arena);
  if (terms == NULL)
    return sky_status_no_memory();
  SKY_TRY(sky_field_mask_apply((const char *const *)record->change_mask->paths, record->change_mask->n_paths,
                               changeable, &terms->base, &changed->base, arena));
  *ret = changed;
  return SKY_OK;
}

SkyStatus saga_record_apply_change(SagaRecord *record) {
  common_DeliveryOrder *changed;
  SKY_TRY(saga_changed_order(record, &record->arena, &changed));
  record->order = changed;
  for (size_t i = 0; i < record->change_mask->n_paths; i++) {
    const size_t term = term_of(record->change_mask->paths[i]);
    if (term < SAGA_TERMS)
      record->term_positions[term] = record->change_position;
  }
  saga_record_drop_change(record);
  return SKY_OK;
}

SkyStatus saga_reverse_change(const SagaRecord *record, SkyArena *arena, common_DeliveryChange **ret) {
  common_DeliveryChange *change = common_DeliveryChange_create(arena);
  if (change == NULL)
    return sky_status_no_memory();
  change->pickup_location = record->order->pickup_location;
  change->dropoff_location = record->order->dropoff_location;
  change->pickup_time = record->order->pickup_time;
  change->deadline = record->order->deadline;
  change->expedited = record->order->expedited;
  change->confirmation_required = record->order->confirmation_required;
  change->notify = record->order->notify;
  *ret = change;
  return SKY_OK;
}

bool saga_mask_needs_drone(const protobuf_FieldMask *mask) {
  for (size_t i = 0; i < mask->n_paths; i++)
    if (strncmp(mask->paths[i], "notify", 6) != 0 && strcmp(mask->paths[i], "confirmation_required") != 0)
      return true;
  return false;
}

/* ---- to messages ---- */

static SkyStatus make_reason(const SagaReason *reason, SkyArena *arena, common_Reason **ret) {
  if (reason->code[0] == '\0')
    return SKY_OK;
  common_Reason *made = common_Reason_create(arena);
  if (made == NULL)
    return sky_status_no_memory();
  made->code = copy(arena, reason->code);
  made->message = copy(arena, reason->message);
  *ret = made;
  return made->code == NULL || made->message == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus make_time(int64_t ms, SkyArena *arena, protobuf_Timestamp **ret) {
  if (ms == 0)
    return SKY_OK;
  *ret = sky_timestamp_create(arena, ms);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus make_step(const SagaStepInfo *info, SagaStep step, SkyArena *arena, workflow_StepRecord **ret) {
  workflow_StepRecord *made = workflow_StepRecord_create(arena);
  if (made == NULL)
    return sky_status_no_memory();
  made->step = (common_WorkflowStep)step;
  made->state = (workflow_StepState)info->state;
  made->attempts = info->attempts;
  SKY_TRY(make_reason(&info->reason, arena, &made->reason));
  SKY_TRY(make_time(info->start_ms, arena, &made->start_time));
  SKY_TRY(make_time(info->end_ms, arena, &made->end_time));
  *ret = made;
  return SKY_OK;
}

static SkyStatus make_steps(const SagaRecord *record, SkyArena *arena, workflow_Workflow *workflow) {
  workflow->steps = sky_arena_alloc(arena, SAGA_STEP_END * sizeof(*workflow->steps));
  if (workflow->steps == NULL)
    return sky_status_no_memory();
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++)
    if (record->saga.steps[step].state != SAGA_STEP_UNTOUCHED)
      SKY_TRY(make_step(&record->saga.steps[step], step, arena, &workflow->steps[workflow->n_steps++]));
  return SKY_OK;
}

static SkyStatus make_result(const SagaRecord *record, SkyArena *arena, workflow_WorkflowResult **ret) {
  workflow_WorkflowResult *made = workflow_WorkflowResult_create(arena);
  if (made == NULL)
    return sky_status_no_memory();
  const bool has_package = record->saga.steps[SAGA_PACKAGE].state == SAGA_STEP_DONE;
  made->package_id = has_package ? record->package_id : "";
  made->package_created = record->saga.package_created;
  made->drone_id = record->drone_id;
  made->carrier_booking_id = record->carrier_booking_id;
  made->pickup_eta = (common_Eta *)record->pickup_eta;
  made->delivery_eta = (common_Eta *)record->delivery_eta;
  *ret = made;
  return SKY_OK;
}

static SkyStatus make_times(const SagaRecord *record, SkyArena *arena, workflow_Workflow *workflow) {
  SKY_TRY(make_time(record->lock_expire_ms, arena, &workflow->lock_expire_time));
  SKY_TRY(make_time(record->saga.complete_by_ms, arena, &workflow->complete_by));
  SKY_TRY(make_time(record->request_ms, arena, &workflow->request_time));
  SKY_TRY(make_time(record->create_ms, arena, &workflow->create_time));
  return make_time(record->update_ms, arena, &workflow->update_time);
}

/* The step that is worked on, also while the saga waits to try it again. */
static SagaStep present_step(const SagaRecord *record) {
  return saga_record_is_open(record) ? record->saga.step : SAGA_NO_STEP;
}

SkyStatus saga_record_workflow(const SagaRecord *record, SkyArena *arena, workflow_Workflow **ret) {
  workflow_Workflow *made = workflow_Workflow_create(arena);
  if (made == NULL)
    return sky_status_no_memory();
  made->id = copy(arena, record->id);
  made->locked_by = saga_record_is_open(record) ? copy(arena, record->locked_by) : "";
  made->order_digest = copy(arena, record->order_digest);
  if (made->id == NULL || made->locked_by == NULL || made->order_digest == NULL)
    return sky_status_no_memory();
  made->state = (workflow_WorkflowState)record->saga.state;
  made->step = (common_WorkflowStep)present_step(record);
  made->attempt = record->saga.steps[present_step(record)].attempts;
  made->version = record->changes;
  made->order = (common_DeliveryOrder *)record->order;
  SKY_TRY(make_reason(&record->saga.reason, arena, &made->reason));
  SKY_TRY(make_result(record, arena, &made->result));
  SKY_TRY(make_steps(record, arena, made));
  SKY_TRY(make_times(record, arena, made));
  *ret = made;
  return SKY_OK;
}

static SkyStatus make_change(const SagaRecord *record, SkyArena *arena, workflow_store_PendingChange **ret) {
  if (record->saga.change == SAGA_CHANGE_NONE)
    return SKY_OK;
  workflow_store_PendingChange *made = workflow_store_PendingChange_create(arena);
  if (made == NULL)
    return sky_status_no_memory();
  made->stage = (int32_t)record->saga.change;
  made->needs_drone = record->saga.change_needs_drone;
  made->drone_uncertain = record->saga.change_drone_uncertain;
  made->terms = (common_DeliveryChange *)record->change_terms;
  made->update_mask = (protobuf_FieldMask *)record->change_mask;
  made->id = copy(arena, record->change_id);
  made->position = record->change_position;
  *ret = made;
  return made->id == NULL ? sky_status_no_memory() : make_time(record->saga.change_by_ms, arena, &made->complete_by);
}

static bool was_changed(const SagaRecord *record) {
  int64_t any = 0;
  for (size_t i = 0; i < SAGA_TERMS; i++)
    any |= record->term_positions[i];
  return any != 0;
}

static SkyStatus make_positions(const SagaRecord *record, SkyArena *arena, workflow_store_Saga *document) {
  if (!was_changed(record))
    return SKY_OK;
  document->term_positions = sky_arena_alloc(arena, sizeof(record->term_positions));
  if (document->term_positions == NULL)
    return sky_status_no_memory();
  memcpy(document->term_positions, record->term_positions, sizeof(record->term_positions));
  document->n_term_positions = SAGA_TERMS;
  return SKY_OK;
}

static uint32_t uncertain_steps(const Saga *saga) {
  uint32_t bits = 0;
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++)
    bits |= saga->steps[step].uncertain ? 1u << step : 0;
  return bits;
}

SkyStatus saga_record_document(const SagaRecord *record, SkyArena *arena, workflow_store_Saga **ret) {
  workflow_store_Saga *made = workflow_store_Saga_create(arena);
  if (made == NULL)
    return sky_status_no_memory();
  SKY_TRY(saga_record_workflow(record, arena, &made->workflow));
  made->id = made->workflow->id;
  made->owner_id = record->order == NULL ? "" : record->order->owner_id;
  made->open = saga_record_is_open(record);
  made->record_version = record->record_version + 1;
  made->outcome = (workflow_WorkflowState)record->saga.outcome;
  made->failed_step = (common_WorkflowStep)record->saga.failed_step;
  made->cancel_asked = record->saga.cancel_asked;
  made->carrier_forced = record->saga.carrier_forced;
  made->was_completed = record->saga.was_completed;
  made->uncertain_steps = uncertain_steps(&record->saga);
  made->drone_location = (common_Location *)record->drone_location;
  SKY_TRY(make_reason(&record->saga.cancel_reason, arena, &made->cancel_reason));
  SKY_TRY(make_change(record, arena, &made->change));
  SKY_TRY(make_positions(record, arena, made));
  *ret = made;
  return SKY_OK;
}

/* ---- from messages ---- */

static void restore_reason(SagaReason *target, const common_Reason *reason) {
  if (reason == NULL)
    return;
  snprintf(target->code, sizeof(target->code), "%s", reason->code);
  snprintf(target->message, sizeof(target->message), "%s", reason->message);
}

static void restore_steps(Saga *saga, const workflow_store_Saga *document) {
  const workflow_Workflow *workflow = document->workflow;
  for (size_t i = 0; i < workflow->n_steps; i++) {
    const workflow_StepRecord *step = workflow->steps[i];
    if (step->step <= 0 || (int)step->step >= SAGA_STEP_END)
      continue; /* of a newer release */
    SagaStepInfo *info = &saga->steps[step->step];
    info->state = (SagaStepState)step->state;
    info->attempts = step->attempts;
    info->start_ms = sky_timestamp_ms(step->start_time);
    info->end_ms = sky_timestamp_ms(step->end_time);
    restore_reason(&info->reason, step->reason);
  }
  for (SagaStep step = SAGA_ACCOUNT; step < SAGA_STEP_END; step++)
    saga->steps[step].uncertain = (document->uncertain_steps >> step & 1) != 0;
}

static void restore_saga(Saga *saga, const workflow_store_Saga *document) {
  const workflow_Workflow *workflow = document->workflow;
  saga->state = (SagaState)workflow->state;
  saga->outcome = (SagaState)document->outcome;
  saga->failed_step = (SagaStep)document->failed_step;
  saga->cancel_asked = document->cancel_asked;
  saga->carrier_forced = document->carrier_forced;
  saga->was_completed = document->was_completed;
  saga->complete_by_ms = sky_timestamp_ms(workflow->complete_by);
  restore_reason(&saga->reason, workflow->reason);
  restore_reason(&saga->cancel_reason, document->cancel_reason);
  restore_steps(saga, document);
  if (workflow->result != NULL) {
    saga->package_created = workflow->result->package_created;
    saga->carrier_booked = workflow->result->carrier_booking_id[0] != '\0';
  }
  if (document->change != NULL) {
    saga->change = (SagaChange)document->change->stage;
    saga->change_needs_drone = document->change->needs_drone;
    saga->change_drone_uncertain = document->change->drone_uncertain;
    saga->change_by_ms = sky_timestamp_ms(document->change->complete_by);
  }
}

static void restore_result(SagaRecord *record, const workflow_WorkflowResult *result) {
  if (result == NULL)
    return;
  record->drone_id = result->drone_id;
  record->carrier_booking_id = result->carrier_booking_id;
  record->pickup_eta = result->pickup_eta;
  record->delivery_eta = result->delivery_eta;
}

/* The change lives in the record's arena. */
static void restore_change(SagaRecord *record, const workflow_store_PendingChange *change) {
  record->change_terms = change->terms;
  record->change_mask = change->update_mask;
  record->change_position = change->position;
  snprintf(record->change_id, sizeof(record->change_id), "%s", change->id);
}

SkyStatus saga_record_restore(SagaRecord *record, const workflow_store_Saga *original) {
  workflow_store_Saga *document;
  SKY_TRY(workflow_store_Saga_copy(original, &record->arena, &document));
  if (document->workflow == NULL)
    return SKY_DATA_LOSS("saga %s has no state", document->id);
  const workflow_Workflow *workflow = document->workflow;
  restore_saga(&record->saga, document);
  restore_result(record, workflow->result);
  if (workflow->order != NULL)
    SKY_TRY(saga_record_set_order(record, workflow->order));
  if (document->change != NULL && document->change->terms != NULL && document->change->update_mask != NULL)
    restore_change(record, document->change);
  for (size_t i = 0; i < SAGA_TERMS && i < document->n_term_positions; i++)
    record->term_positions[i] = document->term_positions[i];
  record->drone_location = document->drone_location;
  record->request_ms = sky_timestamp_ms(workflow->request_time);
  snprintf(record->order_digest, sizeof(record->order_digest), "%s", workflow->order_digest);
  record->create_ms = sky_timestamp_ms(workflow->create_time);
  record->update_ms = sky_timestamp_ms(workflow->update_time);
  record->lock_expire_ms = sky_timestamp_ms(workflow->lock_expire_time);
  snprintf(record->locked_by, sizeof(record->locked_by), "%s", workflow->locked_by);
  record->changes = workflow->version;
  record->record_version = document->record_version;
  return SKY_OK;
}

/* ---- loading ---- */

static SkyStatus take_newest(void *user, const SkyLogged *logged) {
  const workflow_store_Saga **newest = user;
  if (logged->type == &workflow_store_SagaChanged_event)
    *newest = ((const workflow_store_SagaChanged *)logged->event)->saga;
  return SKY_OK;
}

static SkyStatus load(SagaRecord *record, SkyStore *store, SkyEventLog *log, const SkyContext *context,
                      SkyArena *arena) {
  ProtobufCMessage *message;
  int64_t document_version, record_version;
  SKY_TRY(sky_store_get(store, context, &workflow_sagas, record->id, arena, &message, &document_version));
  const workflow_store_Saga *document = (const workflow_store_Saga *)message;
  const int64_t before = document->record_version - 1;
  const workflow_store_Saga *newest = NULL;
  SKY_TRY(sky_event_log_load_after(log, context, record->id, before, arena, take_newest, &newest, &record_version));
  SKY_TRY(saga_record_restore(record, newest != NULL ? newest : document));
  record->document_version = document_version;
  record->document_open = document->open;
  record->document_lags =
      newest != NULL && (document->workflow == NULL || newest->workflow->version != document->workflow->version);
  record->record_version = record_version;
  /* Only the document was written before a crash: the start is still to be told, if that is what it was about. */
  record->saga.news.started = newest == NULL && record->saga.state != SAGA_NEW && !record->saga.was_completed;
  return SKY_OK;
}

SkyStatus saga_record_load(SagaRecord *record, SkyStore *store, SkyEventLog *log, const SkyContext *context) {
  SkyArena arena;
  sky_arena_init(&arena, LOAD_ARENA_BYTES);
  SkyStatus status = load(record, store, log, context, &arena);
  sky_arena_finish(&arena);
  return status;
}
