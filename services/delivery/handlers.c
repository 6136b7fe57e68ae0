#include "delivery/handlers.h"

#include <sky/service/resource.h>

#include "fabrikam/delivery/v1/delivery.rpc.h"

/* ---- commands: taken on the I/O thread, answered by the thread that changes deliveries ---- */

typedef struct Command Command;
typedef SkyStatus (*Answer)(Command *command, const DeliveryDocument *document, bool changed);

struct Command {
  DeliveryChange change;
  DeliveryService *service;
  SkyCall *call;
  Answer answer;
};

static void done(void *user, SkyStatus status, const DeliveryDocument *document, bool changed) {
  Command *command = user;
  if (status == SKY_OK)
    status = command->answer(command, document, changed);
  sky_call_finish(command->call, status);
}

static Command *new_command(DeliveryService *service, SkyCall *call, const char *id, DeliveryDecide decide,
                            const void *request, Answer answer) {
  Command *command = sky_arena_alloc(sky_call_arena(call), sizeof(*command));
  if (command == NULL)
    return NULL;
  *command = (Command){.change = {.id = id,
                                  .decide = decide,
                                  .request = request,
                                  .context = sky_call_context(call),
                                  .arena = sky_call_arena(call),
                                  .done = done,
                                  .user = command},
                       .service = service,
                       .call = call,
                       .answer = answer};
  return command;
}

static SkyStatus run(Command *command) {
  if (command == NULL)
    return sky_status_no_memory();
  SkyCall *call = command->call;
  const SkyStatus deferred = sky_call_defer(call);
  SkyStatus status = delivery_change(&command->service->aggregate, &command->change);
  if (status != SKY_OK)
    sky_call_finish(call, status);
  return deferred;
}

static SkyStatus decide_put(const void *request, const DeliveryDocument *document, const DeliveryWork *work,
                            DeliveryDecision *ret) {
  return delivery_put(document, request, work, ret);
}

static SkyStatus answer_put(Command *command, const DeliveryDocument *document, bool changed) {
  delivery_PutDeliveryResponse *response = (delivery_PutDeliveryResponse *)sky_call_response(command->call);
  response->created = changed;
  return delivery_present(command->service, command->call, document, &response->delivery);
}

static SkyStatus put_delivery(void *self, SkyCall *call, const delivery_PutDeliveryRequest *request,
                              delivery_PutDeliveryResponse *response) {
  Command *command = new_command(self, call, request->id, decide_put, request, answer_put);
  if (command != NULL)
    command->change.may_begin = true;
  return run(command);
}

static SkyStatus decide_cancel(const void *user, const DeliveryDocument *document, const DeliveryWork *work,
                               DeliveryDecision *ret) {
  const delivery_CancelRequest *request = user;
  return delivery_cancel(document, request->id, request->reason, work, ret);
}

static SkyStatus answer_cancel(Command *command, const DeliveryDocument *document, bool changed) {
  delivery_CancelResponse *response = (delivery_CancelResponse *)sky_call_response(command->call);
  if (document->delivery->order == NULL)
    return SKY_OK; /* it had never been created */
  return delivery_present(command->service, command->call, document, &response->delivery);
}

static SkyStatus cancel(void *self, SkyCall *call, const delivery_CancelRequest *request,
                        delivery_CancelResponse *response) {
  Command *command = new_command(self, call, request->id, decide_cancel, request, answer_cancel);
  if (command != NULL)
    command->change.may_begin = true;
  return run(command);
}

static SkyStatus decide_reschedule(const void *request, const DeliveryDocument *document, const DeliveryWork *work,
                                   DeliveryDecision *ret) {
  return delivery_reschedule(document, request, work, ret);
}

static SkyStatus answer_reschedule(Command *command, const DeliveryDocument *document, bool changed) {
  delivery_RescheduleResponse *response = (delivery_RescheduleResponse *)sky_call_response(command->call);
  return delivery_present(command->service, command->call, document, &response->delivery);
}

static SkyStatus reschedule(void *self, SkyCall *call, const delivery_RescheduleRequest *request,
                            delivery_RescheduleResponse *response) {
  return run(new_command(self, call, request->id, decide_reschedule, request, answer_reschedule));
}

static SkyStatus answer_progress(Command *command, const DeliveryDocument *document, bool changed) {
  delivery_ReportProgressResponse *response = (delivery_ReportProgressResponse *)sky_call_response(command->call);
  delivery_DeliveryStatus *status = sky_arena_alloc(sky_call_arena(command->call), sizeof(*status));
  if (status == NULL)
    return sky_status_no_memory();
  *status = *document->delivery->status;
  response->status = status;
  return live_overlay(command->service->live, document->id, status, sky_call_arena(command->call));
}

static SkyStatus report_progress(void *self, SkyCall *call, const delivery_ReportProgressRequest *request,
                                 delivery_ReportProgressResponse *response) {
  DeliveryProgress *progress = sky_arena_alloc(sky_call_arena(call), sizeof(*progress));
  if (progress == NULL)
    return sky_status_no_memory();
  *progress = (DeliveryProgress){.drone_id = request->drone_id,
                                 .phase = request->phase,
                                 .location = request->location,
                                 .speed_mps = request->speed_mps,
                                 .observe_ms = sky_timestamp_ms(request->observe_time),
                                 .reason = request->reason};
  return run(new_command(self, call, request->id, delivery_decide_progress, progress, answer_progress));
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
