/*
 * WatchDeliveryRequest: the workflow's stream of a saga, as the stream of its request.
 *
 * A Forward belongs to two: the handler, until it has the stream, and the stream, until its last callback. The call may
 * be touched by the handler only before the stream is open, and afterwards only on the I/O thread, where the call's own
 * callbacks run as well.
 */
#include "ingestion/convert.h"
#include "ingestion/handlers.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "fabrikam/ingestion/v1/ingestion.rpc.h"
#include "fabrikam/workflow/v1/workflow.rpc.h"

enum { ARENA_BYTES = 1 << 20, EVENT_ID_SIZE = 24 };

typedef struct Forward {
  struct Forward *next, *previous; /* in watches, with its mutex */
  IngestionWatches *watches;
  SkyCall *call;
  pthread_mutex_t mutex;
  SkyClientStream *stream; /* NULL until open */
  bool cancelled;
  unsigned owners;
} Forward;

struct IngestionWatches {
  pthread_mutex_t mutex;
  Forward *first;
  bool ended;
};

SkyStatus ingestion_watches_create(IngestionWatches **ret) {
  IngestionWatches *watches = calloc(1, sizeof(*watches));
  if (watches == NULL)
    return sky_status_no_memory();
  pthread_mutex_init(&watches->mutex, NULL);
  *ret = watches;
  return SKY_OK;
}

void ingestion_watches_destroy(IngestionWatches *watches) {
  if (watches == NULL)
    return;
  pthread_mutex_destroy(&watches->mutex);
  free(watches);
}

static SkyStatus going_down(void) {
  return SKY_UNAVAILABLE("the service is going down; watch again");
}

static bool enlist(Forward *forward) {
  IngestionWatches *watches = forward->watches;
  pthread_mutex_lock(&watches->mutex);
  const bool open = !watches->ended;
  if (open) {
    forward->next = watches->first;
    if (watches->first != NULL)
      watches->first->previous = forward;
    watches->first = forward;
  }
  pthread_mutex_unlock(&watches->mutex);
  return open;
}

/* Returns whether all watches have been ended. */
static bool delist(Forward *forward) {
  IngestionWatches *watches = forward->watches;
  pthread_mutex_lock(&watches->mutex);
  if (forward->previous != NULL)
    forward->previous->next = forward->next;
  else
    watches->first = forward->next;
  if (forward->next != NULL)
    forward->next->previous = forward->previous;
  const bool ended = watches->ended;
  pthread_mutex_unlock(&watches->mutex);
  return ended;
}

static void forward_unref(Forward *forward) {
  pthread_mutex_lock(&forward->mutex);
  const bool last = --forward->owners == 0;
  SkyClientStream *stream = forward->stream;
  pthread_mutex_unlock(&forward->mutex);
  if (!last)
    return;
  if (stream != NULL)
    sky_client_stream_unref(stream);
  pthread_mutex_destroy(&forward->mutex);
  free(forward);
}

static SkyStatus write_status(SkyCall *call, ingestion_DeliveryRequestStatus *status, uint64_t version) {
  char event_id[EVENT_ID_SIZE];
  ingestion_WatchDeliveryRequestResponse response = ingestion_WatchDeliveryRequestResponse_INIT;
  snprintf(event_id, sizeof(event_id), "%" PRIu64, version);
  response.event_id = event_id;
  response.delivery_request = status;
  return ingestion_IngestionService_watch_delivery_request_write(call, &response);
}

static void on_message(void *user, SkyClientStream *stream, const workflow_WatchWorkflowResponse *message) {
  Forward *forward = user;
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  ingestion_DeliveryRequestStatus *status =
      message->workflow == NULL ? NULL : convert_workflow(message->workflow, &arena);
  SkyStatus written = status == NULL ? SKY_OK : write_status(forward->call, status, message->workflow->version);
  if (written != SKY_OK) /* the client is gone or too slow: it comes back with Last-Event-ID */
    sky_client_stream_cancel(stream);
  sky_status_free(written);
  sky_arena_finish(&arena);
}

static void on_done(void *user, SkyStatus status) {
  Forward *forward = user;
  if (delist(forward) && status != SKY_OK) {
    sky_status_free(status);
    status = going_down();
  }
  sky_call_finish(forward->call, status);
  forward_unref(forward);
}

/* Ends the stream, now or as soon as it is open; on_done() follows. */
static void cancel_stream(Forward *forward) {
  pthread_mutex_lock(&forward->mutex);
  forward->cancelled = true;
  if (forward->stream != NULL)
    sky_client_stream_cancel(forward->stream);
  pthread_mutex_unlock(&forward->mutex);
}

static void on_cancel(void *user, SkyCall *call) {
  cancel_stream(user);
}

/* A forward that is enlisted is alive: on_done() takes it out before it lets it go. */
void ingestion_watches_end(IngestionWatches *watches) {
  pthread_mutex_lock(&watches->mutex);
  watches->ended = true;
  for (Forward *forward = watches->first; forward != NULL; forward = forward->next)
    cancel_stream(forward);
  pthread_mutex_unlock(&watches->mutex);
}

static void keep_stream(Forward *forward, SkyClientStream *stream) {
  pthread_mutex_lock(&forward->mutex);
  forward->stream = stream;
  if (forward->cancelled)
    sky_client_stream_cancel(stream);
  pthread_mutex_unlock(&forward->mutex);
}

static void open_stream(IngestionService *service, Forward *forward,
                        const ingestion_WatchDeliveryRequestRequest *request) {
  const SkyContext context = *sky_call_context(forward->call);
  const workflow_WorkflowService_watch_workflow_handler handler = {
      .on_message = on_message, .on_done = on_done, .user = forward};
  workflow_WatchWorkflowRequest ask = workflow_WatchWorkflowRequest_INIT;
  SkyClientStream *stream;
  ask.id = request->id;
  ask.after_version = strtoull(request->last_event_id, NULL, 10);
  SkyStatus status = workflow_WorkflowService_watch_workflow_open(service->workflow, &context, &ask, handler, &stream);
  if (status == SKY_OK)
    keep_stream(forward, stream);
  else
    on_done(forward, status);
}

SkyStatus ingestion_watch(void *self, SkyCall *call, const ingestion_WatchDeliveryRequestRequest *request) {
  IngestionService *service = self;
  ingestion_DeliveryRequestStatus *now;
  SKY_TRY(ingestion_lookup(service, sky_call_context(call), request->id, sky_call_arena(call), &now));
  if (now->state == ingestion_DELIVERY_REQUEST_STATE_ACCEPTED)
    SKY_TRY(write_status(call, now, 0));
  Forward *forward = calloc(1, sizeof(*forward));
  if (forward == NULL)
    return sky_status_no_memory();
  *forward = (Forward){.watches = service->watches, .call = call, .owners = 2};
  pthread_mutex_init(&forward->mutex, NULL);
  if (!enlist(forward)) {
    pthread_mutex_destroy(&forward->mutex);
    free(forward);
    return going_down();
  }
  SkyStatus deferred = sky_call_defer(call);
  sky_call_on_cancel(call, on_cancel, forward);
  open_stream(service, forward, request);
  forward_unref(forward);
  return deferred;
}
