/*
 * Watchers of sagas: each open WatchWorkflow call gets every change of its saga once, in order of versions, and ends
 * when the saga's state is final. Changes come from this process's driver, or over the bus from the process that works
 * on the saga; the bus may lose some, so who has heard nothing for a while is looked after. Thread-safe.
 */
#pragma once

#include <pthread.h>

#include <sky/bus/bus.h>
#include <sky/core/map.h>
#include <sky/rpc/call.h>

#include "workflow/record.h"

typedef struct Watch Watch;

typedef struct Watchers {
  pthread_mutex_t lock;
  SkyMap *by_saga;
  Watch *ended; /* their subscriptions are still to be closed */
  SkyBus *bus;
  uint64_t ticks; /* calls of watchers_quiet() */
  bool stopping;
} Watchers;

SKY_MUST_USE SkyStatus watchers_init(Watchers *watchers, SkyBus *bus);
/* Ends every call with UNAVAILABLE, so that clients go to another process; new ones are refused. */
void watchers_end(Watchers *watchers);
void watchers_finish(Watchers *watchers);

/* Keeps the call (the handler returns what this returns); it hears of changes after that version. */
SKY_MUST_USE SkyStatus watchers_add(Watchers *watchers, SkyCall *call, const char *id, uint64_t after_version);
/* Of a process's own saga; for DriverOptions.changed. */
void watchers_changed(void *watchers, const SagaRecord *record);
/* Tells the watchers of this saga. */
void watchers_tell(Watchers *watchers, const workflow_Workflow *workflow);
/*
 * To be called once a second: the sagas whose watchers have heard nothing for ten of them, at most max; the others come
 * with the next calls. What has become of them should be told.
 */
size_t watchers_quiet(Watchers *watchers, char (*ret_ids)[SAGA_ID_SIZE], size_t max);
/* Closes what could not be closed where it ended; for a periodic task. */
void watchers_clear(Watchers *watchers);

/* Nothing more will happen, but for a cancellation. */
bool workflow_state_is_final(workflow_WorkflowState state);
/* Fills etag. */
SKY_MUST_USE SkyStatus workflow_present(workflow_Workflow *workflow, SkyArena *arena);
