#include "ingestion/convert.h"
#include "ingestion/handlers.h"

#include <stdio.h>

#include "fabrikam/events/v1/ingestion.event.h"
#include "fabrikam/workflow/v1/workflow.rpc.h"

enum { SUBJECT_SIZE = 160 };

static SkyStatus from_workflow(IngestionService *service, const SkyContext *context, const char *id, SkyArena *arena,
                               ingestion_DeliveryRequestStatus **ret, const char **ret_digest) {
  workflow_GetWorkflowRequest request = workflow_GetWorkflowRequest_INIT;
  workflow_GetWorkflowResponse *response;
  request.id = id;
  SKY_TRY(workflow_WorkflowService_get_workflow(service->workflow, context, &request, arena, &response));
  *ret = convert_workflow(response->workflow, arena);
  *ret_digest = response->workflow->order_digest;
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

/* A request that the workflow has not taken yet still is the newest message of its subject. */
static SkyStatus from_stream(IngestionService *service, const SkyContext *context, const char *id, SkyArena *arena,
                             ingestion_DeliveryRequestStatus **ret, const char **ret_digest) {
  char subject[SUBJECT_SIZE];
  SkyStr data;
  int64_t time_ms;
  events_DeliveryRequested *event;
  snprintf(subject, sizeof(subject), "%s.%s", events_DeliveryRequested_event.subject, id);
  SKY_TRY(
      sky_bus_get_last(service->bus, context, events_DeliveryRequested_event.stream, subject, arena, &data, &time_ms));
  SKY_TRY(events_DeliveryRequested_unpack(data, arena, &event));
  *ret = convert_waiting(event, arena);
  *ret_digest = event->order_digest;
  return *ret == NULL ? sky_status_no_memory() : SKY_OK;
}

/*
 * The workflow acknowledges a message only after it has stored the saga, so a request is always in one of both places;
 * it may move while we look, and therefore the workflow is asked again at the end.
 */
SkyStatus ingestion_lookup_first(IngestionService *service, const SkyContext *context, const char *id, SkyArena *arena,
                                 ingestion_DeliveryRequestStatus **ret, const char **ret_digest) {
  SkyStatus first = from_workflow(service, context, id, arena, ret, ret_digest);
  if (first == SKY_OK)
    return SKY_OK;
  SkyStatus status = from_stream(service, context, id, arena, ret, ret_digest);
  if (status == SKY_OK) {
    sky_status_free(first);
    return SKY_OK;
  }
  if (!sky_status_take(&first, SKY_CODE_NOT_FOUND)) { /* the workflow is away: nothing can be said */
    sky_status_free(status);
    return first;
  }
  if (!sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return ingestion_queue_error(status);
  status = from_workflow(service, context, id, arena, ret, ret_digest);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return sky_status_with_reason(SKY_NOT_FOUND("there is no delivery request %s", id), "DELIVERY_REQUEST_UNKNOWN");
  return status;
}

SkyStatus ingestion_lookup(IngestionService *service, const SkyContext *context, const char *id, SkyArena *arena,
                           ingestion_DeliveryRequestStatus **ret) {
  const char *digest;
  return ingestion_lookup_first(service, context, id, arena, ret, &digest);
}
