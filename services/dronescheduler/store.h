/*
 * Store of the drone scheduler: drones, bases, zones, assignments, and the drones' event logs.
 */
#pragma once

#include <sky/store/store.h>

#include "dronescheduler/dronescheduler_store.sky.h"

typedef drone_store_DroneDocument DroneDocument;
typedef drone_store_BaseDocument BaseDocument;
typedef drone_store_ZoneDocument ZoneDocument;
typedef drone_store_AssignmentDocument AssignmentDocument;

extern const SkyCollection drone_documents, base_documents, zone_documents, assignment_documents, drone_log_records;
enum { SCHEDULER_COLLECTIONS = 5 };
extern const SkyCollection *const scheduler_collections[SCHEDULER_COLLECTIONS];

/* Indexes of assignment_documents. */
#define ASSIGNMENTS_BY_STATE "by_state" /* state */
#define ASSIGNMENTS_BY_OWNER "by_owner" /* owner, time of assignment */
