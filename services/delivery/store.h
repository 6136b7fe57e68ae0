/*
 * Store of deliveries: the event log, its fold as one document per delivery, proofs, wishes and secrets.
 */
#pragma once

#include <sky/service/event_log.h>

#include "delivery/delivery_store.sky.h"

extern const SkyCollection delivery_log;
extern const SkyCollection delivery_documents;
extern const SkyCollection delivery_confirmations;
extern const SkyCollection delivery_blobs; /* of the confirmations */
extern const SkyCollection delivery_notify_mes;
extern const SkyCollection delivery_secrets;

enum { DELIVERY_COLLECTIONS = 6 };
extern const SkyCollection *const delivery_collections[DELIVERY_COLLECTIONS]; /* for SkyServiceDefinition */

/* Indexes of delivery_documents, each with its fields. */
#define DELIVERIES_BY_OWNER "by_owner"           /* owner, time of creation */
#define DELIVERIES_BY_OWNER_AND_STAGE "by_stage" /* owner, stage, time of creation */
/* Of delivery_notify_mes. */
#define NOTIFY_MES_BY_DELIVERY "by_delivery"
