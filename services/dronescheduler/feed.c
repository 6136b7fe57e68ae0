#include "feed.h"

#include <stdlib.h>
#include <string.h>

bool feed_add(Feeds *feeds, FeedSubscriber *subscriber) {
  if (feeds->closed || feeds->count == FEED_MAX_SUBSCRIBERS)
    return false;
  subscriber->next = feeds->first;
  feeds->first = subscriber;
  feeds->count++;
  return true;
}

void feed_remove(Feeds *feeds, FeedSubscriber *subscriber) {
  for (FeedSubscriber **at = &feeds->first; *at != NULL; at = &(*at)->next) {
    if (*at == subscriber) {
      *at = subscriber->next;
      feeds->count--;
      return;
    }
  }
}

void feed_free(FeedSubscriber *subscriber) {
  if (subscriber == NULL)
    return;
  for (char *id; (id = feed_pop(subscriber)) != NULL;)
    free(id);
  free(subscriber->queue);
  sky_map_destroy(subscriber->waiting);
  sky_map_destroy(subscriber->drones);
  sky_map_destroy(subscriber->bases);
  free(subscriber);
}

bool feed_wants(const FeedSubscriber *subscriber, const char *drone_id, const char *base_id) {
  if (subscriber->drones == NULL && subscriber->bases == NULL)
    return true;
  return (subscriber->drones != NULL && sky_map_get(subscriber->drones, sky_str(drone_id)) != NULL) ||
         (subscriber->bases != NULL && sky_map_get(subscriber->bases, sky_str(base_id)) != NULL);
}

static bool grow(FeedSubscriber *subscriber) {
  const size_t capacity = subscriber->capacity == 0 ? 64 : subscriber->capacity * 2;
  char **queue = malloc(capacity * sizeof(*queue));
  if (queue == NULL)
    return false;
  for (size_t i = 0; i < subscriber->count; i++)
    queue[i] = subscriber->queue[(subscriber->head + i) % subscriber->capacity];
  free(subscriber->queue);
  subscriber->queue = queue;
  subscriber->head = 0;
  subscriber->capacity = capacity;
  return true;
}

bool feed_push(FeedSubscriber *subscriber, const char *drone_id) {
  if (sky_map_get(subscriber->waiting, sky_str(drone_id)) != NULL)
    return true;
  if (subscriber->count == subscriber->capacity && !grow(subscriber))
    return false;
  char *id = strdup(drone_id);
  if (id == NULL)
    return false;
  const SkyStatus status = sky_map_set(subscriber->waiting, sky_str(id), id, NULL);
  if (status != SKY_OK) {
    sky_status_free(status);
    free(id);
    return false;
  }
  subscriber->queue[(subscriber->head + subscriber->count++) % subscriber->capacity] = id;
  return true;
}

char *feed_pop(FeedSubscriber *subscriber) {
  if (subscriber->count == 0)
    return NULL;
  char *id = subscriber->queue[subscriber->head];
  subscriber->head = (subscriber->head + 1) % subscriber->capacity;
  subscriber->count--;
  sky_map_remove(subscriber->waiting, sky_str(id));
  return id;
}

void feed_push_front(FeedSubscriber *subscriber, char *drone_id) {
  sky_status_free(
      sky_map_set(subscriber->waiting, sky_str(drone_id), drone_id, NULL)); /* its place was just given up */
  subscriber->head = (subscriber->head + subscriber->capacity - 1) % subscriber->capacity;
  subscriber->queue[subscriber->head] = drone_id;
  subscriber->count++;
}
