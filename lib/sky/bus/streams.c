/*
 * Streams and buckets: created or brought up to date whenever the keeper looks, so also after the broker has lost its
 * data.
 *
 * Next to the declared streams stands DEADLETTERS, which also collects the broker's own MAX_DELIVERIES advisories:
 * those of consumers that others made with a limit (ours have none: they count attempts themselves, which needs no
 * listener at the right moment).
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t DEFAULT_MAX_BYTES = INT64_C(1) << 30;
static const int64_t DEFAULT_DUPLICATE_WINDOW_MS = 120 * 1000;

enum { MAX_SUBJECTS = 32 };

static const char *const dead_letter_subjects[] = {"dead.>", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", NULL};
static const SkyStreamConfig dead_letters = {
    .name = "DEADLETTERS",
    .subjects = dead_letter_subjects,
    .max_bytes = INT64_C(256) << 20,
    .max_age_ms = INT64_C(30) * 24 * 3600 * 1000,
};

const SkyStreamConfig *streams_find(const SkyBus *bus, const char *name) {
  for (size_t i = 0; i < bus->stream_count; i++)
    if (strcmp(bus->streams[i].name, name) == 0)
      return &bus->streams[i];
  return NULL;
}

static void fill_config(const SkyBus *bus, const SkyStreamConfig *from, const char *subjects[MAX_SUBJECTS],
                        jsStreamConfig *ret) {
  jsStreamConfig_Init(ret);
  ret->Name = from->name;
  ret->Subjects = subjects;
  for (ret->SubjectsLen = 0; from->subjects[ret->SubjectsLen] != NULL && ret->SubjectsLen < MAX_SUBJECTS;
       ret->SubjectsLen++)
    subjects[ret->SubjectsLen] = from->subjects[ret->SubjectsLen];
  ret->Retention = from->retention == SKY_RETENTION_WORK_QUEUE ? js_WorkQueuePolicy : js_LimitsPolicy;
  ret->MaxBytes = from->max_bytes > 0 ? from->max_bytes : DEFAULT_MAX_BYTES;
  ret->MaxAge = from->max_age_ms * SKY_NS_PER_MS;
  /* A full queue refuses, so that the publisher knows. Nothing but age or size ever empties the others: refusing there
   * would be for ever. */
  ret->Discard = from->retention == SKY_RETENTION_WORK_QUEUE ? js_DiscardNew : js_DiscardOld;
  ret->Storage = js_FileStorage;
  ret->Replicas = from->replicas > 0 ? from->replicas : bus->replicas;
  ret->Duplicates =
      (from->duplicate_window_ms > 0 ? from->duplicate_window_ms : DEFAULT_DUPLICATE_WINDOW_MS) * SKY_NS_PER_MS;
  if (from->max_age_ms > 0 && ret->Duplicates > ret->MaxAge) /* the broker wants it so */
    ret->Duplicates = ret->MaxAge;
  ret->AllowDirect = true;
}

static bool same_subjects(const jsStreamConfig *a, const jsStreamConfig *b) {
  if (a->SubjectsLen != b->SubjectsLen)
    return false;
  for (int i = 0; i < a->SubjectsLen; i++)
    if (strcmp(a->Subjects[i], b->Subjects[i]) != 0)
      return false;
  return true;
}

static bool is_up_to_date(const jsStreamConfig *is, const jsStreamConfig *wanted) {
  return same_subjects(is, wanted) && is->MaxBytes == wanted->MaxBytes && is->MaxAge == wanted->MaxAge &&
         is->Discard == wanted->Discard && is->Replicas == wanted->Replicas && is->Duplicates == wanted->Duplicates &&
         is->AllowDirect == wanted->AllowDirect && is->Retention == wanted->Retention;
}

/* UNAVAILABLE and DEADLINE_EXCEEDED speak of the broker as a whole, anything else of this stream. */
static SkyStatus api_error(natsStatus result, jsErrCode code, const char *what, const char *name) {
  bool is_off = code == JSNotEnabledErr || code == JSNotEnabledForAccountErr || code == JSClusterNotAvailErr;
  if (result == NATS_TIMEOUT || result == NATS_NO_RESPONDERS || result == NATS_CONNECTION_DISCONNECTED ||
      result == NATS_CONNECTION_CLOSED || is_off)
    return sky_status_annotate(connection_error(is_off ? NATS_NO_RESPONDERS : result, what), "%s: ", name);
  return SKY_FAILED_PRECONDITION("%s %s: %s (%d)", what, name, natsStatus_GetText(result), (int)code);
}

static SkyStatus create_or_update(SkyBus *bus, jsStreamConfig *config, bool exists, jsOptions *options) {
  jsErrCode code = 0;
  natsStatus result = exists ? js_UpdateStream(NULL, atomic_load(&bus->link)->js, config, options, &code)
                             : js_AddStream(NULL, atomic_load(&bus->link)->js, config, options, &code);
  if (result == NATS_OK)
    return SKY_OK;
  return api_error(result, code, exists ? "update stream" : "create stream", config->Name);
}

static SkyStatus ensure_stream(SkyBus *bus, const SkyStreamConfig *stream, int64_t wait_ms) {
  const char *subjects[MAX_SUBJECTS];
  jsStreamConfig wanted;
  fill_config(bus, stream, subjects, &wanted);
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = wait_ms;
  jsStreamInfo *info = NULL;
  jsErrCode code = 0;
  natsStatus result = js_GetStreamInfo(&info, atomic_load(&bus->link)->js, stream->name, &options, &code);
  if (result == NATS_NOT_FOUND)
    return create_or_update(bus, &wanted, false, &options);
  if (result != NATS_OK)
    return api_error(result, code, "look up stream", stream->name);
  atomic_store(&bus->last_reply_ns, now_ns());
  bool up_to_date = is_up_to_date(info->Config, &wanted);
  jsStreamInfo_Destroy(info);
  return up_to_date ? SKY_OK : create_or_update(bus, &wanted, true, &options);
}

/* Keeps the first failure, but tries the others too unless the broker is silent. */
SkyStatus streams_ensure(SkyBus *bus, int64_t wait_ms) {
  SkyStatus first = ensure_stream(bus, &dead_letters, wait_ms);
  for (size_t i = 0; i < bus->stream_count; i++) {
    if (sky_status_is_retryable(first))
      return first;
    SkyStatus status = ensure_stream(bus, &bus->streams[i], wait_ms);
    if (first == SKY_OK)
      first = status;
    else
      sky_status_free(status);
  }
  return first;
}

/* ---- key-value buckets ---- */

/* NULL when it is not known yet. */
static Bucket *find_bucket_locked(SkyBus *bus, const char *name) {
  Bucket *bucket = bus->buckets;
  while (bucket != NULL && strcmp(bucket->name, name) != 0)
    bucket = bucket->next;
  return bucket;
}

static SkyStatus remember_bucket(SkyBus *bus, const char *name, uint64_t epoch) {
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&bus->mutex);
  Bucket *bucket = find_bucket_locked(bus, name);
  if (bucket == NULL && (bucket = calloc(1, sizeof(*bucket) + strlen(name) + 1)) != NULL) {
    strcpy(bucket->name, name);
    bucket->next = bus->buckets;
    bus->buckets = bucket;
  }
  if (bucket != NULL)
    bucket->epoch = epoch;
  else
    status = sky_status_no_memory();
  pthread_mutex_unlock(&bus->mutex);
  return status;
}

/* What js_CreateKeyValue() would create, with our deadline. */
static SkyStatus create_bucket(SkyBus *bus, const char *name, int64_t wait_ms) {
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = wait_ms;
  jsErrCode code = 0;
  char stream[SUBJECT_SIZE];
  char subject[SUBJECT_SIZE];
  snprintf(stream, sizeof(stream), "KV_%s", name);
  snprintf(subject, sizeof(subject), "$KV.%s.>", name);
  const char *subjects[] = {subject};
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  config.Name = stream;
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  config.MaxMsgsPerSubject = 1;
  config.MaxBytes = -1;
  config.Discard = js_DiscardNew;
  config.AllowRollup = true;
  config.DenyDelete = true;
  config.AllowDirect = true;
  config.Replicas = bus->replicas;
  config.Duplicates = DEFAULT_DUPLICATE_WINDOW_MS * SKY_NS_PER_MS;
  natsStatus result = js_AddStream(NULL, atomic_load(&bus->link)->js, &config, &options, &code);
  if (result != NATS_OK && code != JSStreamNameExistErr)
    return api_error(result, code, "create bucket", name);
  return SKY_OK;
}

SkyStatus streams_ensure_bucket(SkyBus *bus, const char *name, int64_t wait_ms) {
  if (name[0] == '\0' || strpbrk(name, " .*>") != NULL || strlen(name) > 100)
    return SKY_INVALID_ARGUMENT("'%.100s' cannot be the name of a bucket", name);
  uint64_t epoch = atomic_load(&bus->epoch);
  pthread_mutex_lock(&bus->mutex);
  const Bucket *bucket = find_bucket_locked(bus, name);
  bool known = bucket != NULL && bucket->epoch == epoch;
  pthread_mutex_unlock(&bus->mutex);
  if (known)
    return SKY_OK;
  SKY_TRY(create_bucket(bus, name, wait_ms));
  return remember_bucket(bus, name, epoch);
}
