#include "delivery/handlers.h"

#include <sky/service/resource.h>

#include "fabrikam/delivery/v1/delivery.rpc.h"

/* ---- commands ---- */

static SkyStatus decide_put(const void *request, const DeliveryDocument *document, const DeliveryWork *work,
                            DeliveryDecision *ret) {
  return delivery_put(document, request, work, ret);
}

static SkyStatus put_delivery(void *self, SkyCall *call, const delivery_PutDeliveryRequest *request,
                              delivery_PutDeliveryResponse *response) {
  DeliveryService *service = self;
  DeliveryDocument *document;
  bool changed;
  SKY_TRY(delivery_change(&service->aggregate, sky_call_context(call), request->id, true, decide_put, request,
                          sky_call_arena(call), &document, &changed));
  response->created = changed;
  return delivery_present(service, call, document, &response->delivery);
}

static SkyStatus decide_cancel(const void *user, const DeliveryDocument *document, const DeliveryWork *work,
                               DeliveryDecision *ret) {
  const delivery_CancelRequest *request = user;
  return delivery_cancel(document, request->id, request->reason, work, ret);
}

static SkyStatus cancel(void *self, SkyCall *call, const delivery_CancelRequest *request,
                        delivery_CancelResponse *response) {
  DeliveryService *service = self;
  DeliveryDocument *document;
  bool changed;
  SKY_TRY(delivery_change(&service->aggregate, sky_call_context(call), request->id, true, decide_cancel, request,
                          sky_call_arena(call), &document, &changed));
  if (document->delivery->order == NULL)
    return SKY_OK; /* it had never been created */
  return delivery_present(service, call, document, &response->delivery);
}

static SkyStatus decide_reschedule(const void *request, const DeliveryDocument *document, const DeliveryWork *work,
                                   DeliveryDecision *ret) {
  return delivery_reschedule(document, request, work, ret);
}

static SkyStatus reschedule(void *self, SkyCall *call, const delivery_RescheduleRequest *request,
                            delivery_RescheduleResponse *response) {
  DeliveryService *service = self;
  DeliveryDocument *document;
  bool changed;
  SKY_TRY(delivery_change(&service->aggregate, sky_call_context(call), request->id, false, decide_reschedule, request,
                          sky_call_arena(call), &document, &changed));
  return delivery_present(service, call, document, &response->delivery);
}

static SkyStatus decide_progress(const void *progress, const DeliveryDocument *document, const DeliveryWork *work,
                                 DeliveryDecision *ret) {
  return delivery_progress(document, progress, work, ret);
}

static SkyStatus report_progress(void *self, SkyCall *call, const delivery_ReportProgressRequest *request,
                                 delivery_ReportProgressResponse *response) {
  DeliveryService *service = self;
  const DeliveryProgress progress = {.drone_id = request->drone_id,
                                     .phase = request->phase,
                                     .location = request->location,
                                     .speed_mps = request->speed_mps,
                                     .observe_ms = sky_timestamp_ms(request->observe_time),
                                     .reason = request->reason};
  DeliveryDocument *document;
  bool changed;
  SKY_TRY(delivery_change(&service->aggregate, sky_call_context(call), request->id, false, decide_progress, &progress,
                          sky_call_arena(call), &document, &changed));
  SKY_TRY(live_overlay(service->live, request->id, document->delivery->status, sky_call_arena(call)));
  response->status = document->delivery->status;
  return SKY_OK;
}

SkyServiceBinding delivery_service_bind(DeliveryService *service) {
  static const delivery_DeliveryServiceHandlers handlers = {.get_delivery = delivery_get,
                                                            .get_owner = delivery_get_owner,
                                                            .get_status = delivery_get_status,
                                                            .get_public_tracking = delivery_get_public_tracking,
                                                            .list_deliveries = delivery_list,
                                                            .watch_delivery = delivery_watch,
                                                            .create_notify_me_request = delivery_create_notify_me,
                                                            .confirm_delivery = delivery_confirm,
                                                            .get_summary = delivery_get_summary,
                                                            .put_delivery = put_delivery,
                                                            .reschedule = reschedule,
                                                            .cancel = cancel,
                                                            .report_progress = report_progress};
  return delivery_DeliveryService_bind(&handlers, service);
}
