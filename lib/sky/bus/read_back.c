/*
 * Reading back: the last message of a subject, and key-value buckets, which are nothing else (a stream KV_<bucket> that
 * keeps the last message of each $KV.<bucket>.<key>).
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static const int64_t LONGEST_READ_MS = 5000;

/* Ours or an operator's tool may have deleted a key: then a marker is its last message. */
static bool is_deletion(natsMsg *message) {
  const char *operation = NULL;
  return natsMsgHeader_Get(message, "KV-Operation", &operation) == NATS_OK &&
         (strcmp(operation, "DEL") == 0 || strcmp(operation, "PURGE") == 0);
}

static SkyStatus take_message(natsMsg *message, SkyArena *arena, SkyStr *ret_data, int64_t *ret_time_ms) {
  if (is_deletion(message))
    return SKY_NOT_FOUND("it was deleted");
  size_t size = (size_t)natsMsg_GetDataLength(message);
  char *copy = sky_arena_alloc(arena, size);
  if (copy == NULL)
    return SKY_RESOURCE_EXHAUSTED("a stored message of %zu bytes does not fit in memory", size);
  if (size > 0)
    memcpy(copy, natsMsg_GetData(message), size);
  *ret_data = (SkyStr){copy, size};
  if (ret_time_ms != NULL)
    *ret_time_ms = natsMsg_GetTime(message) / SKY_NS_PER_MS;
  return SKY_OK;
}

static int64_t wait_of(const SkyContext *context) {
  int64_t remaining = sky_context_remaining_ms(context);
  return remaining < 1 ? 1 : remaining < LONGEST_READ_MS ? remaining : LONGEST_READ_MS;
}

SkyStatus sky_bus_get_last(SkyBus *bus, const SkyContext *context, const char *stream, const char *subject,
                           SkyArena *arena, SkyStr *ret_data, int64_t *ret_time_ms) {
  SKY_TRY(sky_context_check(context));
  Link *link;
  SKY_TRY(connection_check(bus, &link));
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = wait_of(context);
  jsDirectGetMsgOptions what;
  jsDirectGetMsgOptions_Init(&what);
  what.LastBySubject = subject;
  natsMsg *message = NULL;
  natsStatus result = js_DirectGetMsg(&message, link->js, stream, &options, &what);
  if (result != NATS_OK) {
    if (result != NATS_NOT_FOUND)
      connection_kick(bus);
    return connection_error(result, "read back");
  }
  SkyStatus status = take_message(message, arena, ret_data, ret_time_ms);
  natsMsg_Destroy(message);
  return status;
}

/* Keys of key-value buckets are subject tokens. */
static SkyStatus key_subject(const char *bucket, const char *key, char subject[SUBJECT_SIZE]) {
  if (key[0] == '\0' || strpbrk(key, " \t\r\n*>") != NULL || key[0] == '.' || key[strlen(key) - 1] == '.')
    return SKY_INVALID_ARGUMENT("'%s' cannot be a key", key);
  if (snprintf(subject, SUBJECT_SIZE, "$KV.%s.%s", bucket, key) >= SUBJECT_SIZE)
    return SKY_INVALID_ARGUMENT("the key '%.32s…' is too long", key);
  return SKY_OK;
}

/* The broker does not say that a bucket is missing, it says nothing; so buckets are created before their first use, by
 * readers too. */
static SkyStatus ensure_bucket(SkyBus *bus, const SkyContext *context, const char *bucket) {
  SKY_TRY(sky_context_check(context));
  Link *link;
  SKY_TRY(connection_check(bus, &link));
  return streams_ensure_bucket(bus, bucket, wait_of(context));
}

SkyStatus sky_bus_kv_put(SkyBus *bus, const SkyContext *context, const char *bucket, const char *key, SkyStr value) {
  char subject[SUBJECT_SIZE];
  SKY_TRY(key_subject(bucket, key, subject));
  SKY_TRY(ensure_bucket(bus, context, bucket));
  return sky_bus_publish(bus, context, &(SkyPublication){.subject = subject, .data = value}, NULL);
}

SkyStatus sky_bus_kv_get(SkyBus *bus, const SkyContext *context, const char *bucket, const char *key, SkyArena *arena,
                         SkyStr *ret_value) {
  char subject[SUBJECT_SIZE];
  char stream[SUBJECT_SIZE];
  SKY_TRY(key_subject(bucket, key, subject));
  SKY_TRY(ensure_bucket(bus, context, bucket));
  snprintf(stream, sizeof(stream), "KV_%s", bucket);
  return sky_bus_get_last(bus, context, stream, subject, arena, ret_value, NULL);
}
