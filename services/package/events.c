#include "package/events.h"

#include <sky/service/resource.h>

#include "fabrikam/events/v1/package.event.h"
#include "package/store.h"

static SkyStatus publish_created(PackageEvents *events, const SkyContext *context,
                                 const package_store_PackageDocument *document) {
  const package_Package *package = document->package;
  events_PackageCreated event = events_PackageCreated_INIT;
  event.event_id = document->event_id;
  event.package_id = document->id;
  event.version = (uint64_t)document->revision;
  event.occur_time = package->create_time;
  event.owner_id = package->owner_id;
  event.size = package->size;
  event.weight_kg = package->weight_kg;
  event.tag = package->tag;
  event.creator_id = document->creator_id;
  return events_PackageCreated_publish(events->bus, context, &event);
}

static SkyStatus publish_deleted(PackageEvents *events, const SkyContext *context,
                                 const package_store_PackageDocument *document) {
  const package_Package *package = document->package;
  events_PackageDeleted event = events_PackageDeleted_INIT;
  event.event_id = document->event_id;
  event.package_id = document->id;
  event.version = (uint64_t)document->revision;
  event.occur_time = package->update_time;
  event.owner_id = package->owner_id;
  event.size = package->size;
  event.weight_kg = package->weight_kg;
  event.tag = package->tag;
  event.create_time = package->create_time;
  return events_PackageDeleted_publish(events->bus, context, &event);
}

SkyStatus package_events_settle(PackageEvents *events, const SkyContext *context,
                                package_store_PackageDocument *document, int64_t *version) {
  if (!document->pending)
    return SKY_OK;
  if (document->deleted) {
    SKY_TRY(publish_deleted(events, context, document));
    return sky_store_delete(events->store, context, &package_documents, document->id, *version);
  }
  SKY_TRY(publish_created(events, context, document));
  document->pending = false;
  return sky_store_replace(events->store, context, &package_documents, &document->base, *version, version);
}

static SkyStatus settle(void *self, const SkyContext *context, const ProtobufCMessage *message, int64_t version,
                        SkyArena *arena) {
  package_store_PackageDocument document = *(const package_store_PackageDocument *)message;
  return package_events_settle(self, context, &document, &version);
}

SkyStatus package_events_init(PackageEvents *events, SkyRpc *rpc, SkyStore *store, SkyBus *bus) {
  *events = (PackageEvents){.store = store, .bus = bus};
  const SkyPendingOptions options = {.rpc = rpc,
                                     .store = store,
                                     .collection = &package_documents,
                                     .index = PACKAGES_PENDING,
                                     .settle = settle,
                                     .self = events};
  return sky_pending_create(&options, &events->pending);
}

void package_events_finish(PackageEvents *events) {
  sky_pending_destroy(events->pending);
  events->pending = NULL;
}
