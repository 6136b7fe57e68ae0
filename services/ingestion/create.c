/* CreateDeliveryRequest(s): validated, named, submitted, and answered once that is durable. */
#include "ingestion/convert.h"
#include "ingestion/handlers.h"
#include "ingestion/order.h"
#include "ingestion/submit.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <sky/rpc/status_proto.h>
#include <sky/service/resource.h>

#include "google/rpc/status.sky.h"

enum {
  MAX_ERROR_BYTES = 64 << 10,
  /* Items of one batch: a thousand at once would fill the queues of the workflow, and our own. */
  MOST_UNDER_WAY = 64,
};

/* ---- one ---- */

/* In the call's arena. */
typedef struct Create {
  Submission submission;
  SkyCall *call;
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
  if (idempotency_key[0] != '\0') {
    char digest[SKY_UUID_TEXT_SIZE];
    order_digest(order, digest);
    event->order_digest = digest[0] == '\0' ? NULL : sky_call_strdup(call, digest);
  }
  return event->order_digest == NULL || event->delivery_id == NULL || event->occur_time == NULL ? sky_status_no_memory()
                                                                                                : SKY_OK;
}

static void respond(Create *create, ingestion_DeliveryRequestStatus *status) {
  ingestion_CreateDeliveryRequestResponse *response =
      (ingestion_CreateDeliveryRequestResponse *)sky_call_response(create->call);
  response->delivery_request = status;
  sky_call_finish(create->call, status == NULL ? sky_status_no_memory() : SKY_OK);
}

static void on_submitted(void *user, SkyStatus status, const ingestion_DeliveryRequestStatus *known) {
  Create *create = user;
  SkyArena *arena = sky_call_arena(create->call);
  ingestion_DeliveryRequestStatus *answer = NULL;
  if (status == SKY_OK && known != NULL)
    status = ingestion_DeliveryRequestStatus_copy(known, arena, &answer);
  else if (status == SKY_OK)
    answer = convert_waiting(create->submission.event, arena);
  if (status != SKY_OK)
    sky_call_finish(create->call, status);
  else
    respond(create, answer);
}

SkyStatus ingestion_create(void *self, SkyCall *call, const ingestion_CreateDeliveryRequestRequest *request,
                           ingestion_CreateDeliveryRequestResponse *response) {
  IngestionService *service = self;
  SKY_TRY(order_check(request->order, "order.", sky_clock_wall_ms(service->clock)));
  Create *create = sky_arena_alloc(sky_call_arena(call), sizeof(*create));
  if (create == NULL)
    return sky_status_no_memory();
  events_DeliveryRequested *event;
  SKY_TRY(make_event(service, call, request->order, request->idempotency_key, &event));
  *create = (Create){.submission = {service, sky_call_context(call), event, on_submitted, create}, .call = call};
  SkyStatus deferred = sky_call_defer(call);
  ingestion_submit(&create->submission);
  return deferred;
}

/* ---- many ---- */

typedef struct Item Item;

/* In the call's arena, as all of its items. */
typedef struct Batch {
  SkyCall *call;
  IngestionService *service;
  pthread_mutex_t lock; /* guards what follows, and the arena: items are answered side by side */
  Item *items;
  size_t count;
  size_t next;      /* item to be submitted */
  size_t under_way; /* submitted and not answered */
  bool submitting;  /* a thread does, or is about to */
} Batch;

struct Item {
  Submission submission; /* event NULL: refused before */
  Batch *batch;
  ingestion_DeliveryRequestItemResult *result;
};

/* google.rpc.Status with all details, as the error of a call has them. With the lock held. */
static void set_error(SkyArena *arena, ingestion_DeliveryRequestItemResult *result, const SkyError *status) {
  SkyBuf packed;
  sky_buf_init(&packed, MAX_ERROR_BYTES);
  sky_status_encode(status, &packed);
  rpc_Status *error = NULL;
  SkyStatus unpacked = rpc_Status_unpack(sky_buf_str(&packed), arena, &error);
  if (unpacked != SKY_OK && (error = rpc_Status_create(arena)) != NULL)
    error->code = sky_status_code(status);
  sky_status_free(unpacked);
  sky_buf_finish(&packed);
  result->error = error;
  result->result_case = error == NULL ? FABRIKAM__INGESTION__V1__DELIVERY_REQUEST_ITEM_RESULT__RESULT__NOT_SET
                                      : FABRIKAM__INGESTION__V1__DELIVERY_REQUEST_ITEM_RESULT__RESULT_ERROR;
}

/* With the lock held, which it releases. The last one who has to do with the batch answers the call. */
static void leave(Batch *batch) {
  const bool done = !batch->submitting && batch->next == batch->count && batch->under_way == 0;
  pthread_mutex_unlock(&batch->lock);
  if (!done)
    return;
  pthread_mutex_destroy(&batch->lock);
  sky_call_finish(batch->call, SKY_OK);
}

/* As many as may be under way. On the handler's thread, or a worker. */
static void submit_some(void *user) {
  Batch *batch = user;
  pthread_mutex_lock(&batch->lock);
  while (batch->next < batch->count && batch->under_way < MOST_UNDER_WAY) {
    Item *item = &batch->items[batch->next++];
    if (item->submission.event == NULL)
      continue;
    batch->under_way++;
    pthread_mutex_unlock(&batch->lock);
    ingestion_submit(&item->submission);
    pthread_mutex_lock(&batch->lock);
  }
  batch->submitting = false;
  leave(batch);
}

/* With the lock held. */
static void refuse_rest(Batch *batch, const SkyError *status) {
  for (; batch->next < batch->count; batch->next++)
    if (batch->items[batch->next].submission.event != NULL)
      set_error(sky_call_arena(batch->call), batch->items[batch->next].result, status);
}

/* Half of those under way are answered: more may go. Answers come on threads where nothing is to be submitted. */
static void go_on(Batch *batch) {
  SkyStatus status = sky_rpc_run(batch->service->rpc, submit_some, batch);
  if (status == SKY_OK)
    return;
  status = ingestion_queue_error(status);
  pthread_mutex_lock(&batch->lock);
  refuse_rest(batch, status);
  sky_status_free(status);
  batch->submitting = false;
  leave(batch);
}

/* With the lock held. */
static SkyStatus set_result(Item *item, SkyStatus status, const ingestion_DeliveryRequestStatus *known) {
  SkyArena *arena = sky_call_arena(item->batch->call);
  SKY_TRY(status);
  if (known != NULL)
    SKY_TRY(ingestion_DeliveryRequestStatus_copy(known, arena, &item->result->delivery_request));
  else if ((item->result->delivery_request = convert_waiting(item->submission.event, arena)) == NULL)
    return sky_status_no_memory();
  item->result->result_case = FABRIKAM__INGESTION__V1__DELIVERY_REQUEST_ITEM_RESULT__RESULT_DELIVERY_REQUEST;
  return SKY_OK;
}

static void on_item_submitted(void *user, SkyStatus status, const ingestion_DeliveryRequestStatus *known) {
  Item *item = user;
  Batch *batch = item->batch;
  pthread_mutex_lock(&batch->lock);
  status = set_result(item, status, known);
  if (status != SKY_OK)
    set_error(sky_call_arena(batch->call), item->result, status);
  sky_status_free(status);
  batch->under_way--;
  if (batch->submitting || batch->next == batch->count || batch->under_way > MOST_UNDER_WAY / 2) {
    leave(batch);
    return;
  }
  batch->submitting = true;
  pthread_mutex_unlock(&batch->lock);
  go_on(batch);
}

static SkyStatus check_item(IngestionService *service, const ingestion_DeliveryRequestItem *item) {
  if (item->order == NULL)
    return SKY_INVALID_ARGUMENT("order: is required");
  SKY_TRY(common_DeliveryOrder_validate(item->order));
  return order_check(item->order, "", sky_clock_wall_ms(service->clock));
}

/* Refused items have their result at once; the others get an event to submit. */
static SkyStatus prepare_item(Batch *batch, const ingestion_DeliveryRequestItem *request,
                              ingestion_CreateDeliveryRequestsResponse *response, Item *item) {
  SkyArena *arena = sky_call_arena(batch->call);
  ingestion_DeliveryRequestItemResult *result = ingestion_DeliveryRequestItemResult_create(arena);
  if (result == NULL)
    return sky_status_no_memory();
  result->index = (int32_t)response->n_results;
  response->results[response->n_results++] = result;
  *item = (Item){.batch = batch, .result = result};
  SkyStatus status = check_item(batch->service, request);
  if (status != SKY_OK) {
    set_error(arena, result, status);
    sky_status_free(status);
    return SKY_OK;
  }
  events_DeliveryRequested *event;
  SKY_TRY(make_event(batch->service, batch->call, request->order, request->idempotency_key, &event));
  item->submission = (Submission){batch->service, sky_call_context(batch->call), event, on_item_submitted, item};
  return SKY_OK;
}

SkyStatus ingestion_create_many(void *self, SkyCall *call, const ingestion_CreateDeliveryRequestsRequest *request,
                                ingestion_CreateDeliveryRequestsResponse *response) {
  SkyArena *arena = sky_call_arena(call);
  Batch *batch = sky_arena_alloc(arena, sizeof(*batch));
  Item *items = sky_arena_alloc(arena, request->n_items * sizeof(*items));
  response->results = sky_arena_alloc(arena, request->n_items * sizeof(*response->results));
  if (batch == NULL || items == NULL || response->results == NULL)
    return sky_status_no_memory();
  *batch = (Batch){.call = call, .service = self, .items = items, .count = request->n_items, .submitting = true};
  for (size_t i = 0; i < request->n_items; i++)
    SKY_TRY(prepare_item(batch, request->items[i], response, &items[i]));
  pthread_mutex_init(&batch->lock, NULL);
  /* From here on other threads answer items, and this one allocates no more. */
  SkyStatus deferred = sky_call_defer(call);
  submit_some(batch);
  return deferred;
}
