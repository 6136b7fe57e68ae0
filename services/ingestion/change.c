/* Reschedule and cancel: what cannot be done any more is said at once; what can is published for the workflow, which
 * decides for good. */
#include "ingestion/convert.h"
#include "ingestion/handlers.h"
#include "ingestion/order.h"

#include <sky/service/resource.h>

#include "fabrikam/delivery/v1/delivery.rpc.h"
#include "fabrikam/events/v1/ingestion.event.h"

/* Namespace of the events that follow from a request: cancelling twice publishes one event. */
static const SkyUuid changes = {
    {0x2b, 0x77, 0x60, 0xf1, 0x0c, 0x55, 0x4a, 0x8e, 0xb3, 0x1d, 0x42, 0x9f, 0x06, 0xe8, 0x7a, 0x21}};

static SkyStatus picked_up(const char *id, const char *what) {
  return sky_status_with_reason(
      SKY_FAILED_PRECONDITION("delivery %s cannot be %s: the package is already picked up", id, what),
      "DELIVERY_ALREADY_PICKED_UP");
}

static SkyStatus has_ended(const char *id, const char *what) {
  return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s cannot be %s: it has ended", id, what),
                                "DELIVERY_FINAL");
}

/* A scheduled request's truth is the delivery's stage. */
static SkyStatus delivery_stage(IngestionService *service, SkyCall *call, const char *id, common_DeliveryStage *ret) {
  delivery_GetStatusRequest request = delivery_GetStatusRequest_INIT;
  delivery_GetStatusResponse *response;
  request.id = id;
  SKY_TRY(delivery_DeliveryService_get_status(service->delivery, sky_call_context(call), &request, sky_call_arena(call),
                                              &response));
  *ret = response->status == NULL ? common_DELIVERY_STAGE_UNSPECIFIED : response->status->stage;
  return SKY_OK;
}

/* *ret_cancelled: it is cancelled already. */
static SkyStatus check_changeable(IngestionService *service, SkyCall *call,
                                  const ingestion_DeliveryRequestStatus *request, const char *what,
                                  bool *ret_cancelled) {
  *ret_cancelled = request->state == ingestion_DELIVERY_REQUEST_STATE_CANCELLED;
  if (*ret_cancelled)
    return SKY_OK;
  if (convert_is_final(request->state))
    return has_ended(request->id, what);
  if (request->state != ingestion_DELIVERY_REQUEST_STATE_SCHEDULED)
    return SKY_OK;
  common_DeliveryStage stage;
  SKY_TRY(delivery_stage(service, call, request->id, &stage));
  switch (stage) {
  case common_DELIVERY_STAGE_HEADED_TO_DROPOFF:
  case common_DELIVERY_STAGE_COMPLETED:
    return picked_up(request->id, what);
  case common_DELIVERY_STAGE_FAILED:
    return has_ended(request->id, what);
  default:
    *ret_cancelled = stage == common_DELIVERY_STAGE_CANCELLED;
    return SKY_OK;
  }
}

static SkyStatus name_event(SkyCall *call, const SkyUuid *uuid, const char **ret) {
  char text[SKY_UUID_TEXT_SIZE];
  sky_uuid_format(uuid, text);
  *ret = sky_call_strdup(call, text);
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus publish_cancel(IngestionService *service, SkyCall *call, const ingestion_DeliveryRequestStatus *now,
                                const char *reason_text) {
  common_Reason reason = common_Reason_INIT;
  events_CancelRequested event = events_CancelRequested_INIT;
  const SkyUuid uuid = sky_uuid_v5(&changes, sky_str(now->id));
  reason.code = "CANCELLED_BY_OWNER";
  reason.message = reason_text;
  SKY_TRY(name_event(call, &uuid, &event.event_id));
  event.delivery_id = now->id;
  event.version = 1;
  event.occur_time = sky_timestamp_create(sky_call_arena(call), sky_clock_wall_ms(service->clock));
  event.owner_id = now->order == NULL ? "" : now->order->owner_id;
  event.reason = &reason;
  SkyStatus status = events_CancelRequested_publish(service->bus, sky_call_context(call), &event);
  return status == SKY_OK ? SKY_OK : ingestion_queue_error(status);
}

SkyStatus ingestion_cancel(void *self, SkyCall *call, const ingestion_CancelDeliveryRequest *request,
                           ingestion_CancelDeliveryResponse *response) {
  IngestionService *service = self;
  bool cancelled;
  SKY_TRY(ingestion_lookup(service, sky_call_context(call), request->id, sky_call_arena(call),
                           &response->delivery_request));
  SKY_TRY(check_changeable(service, call, response->delivery_request, "cancelled", &cancelled));
  return cancelled ? SKY_OK : publish_cancel(service, call, response->delivery_request, request->reason);
}

SkyStatus ingestion_reschedule(void *self, SkyCall *call, const ingestion_RescheduleDeliveryRequest *request,
                               ingestion_RescheduleDeliveryResponse *response) {
  IngestionService *service = self;
  bool cancelled;
  SKY_TRY(ingestion_lookup(service, sky_call_context(call), request->id, sky_call_arena(call),
                           &response->delivery_request));
  SKY_TRY(check_changeable(service, call, response->delivery_request, "rescheduled", &cancelled));
  if (cancelled)
    return has_ended(request->id, "rescheduled");
  const ingestion_DeliveryRequestStatus *now = response->delivery_request;
  const int64_t now_ms = sky_clock_wall_ms(service->clock);
  if (now->order == NULL) /* a cancellation that came before its order is all that is known */
    return sky_status_with_reason(SKY_UNAVAILABLE("the order of %s has not been taken up yet", request->id),
                                  "ORDER_PENDING");
  SKY_TRY(
      order_check_change(now->order, request->change, request->update_mask, "change.", now_ms, sky_call_arena(call)));
  const SkyUuid uuid = sky_uuid_v7(now_ms, service->random);
  events_RescheduleRequested event = events_RescheduleRequested_INIT;
  SKY_TRY(name_event(call, &uuid, &event.event_id));
  event.delivery_id = now->id;
  event.version = 1;
  event.occur_time = sky_timestamp_create(sky_call_arena(call), now_ms);
  event.owner_id = now->order->owner_id;
  event.change = request->change;
  event.update_mask = request->update_mask;
  SkyStatus status = events_RescheduleRequested_publish(service->bus, sky_call_context(call), &event);
  return status == SKY_OK ? SKY_OK : ingestion_queue_error(status);
}
