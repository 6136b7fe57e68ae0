#include "metadata_list.h"

#include <stdlib.h>
#include <string.h>

#include <sky/rpc/metadata.h>
#include <sky/rpc/slices.h>

static bool reserve(SkyMetadataList *list) {
  if (list->count < list->capacity)
    return true;
  const size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
  grpc_metadata *entries = reallocarray(list->entries, capacity, sizeof(*entries));
  if (entries == NULL)
    return false;
  list->entries = entries;
  list->capacity = capacity;
  return true;
}

/* Takes both slices. */
static bool append(SkyMetadataList *list, grpc_slice key, grpc_slice value) {
  if (!reserve(list)) {
    grpc_slice_unref(key);
    grpc_slice_unref(value);
    return false;
  }
  list->entries[list->count++] = (grpc_metadata){.key = key, .value = value};
  list->bytes += GRPC_SLICE_LENGTH(key) + GRPC_SLICE_LENGTH(value) + SKY_METADATA_ENTRY_OVERHEAD;
  return true;
}

/* Legal for the core, and not one of gRPC's own. */
static bool key_is_legal(grpc_slice key) {
  const SkyStr text = sky_slice_str(&key);
  return grpc_header_key_is_legal(key) && !sky_str_starts_with(text, SKY_STR("grpc-"));
}

SkyStatus sky_metadata_list_add(SkyMetadataList *list, const char *key, SkyStr value) {
  const grpc_slice key_slice = sky_slice_copy(sky_str(key));
  const grpc_slice value_slice = sky_slice_copy(value);
  SkyStatus status = SKY_OK;
  if (!key_is_legal(key_slice))
    status = SKY_INVALID_ARGUMENT("metadata key \"%s\" may not be used", key);
  else if (!grpc_is_binary_header(key_slice) && !grpc_header_nonbin_value_is_legal(value_slice))
    status = SKY_INVALID_ARGUMENT("metadata value of \"%s\" holds characters that need a -bin key", key);
  else if (list->bytes + value.size + strlen(key) + SKY_METADATA_ENTRY_OVERHEAD > SKY_METADATA_MAX_BYTES)
    status = SKY_RESOURCE_EXHAUSTED("more than %d bytes of metadata", SKY_METADATA_MAX_BYTES);
  if (status != SKY_OK) {
    grpc_slice_unref(key_slice);
    grpc_slice_unref(value_slice);
    return status;
  }
  return append(list, key_slice, value_slice) ? SKY_OK : sky_status_no_memory();
}

void sky_metadata_list_add_own(SkyMetadataList *list, const char *static_key, SkyStr value) {
  (void)append(list, grpc_slice_from_static_string(static_key), sky_slice_copy(value));
}

void sky_metadata_list_finish(SkyMetadataList *list) {
  for (size_t i = 0; i < list->count; i++) {
    grpc_slice_unref(list->entries[i].key);
    grpc_slice_unref(list->entries[i].value);
  }
  free(list->entries);
  *list = (SkyMetadataList){0};
}

bool sky_metadata_find(const grpc_metadata_array *array, const char *key, SkyStr *ret_value) {
  for (size_t i = 0; i < array->count; i++) {
    if (!sky_str_is(sky_slice_str(&array->metadata[i].key), key))
      continue;
    *ret_value = sky_slice_str(&array->metadata[i].value);
    return true;
  }
  return false;
}

static void add_text(SkyMetadataList *list, const char *key, const char *text) {
  if (text != NULL && text[0] != '\0')
    sky_metadata_list_add_own(list, key, sky_str(text));
}

/* A principal that is no header text (only a bug or an attack makes one) is not sent: better nobody than somebody else.
 */
static bool is_sendable(const char *text) {
  for (; text != NULL && *text != '\0'; text++) {
    if (*text < ' ' || *text > '~')
      return false;
  }
  return true;
}

void sky_metadata_list_add_context(SkyMetadataList *list, const SkyContext *context) {
  char traceparent[SKY_TRACEPARENT_SIZE];
  sky_trace_format(&context->trace, traceparent);
  add_text(list, SKY_METADATA_TRACEPARENT, traceparent);
  const SkyPrincipal *principal = context->principal;
  if (principal == NULL || !is_sendable(principal->subject) || !is_sendable(principal->owner_id) ||
      !is_sendable(principal->scopes))
    return;
  add_text(list, SKY_METADATA_SUBJECT, principal->subject);
  add_text(list, SKY_METADATA_OWNER, principal->owner_id);
  add_text(list, SKY_METADATA_SCOPES, principal->scopes);
}
