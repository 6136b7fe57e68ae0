/*
 * Events of packages: PackageCreated and PackageDeleted, published after the document that is marked with them.
 */
#pragma once

#include <sky/bus/bus.h>
#include <sky/service/pending.h>

#include "package/package_store.sky.h"

typedef struct PackageEvents {
  SkyStore *store;
  SkyBus *bus;
  SkyPending *pending;
} PackageEvents;

SKY_MUST_USE SkyStatus package_events_init(PackageEvents *events, SkyRpc *rpc, SkyStore *store, SkyBus *bus);
/* Publishes what the document is marked with, if it is, and writes it without the mark; its version then grows. */
SKY_MUST_USE SkyStatus package_events_settle(PackageEvents *events, const SkyContext *context,
                                             package_store_PackageDocument *document, int64_t *version);
void package_events_finish(PackageEvents *events); /* safe on a zeroed one */
