/* Metadata list: entries to be sent, bounded; and look-up in received ones. (internal) */
#pragma once

#include <grpc/grpc.h>

#include <sky/core/context.h>
#include <sky/core/status.h>
#include <sky/core/str.h>

enum { SKY_METADATA_MAX_BYTES = 8192, SKY_METADATA_ENTRY_OVERHEAD = 32 /* RFC 9113 6.5.2 */ };

typedef struct SkyMetadataList {
  grpc_metadata *entries;
  size_t count, capacity;
  size_t bytes;
} SkyMetadataList;

/* Copies key and value. INVALID_ARGUMENT for a key or value that may not be sent, RESOURCE_EXHAUSTED past the bound. */
SKY_MUST_USE SkyStatus sky_metadata_list_add(SkyMetadataList *list, const char *key, SkyStr value);
/* For the runtime's own keys: no checks but the memory's; on failure the entry is left out. */
void sky_metadata_list_add_own(SkyMetadataList *list, const char *static_key, SkyStr value);
void sky_metadata_list_finish(SkyMetadataList *list);

/* The first value of this key. */
bool sky_metadata_find(const grpc_metadata_array *array, const char *key, SkyStr *ret_value);
/* traceparent and principal of the context. */
void sky_metadata_list_add_context(SkyMetadataList *list, const SkyContext *context);
