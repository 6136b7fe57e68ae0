#include "delivery/store.h"

const SkyCollection delivery_log = SKY_EVENT_LOG_COLLECTION("delivery_events");

static const SkyIndex document_indexes[] = {
    {.name = DELIVERIES_BY_OWNER, .fields = {"delivery.owner_id", "delivery.create_time"}},
    {.name = DELIVERIES_BY_OWNER_AND_STAGE,
     .fields = {"delivery.owner_id", "delivery.status.stage", "delivery.create_time"}},
};

const SkyCollection delivery_documents = {
    .name = "deliveries",
    .type = delivery_store_DeliveryDocument_descriptor,
    .id_field = "id",
    .indexes = document_indexes,
    .index_count = 2,
};

const SkyCollection delivery_confirmations = {
    .name = "confirmations", .type = delivery_store_ConfirmationDocument_descriptor, .id_field = "id"};

const SkyCollection delivery_blobs = {
    .name = "confirmation_blobs", .type = delivery_store_BlobDocument_descriptor, .id_field = "id"};

static const SkyIndex notify_me_indexes[] = {{.name = NOTIFY_MES_BY_DELIVERY, .fields = {"delivery_id"}}};

const SkyCollection delivery_notify_mes = {
    .name = "notify_me_requests",
    .type = delivery_store_NotifyMeDocument_descriptor,
    .id_field = "id",
    .indexes = notify_me_indexes,
    .index_count = 1,
};

const SkyCollection delivery_secrets = {
    .name = "secrets", .type = delivery_store_SecretDocument_descriptor, .id_field = "id"};

const SkyCollection *const delivery_collections[DELIVERY_COLLECTIONS] = {&delivery_log,           &delivery_documents,
                                                                         &delivery_confirmations, &delivery_blobs,
                                                                         &delivery_notify_mes,    &delivery_secrets};
