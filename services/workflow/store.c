#include "workflow/store.h"

#include "fabrikam/events/v1/workflow.event.h"
#include "workflow/workflow_store.event.h"

const SkyCollection workflow_log = SKY_EVENT_LOG_COLLECTION("saga_events");

const SkyEventType *const workflow_log_types[7] = {
    &events_SagaStarted_event,
    &events_SagaStepCompleted_event,
    &events_SagaCompleted_event,
    &events_SagaCompensated_event,
    &events_SagaFailed_event,
    &workflow_store_SagaChanged_event,
    NULL,
};

static const SkyIndex saga_indexes[] = {
    {.name = SAGAS_BY_OWNER, .fields = {"owner_id", "workflow.create_time"}},
    {.name = SAGAS_BY_OWNER_STATE, .fields = {"owner_id", "workflow.state", "workflow.create_time"}},
    {.name = SAGAS_BY_STATE, .fields = {"workflow.state", "workflow.create_time"}},
    {.name = SAGAS_BY_TIME, .fields = {"workflow.create_time"}},
    {.name = SAGAS_BY_OPEN, .fields = {"open", "workflow.locked_by"}},
};

const SkyCollection workflow_sagas = {
    .name = "sagas",
    .type = workflow_store_Saga_descriptor,
    .id_field = "id",
    .indexes = saga_indexes,
    .index_count = sizeof(saga_indexes) / sizeof(saga_indexes[0]),
};

const SkyCollection workflow_leases = {
    .name = "leases",
    .type = workflow_store_Lease_descriptor,
    .id_field = "id",
};

const SkyCollection *const workflow_collections[3] = {&workflow_log, &workflow_sagas, &workflow_leases};
