#include <sky/core/status.h>
#include <sky/core/str.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGE_BYTES = 2048, MAX_METADATA = 16, MAX_VIOLATIONS = 32 };

typedef struct Metadata {
  char *key;
  char *value;
} Metadata;

struct SkyError {
  SkyCode code;
  bool is_static;
  int64_t retry_after_ms;
  char *message;
  char *reason;
  Metadata *metadata;
  size_t metadata_count;
  SkyFieldViolation *violations; /* their texts are ours, in spite of the const */
  size_t violation_count;
};

static struct SkyError no_memory = {
    .code = SKY_CODE_RESOURCE_EXHAUSTED, .is_static = true, .retry_after_ms = -1, .message = "out of memory"};

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

/* Texts of violations are allocated here; the public type shows them as const. */
static void violation_free(SkyFieldViolation *violation) {
  free((char *)(uintptr_t)violation->field);
  free((char *)(uintptr_t)violation->description);
}

void sky_status_free(SkyStatus status) {
  if (status == SKY_OK || status->is_static)
    return;
  for (size_t i = 0; i < status->metadata_count; i++) {
    free(status->metadata[i].key);
    free(status->metadata[i].value);
  }
  for (size_t i = 0; i < status->violation_count; i++)
    violation_free(&status->violations[i]);
  free(status->metadata);
  free(status->violations);
  free(status->message);
  free(status->reason);
  free(status);
}

SkyStatus sky_status_copy(const SkyError *status) {
  if (status == SKY_OK)
    return SKY_OK;
  SkyStatus copy = sky_status_new(status->code, "%s", status->message);
  if (copy->is_static)
    return copy;
  copy->retry_after_ms = status->retry_after_ms;
  if (status->reason != NULL)
    copy = sky_status_with_reason(copy, status->reason);
  for (size_t i = 0; i < status->metadata_count; i++)
    copy = sky_status_with_metadata(copy, status->metadata[i].key, status->metadata[i].value);
  for (size_t i = 0; i < status->violation_count; i++)
    copy = sky_status_with_violation(copy, status->violations[i].field, "%s", status->violations[i].description);
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

static bool takes_details(const SkyError *status) {
  return status != SKY_OK && !status->is_static;
}

SkyStatus sky_status_with_reason(SkyStatus status, const char *reason) {
  if (takes_details(status))
    set_text(&status->reason, strdup(reason));
  return status;
}

static Metadata *metadata_find(const SkyError *status, const char *key) {
  for (size_t i = 0; status != SKY_OK && i < status->metadata_count; i++) {
    if (strcmp(status->metadata[i].key, key) == 0)
      return &status->metadata[i];
  }
  return NULL;
}

/* Appends an entry; on failure nothing changes. */
static void metadata_append(SkyStatus status, const char *key, const char *value) {
  if (status->metadata_count == MAX_METADATA)
    return;
  Metadata *entries = realloc(status->metadata, (status->metadata_count + 1) * sizeof(*entries));
  if (entries == NULL)
    return;
  status->metadata = entries;
  Metadata entry = {strdup(key), strdup(value)};
  if (entry.key == NULL || entry.value == NULL) {
    free(entry.key);
    free(entry.value);
    return;
  }
  entries[status->metadata_count++] = entry;
}

SkyStatus sky_status_with_metadata(SkyStatus status, const char *key, const char *value) {
  if (!takes_details(status))
    return status;
  Metadata *entry = metadata_find(status, key);
  if (entry != NULL)
    set_text(&entry->value, strdup(value));
  else
    metadata_append(status, key, value);
  return status;
}

SkyStatus sky_status_with_retry_after_ms(SkyStatus status, int64_t retry_after_ms) {
  if (takes_details(status))
    status->retry_after_ms = retry_after_ms < 0 ? 0 : retry_after_ms;
  return status;
}

static void add_violation(SkyStatus status, const char *field, const char *format, va_list values) SKY_PRINTF(3, 0);
static void add_violation(SkyStatus status, const char *field, const char *format, va_list values) {
  if (!takes_details(status) || status->violation_count == MAX_VIOLATIONS)
    return;
  SkyFieldViolation *entries = realloc(status->violations, (status->violation_count + 1) * sizeof(*entries));
  if (entries == NULL)
    return;
  status->violations = entries;
  SkyFieldViolation entry = {strdup(field), format_text(format, values)};
  if (entry.field == NULL || entry.description == NULL) {
    violation_free(&entry);
    return;
  }
  entries[status->violation_count++] = entry;
}

SkyStatus sky_status_with_violation(SkyStatus status, const char *field, const char *format, ...) {
  va_list values;
  va_start(values, format);
  add_violation(status, field, format, values);
  va_end(values);
  return status;
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
  if (!takes_details(status))
    return status;
  va_list values;
  va_start(values, format);
  char *prefix = format_text(format, values);
  va_end(values);
  if (prefix == NULL)
    return status;
  SkyStatus joined = sky_status_new(status->code, "%s%s", prefix, status->message);
  free(prefix);
  if (!joined->is_static) {
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
  const Metadata *entry = metadata_find(status, key);
  return entry == NULL ? NULL : entry->value;
}

bool sky_status_metadata_at(const SkyError *status, size_t index, const char **ret_key, const char **ret_value) {
  if (status == SKY_OK || index >= status->metadata_count)
    return false;
  *ret_key = status->metadata[index].key;
  *ret_value = status->metadata[index].value;
  return true;
}

int64_t sky_status_retry_after_ms(const SkyError *status) {
  return status == SKY_OK ? -1 : status->retry_after_ms;
}

size_t sky_status_violation_count(const SkyError *status) {
  return status == SKY_OK ? 0 : status->violation_count;
}

const SkyFieldViolation *sky_status_violation(const SkyError *status, size_t index) {
  return index < sky_status_violation_count(status) ? &status->violations[index] : NULL;
}
