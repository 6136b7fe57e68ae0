/*
 * Details beyond reason, metadata, delay and violations. All are entries of a few texts, told apart by the list they
 * stand in.
 */
#include "status_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PRECONDITIONS = 32, MAX_OTHERS = 8, MAX_OTHER_BYTES = 4096 };

typedef struct Content {
  const char *texts[SKY_STATUS_MAX_TEXTS]; /* NULL: none */
  SkyStr bytes;
} Content;

static size_t text_size(const char *text) {
  return text != NULL ? strlen(text) + 1 : 0;
}

static SkyStatusEntry *entry_create(const Content *content) {
  size_t size = content->bytes.size;
  for (size_t i = 0; i < SKY_STATUS_MAX_TEXTS; i++)
    size += text_size(content->texts[i]);
  SkyStatusEntry *entry = calloc(1, sizeof(*entry) + size);
  if (entry == NULL)
    return NULL;
  char *at = entry->storage;
  for (size_t i = 0; i < SKY_STATUS_MAX_TEXTS; i++) {
    if (content->texts[i] == NULL)
      continue;
    entry->texts[i] = memcpy(at, content->texts[i], text_size(content->texts[i]));
    at += text_size(content->texts[i]);
  }
  if (content->bytes.size > 0)
    memcpy(at, content->bytes.data, content->bytes.size);
  entry->bytes = (SkyStr){at, content->bytes.size};
  return entry;
}

static void entries_free(SkyStatusEntries *entries) {
  while (entries->first != NULL) {
    SkyStatusEntry *next = entries->first->next;
    free(entries->first);
    entries->first = next;
  }
  entries->count = 0;
}

static const SkyStatusEntry *entry_at(const SkyStatusEntries *entries, size_t index) {
  const SkyStatusEntry *entry = entries->first;
  while (entry != NULL && index-- > 0)
    entry = entry->next;
  return entry;
}

static void append(SkyStatusEntries *entries, const Content *content, size_t most) {
  SkyStatusEntry *entry = entries->count < most ? entry_create(content) : NULL;
  if (entry == NULL)
    return;
  SkyStatusEntry **end = &entries->first;
  while (*end != NULL)
    end = &(*end)->next;
  *end = entry;
  entries->count++;
}

/* The one entry of the list; without memory the old one stays. */
static void replace(SkyStatusEntries *entries, const Content *content) {
  SkyStatusEntry *entry = entry_create(content);
  if (entry == NULL)
    return;
  entries_free(entries);
  *entries = (SkyStatusEntries){.first = entry, .count = 1};
}

void sky_status_details_finish(SkyStatusDetails *details) {
  entries_free(&details->domain);
  entries_free(&details->preconditions);
  entries_free(&details->resource);
  entries_free(&details->others);
}

static void entries_copy(const SkyStatusEntries *from, SkyStatusEntries *to) {
  for (const SkyStatusEntry *entry = from->first; entry != NULL; entry = entry->next) {
    Content content = {.bytes = entry->bytes};
    memcpy(content.texts, entry->texts, sizeof(content.texts));
    append(to, &content, from->count);
  }
}

void sky_status_details_copy(const SkyStatusDetails *from, SkyStatusDetails *to) {
  entries_copy(&from->domain, &to->domain);
  entries_copy(&from->preconditions, &to->preconditions);
  entries_copy(&from->resource, &to->resource);
  entries_copy(&from->others, &to->others);
}

SkyStatus sky_status_with_domain(SkyStatus status, const char *domain) {
  if (sky_status_takes_details(status))
    replace(&status->details.domain, &(Content){.texts = {domain}});
  return status;
}

const char *sky_status_domain(const SkyError *status) {
  return status != SKY_OK && status->details.domain.first != NULL ? status->details.domain.first->texts[0] : NULL;
}

SkyStatus sky_status_with_precondition(SkyStatus status, SkyPrecondition precondition) {
  if (sky_status_takes_details(status))
    append(&status->details.preconditions,
           &(Content){.texts = {precondition.type, precondition.subject, precondition.description}}, MAX_PRECONDITIONS);
  return status;
}

static const char *or_empty(const char *text) {
  return text != NULL ? text : "";
}

bool sky_status_precondition_at(const SkyError *status, size_t index, SkyPrecondition *ret) {
  const SkyStatusEntry *entry = status != SKY_OK ? entry_at(&status->details.preconditions, index) : NULL;
  if (entry == NULL)
    return false;
  *ret = (SkyPrecondition){.type = or_empty(entry->texts[0]),
                           .subject = or_empty(entry->texts[1]),
                           .description = or_empty(entry->texts[2])};
  return true;
}

SkyStatus sky_status_with_resource(SkyStatus status, SkyResourceInfo resource) {
  if (sky_status_takes_details(status))
    replace(&status->details.resource,
            &(Content){.texts = {resource.type, resource.name, resource.owner, resource.description}});
  return status;
}

bool sky_status_resource(const SkyError *status, SkyResourceInfo *ret) {
  const SkyStatusEntry *entry = status != SKY_OK ? status->details.resource.first : NULL;
  if (entry == NULL)
    return false;
  *ret = (SkyResourceInfo){.type = or_empty(entry->texts[0]),
                           .name = or_empty(entry->texts[1]),
                           .owner = or_empty(entry->texts[2]),
                           .description = or_empty(entry->texts[3])};
  return true;
}

static size_t other_bytes(const SkyError *status) {
  size_t bytes = 0;
  for (const SkyStatusEntry *entry = status->details.others.first; entry != NULL; entry = entry->next)
    bytes += entry->bytes.size;
  return bytes;
}

SkyStatus sky_status_with_detail(SkyStatus status, const char *type_name, SkyStr bytes) {
  if (sky_status_takes_details(status) && bytes.size <= MAX_OTHER_BYTES - other_bytes(status))
    append(&status->details.others, &(Content){.texts = {type_name}, .bytes = bytes}, MAX_OTHERS);
  return status;
}

bool sky_status_detail_at(const SkyError *status, size_t index, const char **ret_type_name, SkyStr *ret_bytes) {
  const SkyStatusEntry *entry = status != SKY_OK ? entry_at(&status->details.others, index) : NULL;
  if (entry == NULL)
    return false;
  *ret_type_name = or_empty(entry->texts[0]);
  *ret_bytes = entry->bytes;
  return true;
}
