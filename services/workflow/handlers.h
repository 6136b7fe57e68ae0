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

/* For sky_service_every(), once a second: tells watchers what the bus may have lost. */
SKY_MUST_USE SkyStatus workflow_look_after_watchers(void *service, const SkyContext *context);

/* service must outlive the server. */
SkyServiceBinding workflow_service_bind(WorkflowService *service);
