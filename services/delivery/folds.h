/*
 * Folds: deliveries that are being worked on, as the fold of their logs, so that a change needs no look into the store.
 * Bounded; the least recently changed go first, unless the read model does not have them yet.
 *
 * A fold may be old when another replica has changed the delivery; the append finds out. Only the thread that changes
 * deliveries gets, adds and changes folds; others look at them and mark them, under the mutex, which that thread holds
 * while it changes one.
 */
#pragma once

#include <pthread.h>

#include "delivery/delivery.h"

typedef struct DeliveryFold {
  SkyArena arena;
  DeliveryDocument *document;
  int64_t stored;    /* version of the read model's document; 0: there is none */
  int64_t projected; /* version of the log that it has at least */
  bool gone;         /* not to be used any more */
  bool busy;         /* a change of it is being appended */
  struct DeliveryFold *newer, *older;
} DeliveryFold;

typedef struct DeliveryFolds DeliveryFolds;

SKY_MUST_USE SkyStatus folds_create(DeliveryFolds **ret);
void folds_destroy(DeliveryFolds *folds); /* NULL-safe */

pthread_mutex_t *folds_mutex(DeliveryFolds *folds);

/* For the changing thread, without the mutex. */
DeliveryFold *folds_get(DeliveryFolds *folds, const char *id); /* NULL when there is none that may be used */
/* An empty one, not in the table yet. NULL without memory. */
DeliveryFold *folds_new(void);
/* Puts it into the table, under its document's id, and makes room. False without memory: it is then freed. */
bool folds_add(DeliveryFolds *folds, DeliveryFold *fold);
void folds_free(DeliveryFold *fold); /* one that is not in the table */

/* With the mutex, for any thread. */
DeliveryFold *folds_look(DeliveryFolds *folds, const char *id); /* also one that is gone; NULL when there is none */
/* Those that the read model does not have as they are, one after the other: NULL begins, NULL ends. */
DeliveryFold *folds_next_behind(DeliveryFolds *folds, const DeliveryFold *after);
