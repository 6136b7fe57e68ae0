/*
 * Event log: what its parts share. Private to lib/sky/service.
 */
#pragma once

#include <stdatomic.h>

#include <sky/service/event_log.h>

#include "sky/service/v1/event_log.sky.h"

typedef struct SkyEventRelay SkyEventRelay;

struct SkyEventLog {
  SkyEventLogOptions options;
  SkyEventRelay *relay;
  _Atomic uint64_t appended, published, swept, project_failed, publish_failed;
};

/* The declared type of a stored event; NULL when this release does not know it. */
const SkyEventType *sky_event_log_type(const SkyEventLog *log, const Google__Protobuf__Any *stored);
/* Unpacks a stored event. DATA_LOSS when its bytes are no such event. */
SKY_MUST_USE SkyStatus sky_event_log_unpack(const SkyEventType *type, const Google__Protobuf__Any *stored,
                                            SkyArena *arena, ProtobufCMessage **ret);
/* Whether the record before this one, if any, has been published: events of an aggregate go out in order. */
SKY_MUST_USE SkyStatus sky_event_log_is_next(const SkyEventLog *log, const SkyContext *context,
                                             const sky_log_EventRecord *record, SkyArena *arena, bool *ret);
/* Brings the read model of one aggregate up to date now, whichever way the log does it. */
SKY_MUST_USE SkyStatus sky_event_log_project(SkyEventLog *log, const SkyContext *context, const SkyProjection *wanted);
/* The trace of the change that a record keeps. */
SkyContext sky_event_log_context(const SkyContext *parent, const sky_log_EventRecord *record);
/*
 * Marks records, each with the version it was read at, as published. One that somebody else has marked is no error; the
 * others' errors leave a record to the next sweep.
 */
SKY_MUST_USE SkyStatus sky_event_log_mark(SkyEventLog *log, const SkyContext *context, SkyReplacement *records,
                                          size_t count);

enum { SKY_EVENT_LOG_MARKS = 256 }; /* records marked at once */

/* ---- relay: publishes what this process appended, in the background ---- */

/* The log must outlive it. */
SKY_MUST_USE SkyStatus sky_event_relay_create(SkyEventLog *log, SkyEventRelay **ret);
void sky_event_relay_destroy(SkyEventRelay *relay); /* waits for publications in progress; NULL-safe */
/* Takes a copy of a record that was just appended; when there are too many it is left to the sweeper. */
void sky_event_relay_add(SkyEventRelay *relay, const sky_log_EventRecord *record);
size_t sky_event_relay_pending(SkyEventRelay *relay);
