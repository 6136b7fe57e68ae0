/*
 * Assign: the steps of AssignDrone, for one call (assign.c) and for many at once (assign_batch.c).
 */
#pragma once

#include "scheduler.h"

/* Chooses and holds a drone; or why there is none. */
SKY_MUST_USE SkyStatus assign_choose(Scheduler *self, const drone_AssignDroneRequest *terms, FleetDrone **ret,
                                     FleetPlan *ret_plan);
/* The document of a delivery's first assignment, in the call's arena. */
SKY_MUST_USE SkyStatus assign_document(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                                       const FleetDrone *drone, const FleetPlan *plan, AssignmentDocument **ret);
SKY_MUST_USE SkyStatus assign_answer(Scheduler *self, SkyCall *call, AssignmentDocument *document, bool created,
                                     drone_AssignDroneResponse *response);
bool assign_is_flown(Scheduler *self, const char *delivery_id);
SKY_MUST_USE SkyStatus assign_check(const drone_AssignDroneRequest *request);

/* The whole, whatever is known of the delivery. Blocks. */
SKY_MUST_USE SkyStatus assign_one(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                                  drone_AssignDroneResponse *response);

/* The same when no drone was found: the assignment that it has, or the refusal, which it takes. Blocks. */
SKY_MUST_USE SkyStatus assign_refused(Scheduler *self, SkyCall *call, const drone_AssignDroneRequest *request,
                                      drone_AssignDroneResponse *response, SkyStatus refusal);

/* Work of the batch self->assigns. */
void assign_work(void *self, SkyBatchJob *const *jobs, size_t count);
