/*
 * Store of the workflow service: the log of every saga (the truth), one document per saga (its index and what clients
 * read), and leases.
 *
 * A document may lag behind its log, or, when its saga is new or goes on after it was at rest, be one record ahead of
 * it; saga_record_load() mends both. It never says that nothing is left to do while the log knows better, for what is
 * left is found by it.
 */
#pragma once

#include <sky/service/event_log.h>

#include "workflow/workflow_store.sky.h"

extern const SkyCollection workflow_log;
extern const SkyCollection workflow_sagas;
extern const SkyCollection workflow_leases;
extern const SkyCollection *const workflow_collections[3]; /* for SkyServiceDefinition */
extern const SkyEventType *const workflow_log_types[7];    /* NULL-terminated */

/* Indexes of workflow_sagas, each with its fields. */
#define SAGAS_BY_OWNER "by_owner"             /* owner, time of creation */
#define SAGAS_BY_OWNER_STATE "by_owner_state" /* owner, state, time of creation */
#define SAGAS_BY_STATE "by_state"             /* state, time of creation */
#define SAGAS_BY_TIME "by_time"               /* time of creation */
#define SAGAS_BY_OPEN "by_open"               /* open, process */
