/*
 * Grid: which drones can be found near a place. Cells of a twentieth of a degree in a hash table; a search looks at
 * rings of cells around the place until no unseen cell can hold anything nearer. Pure; not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/geo.h>

/* What is put into the grid: embedded in the drone. */
typedef struct GridItem {
  struct GridItem *next, *previous;
  SkyPoint point;
  const char *id; /* breaks ties of distance */
  bool inside;
} GridItem;

enum { GRID_BUCKETS = 8192 };

typedef struct Grid {
  GridItem *bucket[GRID_BUCKETS];
  size_t count;
} Grid;

void grid_put(Grid *grid, GridItem *item, SkyPoint point); /* puts or moves */
void grid_remove(Grid *grid, GridItem *item);              /* no error when it is not inside */

/*
 * The nearest item within max_m that accept takes; among equally near ones that with the smallest id. accept is asked
 * only about items nearer than all accepted before, so it may keep what it worked out for the last one it took.
 */
GridItem *grid_nearest(const Grid *grid, SkyPoint place, double max_m,
                       bool (*accept)(void *user, GridItem *item, double distance_m), void *user);
