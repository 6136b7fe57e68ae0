#include "package/store.h"

static const SkyIndex indexes[] = {
    {.name = PACKAGES_BY_OWNER, .fields = {"package.owner_id", "deleted"}},
    {.name = PACKAGES_BY_OWNER_AND_TAG, .fields = {"package.owner_id", "deleted", "package.tag"}},
    {.name = PACKAGES_BY_OWNER_AND_TIME, .fields = {"package.owner_id", "deleted", "package.create_time"}},
    {.name = PACKAGES_PENDING, .fields = {"pending"}},
};

const SkyCollection package_documents = {
    .name = "packages",
    .type = package_store_PackageDocument_descriptor,
    .id_field = "id",
    .indexes = indexes,
    .index_count = sizeof(indexes) / sizeof(indexes[0]),
};

const SkyCollection *const package_collections[1] = {&package_documents};
