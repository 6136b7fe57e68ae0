/*
 * The delivery service's methods. Commands go through the aggregate, reads through its documents with live data laid
 * over them.
 */
#pragma once

#include <sky/rpc/server.h>

#include "delivery/aggregate.h"
#include "delivery/live.h"
#include "delivery/tracking.h"

typedef struct DeliveryService {
  DeliveryAggregate aggregate;
  Live *live;
  Tracking tracking;
} DeliveryService;

/* service must outlive the server. */
SkyServiceBinding delivery_service_bind(DeliveryService *service);

/* present.c: deliveries as their readers see them. *ret borrows from the document, which stays as it is. */
SKY_MUST_USE SkyStatus delivery_present(DeliveryService *service, SkyCall *call, const DeliveryDocument *document,
                                        delivery_Delivery **ret);
SKY_MUST_USE SkyStatus delivery_present_many(DeliveryService *service, SkyCall *call,
                                             const DeliveryDocument *const *documents, size_t count,
                                             delivery_Delivery **ret);

/* queries.c */
SkyStatus delivery_get(void *self, SkyCall *call, const delivery_GetDeliveryRequest *request,
                       delivery_GetDeliveryResponse *response);
SkyStatus delivery_get_owner(void *self, SkyCall *call, const delivery_GetOwnerRequest *request,
                             delivery_GetOwnerResponse *response);
SkyStatus delivery_get_status(void *self, SkyCall *call, const delivery_GetStatusRequest *request,
                              delivery_GetStatusResponse *response);
SkyStatus delivery_get_public_tracking(void *self, SkyCall *call, const delivery_GetPublicTrackingRequest *request,
                                       delivery_GetPublicTrackingResponse *response);
SkyStatus delivery_list(void *self, SkyCall *call, const delivery_ListDeliveriesRequest *request,
                        delivery_ListDeliveriesResponse *response);
SkyStatus delivery_watch(void *self, SkyCall *call, const delivery_WatchDeliveryRequest *request);
SkyStatus delivery_get_summary(void *self, SkyCall *call, const delivery_GetSummaryRequest *request,
                               delivery_GetSummaryResponse *response);

/* confirm.c, notify_me.c */
SkyStatus delivery_confirm(void *self, SkyCall *call, delivery_ConfirmDeliveryResponse *response);
SkyStatus delivery_create_notify_me(void *self, SkyCall *call, const delivery_CreateNotifyMeRequestRequest *request,
                                    delivery_CreateNotifyMeRequestResponse *response);
