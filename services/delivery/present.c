#include "delivery/handlers.h"

#include <sky/service/resource.h>

#include "delivery/store.h"

static SkyStatus add_confirmation(DeliveryService *service, SkyCall *call, delivery_Delivery *delivery) {
  ProtobufCMessage *message;
  SkyStatus status = sky_store_get(service->aggregate.store, sky_call_context(call), &delivery_confirmations,
                                   delivery->id, sky_call_arena(call), &message, NULL);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return SKY_OK;
  SKY_TRY(status);
  delivery->confirmation = ((delivery_store_ConfirmationDocument *)message)->confirmation;
  return SKY_OK;
}

SkyStatus delivery_present(DeliveryService *service, SkyCall *call, const DeliveryDocument *document,
                           delivery_Delivery **ret) {
  delivery_Delivery *delivery = sky_arena_alloc(sky_call_arena(call), sizeof(*delivery));
  delivery_DeliveryStatus *status = sky_arena_alloc(sky_call_arena(call), sizeof(*status));
  if (delivery == NULL || status == NULL)
    return sky_status_no_memory();
  *delivery = *document->delivery;
  *status = *document->delivery->status;
  delivery->status = status;
  char key[TRACKING_KEY_SIZE];
  tracking_key(&service->tracking, document->id, key);
  delivery->tracking_key = sky_call_strdup(call, key);
  delivery->etag = sky_etag_create(sky_call_arena(call), document->log_version);
  if (delivery->tracking_key == NULL || delivery->etag == NULL)
    return sky_status_no_memory();
  SKY_TRY(live_overlay(service->live, document->id, delivery->status, sky_call_arena(call)));
  /* A proof is given at the drop-off, so there is nothing to look for before. */
  if (delivery->status->stage == common_DELIVERY_STAGE_COMPLETED ||
      delivery->status->stage == common_DELIVERY_STAGE_HEADED_TO_DROPOFF)
    SKY_TRY(add_confirmation(service, call, delivery));
  *ret = delivery;
  return SKY_OK;
}
