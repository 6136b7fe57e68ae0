/*
 * Store of packages: one document per package.
 */
#pragma once

#include <sky/store/store.h>

#include "package/package_store.sky.h"

extern const SkyCollection package_documents;
extern const SkyCollection *const package_collections[1]; /* for SkyServiceDefinition */

/* Indexes of package_documents, each with its fields. */
#define PACKAGES_BY_OWNER "by_owner"                  /* owner, deleted */
#define PACKAGES_BY_OWNER_AND_TAG "by_owner_tag"      /* owner, deleted, tag */
#define PACKAGES_BY_OWNER_AND_TIME "by_owner_created" /* owner, deleted, time of creation */
#define PACKAGES_PENDING "by_pending"                 /* an event is still to be published */
