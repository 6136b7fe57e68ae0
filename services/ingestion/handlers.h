/*
 * The ingestion service's methods. It keeps nothing itself: a request is durable in the REQUESTS stream before it is
 * answered, and afterwards the workflow knows it.
 */
#pragma once

#include <sky/bus/bus.h>
#include <sky/core/id.h>
#include <sky/core/time.h>
#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

#include "fabrikam/ingestion/v1/ingestion.sky.h"

typedef struct IngestionWatches IngestionWatches;

typedef struct IngestionService {
  SkyBus *bus;
  SkyRpc *rpc;
  SkyClient *workflow;
  SkyClient *delivery;
  const SkyClock *clock;
  const SkyRandom *random;
  IngestionWatches *watches;
} IngestionService;

/* service must outlive the server. */
SkyServiceBinding ingestion_service_bind(IngestionService *service);

/* create.c */
SkyStatus ingestion_create(void *self, SkyCall *call, const ingestion_CreateDeliveryRequestRequest *request,
                           ingestion_CreateDeliveryRequestResponse *response);
SkyStatus ingestion_create_many(void *self, SkyCall *call, const ingestion_CreateDeliveryRequestsRequest *request,
                                ingestion_CreateDeliveryRequestsResponse *response);

/* lookup.c: the request as it stands now, from the workflow or, while it waits, from the stream. NOT_FOUND:
 * DELIVERY_REQUEST_UNKNOWN. */
SKY_MUST_USE SkyStatus ingestion_lookup(IngestionService *service, const SkyContext *context, const char *id,
                                        SkyArena *arena, ingestion_DeliveryRequestStatus **ret);

/* The same for one that came again. ret_digest: of its order as it was first sent; empty when that is not known. */
SKY_MUST_USE SkyStatus ingestion_lookup_first(IngestionService *service, const SkyContext *context, const char *id,
                                              SkyArena *arena, ingestion_DeliveryRequestStatus **ret,
                                              const char **ret_digest);

/* queries.c */
SkyStatus ingestion_get(void *self, SkyCall *call, const ingestion_GetDeliveryRequestRequest *request,
                        ingestion_GetDeliveryRequestResponse *response);
SkyStatus ingestion_list(void *self, SkyCall *call, const ingestion_ListDeliveryRequestsRequest *request,
                         ingestion_ListDeliveryRequestsResponse *response);
/* watch.c */
SKY_MUST_USE SkyStatus ingestion_watches_create(IngestionWatches **ret);
void ingestion_watches_destroy(IngestionWatches *watches); /* the server is drained; NULL-safe */
/* Ends every watcher's call with UNAVAILABLE, so that clients go to another replica. New ones are refused. */
void ingestion_watches_end(IngestionWatches *watches);
SkyStatus ingestion_watch(void *self, SkyCall *call, const ingestion_WatchDeliveryRequestRequest *request);

/* change.c */
SkyStatus ingestion_reschedule(void *self, SkyCall *call, const ingestion_RescheduleDeliveryRequest *request,
                               ingestion_RescheduleDeliveryResponse *response);
SkyStatus ingestion_cancel(void *self, SkyCall *call, const ingestion_CancelDeliveryRequest *request,
                           ingestion_CancelDeliveryResponse *response);

/* publish.c: an error of the broker as clients see it: QUEUE_UNAVAILABLE with a time to come again. */
SKY_MUST_USE SkyStatus ingestion_queue_error(SkyStatus status);
