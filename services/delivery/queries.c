#include "delivery/handlers.h"

#include <stdio.h>

#include <sky/service/resource.h>

#include "delivery/store.h"

enum { DEFAULT_PAGE = 100, TOKEN_SIZE = 1024, SUMMARY_ARENA_BYTES = 32 << 20 };

static SkyStatus load(DeliveryService *service, SkyCall *call, const char *id, DeliveryDocument **ret) {
  return delivery_load(&service->aggregate, sky_call_context(call), id, sky_call_arena(call), ret);
}

SkyStatus delivery_get(void *self, SkyCall *call, const delivery_GetDeliveryRequest *request,
                       delivery_GetDeliveryResponse *response) {
  DeliveryDocument *document;
  SKY_TRY(load(self, call, request->id, &document));
  return delivery_present(self, call, document, &response->delivery);
}

SkyStatus delivery_get_owner(void *self, SkyCall *call, const delivery_GetOwnerRequest *request,
                             delivery_GetOwnerResponse *response) {
  DeliveryDocument *document;
  SKY_TRY(load(self, call, request->id, &document));
  response->owner_id = document->delivery->owner_id;
  return SKY_OK;
}

SkyStatus delivery_get_status(void *self, SkyCall *call, const delivery_GetStatusRequest *request,
                              delivery_GetStatusResponse *response) {
  DeliveryService *service = self;
  DeliveryDocument *document;
  SKY_TRY(load(service, call, request->id, &document));
  SKY_TRY(live_overlay(service->live, request->id, document->delivery->status, sky_call_arena(call)));
  response->status = document->delivery->status;
  return SKY_OK;
}

/* A wrong key and an unknown delivery look alike, so that nobody can find out which deliveries there are. */
static SkyStatus wrong_key(void) {
  return sky_status_with_reason(SKY_PERMISSION_DENIED("the tracking key does not fit"), "TRACKING_KEY_INVALID");
}

SkyStatus delivery_get_public_tracking(void *self, SkyCall *call, const delivery_GetPublicTrackingRequest *request,
                                       delivery_GetPublicTrackingResponse *response) {
  DeliveryService *service = self;
  DeliveryDocument *document;
  if (!tracking_key_is_valid(&service->tracking, request->id, request->key))
    return wrong_key();
  SkyStatus status = load(service, call, request->id, &document);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return wrong_key();
  SKY_TRY(status);
  delivery_PublicTracking *tracking = delivery_PublicTracking_create(sky_call_arena(call));
  if (tracking == NULL)
    return sky_status_no_memory();
  const delivery_Delivery *delivery = document->delivery;
  SKY_TRY(live_overlay(service->live, request->id, delivery->status, sky_call_arena(call)));
  tracking->delivery_id = document->id;
  tracking->stage = delivery->status->stage;
  tracking->delivery_eta = delivery->status->delivery_eta;
  if (delivery->pickup_time != NULL) {
    tracking->last_known_location = delivery->status->last_known_location;
    tracking->location_time = delivery->status->location_time;
  }
  if (delivery->order != NULL) {
    tracking->dropoff_location = delivery->order->dropoff_location;
    tracking->confirmation_required = delivery->order->confirmation_required;
  }
  response->tracking = tracking;
  return SKY_OK;
}

static int64_t timestamp_ns(const protobuf_Timestamp *timestamp) {
  return sky_unix_ns(timestamp->seconds, timestamp->nanos);
}

SkyStatus delivery_list(void *self, SkyCall *call, const delivery_ListDeliveriesRequest *request,
                        delivery_ListDeliveriesResponse *response) {
  DeliveryService *service = self;
  SkyArena *arena = sky_call_arena(call);
  const bool by_stage = request->status != common_DELIVERY_STAGE_UNSPECIFIED;
  SkyQuery query = {.index = by_stage ? DELIVERIES_BY_OWNER_AND_STAGE : DELIVERIES_BY_OWNER,
                    .equal = {SKY_V_TEXT(request->owner_id)},
                    .descending = true,
                    .page_size = request->page_size == 0 ? DEFAULT_PAGE : (size_t)request->page_size,
                    .page_token = request->page_token};
  if (by_stage)
    query.equal[1] = SKY_V_INT(request->status);
  if (request->from != NULL)
    query.from = SKY_V_TIME(timestamp_ns(request->from));
  if (request->to != NULL)
    query.to = SKY_V_TIME(timestamp_ns(request->to));
  SkyPage page;
  SKY_TRY(delivery_project_all(&service->aggregate, sky_call_context(call))); /* who has changed one sees it */
  SKY_TRY(sky_store_find(service->aggregate.store, sky_call_context(call), &delivery_documents, &query, arena, &page));
  response->deliveries = sky_arena_alloc(arena, page.count * sizeof(*response->deliveries));
  if (response->deliveries == NULL)
    return sky_status_no_memory();
  SKY_TRY(delivery_present_many(service, call, (const DeliveryDocument *const *)(void *)page.documents, page.count,
                                response->deliveries));
  response->n_deliveries = page.count;
  response->next_page_token = page.next_page_token;
  return SKY_OK;
}

SkyStatus delivery_watch(void *self, SkyCall *call, const delivery_WatchDeliveryRequest *request) {
  DeliveryService *service = self;
  DeliveryDocument *document;
  SKY_TRY(load(service, call, request->id, &document));
  SkyStatus deferred = sky_call_defer(call);
  live_watch(service->live, call, document, request->last_event_id);
  return deferred;
}

static void count(delivery_DeliverySummary *summary, const delivery_Delivery *delivery) {
  summary->delivery_count++;
  summary->expedited_count += delivery->order != NULL && delivery->order->expedited;
  summary->cancelled_count += delivery->status->stage == common_DELIVERY_STAGE_CANCELLED;
  summary->failed_count += delivery->status->stage == common_DELIVERY_STAGE_FAILED;
  if (delivery->status->stage != common_DELIVERY_STAGE_COMPLETED)
    return;
  summary->completed_count++;
  summary->total_distance_m += delivery->distance_m;
  const protobuf_Timestamp *deadline = delivery->order->deadline;
  summary->on_time_count += deadline == NULL || sky_timestamp_ms(delivery->end_time) <= sky_timestamp_ms(deadline);
}

static SkyStatus count_all(DeliveryService *service, SkyCall *call, SkyQuery *query,
                           delivery_DeliverySummary *summary) {
  SkyArena arena;
  SkyStatus status = SKY_OK;
  char token[TOKEN_SIZE] = "";
  sky_arena_init(&arena, SUMMARY_ARENA_BYTES);
  do {
    SkyPage page;
    sky_arena_reset(&arena);
    query->page_token = token;
    status =
        sky_store_find(service->aggregate.store, sky_call_context(call), &delivery_documents, query, &arena, &page);
    if (status != SKY_OK)
      break;
    for (size_t i = 0; i < page.count; i++)
      count(summary, ((DeliveryDocument *)page.documents[i])->delivery);
    snprintf(token, sizeof(token), "%s", page.next_page_token);
  } while (token[0] != '\0');
  sky_arena_finish(&arena);
  return status;
}

SkyStatus delivery_get_summary(void *self, SkyCall *call, const delivery_GetSummaryRequest *request,
                               delivery_GetSummaryResponse *response) {
  delivery_DeliverySummary *summary = delivery_DeliverySummary_create(sky_call_arena(call));
  common_Month *month = common_Month_create(sky_call_arena(call));
  if (summary == NULL || month == NULL)
    return sky_status_no_memory();
  const bool december = request->month == 12;
  SkyQuery query = {.index = DELIVERIES_BY_OWNER,
                    .equal = {SKY_V_TEXT(request->owner_id)},
                    .from = SKY_V_TIME(sky_unix_ns(sky_time_from_civil(request->year, request->month, 1), 0)),
                    .to = SKY_V_TIME(sky_unix_ns(
                        sky_time_from_civil(request->year + december, december ? 1 : request->month + 1, 1), 0)),
                    .page_size = SKY_PAGE_MAX};
  SKY_TRY(delivery_project_all(&((DeliveryService *)self)->aggregate, sky_call_context(call)));
  month->year = request->year;
  month->month = request->month;
  summary->owner_id = request->owner_id;
  summary->month = month;
  response->summary = summary;
  return count_all(self, call, &query, summary);
}
