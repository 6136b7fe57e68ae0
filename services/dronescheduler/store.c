#include "store.h"

#include <sky/service/event_log.h>

static const SkyIndex assignment_indexes[] = {
    {.name = ASSIGNMENTS_BY_STATE, .fields = {"assignment.state"}},
    {.name = ASSIGNMENTS_BY_OWNER, .fields = {"assignment.owner_id", "assignment.assign_time"}},
};

const SkyCollection drone_documents = {
    .name = "drones", .type = drone_store_DroneDocument_descriptor, .id_field = "id"};
const SkyCollection base_documents = {.name = "bases", .type = drone_store_BaseDocument_descriptor, .id_field = "id"};
const SkyCollection zone_documents = {.name = "zones", .type = drone_store_ZoneDocument_descriptor, .id_field = "id"};
const SkyCollection assignment_documents = {
    .name = "assignments",
    .type = drone_store_AssignmentDocument_descriptor,
    .id_field = "delivery_id",
    .indexes = assignment_indexes,
    .index_count = sizeof(assignment_indexes) / sizeof(assignment_indexes[0]),
};
const SkyCollection drone_log_records = SKY_EVENT_LOG_COLLECTION("drone_events");

const SkyCollection *const scheduler_collections[SCHEDULER_COLLECTIONS] = {
    &drone_documents, &base_documents, &zone_documents, &assignment_documents, &drone_log_records};
