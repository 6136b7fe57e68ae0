#include "workflow/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/account/v1/account.rpc.h"
#include "fabrikam/delivery/v1/delivery.rpc.h"
#include "fabrikam/dronescheduler/v1/scheduler.rpc.h"
#include "fabrikam/package/v1/package.rpc.h"

enum { REQUEST_ARENA_BYTES = 4 << 20 };

const char *const steps_peer_names[PEER_COUNT + 1] = {"account", "package", "dronescheduler", "delivery", NULL};

StepsPeer steps_peer(SagaAction action, SagaStep step) {
  switch (action) {
  case SAGA_DO_CALL:
  case SAGA_DO_UNDO:
    return step == SAGA_ACCOUNT    ? PEER_ACCOUNT
           : step == SAGA_PACKAGE  ? PEER_PACKAGE
           : step == SAGA_DRONE    ? PEER_DRONE
           : step == SAGA_DELIVERY ? PEER_DELIVERY
                                   : PEER_NONE;
  case SAGA_DO_CHANGE:
  case SAGA_DO_REVERT:
    return PEER_DELIVERY;
  case SAGA_DO_CHANGE_DRONE:
  case SAGA_DO_REVERT_DRONE:
    return PEER_DRONE;
  default:
    return PEER_NONE;
  }
}

/* ---- answers ---- */

typedef struct Asked {
  StepsDone done;
  void *user;
  SagaAction action;
  SagaStep step;
  uint32_t serial;
} Asked;

/* Codes that say no for good; with the others the same request may succeed later. */
static bool is_refusal(SkyCode code) {
  return code == SKY_CODE_INVALID_ARGUMENT || code == SKY_CODE_NOT_FOUND || code == SKY_CODE_ALREADY_EXISTS ||
         code == SKY_CODE_FAILED_PRECONDITION || code == SKY_CODE_OUT_OF_RANGE;
}

/* The peer answered, though with a no: it is not sick. */
static bool is_sickness(const SkyError *status) {
  switch (sky_status_code(status)) {
  case SKY_CODE_UNAVAILABLE:
  case SKY_CODE_DEADLINE_EXCEEDED:
  case SKY_CODE_INTERNAL:
  case SKY_CODE_UNKNOWN:
  case SKY_CODE_DATA_LOSS:
    return true;
  case SKY_CODE_RESOURCE_EXHAUSTED: /* overload; with a reason it is the service's own word */
    return sky_status_reason(status) == NULL;
  default:
    return false;
  }
}

static void fill_failure(SagaEvent *event, const SkyError *status) {
  const SkyCode code = sky_status_code(status);
  const char *reason = sky_status_reason(status);
  event->kind = is_refusal(code) ? SAGA_EVENT_REFUSED : SAGA_EVENT_TROUBLE;
  event->code = reason != NULL ? reason : sky_code_name(code);
  event->message = sky_status_message(status);
  event->not_found = code == SKY_CODE_NOT_FOUND;
  event->definite = code == SKY_CODE_RESOURCE_EXHAUSTED && reason != NULL;
  event->retry_after_ms = sky_status_retry_after_ms(status);
}

static void fill_success(SagaEvent *event, const Asked *asked, const ProtobufCMessage *response) {
  event->kind = SAGA_EVENT_OK;
  if (asked->action == SAGA_DO_CALL && asked->step == SAGA_PACKAGE)
    event->created = ((const package_PutPackageResponse *)response)->created;
}

static void on_answer(void *user, SkyStatus status, const ProtobufCMessage *response) {
  Asked *asked = user;
  StepsAnswer answer = {.event = {.serial = asked->serial}, .sick = is_sickness(status)};
  if (status == SKY_OK)
    fill_success(&answer.event, asked, response);
  else
    fill_failure(&answer.event, status);
  asked->done(asked->user, &answer, asked->action, asked->step, response);
  sky_status_free(status);
  free(asked);
}

/* ---- requests ---- */

/* A call to be made. */
typedef struct Request {
  const SkyMethodDescriptor *method;
  ProtobufCMessage *message;
} Request;

static SkyStatus ask_account(const SagaRecord *record, SkyArena *arena, Request *ret) {
  account_CheckAccountRequest *request = account_CheckAccountRequest_create(arena);
  protobuf_Timestamp *time = sky_timestamp_create(arena, record->request_ms);
  if (request == NULL || time == NULL)
    return sky_status_no_memory();
  request->owner_id = record->order->owner_id;
  request->delivery_id = record->id;
  request->weight_kg = record->order->package_info == NULL ? 0 : record->order->package_info->weight_kg;
  request->expedited = record->order->expedited;
  request->request_time = time;
  *ret = (Request){account_AccountService_check_account_method, &request->base};
  return SKY_OK;
}

static SkyStatus ask_package(const SagaRecord *record, SkyArena *arena, Request *ret) {
  package_PutPackageRequest *request = package_PutPackageRequest_create(arena);
  package_Package *package = package_Package_create(arena);
  if (request == NULL || package == NULL)
    return sky_status_no_memory();
  const common_PackageInfo *info = record->order->package_info;
  package->id = record->package_id;
  package->owner_id = record->order->owner_id;
  package->size = info->size;
  package->weight_kg = info->weight_kg;
  package->tag = info->tag;
  request->package = package;
  request->creator_id = record->id;
  *ret = (Request){package_PackageService_put_package_method, &request->base};
  return SKY_OK;
}

static SkyStatus ask_drone(const SagaRecord *record, const common_DeliveryOrder *order, const char *change_id,
                           SkyArena *arena, Request *ret) {
  drone_AssignDroneRequest *request = drone_AssignDroneRequest_create(arena);
  if (request == NULL)
    return sky_status_no_memory();
  request->delivery_id = record->id;
  request->owner_id = order->owner_id;
  request->pickup_location = order->pickup_location;
  request->dropoff_location = order->dropoff_location;
  request->package_info = order->package_info;
  request->pickup_time = order->pickup_time;
  request->deadline = order->deadline;
  request->expedited = order->expedited;
  request->change_id = change_id;
  *ret = (Request){drone_DroneSchedulerService_assign_drone_method, &request->base};
  return SKY_OK;
}

static SkyStatus ask_delivery(const SagaRecord *record, SkyArena *arena, Request *ret) {
  delivery_PutDeliveryRequest *request = delivery_PutDeliveryRequest_create(arena);
  protobuf_Timestamp *time = sky_timestamp_create(arena, record->request_ms);
  if (request == NULL || time == NULL)
    return sky_status_no_memory();
  request->id = record->id;
  request->order = (common_DeliveryOrder *)record->order;
  request->package_id = record->package_id;
  request->drone_id = record->drone_id;
  request->carrier_booking_id = record->carrier_booking_id;
  request->drone_location = (common_Location *)record->drone_location;
  request->pickup_eta = (common_Eta *)record->pickup_eta;
  request->delivery_eta = (common_Eta *)record->delivery_eta;
  request->request_time = time;
  *ret = (Request){delivery_DeliveryService_put_delivery_method, &request->base};
  return SKY_OK;
}

static SkyStatus ask_step(const SagaRecord *record, SagaStep step, SkyArena *arena, Request *ret) {
  switch (step) {
  case SAGA_ACCOUNT:
    return ask_account(record, arena, ret);
  case SAGA_PACKAGE:
    return ask_package(record, arena, ret);
  case SAGA_DRONE:
    return ask_drone(record, record->order, "", arena, ret);
  default:
    return ask_delivery(record, arena, ret);
  }
}

static SkyStatus undo_package(const SagaRecord *record, SkyArena *arena, Request *ret) {
  package_DeletePackageRequest *request = package_DeletePackageRequest_create(arena);
  if (request == NULL)
    return sky_status_no_memory();
  request->id = record->package_id;
  request->creator_id = record->id;
  *ret = (Request){package_PackageService_delete_package_method, &request->base};
  return SKY_OK;
}

static common_Reason *undo_reason(const SagaRecord *record, SkyArena *arena) {
  common_Reason *reason = common_Reason_create(arena);
  if (reason == NULL)
    return NULL;
  reason->code = record->saga.reason.code;
  reason->message = record->saga.reason.message;
  return reason;
}

static SkyStatus undo_drone(const SagaRecord *record, SkyArena *arena, Request *ret) {
  drone_ReleaseDroneRequest *request = drone_ReleaseDroneRequest_create(arena);
  if (request == NULL || (request->reason = undo_reason(record, arena)) == NULL)
    return sky_status_no_memory();
  request->delivery_id = record->id;
  *ret = (Request){drone_DroneSchedulerService_release_drone_method, &request->base};
  return SKY_OK;
}

static SkyStatus undo_delivery(const SagaRecord *record, SkyArena *arena, Request *ret) {
  delivery_CancelRequest *request = delivery_CancelRequest_create(arena);
  if (request == NULL || (request->reason = undo_reason(record, arena)) == NULL)
    return sky_status_no_memory();
  request->id = record->id;
  *ret = (Request){delivery_DeliveryService_cancel_method, &request->base};
  return SKY_OK;
}

static SkyStatus undo_step(const SagaRecord *record, SagaStep step, SkyArena *arena, Request *ret) {
  switch (step) {
  case SAGA_PACKAGE:
    return undo_package(record, arena, ret);
  case SAGA_DRONE:
    return undo_drone(record, arena, ret);
  default:
    return undo_delivery(record, arena, ret);
  }
}

/* Id of the change that takes a change back: another one, but always the same. */
static const char *reverse_id(const SagaRecord *record, SkyArena *arena) {
  SkyUuid change = {{0}};
  char text[SKY_UUID_TEXT_SIZE];
  if (!sky_uuid_parse(sky_str(record->change_id), &change))
    return "";
  const SkyUuid id = sky_uuid_v5(&change, SKY_STR("reverse"));
  sky_uuid_format(&id, text);
  return sky_arena_strndup(arena, text, strlen(text));
}

static SkyStatus ask_change(const SagaRecord *record, bool reverse, SkyArena *arena, Request *ret) {
  delivery_RescheduleRequest *request = delivery_RescheduleRequest_create(arena);
  if (request == NULL)
    return sky_status_no_memory();
  request->id = record->id;
  request->change = (common_DeliveryChange *)record->change_terms;
  if (reverse)
    SKY_TRY(saga_reverse_change(record, arena, &request->change));
  request->update_mask = (protobuf_FieldMask *)record->change_mask;
  request->change_id = reverse ? reverse_id(record, arena) : record->change_id;
  *ret = (Request){delivery_DeliveryService_reschedule_method, &request->base};
  return request->change_id == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus ask_drone_change(const SagaRecord *record, bool reverse, SkyArena *arena, Request *ret) {
  const char *id = reverse ? reverse_id(record, arena) : record->change_id;
  if (id == NULL)
    return sky_status_no_memory();
  if (reverse)
    return ask_drone(record, record->order, id, arena, ret);
  common_DeliveryOrder *changed;
  SKY_TRY(saga_changed_order(record, arena, &changed));
  return ask_drone(record, changed, id, arena, ret);
}

static SkyStatus make_request(const SagaRecord *record, const SagaEffect *effect, SkyArena *arena, Request *ret) {
  switch (effect->action) {
  case SAGA_DO_CALL:
    return ask_step(record, effect->step, arena, ret);
  case SAGA_DO_UNDO:
    return undo_step(record, effect->step, arena, ret);
  case SAGA_DO_CHANGE:
    return ask_change(record, false, arena, ret);
  case SAGA_DO_REVERT:
    return ask_change(record, true, arena, ret);
  case SAGA_DO_CHANGE_DRONE:
    return ask_drone_change(record, false, arena, ret);
  default:
    return ask_drone_change(record, true, arena, ret);
  }
}

/* ---- performing ---- */

/* Own fleet or carrier? There is no carrier service yet: the own fleet takes what it can, and the rest is refused. */
static void decide_transport(const SagaRecord *record, Asked *asked) {
  StepsAnswer answer = {.event = {.kind = SAGA_EVENT_OK, .serial = asked->serial, .skipped = true}};
  char message[256];
  if (asked->action == SAGA_DO_CALL && record->saga.carrier_forced) {
    snprintf(message, sizeof(message), "no external carrier is available, and no own drone: %s",
             record->saga.steps[SAGA_DRONE].reason.message);
    answer.event =
        (SagaEvent){.kind = SAGA_EVENT_REFUSED, .serial = asked->serial, .code = SAGA_NO_CARRIER, .message = message};
  }
  asked->done(asked->user, &answer, asked->action, asked->step, NULL);
  free(asked);
}

static void send(const Steps *steps, const SkyContext *context, const SagaRecord *record, const SagaEffect *effect,
                 Asked *asked) {
  SkyArena arena;
  sky_arena_init(&arena, REQUEST_ARENA_BYTES);
  Request request;
  SkyStatus status = make_request(record, effect, &arena, &request);
  if (status == SKY_OK)
    sky_client_call_async(steps->peers[steps_peer(effect->action, effect->step)], request.method, context,
                          request.message, on_answer, asked);
  else
    on_answer(asked, status, NULL);
  sky_arena_finish(&arena);
}

void steps_perform(const Steps *steps, const SkyContext *context, const SagaRecord *record, const SagaEffect *effect,
                   StepsDone done, void *user) {
  Asked *asked = malloc(sizeof(*asked));
  if (asked == NULL) {
    const StepsAnswer answer = {.event = {.kind = SAGA_EVENT_TROUBLE, .serial = effect->serial, .definite = true}};
    done(user, &answer, effect->action, effect->step, NULL);
    return;
  }
  *asked = (Asked){done, user, effect->action, effect->step, effect->serial};
  if (steps_peer(effect->action, effect->step) == PEER_NONE)
    decide_transport(record, asked);
  else
    send(steps, context, record, effect, asked);
}

/* ---- results ---- */

static SkyStatus take_assignment(SagaRecord *record, const drone_Assignment *assignment) {
  if (assignment == NULL)
    return SKY_OK;
  drone_Assignment *kept;
  SKY_TRY(drone_Assignment_copy(assignment, &record->arena, &kept));
  record->drone_id = kept->drone_id;
  record->drone_location = kept->drone_location;
  record->pickup_eta = kept->pickup_eta;
  record->delivery_eta = kept->delivery_eta;
  return SKY_OK;
}

SkyStatus steps_take_result(SagaRecord *record, SagaAction action, SagaStep step, const ProtobufCMessage *response) {
  const bool assigns = (action == SAGA_DO_CALL && step == SAGA_DRONE) || action == SAGA_DO_CHANGE_DRONE ||
                       action == SAGA_DO_REVERT_DRONE;
  if (!assigns)
    return SKY_OK;
  return take_assignment(record, ((const drone_AssignDroneResponse *)response)->assignment);
}
