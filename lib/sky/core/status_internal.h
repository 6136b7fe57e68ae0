/* What the files of the status share. (internal) */
#pragma once

#include <sky/core/status.h>
#include <sky/core/str.h>

enum { SKY_STATUS_MAX_TEXTS = 4 };

/* A detail of up to four texts, or of a name and bytes; in one piece of memory. */
typedef struct SkyStatusEntry {
  struct SkyStatusEntry *next;
  const char *texts[SKY_STATUS_MAX_TEXTS];
  SkyStr bytes;
  char storage[];
} SkyStatusEntry;

typedef struct SkyStatusEntries {
  SkyStatusEntry *first;
  size_t count;
} SkyStatusEntries;

/* Kept apart by type: status_details.c. */
typedef struct SkyStatusDetails {
  SkyStatusEntries domain, preconditions, resource, others;
} SkyStatusDetails;

/* A metadata entry or a violation, in one piece of memory with its texts. */
typedef struct Pair {
  struct Pair *next;
  SkyFieldViolation texts;
  char storage[];
} Pair;

typedef struct PairList {
  Pair *first;
  size_t count;
} PairList;

struct SkyError {
  SkyCode code;
  int64_t retry_after_ms;
  char *message;
  char *reason;
  PairList metadata;
  PairList violations;
  SkyStatusDetails details;
};

/* False for SKY_OK and for the static status that is handed out without memory. */
bool sky_status_takes_details(const SkyError *status);

/* status_details.c */
void sky_status_details_finish(SkyStatusDetails *details);
/* Leaves out what finds no memory. */
void sky_status_details_copy(const SkyStatusDetails *from, SkyStatusDetails *to);
