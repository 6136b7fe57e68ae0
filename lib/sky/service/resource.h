/*
 * Resource: what every service does with the resources of its API: ids, times, entity tags, preconditions.
 *
 * Everything is allocated in the arena given; NULL only when its budget is spent. Thread-safe on distinct arenas.
 */
#pragma once

#include <stdint.h>

#include <sky/core/arena.h>
#include <sky/core/id.h>
#include <sky/core/status.h>

#include "google/protobuf/timestamp.sky.h"

/*
 * The id of a resource whose creator gives none: of the idempotency key when there is one (version 5 UUID of
 * name_space), so that asking again finds what the first call made, with nothing stored; otherwise a new one ordered by
 * time (version 7). scope: what keys are unique in, an owner or account, "" included; it holds no newline. NULL: the
 * name is the key alone. At most 64 characters of scope and 255 of key count, as the contracts bound them. Pure.
 */
void sky_resource_id(const SkyUuid *name_space, const char *scope, const char *idempotency_key, int64_t now_ms,
                     const SkyRandom *random, char id[SKY_UUID_TEXT_SIZE]);

/* Unix time in ms as a google.protobuf.Timestamp, and back (0 for NULL; parts of a ms are cut; seconds outside of the
 * years 1 to 9999 become the nearest inside). */
protobuf_Timestamp *sky_timestamp_create(SkyArena *arena, int64_t unix_ms);
int64_t sky_timestamp_ms(const protobuf_Timestamp *timestamp);

/* Unix time in ns, for the range of a query; what 64 bits cannot hold (outside of 1677 to 2262) becomes their end. */
int64_t sky_unix_ns(int64_t seconds, int32_t nanos);

/* The entity tag of a document's version, without quotes: "v3". */
char *sky_etag_create(SkyArena *arena, int64_t version);

/*
 * If-Match (RFC 9110, 13.1.1): "" asks for nothing, "*" for any version, otherwise the tag must be that of the version.
 * ABORTED with reason ETAG_MISMATCH, which is 412 in HTTP.
 */
SKY_MUST_USE SkyStatus sky_etag_check(const char *if_match, int64_t version);
