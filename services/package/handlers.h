/*
 * The package service: packages by id, owner and tag.
 *
 * Put and delete are a step of the workflow's saga and its undo: with a creator_id they are idempotent for that saga,
 * and only the saga that created a package can undo it. Reasons: PACKAGE_UNKNOWN, PACKAGE_CONFLICT, ETAG_MISMATCH.
 */
#pragma once

#include <sky/core/id.h>
#include <sky/core/time.h>
#include <sky/rpc/server.h>

#include "package/events.h"

typedef struct PackageService {
  SkyStore *store;
  PackageEvents *events;
  const SkyClock *clock;
  const SkyRandom *random;
} PackageService;

/* service must outlive the server. */
SkyServiceBinding package_service_bind(PackageService *service);
