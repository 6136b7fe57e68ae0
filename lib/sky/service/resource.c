#include <sky/service/resource.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sky/core/time.h>

enum { ETAG_SIZE = 24 };

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
  return timestamp == NULL ? 0 : timestamp->seconds * SKY_MS_PER_S + timestamp->nanos / SKY_NS_PER_MS;
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
