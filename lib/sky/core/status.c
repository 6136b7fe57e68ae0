#include "status_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGE_BYTES = 2048, MAX_METADATA = 16, MAX_VIOLATIONS = 32 };

/* Handed out when there is no memory for another; never freed, never changed. */
static struct SkyError no_memory = {
    .code = SKY_CODE_RESOURCE_EXHAUSTED, .retry_after_ms = -1, .message = "out of memory"};

static const char *const code_names[] = {
    "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
};
static_assert(sizeof(code_names) / sizeof(code_names[0]) == SKY_CODE_UNAUTHENTICATED + 1, "a name per code");

/* A formatted text on the heap of at most MAX_MESSAGE_BYTES, or NULL. */
static char *format_text(const char *format, va_list values) SKY_PRINTF(1, 0);
static char *format_text(const char *format, va_list values) {
  char text[MAX_MESSAGE_BYTES + 1];
  const int length = vsnprintf(text, sizeof(text), format, values);
  if (length < 0)
    return NULL;
  size_t size = (size_t)length;
  if (size >= sizeof(text)) {
    size = MAX_MESSAGE_BYTES;
    /* Drop the beginning of a character whose rest was cut off. */
    for (size_t back = 1; back <= 3; back++) {
      if (((unsigned char)text[size - back] & 0xc0) == 0xc0) {
        size = sky_utf8_sequence(text + size - back, back) == back ? size : size - back;
        break;
      }
    }
  }
  return strndup(text, size);
}

static void set_text(char **slot, char *text) {
  if (text == NULL)
    return;
  free(*slot);
  *slot = text;
}

static bool is_error(SkyCode code) {
  return code > SKY_CODE_OK && code <= SKY_CODE_UNAUTHENTICATED;
}

SkyStatus sky_status_newv(SkyCode code, const char *format, va_list values) {
  SkyStatus status = calloc(1, sizeof(*status));
  char *message = format_text(format, values);
  if (status == NULL || message == NULL) {
    free(status);
    free(message);
    return sky_status_no_memory();
  }
  status->code = is_error(code) ? code : SKY_CODE_UNKNOWN;
  status->message = message;
  status->retry_after_ms = -1;
  return status;
}

SkyStatus sky_status_new(SkyCode code, const char *format, ...) {
  va_list values;
  va_start(values, format);
  SkyStatus status = sky_status_newv(code, format, values);
  va_end(values);
  return status;
}

SkyStatus sky_status_no_memory(void) {
  return &no_memory;
}

static Pair *pair_create(const char *first, const char *second) {
  const size_t first_size = strlen(first) + 1, second_size = strlen(second) + 1;
  Pair *pair = malloc(sizeof(*pair) + first_size + second_size);
  if (pair == NULL)
    return NULL;
  memcpy(pair->storage, first, first_size);
  memcpy(pair->storage + first_size, second, second_size);
  pair->texts = (SkyFieldViolation){pair->storage, pair->storage + first_size};
  pair->next = NULL;
  return pair;
}

static void pairs_free(PairList *list) {
  while (list->first != NULL) {
    Pair *next = list->first->next;
    free(list->first);
    list->first = next;
  }
}

/* The place of the index-th pair: where the pointer to it is kept. */
static Pair **pair_at(PairList *list, size_t index) {
  Pair **place = &list->first;
  while (*place != NULL && index-- > 0)
    place = &(*place)->next;
  return place;
}

static const Pair *pair_at_const(const PairList *list, size_t index) {
  const Pair *pair = list->first;
  while (pair != NULL && index-- > 0)
    pair = pair->next;
  return pair;
}

/* Adds a pair at the end; without memory, or when `most` are there, the list stays as it is. */
static void pairs_append(PairList *list, const char *first, const char *second, size_t most) {
  if (list->count == most)
    return;
  Pair *pair = pair_create(first, second);
  if (pair == NULL)
    return;
  *pair_at(list, list->count++) = pair;
}

void sky_status_free(SkyStatus status) {
  if (status == SKY_OK || status == &no_memory)
    return;
  pairs_free(&status->metadata);
  pairs_free(&status->violations);
  sky_status_details_finish(&status->details);
  free(status->message);
  free(status->reason);
  free(status);
}

SkyStatus sky_status_copy(const SkyError *status) {
  if (status == SKY_OK)
    return SKY_OK;
  SkyStatus copy = sky_status_new(status->code, "%s", status->message);
  if (copy == &no_memory)
    return copy;
  copy->retry_after_ms = status->retry_after_ms;
  if (status->reason != NULL)
    set_text(&copy->reason, strdup(status->reason));
  for (const Pair *pair = status->metadata.first; pair != NULL; pair = pair->next)
    pairs_append(&copy->metadata, pair->texts.field, pair->texts.description, MAX_METADATA);
  for (const Pair *pair = status->violations.first; pair != NULL; pair = pair->next)
    pairs_append(&copy->violations, pair->texts.field, pair->texts.description, MAX_VIOLATIONS);
  sky_status_details_copy(&status->details, &copy->details);
  return copy;
}

SkyCode sky_status_code(const SkyError *status) {
  return status == SKY_OK ? SKY_CODE_OK : status->code;
}

const char *sky_status_message(const SkyError *status) {
  return status == SKY_OK ? "" : status->message;
}

const char *sky_code_name(SkyCode code) {
  return code_names[code == SKY_CODE_OK || is_error(code) ? code : SKY_CODE_UNKNOWN];
}

bool sky_code_from_name(const char *name, SkyCode *ret) {
  for (int code = SKY_CODE_OK; code <= SKY_CODE_UNAUTHENTICATED; code++) {
    if (strcmp(name, code_names[code]) == 0) {
      *ret = (SkyCode)code;
      return true;
    }
  }
  return false;
}

bool sky_status_is_retryable(const SkyError *status) {
  switch (sky_status_code(status)) {
  case SKY_CODE_UNAVAILABLE:
  case SKY_CODE_ABORTED:
  case SKY_CODE_RESOURCE_EXHAUSTED:
  case SKY_CODE_DEADLINE_EXCEEDED:
    return true;
  default:
    return false;
  }
}

bool sky_status_take(SkyStatus *status, SkyCode code) {
  if (*status == SKY_OK || (*status)->code != code)
    return false;
  sky_status_free(*status);
  *status = SKY_OK;
  return true;
}

bool sky_status_takes_details(const SkyError *status) {
  return status != SKY_OK && status != &no_memory;
}

SkyStatus sky_status_with_reason(SkyStatus status, const char *reason) {
  if (sky_status_takes_details(status))
    set_text(&status->reason, strdup(reason));
  return status;
}

/* The index of the entry with this key; the count when there is none. */
static size_t metadata_index(const SkyError *status, const char *key) {
  size_t index = 0;
  for (const Pair *pair = status->metadata.first; pair != NULL; pair = pair->next, index++) {
    if (strcmp(pair->texts.field, key) == 0)
      break;
  }
  return index;
}

static void metadata_replace(SkyStatus status, size_t index, const char *key, const char *value) {
  Pair **place = pair_at(&status->metadata, index);
  Pair *pair = pair_create(key, value);
  if (pair == NULL)
    return;
  pair->next = (*place)->next;
  free(*place);
  *place = pair;
}

SkyStatus sky_status_with_metadata(SkyStatus status, const char *key, const char *value) {
  if (!sky_status_takes_details(status))
    return status;
  const size_t index = metadata_index(status, key);
  if (index < status->metadata.count)
    metadata_replace(status, index, key, value);
  else
    pairs_append(&status->metadata, key, value, MAX_METADATA);
  return status;
}

SkyStatus sky_status_with_retry_after_ms(SkyStatus status, int64_t retry_after_ms) {
  if (sky_status_takes_details(status))
    status->retry_after_ms = retry_after_ms < 0 ? 0 : retry_after_ms;
  return status;
}

static void add_violation(SkyStatus status, const char *field, const char *format, va_list values) SKY_PRINTF(3, 0);
static void add_violation(SkyStatus status, const char *field, const char *format, va_list values) {
  if (!sky_status_takes_details(status))
    return;
  char *description = format_text(format, values);
  if (description != NULL)
    pairs_append(&status->violations, field, description, MAX_VIOLATIONS);
  free(description);
}

SkyStatus sky_status_with_violation(SkyStatus status, const char *field, const char *format, ...) {
  va_list values;
  va_start(values, format);
  add_violation(status, field, format, values);
  va_end(values);
  return status;
}

bool sky_status_is_its_first_violation(const SkyError *status) {
  const SkyFieldViolation *first = sky_status_violation_count(status) > 0 ? sky_status_violation(status, 0) : NULL;
  if (first == NULL)
    return false;
  const size_t size = strlen(first->field);
  return strncmp(status->message, first->field, size) == 0 && strncmp(status->message + size, ": ", 2) == 0 &&
         strcmp(status->message + size + 2, first->description) == 0;
}

void sky_violations_add(SkyStatus *status, const char *field, const char *format, ...) {
  va_list values;
  va_start(values, format);
  if (*status == SKY_OK) {
    va_list again;
    va_copy(again, values);
    char *description = format_text(format, again);
    va_end(again);
    *status = SKY_INVALID_ARGUMENT("%s: %s", field, description == NULL ? "is invalid" : description);
    free(description);
  }
  add_violation(*status, field, format, values);
  va_end(values);
}

SkyStatus sky_status_annotate(SkyStatus status, const char *format, ...) {
  if (!sky_status_takes_details(status))
    return status;
  va_list values;
  va_start(values, format);
  char *prefix = format_text(format, values);
  va_end(values);
  if (prefix == NULL)
    return status;
  SkyStatus joined = sky_status_new(status->code, "%s%s", prefix, status->message);
  free(prefix);
  if (joined != &no_memory) {
    set_text(&status->message, joined->message);
    joined->message = NULL;
  }
  sky_status_free(joined);
  return status;
}

const char *sky_status_reason(const SkyError *status) {
  return status == SKY_OK ? NULL : status->reason;
}

const char *sky_status_metadata(const SkyError *status, const char *key) {
  const Pair *pair = status == SKY_OK ? NULL : pair_at_const(&status->metadata, metadata_index(status, key));
  return pair == NULL ? NULL : pair->texts.description;
}

bool sky_status_metadata_at(const SkyError *status, size_t index, const char **ret_key, const char **ret_value) {
  const Pair *pair = status == SKY_OK ? NULL : pair_at_const(&status->metadata, index);
  if (pair == NULL)
    return false;
  *ret_key = pair->texts.field;
  *ret_value = pair->texts.description;
  return true;
}

int64_t sky_status_retry_after_ms(const SkyError *status) {
  return status == SKY_OK ? -1 : status->retry_after_ms;
}

size_t sky_status_violation_count(const SkyError *status) {
  return status == SKY_OK ? 0 : status->violations.count;
}

const SkyFieldViolation *sky_status_violation(const SkyError *status, size_t index) {
  const Pair *pair = status == SKY_OK ? NULL : pair_at_const(&status->violations, index);
  return pair == NULL ? NULL : &pair->texts;
}
