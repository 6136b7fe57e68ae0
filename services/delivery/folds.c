#include "delivery/folds.h"

#include <stdlib.h>

#include <sky/core/map.h>

enum { MAX_FOLDS = 65536, KEPT_FOLDS = 1024, FOLD_ARENA_BYTES = 4 << 20 };

struct DeliveryFolds {
  pthread_mutex_t mutex;
  SkyMap *by_id;
  DeliveryFold *newest, *oldest;
};

SkyStatus folds_create(DeliveryFolds **ret) {
  DeliveryFolds *folds = calloc(1, sizeof(*folds));
  if (folds == NULL)
    return sky_status_no_memory();
  folds->by_id = sky_map_create(MAX_FOLDS);
  if (folds->by_id == NULL) {
    free(folds);
    return sky_status_no_memory();
  }
  pthread_mutex_init(&folds->mutex, NULL);
  *ret = folds;
  return SKY_OK;
}

void folds_free(DeliveryFold *fold) {
  sky_arena_finish(&fold->arena);
  free(fold);
}

void folds_destroy(DeliveryFolds *folds) {
  if (folds == NULL)
    return;
  for (DeliveryFold *fold = folds->newest, *older; fold != NULL; fold = older) {
    older = fold->older;
    folds_free(fold);
  }
  sky_map_destroy(folds->by_id);
  pthread_mutex_destroy(&folds->mutex);
  free(folds);
}

pthread_mutex_t *folds_mutex(DeliveryFolds *folds) {
  return &folds->mutex;
}

/* ---- the order of use; all with the mutex ---- */

static void link_newest(DeliveryFolds *folds, DeliveryFold *fold) {
  fold->newer = NULL;
  fold->older = folds->newest;
  *(folds->newest == NULL ? &folds->oldest : &folds->newest->newer) = fold;
  folds->newest = fold;
}

static void unlink_fold(DeliveryFolds *folds, DeliveryFold *fold) {
  *(fold->newer == NULL ? &folds->newest : &fold->newer->older) = fold->older;
  *(fold->older == NULL ? &folds->oldest : &fold->older->newer) = fold->newer;
}

static bool is_behind(const DeliveryFold *fold) {
  return !fold->gone && fold->document->log_version > fold->projected;
}

static void drop(DeliveryFolds *folds, DeliveryFold *fold) {
  unlink_fold(folds, fold);
  sky_map_remove(folds->by_id, sky_str(fold->document->id));
  folds_free(fold);
}

/* Also of a table that is not full, as far as its oldest are of no use any more. */
static void make_room(DeliveryFolds *folds) {
  for (DeliveryFold *fold = folds->oldest, *newer; fold != NULL; fold = newer) {
    newer = fold->newer;
    if (!fold->gone && sky_map_size(folds->by_id) <= KEPT_FOLDS)
      return;
    if (!fold->busy && !is_behind(fold))
      drop(folds, fold);
  }
}

/* ---- interface ---- */

DeliveryFold *folds_get(DeliveryFolds *folds, const char *id) {
  pthread_mutex_lock(&folds->mutex);
  DeliveryFold *fold = folds_look(folds, id);
  if (fold != NULL && fold->gone && !fold->busy) {
    drop(folds, fold);
    fold = NULL;
  }
  if (fold != NULL) {
    unlink_fold(folds, fold);
    link_newest(folds, fold);
  }
  pthread_mutex_unlock(&folds->mutex);
  return fold;
}

DeliveryFold *folds_new(void) {
  DeliveryFold *fold = calloc(1, sizeof(*fold));
  if (fold != NULL)
    sky_arena_init(&fold->arena, FOLD_ARENA_BYTES);
  return fold;
}

bool folds_add(DeliveryFolds *folds, DeliveryFold *fold) {
  pthread_mutex_lock(&folds->mutex);
  SkyStatus status = sky_map_set(folds->by_id, sky_str(fold->document->id), fold, NULL);
  if (status == SKY_OK) {
    link_newest(folds, fold);
    fold->busy = true; /* or it might be the one to make room */
    make_room(folds);
    fold->busy = false;
  }
  pthread_mutex_unlock(&folds->mutex);
  if (status == SKY_OK)
    return true;
  sky_status_free(status);
  folds_free(fold);
  return false;
}

DeliveryFold *folds_look(DeliveryFolds *folds, const char *id) {
  return sky_map_get(folds->by_id, sky_str(id));
}

DeliveryFold *folds_next_behind(DeliveryFolds *folds, const DeliveryFold *after) {
  DeliveryFold *fold = after == NULL ? folds->newest : after->older;
  while (fold != NULL && !is_behind(fold))
    fold = fold->older;
  return fold;
}
