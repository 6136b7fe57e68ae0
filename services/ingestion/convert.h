/*
 * Convert: the saga's view of a request, and the message that waits in the stream, as the status that clients see.
 * Pure; shares memory with its sources.
 */
#pragma once

#include "fabrikam/events/v1/ingestion.sky.h"
#include "fabrikam/ingestion/v1/ingestion.sky.h"
#include "fabrikam/workflow/v1/workflow.sky.h"

ingestion_DeliveryRequestStatus *convert_workflow(const workflow_Workflow *workflow, SkyArena *arena);
ingestion_DeliveryRequestStatus *convert_waiting(const events_DeliveryRequested *event, SkyArena *arena);
/* What to ask the workflow for; UNSPECIFIED: any. PROCESSING leaves out those that are just being undone. */
workflow_WorkflowState convert_state_filter(ingestion_DeliveryRequestState state);
bool convert_is_final(ingestion_DeliveryRequestState state);
