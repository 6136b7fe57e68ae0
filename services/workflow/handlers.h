/*
 * The workflow service's API: where sagas stand. Sagas in memory are answered from there, the others from the store.
 * Reason: WORKFLOW_UNKNOWN.
 */
#pragma once

#include <sky/rpc/server.h>

#include "workflow/driver.h"
#include "workflow/watch.h"

typedef struct WorkflowService {
  Driver *driver;
  Watchers *watchers;
  SkyStore *store;
} WorkflowService;

/* service must outlive the server. */
SkyServiceBinding workflow_service_bind(WorkflowService *service);
