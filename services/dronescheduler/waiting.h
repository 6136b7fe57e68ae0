/*
 * Waiting: expedited deliveries that found no drone. Their callers come again after a moment; until then the drones
 * they would get are not given to anybody who is not expedited. Pure; the caller serialises. Bounded: with more
 * waiting, the oldest loses its place.
 */
#pragma once

#include "fleet.h"

enum { WAITING_MAX = 64, WAITING_KEEP_MS = 5000 };

typedef struct WaitingEntry {
  char delivery_id[SKY_UUID_TEXT_SIZE];
  FleetNeed need;
  int64_t until_ms;
} WaitingEntry;

typedef struct Waiting {
  WaitingEntry entry[WAITING_MAX]; /* oldest first */
  size_t count;
} Waiting;

void waiting_add(Waiting *waiting, const char *delivery_id, const FleetNeed *need, int64_t now_ms); /* or renews */
void waiting_remove(Waiting *waiting, const char *delivery_id);

/* The drones the waiting would get now, each another one, in the order in which they came. Returns how many. */
size_t waiting_claims(Waiting *waiting, const Fleet *fleet, const FleetRules *rules, int64_t now_ms,
                      FleetDrone *ret[WAITING_MAX]);
