#include "zone.h"

#include <math.h>

/* Turns keep this far away from a corner, so that rounding does not bring the way back into the zone. */
#define CLEARANCE_M 30.0
#define DEGREE_M (SKY_EARTH_RADIUS_M * M_PI / 180.0)

void zone_measure(Zone *zone) {
  zone->south = zone->west = INFINITY;
  zone->north = zone->east = -INFINITY;
  for (size_t i = 0; i < zone->corner_count; i++) {
    zone->south = fmin(zone->south, zone->corners[i].latitude);
    zone->north = fmax(zone->north, zone->corners[i].latitude);
    zone->west = fmin(zone->west, zone->corners[i].longitude);
    zone->east = fmax(zone->east, zone->corners[i].longitude);
  }
}

bool zone_holds(const Zone *zone, int64_t from_ms, int64_t to_ms) {
  return (zone->start_ms == 0 || zone->start_ms < to_ms) && (zone->end_ms == 0 || zone->end_ms > from_ms);
}

/* Flat metres around a corner of the zone. */
typedef struct Flat {
  double x, y;
} Flat;

static Flat flatten(const Zone *zone, SkyPoint point) {
  const SkyPoint origin = zone->corners[0];
  return (Flat){(point.longitude - origin.longitude) * DEGREE_M * cos(origin.latitude * M_PI / 180.0),
                (point.latitude - origin.latitude) * DEGREE_M};
}

bool zone_contains(const Zone *zone, SkyPoint point) {
  bool inside = false;
  for (size_t i = 0, j = zone->corner_count - 1; i < zone->corner_count; j = i++) {
    const SkyPoint a = zone->corners[i], b = zone->corners[j];
    if ((a.latitude > point.latitude) == (b.latitude > point.latitude))
      continue;
    const double at = (b.longitude - a.longitude) * (point.latitude - a.latitude) / (b.latitude - a.latitude);
    if (point.longitude < a.longitude + at)
      inside = !inside;
  }
  return inside;
}

static double cross(Flat a, Flat b, Flat c) {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

static bool segments_cross(Flat a, Flat b, Flat c, Flat d) {
  return (cross(a, b, c) > 0) != (cross(a, b, d) > 0) && (cross(c, d, a) > 0) != (cross(c, d, b) > 0);
}

static bool is_far(const Zone *zone, SkyPoint from, SkyPoint to) {
  return fmax(from.latitude, to.latitude) < zone->south || fmin(from.latitude, to.latitude) > zone->north ||
         fmax(from.longitude, to.longitude) < zone->west || fmin(from.longitude, to.longitude) > zone->east;
}

bool zone_is_crossed(const Zone *zone, SkyPoint from, SkyPoint to) {
  if (is_far(zone, from, to))
    return false;
  if (zone_contains(zone, from) || zone_contains(zone, to))
    return true;
  if (zone->ceiling_m > 0 && zone->ceiling_m < ZONE_CRUISE_ALTITUDE_M)
    return false;
  const Flat a = flatten(zone, from), b = flatten(zone, to);
  for (size_t i = 0, j = zone->corner_count - 1; i < zone->corner_count; j = i++) {
    if (segments_cross(a, b, flatten(zone, zone->corners[j]), flatten(zone, zone->corners[i])))
      return true;
  }
  return false;
}

/* ---- the way around ---- */

typedef struct Search {
  const Zone *const *zones;
  size_t zone_count;
  int64_t from_ms, to_ms;
  SkyPoint node[ROUTE_MAX_NODES];
  size_t node_count;
  double best[ROUTE_MAX_NODES];
  size_t previous[ROUTE_MAX_NODES];
  bool done[ROUTE_MAX_NODES];
} Search;

static const Zone *first_in_the_way(const Search *search, SkyPoint from, SkyPoint to) {
  for (size_t i = 0; i < search->zone_count; i++) {
    const Zone *zone = search->zones[i];
    if (zone_holds(zone, search->from_ms, search->to_ms) && zone_is_crossed(zone, from, to))
      return zone;
  }
  return NULL;
}

/* The corner moved outwards, away from both its sides. (Where the polygon bends inwards that lies inside: no shortest
 * way turns there.) */
static SkyPoint outside_of(const Zone *zone, size_t index) {
  const SkyPoint corner = zone->corners[index];
  const double before = sky_geo_bearing(corner, zone->corners[(index + zone->corner_count - 1) % zone->corner_count]);
  const double after = sky_geo_bearing(corner, zone->corners[(index + 1) % zone->corner_count]);
  const double north = cos(before * M_PI / 180.0) + cos(after * M_PI / 180.0);
  const double east = sin(before * M_PI / 180.0) + sin(after * M_PI / 180.0);
  return sky_geo_destination(corner, atan2(-east, -north) * 180.0 / M_PI, CLEARANCE_M);
}

static void add_corners(Search *search) {
  for (size_t z = 0; z < search->zone_count; z++) {
    const Zone *zone = search->zones[z];
    if (!zone_holds(zone, search->from_ms, search->to_ms))
      continue;
    for (size_t i = 0; i < zone->corner_count && search->node_count < ROUTE_MAX_NODES; i++) {
      const SkyPoint turn = outside_of(zone, i);
      if (first_in_the_way(search, turn, turn) == NULL)
        search->node[search->node_count++] = turn;
    }
  }
}

static size_t nearest_open(const Search *search) {
  size_t nearest = SIZE_MAX;
  for (size_t i = 0; i < search->node_count; i++) {
    if (!search->done[i] && isfinite(search->best[i]) &&
        (nearest == SIZE_MAX || search->best[i] < search->best[nearest]))
      nearest = i;
  }
  return nearest;
}

static void relax(Search *search, size_t at) {
  for (size_t i = 0; i < search->node_count; i++) {
    if (search->done[i])
      continue;
    const double distance = search->best[at] + sky_geo_distance_m(search->node[at], search->node[i]);
    if (distance < search->best[i] && first_in_the_way(search, search->node[at], search->node[i]) == NULL) {
      search->best[i] = distance;
      search->previous[i] = at;
    }
  }
}

/* Dijkstra from node 0 to node 1. */
static bool shortest(Search *search) {
  for (size_t i = 0; i < search->node_count; i++)
    search->best[i] = i == 0 ? 0 : INFINITY;
  for (size_t at; (at = nearest_open(search)) != SIZE_MAX;) {
    if (at == 1)
      return true;
    search->done[at] = true;
    relax(search, at);
  }
  return false;
}

static bool take_turns(const Search *search, Route *ret) {
  size_t count = 0;
  for (size_t at = search->previous[1]; at != 0; at = search->previous[at])
    count++;
  if (count > ROUTE_MAX_TURNS)
    return false;
  ret->turn_count = count;
  for (size_t at = search->previous[1]; at != 0; at = search->previous[at])
    ret->turns[--count] = search->node[at];
  ret->distance_m = search->best[1];
  return true;
}

bool route_plan(const Zone *const *zones, size_t zone_count, SkyPoint from, SkyPoint to, int64_t from_ms, int64_t to_ms,
                Route *ret) {
  Search search = {.zones = zones, .zone_count = zone_count, .from_ms = from_ms, .to_ms = to_ms};
  if (first_in_the_way(&search, from, to) == NULL) {
    *ret = (Route){.distance_m = sky_geo_distance_m(from, to)};
    return true;
  }
  if (first_in_the_way(&search, from, from) != NULL || first_in_the_way(&search, to, to) != NULL)
    return false;
  search.node[search.node_count++] = from;
  search.node[search.node_count++] = to;
  add_corners(&search);
  Route route = {0};
  if (!shortest(&search) || !take_turns(&search, &route))
    return false;
  *ret = route;
  return true;
}
