/* The grid finds what looking at every drone would find. */
#include "grid.h"

#include <stdio.h>
#include <string.h>

#include <sky/core/id.h>

#include "sky_check.h"

enum { ITEMS = 600 };
static GridItem items[ITEMS];
static char names[ITEMS][8];
static Grid grid;
static SkySeededRandom random_source;

static double between(double low, double high) {
  return low + (high - low) * sky_random_unit(&random_source.random);
}

static void scatter(SkyPoint middle, double spread) {
  memset(&grid, 0, sizeof(grid));
  for (int i = 0; i < ITEMS; i++) {
    snprintf(names[i], sizeof(names[i]), "d%05d", i);
    items[i] = (GridItem){.id = names[i]};
    const double latitude = middle.latitude + between(-spread, spread);
    double longitude = middle.longitude + between(-spread, spread);
    longitude += longitude > 180 ? -360 : longitude < -180 ? 360 : 0;
    grid_put(&grid, &items[i], (SkyPoint){latitude > 90 ? 90 : latitude < -90 ? -90 : latitude, longitude});
  }
}

static bool accept_even(void *user, GridItem *item, double distance_m) {
  return (item->id[5] - '0') % 2 == 0;
}

static GridItem *by_hand(SkyPoint place, double max_m) {
  GridItem *best = NULL;
  double best_m = max_m;
  for (int i = 0; i < ITEMS; i++) {
    const double distance = sky_geo_distance_m(place, items[i].point);
    if (!items[i].inside || !accept_even(NULL, &items[i], distance) || distance > best_m)
      continue;
    if (best != NULL && distance == best_m && strcmp(items[i].id, best->id) > 0)
      continue;
    best = &items[i];
    best_m = distance;
  }
  return best;
}

static void compare_around(SkyPoint middle, double spread, double max_m) {
  scatter(middle, spread);
  for (int i = 0; i < 300; i++) {
    SkyPoint place = {middle.latitude + between(-spread, spread), middle.longitude + between(-spread, spread)};
    if (!sky_point_is_valid(place))
      continue;
    ck_assert_ptr_eq(grid_nearest(&grid, place, max_m, accept_even, NULL), by_hand(place, max_m));
    GridItem *moved = &items[i % ITEMS];
    if (i % 3 == 0)
      grid_remove(&grid, moved);
    else
      grid_put(&grid, moved, place);
  }
}

START_TEST(it_finds_the_same_as_looking_at_all) {
  sky_seeded_random_init(&random_source, 3);
  compare_around((SkyPoint){47.6, -122.3}, 0.3, 30000);
  compare_around((SkyPoint){47.6, -122.3}, 0.01, 2000);
  compare_around((SkyPoint){0, 0}, 1, 500000);
  compare_around((SkyPoint){-33, 179.9}, 0.3, 30000);
  compare_around((SkyPoint){69, 18}, 2, 100000);
  compare_around((SkyPoint){89.9, 0}, 0.2, 100000);
}
END_TEST

START_TEST(equally_near_ones_go_by_id) {
  memset(&grid, 0, sizeof(grid));
  GridItem b = {.id = "d00002"}, a = {.id = "d00000"};
  grid_put(&grid, &a, (SkyPoint){1, 1});
  grid_put(&grid, &b, (SkyPoint){1, 1});
  ck_assert_ptr_eq(grid_nearest(&grid, (SkyPoint){1, 1.01}, 9000, accept_even, NULL), &a);
  grid_remove(&grid, &a);
  grid_put(&grid, &a, (SkyPoint){1, 1});
  ck_assert_ptr_eq(grid_nearest(&grid, (SkyPoint){1, 1.01}, 9000, accept_even, NULL), &a);
}
END_TEST

START_TEST(nothing_past_the_limit_or_taken_out) {
  memset(&grid, 0, sizeof(grid));
  GridItem item = {.id = "d00000"};
  ck_assert_ptr_null(grid_nearest(&grid, (SkyPoint){0, 0}, 1e6, accept_even, NULL));
  grid_put(&grid, &item, (SkyPoint){0, 1});
  ck_assert_ptr_null(grid_nearest(&grid, (SkyPoint){0, 0}, 111000, accept_even, NULL));
  ck_assert_ptr_eq(grid_nearest(&grid, (SkyPoint){0, 0}, 112000, accept_even, NULL), &item);
  grid_remove(&grid, &item);
  grid_remove(&grid, &item);
  ck_assert_uint_eq(grid.count, 0);
  ck_assert_ptr_null(grid_nearest(&grid, (SkyPoint){0, 0}, 112000, accept_even, NULL));
}
END_TEST

SKY_CHECK_MAIN("dronescheduler/grid", it_finds_the_same_as_looking_at_all, equally_near_ones_go_by_id,
               nothing_past_the_limit_or_taken_out)
