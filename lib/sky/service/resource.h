/*
 * Resource: what every service does with the resources of its API: times, entity tags, preconditions.
 *
 * Everything is allocated in the arena given; NULL only when its budget is spent. Thread-safe on distinct arenas.
 */
#pragma once

#include <stdint.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>

#include "google/protobuf/timestamp.sky.h"

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
