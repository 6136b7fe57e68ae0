#include "ingestion/convert.h"

static ingestion_DeliveryRequestState state_of(workflow_WorkflowState state) {
  switch (state) {
  case workflow_WORKFLOW_STATE_RUNNING:
  case workflow_WORKFLOW_STATE_COMPENSATING:
    return ingestion_DELIVERY_REQUEST_STATE_PROCESSING;
  case workflow_WORKFLOW_STATE_COMPLETED:
    return ingestion_DELIVERY_REQUEST_STATE_SCHEDULED;
  case workflow_WORKFLOW_STATE_REJECTED:
    return ingestion_DELIVERY_REQUEST_STATE_REJECTED;
  case workflow_WORKFLOW_STATE_FAILED:
    return ingestion_DELIVERY_REQUEST_STATE_FAILED;
  case workflow_WORKFLOW_STATE_CANCELLED:
    return ingestion_DELIVERY_REQUEST_STATE_CANCELLED;
  default:
    return ingestion_DELIVERY_REQUEST_STATE_UNSPECIFIED;
  }
}

workflow_WorkflowState convert_state_filter(ingestion_DeliveryRequestState state) {
  switch (state) {
  case ingestion_DELIVERY_REQUEST_STATE_PROCESSING:
    return workflow_WORKFLOW_STATE_RUNNING;
  case ingestion_DELIVERY_REQUEST_STATE_SCHEDULED:
    return workflow_WORKFLOW_STATE_COMPLETED;
  case ingestion_DELIVERY_REQUEST_STATE_REJECTED:
    return workflow_WORKFLOW_STATE_REJECTED;
  case ingestion_DELIVERY_REQUEST_STATE_FAILED:
    return workflow_WORKFLOW_STATE_FAILED;
  case ingestion_DELIVERY_REQUEST_STATE_CANCELLED:
    return workflow_WORKFLOW_STATE_CANCELLED;
  default:
    return workflow_WORKFLOW_STATE_UNSPECIFIED;
  }
}

bool convert_is_final(ingestion_DeliveryRequestState state) {
  return state == ingestion_DELIVERY_REQUEST_STATE_REJECTED || state == ingestion_DELIVERY_REQUEST_STATE_FAILED ||
         state == ingestion_DELIVERY_REQUEST_STATE_CANCELLED;
}

ingestion_DeliveryRequestStatus *convert_workflow(const workflow_Workflow *workflow, SkyArena *arena) {
  ingestion_DeliveryRequestStatus *status = ingestion_DeliveryRequestStatus_create(arena);
  if (status == NULL)
    return NULL;
  status->id = workflow->id;
  status->state = state_of(workflow->state);
  status->reason = workflow->reason;
  status->order = workflow->order;
  status->create_time = workflow->request_time != NULL ? workflow->request_time : workflow->create_time;
  status->update_time = workflow->update_time;
  status->etag = workflow->etag;
  if (status->state == ingestion_DELIVERY_REQUEST_STATE_PROCESSING)
    status->step = workflow->step;
  if (status->state == ingestion_DELIVERY_REQUEST_STATE_SCHEDULED) {
    status->delivery_id = workflow->id;
    if (workflow->result != NULL) {
      status->drone_id = workflow->result->drone_id;
      status->pickup_eta = workflow->result->pickup_eta;
      status->delivery_eta = workflow->result->delivery_eta;
    }
  }
  return status;
}

ingestion_DeliveryRequestStatus *convert_waiting(const events_DeliveryRequested *event, SkyArena *arena) {
  ingestion_DeliveryRequestStatus *status = ingestion_DeliveryRequestStatus_create(arena);
  if (status == NULL)
    return NULL;
  status->id = event->delivery_id;
  status->state = ingestion_DELIVERY_REQUEST_STATE_ACCEPTED;
  status->order = event->order;
  status->create_time = event->occur_time;
  status->update_time = event->occur_time;
  status->etag = "v0"; /* the workflow counts from 1 */
  return status;
}
