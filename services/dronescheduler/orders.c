/*
 * Orders and watchers: FlyMissions and WatchFleet, on top of feed.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "scheduler.h"

enum { MESSAGE_ARENA_BYTES = 1 << 20 };

/* ---- subscribing ---- */

static void on_writable(void *user, SkyCall *call);

/* Ends a subscription that was cancelled or has lost its client. On the I/O thread. */
static void on_cancel(void *user, SkyCall *call) {
  FeedSubscriber *subscriber = user;
  Scheduler *self = subscriber->scheduler;
  pthread_mutex_lock(&self->mutex);
  const bool ended = subscriber->ended;
  if (!ended)
    feed_remove(&self->feeds, subscriber);
  pthread_mutex_unlock(&self->mutex);
  if (ended)
    return;
  feed_free(subscriber);
  sky_call_finish(call, SKY_CANCELLED("the client has gone"));
}

/*
 * Subscribers stay in the list, so that a callback that is on its way finds them ended; scheduler_finish() frees them.
 * Their calls are finished without the mutex, for which that callback may be waiting; from then on the list is as it
 * is.
 */
void orders_end_all(Scheduler *self) {
  pthread_mutex_lock(&self->mutex);
  self->feeds.closed = true;
  for (FeedSubscriber *subscriber = self->feeds.first; subscriber != NULL; subscriber = subscriber->next)
    subscriber->ended = subscriber->blocked = true;
  FeedSubscriber *ending = self->feeds.first;
  pthread_mutex_unlock(&self->mutex);
  for (; ending != NULL; ending = ending->next)
    sky_call_finish(ending->call, SKY_UNAVAILABLE("the service is going away"));
}

static SkyStatus fill_set(SkyMap **ret, char *const *ids, size_t count) {
  if (count == 0)
    return SKY_OK;
  *ret = sky_map_create(count);
  if (*ret == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < count; i++)
    SKY_TRY(sky_map_set(*ret, sky_str(ids[i]), *ret, NULL));
  return SKY_OK;
}

static FeedSubscriber *subscriber_create(Scheduler *self, SkyCall *call, FeedKind kind) {
  FeedSubscriber *subscriber = calloc(1, sizeof(*subscriber));
  if (subscriber == NULL)
    return NULL;
  subscriber->scheduler = self;
  subscriber->call = call;
  subscriber->kind = kind;
  subscriber->waiting = sky_map_create(FLEET_MAX_DRONES);
  if (subscriber->waiting == NULL) {
    feed_free(subscriber);
    return NULL;
  }
  return subscriber;
}

/* ---- sending ---- */

/* What there is to say of a drone now; NULL: nothing. */
static ProtobufCMessage *order_of(Scheduler *self, const FeedSubscriber *subscriber, SkyArena *arena, const char *id) {
  const FleetDrone *drone = fleet_drone(&self->fleet, id);
  if (drone == NULL)
    return NULL;
  drone_FlyMissionsResponse *response = drone->life.busy                           ? map_fly(arena, drone, &self->rules)
                                        : drone->life.ended_delivery_id[0] != '\0' ? map_abort(arena, drone)
                                                                                   : NULL;
  return response == NULL ? NULL : &response->base;
}

static ProtobufCMessage *picture_of(Scheduler *self, FeedSubscriber *subscriber, SkyArena *arena, const char *id) {
  drone_WatchFleetResponse *response = drone_WatchFleetResponse_create(arena);
  if (response == NULL)
    return NULL;
  char event_id[64];
  snprintf(event_id, sizeof(event_id), "%.36s-%" PRIu64, sky_service_instance_id(self->service), subscriber->sent + 1);
  response->event_id = map_text(arena, event_id);
  response->snapshot = subscriber->snapshot_left > 0;
  const FleetDrone *drone = fleet_drone(&self->fleet, id);
  if (drone != NULL) {
    response->drone = map_drone(arena, drone, &self->rules, scheduler_now_ms(self));
  } else {
    response->deleted = true;
    response->drone = drone_Drone_create(arena);
    if (response->drone != NULL)
      response->drone->id = map_text(arena, id);
  }
  return &response->base;
}

/* False when the client must read first (or is gone: on_cancel follows). */
static bool send_one(Scheduler *self, FeedSubscriber *subscriber, const char *id) {
  SkyArena arena;
  sky_arena_init(&arena, MESSAGE_ARENA_BYTES);
  const ProtobufCMessage *message = subscriber->kind == FEED_ORDERS ? order_of(self, subscriber, &arena, id)
                                                                    : picture_of(self, subscriber, &arena, id);
  const SkyStatus status = message == NULL ? SKY_OK : sky_call_write(subscriber->call, message);
  sky_arena_finish(&arena);
  const bool sent = status == SKY_OK;
  sky_status_free(status);
  if (sent && message != NULL)
    subscriber->sent++;
  return sent;
}

static bool send_in_force(FeedSubscriber *subscriber) {
  drone_OrdersInForce in_force = drone_OrdersInForce_INIT;
  drone_FlyMissionsResponse response = drone_FlyMissionsResponse_INIT;
  in_force.mission_count = subscriber->snapshot_count;
  drone_FlyMissionsResponse_set_in_force(&response, &in_force);
  const SkyStatus status = sky_call_write(subscriber->call, &response.base);
  const bool sent = status == SKY_OK;
  sky_status_free(status);
  return sent;
}

static void wait_for_room(FeedSubscriber *subscriber) {
  subscriber->blocked = true;
  sky_call_on_writable(subscriber->call, on_writable, subscriber);
}

/* Sends what waits, as far as the client takes it. With the mutex. */
static void pump(Scheduler *self, FeedSubscriber *subscriber) {
  while (!subscriber->blocked) {
    if (subscriber->snapshot_left == 0 && !subscriber->snapshot_sent && subscriber->kind == FEED_ORDERS) {
      subscriber->snapshot_sent = send_in_force(subscriber);
      if (!subscriber->snapshot_sent) {
        wait_for_room(subscriber);
        return;
      }
    }
    char *id = feed_pop(subscriber);
    if (id == NULL)
      return;
    if (!send_one(self, subscriber, id)) {
      feed_push_front(subscriber, id);
      wait_for_room(subscriber);
      return;
    }
    free(id);
    if (subscriber->snapshot_left > 0)
      subscriber->snapshot_left--;
  }
}

static void on_writable(void *user, SkyCall *call) {
  FeedSubscriber *subscriber = user;
  Scheduler *self = subscriber->scheduler;
  pthread_mutex_lock(&self->mutex);
  subscriber->blocked = subscriber->ended;
  pump(self, subscriber);
  pthread_mutex_unlock(&self->mutex);
}

void orders_send_locked(Scheduler *self) {
  for (FeedSubscriber *subscriber = self->feeds.first; subscriber != NULL; subscriber = subscriber->next) {
    if (subscriber->kind == FEED_ORDERS)
      pump(self, subscriber);
  }
}

SkyStatus orders_show_changes(void *user, const SkyContext *context) {
  Scheduler *self = user;
  pthread_mutex_lock(&self->mutex);
  for (FeedSubscriber *subscriber = self->feeds.first; subscriber != NULL; subscriber = subscriber->next) {
    if (subscriber->kind == FEED_WATCH)
      pump(self, subscriber);
  }
  pthread_mutex_unlock(&self->mutex);
  return SKY_OK;
}

/* ---- the methods ---- */

/* The first picture, and from then on every change. */
static SkyStatus begin_locked(Scheduler *self, FeedSubscriber *subscriber) {
  for (size_t i = 0; i < self->fleet.drone_count; i++) {
    const FleetDrone *drone = self->fleet.drones[i];
    if (!feed_wants(subscriber, drone->id, drone->base->id) || (subscriber->kind == FEED_ORDERS && !drone->life.busy))
      continue;
    if (!feed_push(subscriber, drone->id))
      return sky_status_no_memory();
  }
  subscriber->snapshot_left = subscriber->count;
  subscriber->snapshot_count = (int64_t)subscriber->count;
  if (!feed_add(&self->feeds, subscriber))
    return self->feeds.closed ? SKY_UNAVAILABLE("the service is going away")
                              : SKY_RESOURCE_EXHAUSTED("too many streams are open");
  pump(self, subscriber);
  return SKY_OK;
}

static SkyStatus begin(Scheduler *self, SkyCall *call, FeedSubscriber *subscriber) {
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = begin_locked(self, subscriber);
  pthread_mutex_unlock(&self->mutex);
  if (status != SKY_OK) {
    feed_free(subscriber);
    return status;
  }
  sky_call_on_cancel(call, on_cancel, subscriber);
  return sky_call_defer(call);
}

static SkyStatus check_known(Scheduler *self, const drone_FlyMissionsRequest *request) {
  SkyStatus status = SKY_OK;
  pthread_mutex_lock(&self->mutex);
  for (size_t i = 0; status == SKY_OK && i < request->n_drone_ids; i++) {
    if (fleet_drone(&self->fleet, request->drone_ids[i]) == NULL)
      status = sky_status_with_reason(SKY_NOT_FOUND("there is no drone %s", request->drone_ids[i]), "DRONE_UNKNOWN");
  }
  pthread_mutex_unlock(&self->mutex);
  return status;
}

SkyStatus handle_fly_missions(void *user, SkyCall *call, const drone_FlyMissionsRequest *request) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  SKY_TRY(check_known(self, request));
  FeedSubscriber *subscriber = subscriber_create(self, call, FEED_ORDERS);
  if (subscriber == NULL)
    return sky_status_no_memory();
  SkyStatus status = fill_set(&subscriber->drones, (char *const *)request->drone_ids, request->n_drone_ids);
  if (status == SKY_OK)
    status = fill_set(&subscriber->bases, (char *const *)request->base_ids, request->n_base_ids);
  if (status != SKY_OK) {
    feed_free(subscriber);
    return status;
  }
  return begin(self, call, subscriber);
}

SkyStatus handle_watch_fleet(void *user, SkyCall *call, const drone_WatchFleetRequest *request) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  FeedSubscriber *subscriber = subscriber_create(self, call, FEED_WATCH);
  if (subscriber == NULL)
    return sky_status_no_memory();
  const char *bases[] = {request->base_id};
  const SkyStatus status = fill_set(&subscriber->bases, (char *const *)bases, request->base_id[0] == '\0' ? 0 : 1);
  if (status != SKY_OK) {
    feed_free(subscriber);
    return status;
  }
  return begin(self, call, subscriber);
}
