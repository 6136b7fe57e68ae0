#include "delivery/delivery.h"

#include <string.h>

#include <sky/codec/field_mask.h>
#include <sky/service/resource.h>

#include "fabrikam/events/v1/delivery.event.h"

/* How far along a stage is; what is final is furthest. */
static int rank(common_DeliveryStage stage) {
  switch (stage) {
  case common_DELIVERY_STAGE_CREATED:
  case common_DELIVERY_STAGE_RESCHEDULED:
    return 1;
  case common_DELIVERY_STAGE_HEADED_TO_PICKUP:
    return 2;
  case common_DELIVERY_STAGE_HEADED_TO_DROPOFF:
    return 3;
  case common_DELIVERY_STAGE_COMPLETED:
  case common_DELIVERY_STAGE_CANCELLED:
  case common_DELIVERY_STAGE_FAILED:
    return 4;
  default:
    return 0;
  }
}

bool delivery_stage_is_final(common_DeliveryStage stage) {
  return rank(stage) == 4;
}

SkyPoint delivery_point(const common_Location *location) {
  return location == NULL ? (SkyPoint){0, 0} : (SkyPoint){location->latitude, location->longitude};
}

/* ---- folding ---- */

static SkyStatus begin(DeliveryDocument *document, SkyArena *arena) {
  delivery_Delivery *delivery = delivery_Delivery_create(arena);
  delivery_DeliveryStatus *status = delivery_DeliveryStatus_create(arena);
  if (delivery == NULL || status == NULL)
    return sky_status_no_memory();
  delivery->id = document->id;
  delivery->status = status;
  status->delivery_id = document->id;
  document->delivery = delivery;
  document->active = true;
  return SKY_OK;
}

static void enter(DeliveryDocument *document, common_DeliveryStage stage, protobuf_Timestamp *time) {
  delivery_Delivery *delivery = document->delivery;
  delivery->status->stage = stage;
  delivery->status->version++;
  delivery->update_time = time;
  if (!delivery_stage_is_final(stage))
    return;
  delivery->end_time = time;
  document->active = false;
}

static void see(delivery_DeliveryStatus *status, common_Location *location, protobuf_Timestamp *time) {
  if (location == NULL)
    return;
  status->last_known_location = location;
  status->location_time = time;
}

static SkyStatus fold_scheduled(DeliveryDocument *document, const events_DeliveryScheduled *event, SkyArena *arena) {
  SKY_TRY(begin(document, arena));
  delivery_Delivery *delivery = document->delivery;
  delivery->owner_id = event->owner_id;
  delivery->order = event->order;
  delivery->drone_id = event->drone_id;
  delivery->carrier_booking_id = event->carrier_booking_id;
  delivery->package_id = event->package_id;
  delivery->distance_m = event->distance_m;
  delivery->create_time = event->occur_time;
  delivery->status->pickup_eta = event->pickup_eta;
  delivery->status->delivery_eta = event->delivery_eta;
  delivery->status->remaining_distance_m = event->distance_m;
  document->first_estimate_ms = event->delivery_eta == NULL ? 0 : sky_timestamp_ms(event->delivery_eta->time);
  enter(document, common_DELIVERY_STAGE_CREATED, event->occur_time);
  return SKY_OK;
}

static void fold_departed(DeliveryDocument *document, const events_DeliveryDeparted *event) {
  delivery_DeliveryStatus *status = document->delivery->status;
  document->delivery->drone_id = event->drone_id;
  see(status, event->location, event->occur_time);
  status->phase = common_MISSION_PHASE_TO_PICKUP;
  if (event->pickup_eta != NULL)
    status->pickup_eta = event->pickup_eta;
  if (event->delivery_eta != NULL)
    status->delivery_eta = event->delivery_eta;
  enter(document, common_DELIVERY_STAGE_HEADED_TO_PICKUP, event->occur_time);
}

/* What has happened is no estimate any more. */
static common_Eta *certain(protobuf_Timestamp *time, SkyArena *arena) {
  common_Eta *eta = common_Eta_create(arena);
  if (eta != NULL) {
    eta->time = time;
    eta->confidence = 1;
  }
  return eta;
}

static void fold_picked_up(DeliveryDocument *document, const events_DeliveryPickedUp *event, SkyArena *arena) {
  delivery_DeliveryStatus *status = document->delivery->status;
  see(status, event->location, event->occur_time);
  status->phase = common_MISSION_PHASE_TO_DROPOFF;
  status->pickup_eta = certain(event->occur_time, arena);
  if (event->delivery_eta != NULL)
    status->delivery_eta = event->delivery_eta;
  document->delivery->pickup_time = event->occur_time;
  enter(document, common_DELIVERY_STAGE_HEADED_TO_DROPOFF, event->occur_time);
}

static SkyStatus fold_rescheduled(DeliveryDocument *document, const events_DeliveryRescheduled *event,
                                  SkyArena *arena) {
  const char **ids = sky_arena_alloc(arena, (document->n_change_ids + 1) * sizeof(*ids));
  if (ids == NULL)
    return sky_status_no_memory();
  if (document->n_change_ids > 0)
    memcpy(ids, document->change_ids, document->n_change_ids * sizeof(*ids));
  ids[document->n_change_ids++] = event->event_id; /* the change's own id */
  document->change_ids = ids;
  document->delivery->order = event->after;
  document->delivery->status->pickup_eta = event->pickup_eta;
  document->delivery->status->delivery_eta = event->delivery_eta;
  document->delivery->distance_m =
      sky_geo_distance_m(delivery_point(event->after->pickup_location), delivery_point(event->after->dropoff_location));
  enter(document, common_DELIVERY_STAGE_RESCHEDULED, event->occur_time);
  return SKY_OK;
}

static void fold_completed(DeliveryDocument *document, const events_DeliveryCompleted *event, SkyArena *arena) {
  delivery_DeliveryStatus *status = document->delivery->status;
  see(status, event->location, event->occur_time);
  status->phase = common_MISSION_PHASE_DELIVERED;
  status->delivery_eta = certain(event->occur_time, arena);
  status->remaining_distance_m = 0;
  status->speed_mps = 0;
  enter(document, common_DELIVERY_STAGE_COMPLETED, event->occur_time);
}

static SkyStatus fold_cancelled(DeliveryDocument *document, const events_DeliveryCancelled *event, SkyArena *arena) {
  if (document->delivery == NULL) { /* cancelled before it was created */
    SKY_TRY(begin(document, arena));
    document->delivery->create_time = event->occur_time;
  }
  document->delivery->reason = event->reason;
  enter(document, common_DELIVERY_STAGE_CANCELLED, event->occur_time);
  return SKY_OK;
}

/* The stage's version stays: this tells people, not those who follow the stages. */
static void fold_eta_changed(DeliveryDocument *document, const events_EtaChanged *event) {
  delivery_DeliveryStatus *status = document->delivery->status;
  if (event->pickup_eta_after != NULL)
    status->pickup_eta = event->pickup_eta_after;
  if (event->delivery_eta_after != NULL)
    status->delivery_eta = event->delivery_eta_after;
  document->delivery->update_time = event->occur_time;
}

static void fold_failed(DeliveryDocument *document, const events_DeliveryFailed *event) {
  document->delivery->reason = event->reason;
  see(document->delivery->status, event->location, event->occur_time);
  document->delivery->status->phase = common_MISSION_PHASE_FAILED;
  enter(document, common_DELIVERY_STAGE_FAILED, event->occur_time);
}

SkyStatus delivery_fold(DeliveryDocument *document, const SkyLogged *logged, SkyArena *arena) {
  const SkyEventType *type = logged->type;
  document->log_version = logged->version;
  if (type == &events_DeliveryScheduled_event)
    return fold_scheduled(document, (const events_DeliveryScheduled *)logged->event, arena);
  if (type == &events_DeliveryCancelled_event)
    return fold_cancelled(document, (const events_DeliveryCancelled *)logged->event, arena);
  if (document->delivery == NULL || type == NULL)
    return SKY_OK;
  if (type == &events_DeliveryDeparted_event)
    fold_departed(document, (const events_DeliveryDeparted *)logged->event);
  else if (type == &events_DeliveryPickedUp_event)
    fold_picked_up(document, (const events_DeliveryPickedUp *)logged->event, arena);
  else if (type == &events_DeliveryRescheduled_event)
    return fold_rescheduled(document, (const events_DeliveryRescheduled *)logged->event, arena);
  else if (type == &events_DeliveryCompleted_event)
    fold_completed(document, (const events_DeliveryCompleted *)logged->event, arena);
  else if (type == &events_EtaChanged_event)
    fold_eta_changed(document, (const events_EtaChanged *)logged->event);
  else if (type == &events_DeliveryFailed_event)
    fold_failed(document, (const events_DeliveryFailed *)logged->event);
  return SKY_OK;
}

/* ---- making events ---- */

static const char *new_event_id(const DeliveryWork *work) {
  char text[SKY_UUID_TEXT_SIZE];
  const SkyUuid uuid = sky_uuid_v7(work->now_ms, work->random);
  sky_uuid_format(&uuid, text);
  return sky_arena_strndup(work->arena, text, strlen(text));
}

/* The fields that every event has; all types have them, but each at its own place. */
#define BEGIN_EVENT(event, document, time_ms)                                                                          \
  do {                                                                                                                 \
    (event)->event_id = new_event_id(work);                                                                            \
    (event)->delivery_id = (document)->id;                                                                             \
    (event)->version = (uint64_t)(document)->log_version + 1;                                                          \
    (event)->occur_time = sky_timestamp_create(work->arena, (time_ms));                                                \
    if ((event)->event_id == NULL || (event)->occur_time == NULL)                                                      \
      return sky_status_no_memory();                                                                                   \
  } while (0)

static void add(DeliveryDecision *decision, const SkyEventType *type, const void *event) {
  decision->events[decision->count++] = (SkyAppend){type, event};
}

static common_Eta *make_eta(const DeliveryWork *work, int64_t time_ms, double confidence) {
  common_Eta *eta = common_Eta_create(work->arena);
  protobuf_Timestamp *time = sky_timestamp_create(work->arena, time_ms);
  if (eta == NULL || time == NULL)
    return NULL;
  eta->time = time;
  eta->confidence = confidence;
  return eta;
}

static EtaEstimate estimate(const DeliveryWork *work, const common_DeliveryOrder *order, const common_Location *drone,
                            double speed_mps, bool picked_up) {
  const EtaInput input = {.now_ms = work->now_ms,
                          .drone = delivery_point(drone == NULL ? order->pickup_location : drone),
                          .pickup = delivery_point(order->pickup_location),
                          .dropoff = delivery_point(order->dropoff_location),
                          .picked_up = picked_up,
                          .speed_mps = speed_mps};
  return eta_estimate(work->eta, &input);
}

/* ---- put ---- */

static bool is_same_place(const common_Location *a, const common_Location *b) {
  return a->latitude == b->latitude && a->longitude == b->longitude;
}

static SkyStatus conflict(const char *id, const char *what) {
  return sky_status_with_reason(SKY_ALREADY_EXISTS("delivery %s exists %s", id, what), "DELIVERY_CONFLICT");
}

static SkyStatus put_again(const DeliveryDocument *document, const delivery_PutDeliveryRequest *request) {
  const delivery_Delivery *delivery = document->delivery;
  if (delivery->order == NULL)
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s was cancelled", request->id), "DELIVERY_FINAL");
  if (strcmp(delivery->owner_id, request->order->owner_id) != 0)
    return conflict(request->id, "for another owner");
  if (strcmp(delivery->package_id, request->package_id) != 0)
    return conflict(request->id, "with another package");
  if (document->n_change_ids == 0 &&
      !(is_same_place(delivery->order->pickup_location, request->order->pickup_location) &&
        is_same_place(delivery->order->dropoff_location, request->order->dropoff_location)))
    return conflict(request->id, "between other places");
  return SKY_OK;
}

SkyStatus delivery_put(const DeliveryDocument *document, const delivery_PutDeliveryRequest *request,
                       const DeliveryWork *work, DeliveryDecision *ret) {
  *ret = (DeliveryDecision){0};
  if (document->delivery != NULL)
    return put_again(document, request);
  events_DeliveryScheduled *event = events_DeliveryScheduled_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, work->now_ms);
  const EtaEstimate first = estimate(work, request->order, request->drone_location, 0, false);
  event->owner_id = request->order->owner_id;
  event->order = request->order;
  event->drone_id = request->drone_id;
  event->carrier_booking_id = request->carrier_booking_id;
  event->package_id = request->package_id;
  event->distance_m = sky_geo_distance_m(delivery_point(request->order->pickup_location),
                                         delivery_point(request->order->dropoff_location));
  event->pickup_eta =
      request->pickup_eta != NULL ? request->pickup_eta : make_eta(work, first.pickup_ms, first.confidence);
  event->delivery_eta =
      request->delivery_eta != NULL ? request->delivery_eta : make_eta(work, first.dropoff_ms, first.confidence);
  event->request_time = request->request_time;
  add(ret, &events_DeliveryScheduled_event, event);
  return SKY_OK;
}

/* ---- estimates ---- */

enum { ETA_NEWS_MS = 60000, ETA_NEWS_SHARE = 10 };

bool delivery_arrival_is_news(int64_t told_ms, int64_t arrival_ms, int64_t now_ms) {
  const int64_t moved_ms = arrival_ms > told_ms ? arrival_ms - told_ms : told_ms - arrival_ms;
  return told_ms > 0 && moved_ms >= ETA_NEWS_MS && moved_ms >= (arrival_ms - now_ms) / ETA_NEWS_SHARE;
}

static int64_t told_ms(const common_Eta *eta) {
  return eta == NULL ? 0 : sky_timestamp_ms(eta->time);
}

SkyStatus delivery_estimate(const DeliveryDocument *document, const DeliveryEstimate *now, const DeliveryWork *work,
                            DeliveryDecision *ret) {
  const delivery_Delivery *delivery = document->delivery;
  const delivery_DeliveryStatus *status = delivery->status;
  *ret = (DeliveryDecision){0};
  if (!document->active || !delivery_arrival_is_news(told_ms(status->delivery_eta), now->dropoff_ms, work->now_ms))
    return SKY_OK;
  events_EtaChanged *event = events_EtaChanged_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, work->now_ms);
  event->owner_id = delivery->owner_id;
  event->drone_id = delivery->drone_id;
  if (now->pickup_ms > 0 && delivery->pickup_time == NULL) {
    event->pickup_eta_before = status->pickup_eta;
    event->pickup_eta_after = make_eta(work, now->pickup_ms, now->confidence);
  }
  event->delivery_eta_before = status->delivery_eta;
  event->delivery_eta_after = make_eta(work, now->dropoff_ms, now->confidence);
  event->notify = delivery->order == NULL ? NULL : delivery->order->notify;
  add(ret, &events_EtaChanged_event, event);
  return SKY_OK;
}

/* ---- progress ---- */

static common_DeliveryStage stage_of(common_MissionPhase phase) {
  switch (phase) {
  case common_MISSION_PHASE_TO_PICKUP:
  case common_MISSION_PHASE_AT_PICKUP:
    return common_DELIVERY_STAGE_HEADED_TO_PICKUP;
  case common_MISSION_PHASE_PICKED_UP:
  case common_MISSION_PHASE_TO_DROPOFF:
  case common_MISSION_PHASE_AT_DROPOFF:
    return common_DELIVERY_STAGE_HEADED_TO_DROPOFF;
  case common_MISSION_PHASE_DELIVERED:
  case common_MISSION_PHASE_RETURNING:
  case common_MISSION_PHASE_ENDED:
    return common_DELIVERY_STAGE_COMPLETED;
  case common_MISSION_PHASE_FAILED:
    return common_DELIVERY_STAGE_FAILED;
  default: /* ABORTED: by a cancellation or a new assignment, which the workflow brings about and tells itself */
    return common_DELIVERY_STAGE_UNSPECIFIED;
  }
}

static SkyStatus add_departed(const DeliveryDocument *document, const DeliveryProgress *progress,
                              const DeliveryWork *work, DeliveryDecision *ret) {
  const delivery_Delivery *delivery = document->delivery;
  events_DeliveryDeparted *event = events_DeliveryDeparted_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, progress->observe_ms);
  const EtaEstimate eta = estimate(work, delivery->order, progress->location, progress->speed_mps, false);
  event->owner_id = delivery->owner_id;
  event->drone_id = progress->drone_id;
  event->location = (common_Location *)(uintptr_t)progress->location;
  event->pickup_eta = make_eta(work, eta.pickup_ms, eta.confidence);
  event->delivery_eta = make_eta(work, eta.dropoff_ms, eta.confidence);
  add(ret, &events_DeliveryDeparted_event, event);
  return SKY_OK;
}

static SkyStatus add_picked_up(const DeliveryDocument *document, const DeliveryProgress *progress,
                               const DeliveryWork *work, DeliveryDecision *ret) {
  const delivery_Delivery *delivery = document->delivery;
  events_DeliveryPickedUp *event = events_DeliveryPickedUp_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, progress->observe_ms);
  const EtaEstimate eta = estimate(work, delivery->order, progress->location, progress->speed_mps, true);
  event->owner_id = delivery->owner_id;
  event->drone_id = progress->drone_id;
  event->location = (common_Location *)(uintptr_t)progress->location;
  event->delivery_eta = make_eta(work, eta.dropoff_ms, eta.confidence);
  event->notify = delivery->order->notify;
  add(ret, &events_DeliveryPickedUp_event, event);
  return SKY_OK;
}

static SkyStatus add_completed(const DeliveryDocument *document, const DeliveryProgress *progress,
                               const DeliveryWork *work, DeliveryDecision *ret) {
  const delivery_Delivery *delivery = document->delivery;
  events_DeliveryCompleted *event = events_DeliveryCompleted_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, progress->observe_ms);
  event->owner_id = delivery->owner_id;
  event->order = delivery->order;
  event->drone_id = progress->drone_id;
  event->location = (common_Location *)(uintptr_t)progress->location;
  event->schedule_time = delivery->create_time;
  event->pickup_time = delivery->pickup_time != NULL ? delivery->pickup_time : event->occur_time;
  event->delivery_time = event->occur_time;
  event->distance_m = delivery->distance_m;
  event->confirmation = delivery->order->confirmation_required;
  event->package_id = delivery->package_id;
  add(ret, &events_DeliveryCompleted_event, event);
  return SKY_OK;
}

static SkyStatus add_failed(const DeliveryDocument *document, const DeliveryProgress *progress,
                            const DeliveryWork *work, DeliveryDecision *ret) {
  const delivery_Delivery *delivery = document->delivery;
  events_DeliveryFailed *event = events_DeliveryFailed_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, progress->observe_ms);
  event->owner_id = delivery->owner_id;
  event->order = delivery->order;
  event->previous_stage = delivery->status->stage;
  event->reason = (common_Reason *)(uintptr_t)progress->reason;
  event->drone_id = delivery->drone_id;
  event->location = (common_Location *)(uintptr_t)progress->location;
  add(ret, &events_DeliveryFailed_event, event);
  return SKY_OK;
}

bool delivery_phase_is_news(common_DeliveryStage stage, common_MissionPhase phase) {
  return rank(stage_of(phase)) > rank(stage) && rank(stage) < 4;
}

/* Only a rescheduling brings another drone; news of the one that was taken off is older than the change. */
static bool flies_for(const DeliveryDocument *document, const DeliveryProgress *progress) {
  const delivery_Delivery *delivery = document->delivery;
  if (strcmp(progress->drone_id, delivery->drone_id) == 0)
    return true;
  return document->n_change_ids > 0 && rank(delivery->status->stage) < 3 &&
         progress->observe_ms >= sky_timestamp_ms(delivery->update_time);
}

SkyStatus delivery_progress(const DeliveryDocument *document, const DeliveryProgress *progress,
                            const DeliveryWork *work, DeliveryDecision *ret) {
  *ret = (DeliveryDecision){0};
  const delivery_Delivery *delivery = document->delivery;
  const common_DeliveryStage goal = stage_of(progress->phase);
  const int now = rank(delivery->status->stage);
  if (!delivery_phase_is_news(delivery->status->stage, progress->phase))
    return SKY_OK;
  if (!flies_for(document, progress))
    return SKY_OK;
  if (goal == common_DELIVERY_STAGE_FAILED)
    return add_failed(document, progress, work, ret);
  if (now < 2)
    SKY_TRY(add_departed(document, progress, work, ret));
  if (now < 3 && rank(goal) >= 3)
    SKY_TRY(add_picked_up(document, progress, work, ret));
  if (rank(goal) == 4)
    SKY_TRY(add_completed(document, progress, work, ret));
  return SKY_OK;
}

/* ---- cancel ---- */

static SkyStatus check_not_picked_up(const DeliveryDocument *document, const char *what) {
  const common_DeliveryStage stage = document->delivery->status->stage;
  if (stage == common_DELIVERY_STAGE_HEADED_TO_DROPOFF || stage == common_DELIVERY_STAGE_COMPLETED)
    return sky_status_with_reason(
        SKY_FAILED_PRECONDITION("delivery %s cannot be %s: the package is already picked up", document->id, what),
        "DELIVERY_ALREADY_PICKED_UP");
  if (delivery_stage_is_final(stage))
    return sky_status_with_reason(SKY_FAILED_PRECONDITION("delivery %s cannot be %s: it has ended", document->id, what),
                                  "DELIVERY_FINAL");
  return SKY_OK;
}

SkyStatus delivery_cancel(const DeliveryDocument *document, const char *id, const common_Reason *reason,
                          const DeliveryWork *work, DeliveryDecision *ret) {
  *ret = (DeliveryDecision){0};
  const delivery_Delivery *delivery = document->delivery;
  if (delivery != NULL && delivery->status->stage == common_DELIVERY_STAGE_CANCELLED)
    return SKY_OK;
  if (delivery != NULL)
    SKY_TRY(check_not_picked_up(document, "cancelled"));
  events_DeliveryCancelled *event = events_DeliveryCancelled_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, work->now_ms);
  event->reason = (common_Reason *)(uintptr_t)reason;
  if (delivery != NULL) {
    event->owner_id = delivery->owner_id;
    event->order = delivery->order;
    event->previous_stage = delivery->status->stage;
    event->drone_id = delivery->drone_id;
  }
  add(ret, &events_DeliveryCancelled_event, event);
  return SKY_OK;
}

/* ---- reschedule ---- */

static void order_to_change(const common_DeliveryOrder *order, common_DeliveryChange *change) {
  change->pickup_location = order->pickup_location;
  change->dropoff_location = order->dropoff_location;
  change->pickup_time = order->pickup_time;
  change->deadline = order->deadline;
  change->expedited = order->expedited;
  change->confirmation_required = order->confirmation_required;
  change->notify = order->notify;
}

static void change_to_order(const common_DeliveryChange *change, common_DeliveryOrder *order) {
  order->pickup_location = change->pickup_location;
  order->dropoff_location = change->dropoff_location;
  order->pickup_time = change->pickup_time;
  order->deadline = change->deadline;
  order->expedited = change->expedited;
  order->confirmation_required = change->confirmation_required;
  order->notify = change->notify;
}

static SkyStatus changed_order(const common_DeliveryOrder *order, const delivery_RescheduleRequest *request,
                               const DeliveryWork *work, common_DeliveryOrder **ret) {
  common_DeliveryOrder *after = common_DeliveryOrder_create(work->arena);
  common_DeliveryChange *terms = common_DeliveryChange_create(work->arena);
  if (after == NULL || terms == NULL)
    return sky_status_no_memory();
  order_to_change(order, terms);
  SKY_TRY(sky_field_mask_apply(request->update_mask->paths, request->update_mask->n_paths, NULL, &request->change->base,
                               &terms->base, work->arena));
  *after = *order;
  change_to_order(terms, after);
  SkyStatus violations = SKY_OK;
  if (after->pickup_location == NULL)
    sky_violations_add(&violations, "change.pickup_location", "cannot be taken away");
  if (after->dropoff_location == NULL)
    sky_violations_add(&violations, "change.dropoff_location", "cannot be taken away");
  SKY_TRY(violations);
  SKY_TRY(common_DeliveryOrder_validate(after));
  *ret = after;
  return SKY_OK;
}

static bool was_made(const DeliveryDocument *document, const char *change_id) {
  for (size_t i = 0; i < document->n_change_ids; i++)
    if (strcmp(document->change_ids[i], change_id) == 0)
      return true;
  return false;
}

SkyStatus delivery_reschedule(const DeliveryDocument *document, const delivery_RescheduleRequest *request,
                              const DeliveryWork *work, DeliveryDecision *ret) {
  *ret = (DeliveryDecision){0};
  if (was_made(document, request->change_id))
    return SKY_OK;
  SKY_TRY(check_not_picked_up(document, "rescheduled"));
  if (document->n_change_ids == DELIVERY_MAX_CHANGES)
    return SKY_FAILED_PRECONDITION("delivery %s was rescheduled %d times already", document->id, DELIVERY_MAX_CHANGES);
  common_DeliveryOrder *after;
  SKY_TRY(changed_order(document->delivery->order, request, work, &after));
  events_DeliveryRescheduled *event = events_DeliveryRescheduled_create(work->arena);
  if (event == NULL)
    return sky_status_no_memory();
  BEGIN_EVENT(event, document, work->now_ms);
  event->event_id = request->change_id;
  const delivery_DeliveryStatus *status = document->delivery->status;
  const EtaEstimate eta = estimate(work, after, status->last_known_location, status->speed_mps, false);
  event->owner_id = document->delivery->owner_id;
  event->before = document->delivery->order;
  event->after = after;
  event->drone_id = document->delivery->drone_id;
  event->pickup_eta = make_eta(work, eta.pickup_ms, eta.confidence);
  event->delivery_eta = make_eta(work, eta.dropoff_ms, eta.confidence);
  add(ret, &events_DeliveryRescheduled_event, event);
  return SKY_OK;
}
