#include <sky/service/resource.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sky/core/time.h>

/* Scope (64) and key (255) are bounded in characters, of up to 4 bytes each. */
enum { ETAG_SIZE = 24, NAME_BYTES = 4 * (64 + 255) + 2 };
/* 0001-01-01 and the last second of 9999: the range of google.protobuf.Timestamp. */
static const int64_t MIN_SECONDS = -62135596800, MAX_SECONDS = 253402300799;

void sky_resource_id(const SkyUuid *name_space, const char *scope, const char *idempotency_key, int64_t now_ms,
                     const SkyRandom *random, char id[SKY_UUID_TEXT_SIZE]) {
  char name[NAME_BYTES];
  SkyUuid uuid;
  if (idempotency_key[0] == '\0') {
    uuid = sky_uuid_v7(now_ms, random);
  } else {
    /* No scope holds a newline, so that no two pairs of scope and key have one name. */
    snprintf(name, sizeof(name), "%s%s%s", scope != NULL ? scope : "", scope != NULL ? "\n" : "", idempotency_key);
    uuid = sky_uuid_v5(name_space, sky_str(name));
  }
  sky_uuid_format(&uuid, id);
}

protobuf_Timestamp *sky_timestamp_create(SkyArena *arena, int64_t unix_ms) {
  protobuf_Timestamp *timestamp = protobuf_Timestamp_create(arena);
  if (timestamp == NULL)
    return NULL;
  int64_t seconds = unix_ms / SKY_MS_PER_S, rest = unix_ms % SKY_MS_PER_S;
  if (rest < 0) { /* nanos always count forward */
    seconds--;
    rest += SKY_MS_PER_S;
  }
  timestamp->seconds = seconds;
  timestamp->nanos = (int32_t)rest * SKY_NS_PER_MS;
  return timestamp;
}

int64_t sky_timestamp_ms(const protobuf_Timestamp *timestamp) {
  if (timestamp == NULL)
    return 0;
  /* From a client it may say anything, and must not overflow. */
  int64_t seconds = timestamp->seconds;
  seconds = seconds < MIN_SECONDS ? MIN_SECONDS : seconds > MAX_SECONDS ? MAX_SECONDS : seconds;
  return seconds * SKY_MS_PER_S + timestamp->nanos / SKY_NS_PER_MS;
}

int64_t sky_unix_ns(int64_t seconds, int32_t nanos) {
  int64_t ns;
  if (__builtin_mul_overflow(seconds, SKY_NS_PER_S, &ns) || __builtin_add_overflow(ns, nanos, &ns))
    return seconds < 0 ? INT64_MIN : INT64_MAX;
  return ns;
}

static void format_etag(int64_t version, char text[ETAG_SIZE]) {
  snprintf(text, ETAG_SIZE, "v%" PRId64, version);
}

char *sky_etag_create(SkyArena *arena, int64_t version) {
  char text[ETAG_SIZE];
  format_etag(version, text);
  return sky_arena_strndup(arena, text, strlen(text));
}

SkyStatus sky_etag_check(const char *if_match, int64_t version) {
  char text[ETAG_SIZE];
  format_etag(version, text);
  if (if_match[0] == '\0' || strcmp(if_match, "*") == 0 || strcmp(if_match, text) == 0)
    return SKY_OK;
  return sky_status_with_reason(SKY_ABORTED("the resource has changed: its etag is now %s", text), "ETAG_MISMATCH");
}
