#include "grid.h"

#include <math.h>
#include <string.h>

#define CELL_DEGREES 0.05
#define RADIANS (M_PI / 180.0)

enum { COLUMNS = 7200, ROWS = 3600 };

static int row_of(SkyPoint point) {
  const int row = (int)floor((point.latitude + 90.0) / CELL_DEGREES);
  return row < 0 ? 0 : row >= ROWS ? ROWS - 1 : row;
}

static int column_of(SkyPoint point) {
  return ((int)floor((point.longitude + 180.0) / CELL_DEGREES) % COLUMNS + COLUMNS) % COLUMNS;
}

static size_t bucket_of(int row, int column) {
  const uint32_t key = (uint32_t)row * COLUMNS + (uint32_t)column;
  return (key * 2654435761u) >> 19; /* Knuth's multiplicative hash; 13 bits */
}

void grid_remove(Grid *grid, GridItem *item) {
  if (!item->inside)
    return;
  if (item->previous != NULL)
    item->previous->next = item->next;
  else
    grid->bucket[bucket_of(row_of(item->point), column_of(item->point))] = item->next;
  if (item->next != NULL)
    item->next->previous = item->previous;
  item->inside = false;
  grid->count--;
}

void grid_put(Grid *grid, GridItem *item, SkyPoint point) {
  grid_remove(grid, item);
  GridItem **head = &grid->bucket[bucket_of(row_of(point), column_of(point))];
  item->point = point;
  item->previous = NULL;
  item->next = *head;
  if (*head != NULL)
    (*head)->previous = item;
  *head = item;
  item->inside = true;
  grid->count++;
}

typedef struct Nearest {
  SkyPoint place;
  double limit_m;
  bool (*accept)(void *user, GridItem *item, double distance_m);
  void *user;
  GridItem *item;
  SkyPoint measured; /* where the item before stands: those that rest at one base stand at one point */
  double measured_m; /* how far that is; negative: nothing was measured yet */
} Nearest;

static double distance_to(Nearest *nearest, SkyPoint point) {
  const bool same = point.latitude == nearest->measured.latitude && point.longitude == nearest->measured.longitude;
  if (!same || nearest->measured_m < 0)
    nearest->measured_m = sky_geo_distance_m(nearest->place, point);
  nearest->measured = point;
  return nearest->measured_m;
}

static void look_at(Nearest *nearest, GridItem *item) {
  const double distance_m = distance_to(nearest, item->point);
  if (distance_m > nearest->limit_m)
    return;
  if (nearest->item != NULL && distance_m >= nearest->limit_m && strcmp(item->id, nearest->item->id) >= 0)
    return;
  if (!nearest->accept(nearest->user, item, distance_m))
    return;
  nearest->item = item;
  nearest->limit_m = distance_m;
}

static void look_into(const Grid *grid, Nearest *nearest, int row, int column) {
  if (row < 0 || row >= ROWS)
    return;
  column = (column % COLUMNS + COLUMNS) % COLUMNS;
  for (GridItem *item = grid->bucket[bucket_of(row, column)]; item != NULL; item = item->next) {
    if (row_of(item->point) == row && column_of(item->point) == column)
      look_at(nearest, item);
  }
}

static void look_into_ring(const Grid *grid, Nearest *nearest, int ring) {
  const int row = row_of(nearest->place), column = column_of(nearest->place);
  for (int d = -ring; d <= ring; d++) {
    look_into(grid, nearest, row - ring, column + d);
    if (ring > 0)
      look_into(grid, nearest, row + ring, column + d);
  }
  for (int d = -ring + 1; d < ring; d++) {
    look_into(grid, nearest, row + d, column - ring);
    look_into(grid, nearest, row + d, column + ring);
  }
}

/* Nothing in this ring or outside is nearer: it lies whole cells away, northwards or beyond a meridian. */
static double ring_distance_m(SkyPoint place, int ring) {
  const double away = (double)(ring - 1) * CELL_DEGREES * RADIANS;
  if (away <= 0)
    return 0;
  const double to_meridian = away < M_PI / 2 ? asin(cos(place.latitude * RADIANS) * sin(away)) : 0;
  return SKY_EARTH_RADIUS_M * fmin(away, to_meridian);
}

static void look_at_all(const Grid *grid, Nearest *nearest) {
  for (size_t i = 0; i < GRID_BUCKETS; i++) {
    for (GridItem *item = grid->bucket[i]; item != NULL; item = item->next)
      look_at(nearest, item);
  }
}

GridItem *grid_nearest(const Grid *grid, SkyPoint place, double max_m,
                       bool (*accept)(void *user, GridItem *item, double distance_m), void *user) {
  enum { MAX_RINGS = 40 }; /* past that, and near the poles, it is cheaper to look at all */
  Nearest nearest = {.measured_m = -1, .place = place, .limit_m = max_m, .accept = accept, .user = user};
  if (grid->count == 0)
    return NULL;
  for (int ring = 0; ring_distance_m(place, ring) <= nearest.limit_m; ring++) {
    if (ring == MAX_RINGS) {
      nearest.item = NULL;
      nearest.limit_m = max_m;
      look_at_all(grid, &nearest);
      return nearest.item;
    }
    look_into_ring(grid, &nearest, ring);
  }
  return nearest.item;
}
