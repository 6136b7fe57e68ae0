/*
 * Zones and routes: keeping out of no-fly zones. Pure.
 *
 * A zone is a polygon; on the scale of a flight the way between two points is drawn straight on a map scaled at the
 * zone's latitude, which is within a few metres of the great circle for ways of some tens of kilometres. A polygon
 * never spans the date line or a pole (refused at creation).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/geo.h>

#include "life.h"

enum { ZONE_MAX_CORNERS = 256, ROUTE_MAX_TURNS = 16, ROUTE_MAX_NODES = 96 };

typedef struct Zone {
  char id[LIFE_ID_SIZE];
  char *display_name;
  SkyPoint corners[ZONE_MAX_CORNERS];
  size_t corner_count;
  double south, north, west, east; /* box around the corners, set by zone_measure() */
  double ceiling_m;                /* 0: any height */
  int64_t start_ms;                /* 0: already */
  int64_t end_ms;                  /* 0: for ever */
  int64_t create_ms, update_ms;
  uint64_t edit; /* etag */
  int64_t document_version;
} Zone;

/* Height drones travel at: a zone with a lower ceiling is flown over, but nobody lands in it. */
#define ZONE_CRUISE_ALTITUDE_M 120.0

void zone_measure(Zone *zone);                                     /* after the corners have been set */
bool zone_holds(const Zone *zone, int64_t from_ms, int64_t to_ms); /* at any time between */
bool zone_contains(const Zone *zone, SkyPoint point);
bool zone_is_crossed(const Zone *zone, SkyPoint from, SkyPoint to); /* either end inside counts */

/* A way from a point to another: the turns between, none when it is straight. */
typedef struct Route {
  SkyPoint turns[ROUTE_MAX_TURNS];
  size_t turn_count;
  double distance_m;
} Route;

/*
 * The shortest way around the zones that hold between the times (straight when nothing is in the way): a visibility
 * graph over the corners of the zones in the way. False: an end lies in a zone, or there is no way with the bounded
 * number of turns.
 */
bool route_plan(const Zone *const *zones, size_t zone_count, SkyPoint from, SkyPoint to, int64_t from_ms, int64_t to_ms,
                Route *ret);
