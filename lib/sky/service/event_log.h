/*
 * Event log: lifecycle aggregates as insert-only events, with an outbox.
 *
 * An aggregate (a delivery, a saga, a drone) is the fold of its records. A record is inserted under the id
 * "<aggregate>/<version>"; a duplicate id means that somebody else was first (ABORTED: load again and decide anew).
 * That is atomic on every store. A record carries the events to publish, so change and outbox are one insert. After the
 * insert the log projects (brings read models up to date), publishes in order and then marks the record published; what
 * a crash leaves unmarked is projected and published again by the sweeper. So projection and consumers are idempotent.
 * Marks are written some moments later, for many records at once.
 *
 * Thread-safe. Calls block: for worker threads.
 */
#pragma once

#include <sky/bus/bus.h>
#include <sky/core/time.h>
#include <sky/store/store.h>

typedef struct SkyEventLog SkyEventLog;

/* An aggregate, and the version of the log that its read model should have at least. */
typedef struct SkyProjection {
  const char *aggregate_id;
  int64_t version;
} SkyProjection;

typedef struct SkyEventLogOptions {
  SkyStore *store; /* opened with sky_event_log_collection(name) among its collections */
  SkyBus *bus;
  const SkyClock *clock;
  const SkyCollection *collection;  /* from SKY_EVENT_LOG_COLLECTION */
  const SkyEventType *const *types; /* NULL-terminated: every event that is ever appended */
  /* Brings the read model of one aggregate up to date with the log. Idempotent, may run twice at once. May be NULL. */
  SkyStatus (*project)(void *self, const SkyContext *context, const char *aggregate_id);
  /*
   * The same for many aggregates at once, in the background, after publication and before the records are marked:
   * instead of project, for who can read what the read model does not have yet. No id is NULL; one may come twice. OK
   * only when the read model has every version that is wanted, whichever process has appended it; an error of one
   * should not keep the others from being projected.
   */
  SkyStatus (*project_later)(void *self, const SkyContext *context, const SkyProjection *wanted, size_t count);
  void *self;
  size_t max_pending; /* records waiting for publication in memory; more are left to the sweeper; 0: 4096 */
} SkyEventLogOptions;

/* A log's records are sky.service.v1.EventRecord (proto/sky/service/v1/event_log.proto). */
extern const ProtobufCMessageDescriptor sky__service__v1__event_record__descriptor;
extern const SkyIndex sky_event_log_indexes[2];

/* Declares the collection of a log's records: static const SkyCollection log =
 * SKY_EVENT_LOG_COLLECTION("delivery_events"); */
#define SKY_EVENT_LOG_COLLECTION(collection_name)                                                                      \
  {                                                                                                                    \
    .name = (collection_name), .type = &sky__service__v1__event_record__descriptor, .id_field = "id",                  \
    .indexes = sky_event_log_indexes, .index_count = 2                                                                 \
  }

/* RESOURCE_EXHAUSTED without memory or a thread. What the options point to must outlive the log. */
SKY_MUST_USE SkyStatus sky_event_log_create(const SkyEventLogOptions *options, SkyEventLog **ret);
void sky_event_log_destroy(SkyEventLog *log); /* waits for publications in progress; NULL-safe */

/* One event of an aggregate. */
typedef struct SkyLogged {
  const SkyEventType *type;      /* NULL: an event of a newer release that this one does not know */
  const ProtobufCMessage *event; /* NULL then */
  int64_t version;
  int64_t time_ms;
} SkyLogged;

/* Calls visit for every event in order. *ret_version is that of the last record, 0 when there is none (not an error).
 */
SKY_MUST_USE SkyStatus sky_event_log_load(SkyEventLog *log, const SkyContext *context, const char *aggregate_id,
                                          SkyArena *arena, SkyStatus (*visit)(void *user, const SkyLogged *logged),
                                          void *user, int64_t *ret_version);

/* The same for the records after after_version only: for who keeps snapshots. *ret_version is at least after_version.
 */
SKY_MUST_USE SkyStatus sky_event_log_load_after(SkyEventLog *log, const SkyContext *context, const char *aggregate_id,
                                                int64_t after_version, SkyArena *arena,
                                                SkyStatus (*visit)(void *user, const SkyLogged *logged), void *user,
                                                int64_t *ret_version);

typedef struct SkyAppend {
  const SkyEventType *type;
  const ProtobufCMessage *event;
} SkyAppend;

/*
 * Appends events as one record after expected_version (0: the aggregate is new), which must be the version that was
 * loaded. ABORTED when somebody else did meanwhile. Returns when the record is durable and projected (unless that is
 * left for later); publication follows in the background. A projection that fails is no error of the append, because
 * the record stands: the sweeper projects and publishes it. After DEADLINE_EXCEEDED or UNAVAILABLE the record may stand
 * as well: loading tells.
 */
SKY_MUST_USE SkyStatus sky_event_log_append(SkyEventLog *log, const SkyContext *context, const char *aggregate_id,
                                            int64_t expected_version, const SkyAppend *events, size_t count);

/* One record of many. */
typedef struct SkyAppendTo {
  const char *aggregate_id;
  int64_t expected_version;
  const SkyAppend *events;
  size_t count;
  const SkyTrace *trace; /* of the change; NULL: the context's */
} SkyAppendTo;

/*
 * Appends to different aggregates at once, for the price of one commit. Each stands alone: results[i] gets what
 * sky_event_log_append() would have returned (the caller's to free), and the return is an error only when nothing could
 * be tried at all (then no result is set).
 */
SKY_MUST_USE SkyStatus sky_event_log_append_many(SkyEventLog *log, const SkyContext *context,
                                                 const SkyAppendTo *appends, size_t count, SkyStatus *results);

/* Projects and publishes what was left unpublished for at least a minimum age; for sky_service_every(). */
SKY_MUST_USE SkyStatus sky_event_log_sweep(SkyEventLog *log, const SkyContext *context, int64_t min_age_ms);

typedef struct SkyEventLogStats {
  uint64_t appended, published, swept; /* records; swept ones are published too */
  uint64_t project_failed, publish_failed;
  size_t pending;
} SkyEventLogStats;
SkyEventLogStats sky_event_log_stats(SkyEventLog *log);
