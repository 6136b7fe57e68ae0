/* CreateDeliveryRequest(s): validated, named, and answered once JetStream has confirmed. */
#include "ingestion/convert.h"
#include "ingestion/handlers.h"
#include "ingestion/order.h"

#include <stdatomic.h>
#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/events/v1/ingestion.event.h"
#include "google/rpc/status.sky.h"

/* ---- one ---- */

/* In the call's arena. */
typedef struct Create {
  IngestionService *service;
  SkyCall *call;
  events_DeliveryRequested *event;
} Create;

static SkyStatus make_event(IngestionService *service, SkyCall *call, const common_DeliveryOrder *order,
                            const char *idempotency_key, events_DeliveryRequested **ret) {
  const int64_t now_ms = sky_clock_wall_ms(service->clock);
  char id[SKY_UUID_TEXT_SIZE];
  events_DeliveryRequested *event = events_DeliveryRequested_create(sky_call_arena(call));
  if (event == NULL)
    return sky_status_no_memory();
  order_request_id(order->owner_id, idempotency_key, now_ms, service->random, id);
  event->delivery_id = sky_call_strdup(call, id);
  event->event_id = event->delivery_id; /* one request, one message, however often it is sent */
  event->version = 1;
  event->occur_time = sky_timestamp_create(sky_call_arena(call), now_ms);
  event->owner_id = order->owner_id;
  event->order = (common_DeliveryOrder *)(uintptr_t)order;
  event->idempotency_key = idempotency_key;
  *ret = event;
  return event->delivery_id == NULL || event->occur_time == NULL ? sky_status_no_memory() : SKY_OK;
}

static void respond(Create *create, ingestion_DeliveryRequestStatus *status) {
  ingestion_CreateDeliveryRequestResponse *response =
      (ingestion_CreateDeliveryRequestResponse *)sky_call_response(create->call);
  response->delivery_request = status;
  sky_call_finish(create->call, status == NULL ? sky_status_no_memory() : SKY_OK);
}

/* The broker knew the request already: it must be the same one. On a worker. */
static void compare_with_first(void *user) {
  Create *create = user;
  ingestion_DeliveryRequestStatus *first;
  SkyStatus status = ingestion_lookup(create->service, sky_call_context(create->call), create->event->delivery_id,
                                      sky_call_arena(create->call), &first);
  if (status == SKY_OK && first->order != NULL && !order_is_same(first->order, create->event->order))
    status = sky_status_with_reason(SKY_ALREADY_EXISTS("the idempotency key was used for another order"),
                                    "IDEMPOTENCY_KEY_REUSED");
  if (status != SKY_OK)
    sky_call_finish(create->call, status);
  else
    respond(create, first);
}

static void on_published(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
  Create *create = user;
  if (status != SKY_OK) {
    sky_call_finish(create->call, ingestion_queue_error(status));
    return;
  }
  if (confirmation->duplicate) {
    status = sky_rpc_run(create->service->rpc, compare_with_first, create);
    if (status != SKY_OK)
      sky_call_finish(create->call, status);
    return;
  }
  respond(create, convert_waiting(create->event, sky_call_arena(create->call)));
}

SkyStatus ingestion_create(void *self, SkyCall *call, const ingestion_CreateDeliveryRequestRequest *request,
                           ingestion_CreateDeliveryRequestResponse *response) {
  IngestionService *service = self;
  SKY_TRY(order_check(request->order, "order.", sky_clock_wall_ms(service->clock)));
  Create *create = sky_arena_alloc(sky_call_arena(call), sizeof(*create));
  if (create == NULL)
    return sky_status_no_memory();
  *create = (Create){.service = service, .call = call};
  SKY_TRY(make_event(service, call, request->order, request->idempotency_key, &create->event));
  SkyStatus deferred = sky_call_defer(call);
  events_DeliveryRequested_publish_async(service->bus, sky_call_context(call), create->event, on_published, create);
  return deferred;
}

/* ---- many ---- */

typedef struct Batch {
  SkyCall *call;
  _Atomic size_t open; /* items not answered yet, and one for the handler */
} Batch;

typedef struct Item {
  Batch *batch;
  ingestion_DeliveryRequestItemResult *result;
  events_DeliveryRequested *event;
  ingestion_DeliveryRequestStatus
      *accepted; /* made beforehand: callbacks of items run side by side, and an arena has one owner */
  rpc_Status *error;
} Item;

static void close_one(Batch *batch) {
  if (atomic_fetch_sub(&batch->open, 1) == 1)
    sky_call_finish(batch->call, SKY_OK);
}

static void set_error(Item *item, const SkyError *status, const char *message) {
  item->error->code = sky_status_code(status);
  item->error->message = message;
  item->result->error = item->error;
  item->result->result_case = FABRIKAM__INGESTION__V1__DELIVERY_REQUEST_ITEM_RESULT__RESULT_ERROR;
}

static void on_item_published(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
  Item *item = user;
  if (status == SKY_OK) {
    item->result->delivery_request = item->accepted;
    item->result->result_case = FABRIKAM__INGESTION__V1__DELIVERY_REQUEST_ITEM_RESULT__RESULT_DELIVERY_REQUEST;
  } else {
    status = ingestion_queue_error(status);
    set_error(item, status, "requests cannot be taken at the moment; send this item again");
    sky_status_free(status);
  }
  close_one(item->batch);
}

static SkyStatus check_item(IngestionService *service, const ingestion_DeliveryRequestItem *item) {
  if (item->order == NULL)
    return SKY_INVALID_ARGUMENT("order: is required");
  SKY_TRY(common_DeliveryOrder_validate(item->order));
  return order_check(item->order, "", sky_clock_wall_ms(service->clock));
}

/* All that the item's callback needs, so that it allocates nothing. */
static SkyStatus prepare_item(SkyCall *call, Batch *batch, size_t index,
                              ingestion_CreateDeliveryRequestsResponse *response, Item **ret) {
  SkyArena *arena = sky_call_arena(call);
  Item *item = sky_arena_alloc(arena, sizeof(*item));
  ingestion_DeliveryRequestItemResult *result = ingestion_DeliveryRequestItemResult_create(arena);
  if (item == NULL || result == NULL || (item->error = rpc_Status_create(arena)) == NULL)
    return sky_status_no_memory();
  result->index = (int32_t)index;
  response->results[response->n_results++] = result;
  item->batch = batch;
  item->result = result;
  *ret = item;
  return SKY_OK;
}

static SkyStatus start_item(IngestionService *service, SkyCall *call, const ingestion_DeliveryRequestItem *request,
                            Item *item) {
  SkyStatus status = check_item(service, request);
  if (status != SKY_OK) {
    const char *message = sky_call_strdup(call, sky_status_message(status));
    set_error(item, status, message == NULL ? "" : message);
    sky_status_free(status);
    return SKY_OK;
  }
  SKY_TRY(make_event(service, call, request->order, request->idempotency_key, &item->event));
  item->accepted = convert_waiting(item->event, sky_call_arena(call));
  return item->accepted == NULL ? sky_status_no_memory() : SKY_OK;
}

SkyStatus ingestion_create_many(void *self, SkyCall *call, const ingestion_CreateDeliveryRequestsRequest *request,
                                ingestion_CreateDeliveryRequestsResponse *response) {
  IngestionService *service = self;
  SkyArena *arena = sky_call_arena(call);
  Batch *batch = sky_arena_alloc(arena, sizeof(*batch));
  Item **items = sky_arena_alloc(arena, request->n_items * sizeof(*items));
  response->results = sky_arena_alloc(arena, request->n_items * sizeof(*response->results));
  if (batch == NULL || items == NULL || response->results == NULL)
    return sky_status_no_memory();
  batch->call = call;
  atomic_init(&batch->open, 1);
  for (size_t i = 0; i < request->n_items; i++) {
    SKY_TRY(prepare_item(call, batch, i, response, &items[i]));
    SKY_TRY(start_item(service, call, request->items[i], items[i]));
  }
  /* From here on other threads may touch the results, and this one allocates no more. */
  SkyStatus deferred = sky_call_defer(call);
  const SkyContext context = *sky_call_context(call);
  for (size_t i = 0; i < request->n_items; i++) {
    if (items[i]->event == NULL)
      continue;
    atomic_fetch_add(&batch->open, 1);
    events_DeliveryRequested_publish_async(service->bus, &context, items[i]->event, on_item_published, items[i]);
  }
  close_one(batch);
  return deferred;
}
