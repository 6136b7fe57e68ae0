#include "ingestion/convert.h"
#include "ingestion/handlers.h"

#include "fabrikam/delivery/v1/delivery.rpc.h"
#include "fabrikam/workflow/v1/workflow.rpc.h"

enum { ESTIMATE_TIMEOUT_MS = 500 };

/* Estimates are the delivery's; when it cannot be asked, those of the assignment stay. */
static void take_estimates(IngestionService *service, SkyCall *call, ingestion_DeliveryRequestStatus *request) {
  const SkyContext context = sky_context_with_timeout_ms(sky_call_context(call), ESTIMATE_TIMEOUT_MS);
  delivery_GetStatusRequest ask = delivery_GetStatusRequest_INIT;
  delivery_GetStatusResponse *answer;
  ask.id = request->id;
  SkyStatus status =
      delivery_DeliveryService_get_status(service->delivery, &context, &ask, sky_call_arena(call), &answer);
  if (status == SKY_OK && answer->status != NULL) {
    request->pickup_eta = answer->status->pickup_eta;
    request->delivery_eta = answer->status->delivery_eta;
  }
  sky_status_free(status);
}

SkyStatus ingestion_get(void *self, SkyCall *call, const ingestion_GetDeliveryRequestRequest *request,
                        ingestion_GetDeliveryRequestResponse *response) {
  IngestionService *service = self;
  SKY_TRY(ingestion_lookup(service, sky_call_context(call), request->id, sky_call_arena(call),
                           &response->delivery_request));
  if (response->delivery_request->state == ingestion_DELIVERY_REQUEST_STATE_SCHEDULED)
    take_estimates(service, call, response->delivery_request);
  return SKY_OK;
}

SkyStatus ingestion_list(void *self, SkyCall *call, const ingestion_ListDeliveryRequestsRequest *request,
                         ingestion_ListDeliveryRequestsResponse *response) {
  IngestionService *service = self;
  SkyArena *arena = sky_call_arena(call);
  workflow_ListWorkflowsRequest ask = workflow_ListWorkflowsRequest_INIT;
  workflow_ListWorkflowsResponse *page;
  if (request->state == ingestion_DELIVERY_REQUEST_STATE_ACCEPTED)
    return SKY_OK; /* those wait in the stream: the workflow, which keeps the lists, has not seen them */
  ask.owner_id = request->owner_id;
  ask.state = convert_state_filter(request->state);
  ask.page_size = request->page_size;
  ask.page_token = request->page_token;
  SKY_TRY(workflow_WorkflowService_list_workflows(service->workflow, sky_call_context(call), &ask, arena, &page));
  response->delivery_requests = sky_arena_alloc(arena, page->n_workflows * sizeof(*response->delivery_requests));
  if (response->delivery_requests == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < page->n_workflows; i++) {
    ingestion_DeliveryRequestStatus *status = convert_workflow(page->workflows[i], arena);
    if (status == NULL)
      return sky_status_no_memory();
    response->delivery_requests[response->n_delivery_requests++] = status;
  }
  response->next_page_token = page->next_page_token;
  return SKY_OK;
}
