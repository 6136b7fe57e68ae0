#include "delivery/handlers.h"

#include <sky/service/resource.h>

#include "delivery/store.h"

/* A proof is given at the drop-off, so there is nothing to look for before. */
static bool may_be_confirmed(const delivery_Delivery *delivery) {
  return delivery->status->stage == common_DELIVERY_STAGE_COMPLETED ||
         delivery->status->stage == common_DELIVERY_STAGE_HEADED_TO_DROPOFF;
}

/* In one read. */
static SkyStatus add_confirmations(DeliveryService *service, SkyCall *call, delivery_Delivery *const *deliveries,
                                   size_t count) {
  SkyArena *arena = sky_call_arena(call);
  const char **ids = sky_arena_alloc(arena, count * sizeof(*ids));
  delivery_Delivery **of = sky_arena_alloc(arena, count * sizeof(*of));
  ProtobufCMessage **documents = sky_arena_alloc(arena, count * sizeof(*documents));
  size_t wanted = 0;
  if (ids == NULL || of == NULL || documents == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < count; i++) {
    if (!may_be_confirmed(deliveries[i]))
      continue;
    ids[wanted] = deliveries[i]->id;
    of[wanted++] = deliveries[i];
  }
  if (wanted == 0)
    return SKY_OK;
  SKY_TRY(sky_store_get_many(service->aggregate.store, sky_call_context(call), &delivery_confirmations, ids, wanted,
                             arena, documents));
  for (size_t i = 0; i < wanted; i++) {
    if (documents[i] != NULL)
      of[i]->confirmation = ((delivery_store_ConfirmationDocument *)documents[i])->confirmation;
  }
  return SKY_OK;
}

static SkyStatus present_unconfirmed(DeliveryService *service, SkyCall *call, const DeliveryDocument *document,
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
  *ret = delivery;
  return SKY_OK;
}

SkyStatus delivery_present_many(DeliveryService *service, SkyCall *call, const DeliveryDocument *const *documents,
                                size_t count, delivery_Delivery **ret) {
  for (size_t i = 0; i < count; i++)
    SKY_TRY(present_unconfirmed(service, call, documents[i], &ret[i]));
  return add_confirmations(service, call, ret, count);
}

SkyStatus delivery_present(DeliveryService *service, SkyCall *call, const DeliveryDocument *document,
                           delivery_Delivery **ret) {
  delivery_Delivery *delivery;
  SKY_TRY(delivery_present_many(service, call, &document, 1, &delivery));
  *ret = delivery;
  return SKY_OK;
}
