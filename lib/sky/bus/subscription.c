/*
 * Core subscriptions: messages that nobody keeps, for every replica.
 *
 * nats.c's delivery thread only queues; our dispatcher runs the handlers. So a slow handler holds up neither
 * confirmations nor the connection, and when it falls behind the oldest messages are dropped: the newest value is what
 * counts.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MESSAGES = 64, ARENA_BYTES = 4 << 20, HANDLER_TIMEOUT_MS = 5000 };

struct SkySubscription {
  SkyBus *bus;
  SkyEventRoute route;
  char subject[SUBJECT_SIZE];
  natsSubscription *nats;           /* NULL until there is a connection; bus->mutex */
  SkySubscription *next, *previous; /* bus->mutex */
  /* guarded by the dispatcher's mutex */
  natsMsg *queue[QUEUE_MESSAGES];
  size_t head, count;
  SkySubscription *next_ready;
  bool is_ready;
  bool closed;
  bool released;     /* its owner's close has returned */
  bool nats_is_done; /* no more calls from nats.c */
};

/* ---- the dispatcher ---- */

static void free_queue(SkySubscription *subscription) {
  for (; subscription->count > 0; subscription->count--) {
    natsMsg_Destroy(subscription->queue[subscription->head]);
    subscription->head = (subscription->head + 1) % QUEUE_MESSAGES;
  }
}

/* Whoever makes the last of these true destroys it. */
static bool is_garbage_locked(const SkySubscription *subscription) {
  return subscription->released && subscription->nats_is_done && !subscription->is_ready &&
         subscription->bus->dispatcher.running != subscription;
}

/* The dispatcher's mutex is not held. */
static void destroy(SkySubscription *subscription) {
  Dispatcher *dispatcher = &subscription->bus->dispatcher;
  free_queue(subscription);
  natsSubscription_Destroy(subscription->nats);
  free(subscription);
  pthread_mutex_lock(&dispatcher->mutex);
  dispatcher->live--;
  pthread_cond_broadcast(&dispatcher->changed);
  pthread_mutex_unlock(&dispatcher->mutex);
}

static void make_ready_locked(Dispatcher *dispatcher, SkySubscription *subscription) {
  if (subscription->is_ready)
    return;
  subscription->is_ready = true;
  subscription->next_ready = NULL;
  if (dispatcher->tail != NULL)
    dispatcher->tail->next_ready = subscription;
  else
    dispatcher->head = subscription;
  dispatcher->tail = subscription;
  pthread_cond_broadcast(&dispatcher->changed);
}

static SkySubscription *pop_ready_locked(Dispatcher *dispatcher) {
  SkySubscription *subscription = dispatcher->head;
  dispatcher->head = subscription->next_ready;
  if (dispatcher->head == NULL)
    dispatcher->tail = NULL;
  subscription->is_ready = false;
  return subscription;
}

static void handle(SkySubscription *subscription, natsMsg *message) {
  SkyIncoming incoming = {.message = message, .attempt = 1};
  sky_arena_init(&incoming.arena, ARENA_BYTES);
  incoming.time_ms = sky_clock_wall_ms(sky_clock_system_borrow());
  incoming_begin_context(&incoming, HANDLER_TIMEOUT_MS);
  SkyStatus status = incoming_invoke(&incoming, &subscription->route);
  if (status != SKY_OK)
    atomic_fetch_add(&subscription->bus->dropped, 1);
  if (!incoming_is_deferral(status)) /* there is nothing to settle later */
    sky_status_free(status);
  sky_arena_finish(&incoming.arena);
  natsMsg_Destroy(message);
}

/* One message of the first subscription that has some; a round robin among them. */
static void dispatch_one_locked(Dispatcher *dispatcher) {
  SkySubscription *subscription = pop_ready_locked(dispatcher);
  if (subscription->count > 0 && !subscription->closed) {
    natsMsg *message = subscription->queue[subscription->head];
    subscription->head = (subscription->head + 1) % QUEUE_MESSAGES;
    subscription->count--;
    dispatcher->running = subscription;
    pthread_mutex_unlock(&dispatcher->mutex);
    handle(subscription, message);
    pthread_mutex_lock(&dispatcher->mutex);
    dispatcher->running = NULL;
    pthread_cond_broadcast(&dispatcher->changed);
    if (subscription->count > 0 && !subscription->closed)
      make_ready_locked(dispatcher, subscription);
  }
  if (is_garbage_locked(subscription)) {
    pthread_mutex_unlock(&dispatcher->mutex);
    destroy(subscription);
    pthread_mutex_lock(&dispatcher->mutex);
  }
}

static void *run(void *user) {
  Dispatcher *dispatcher = user;
  pthread_mutex_lock(&dispatcher->mutex);
  while (!dispatcher->closing || dispatcher->live > 0) {
    if (dispatcher->head == NULL)
      pthread_cond_wait(&dispatcher->changed, &dispatcher->mutex);
    else
      dispatch_one_locked(dispatcher);
  }
  pthread_mutex_unlock(&dispatcher->mutex);
  nats_ReleaseThreadMemory();
  return NULL;
}

void dispatcher_init(Dispatcher *dispatcher) {
  *dispatcher = (Dispatcher){.started = false};
  pthread_mutex_init(&dispatcher->mutex, NULL);
  pthread_cond_init(&dispatcher->changed, NULL);
}

void dispatcher_finish(Dispatcher *dispatcher) {
  pthread_mutex_lock(&dispatcher->mutex);
  dispatcher->closing = true;
  pthread_cond_broadcast(&dispatcher->changed);
  bool started = dispatcher->started;
  pthread_mutex_unlock(&dispatcher->mutex);
  if (started)
    pthread_join(dispatcher->thread, NULL);
}

static SkyStatus start_dispatcher(Dispatcher *dispatcher) {
  pthread_mutex_lock(&dispatcher->mutex);
  if (!dispatcher->started)
    dispatcher->started = pthread_create(&dispatcher->thread, NULL, run, dispatcher) == 0;
  bool started = dispatcher->started;
  pthread_mutex_unlock(&dispatcher->mutex);
  return started ? SKY_OK : SKY_RESOURCE_EXHAUSTED("cannot start a thread for subscriptions");
}

/* ---- a subscription ---- */

static void on_message(natsConnection *connection, natsSubscription *nats, natsMsg *message, void *user) {
  (void)connection;
  (void)nats;
  SkySubscription *subscription = user;
  Dispatcher *dispatcher = &subscription->bus->dispatcher;
  pthread_mutex_lock(&dispatcher->mutex);
  if (subscription->count == QUEUE_MESSAGES) {
    natsMsg_Destroy(subscription->queue[subscription->head]);
    subscription->head = (subscription->head + 1) % QUEUE_MESSAGES;
    subscription->count--;
    atomic_fetch_add(&subscription->bus->dropped, 1);
  }
  subscription->queue[(subscription->head + subscription->count++) % QUEUE_MESSAGES] = message;
  make_ready_locked(dispatcher, subscription);
  pthread_mutex_unlock(&dispatcher->mutex);
}

/* nats.c calls no more; the object goes as soon as its handler is not running either. */
static void on_complete(void *user) {
  SkySubscription *subscription = user;
  SkyBus *bus = subscription->bus;
  pthread_mutex_lock(&bus->dispatcher.mutex);
  subscription->nats_is_done = true;
  bool wanted = !subscription->closed;
  bool garbage = is_garbage_locked(subscription);
  pthread_mutex_unlock(&bus->dispatcher.mutex);
  if (garbage)
    destroy(subscription);
  else if (wanted) /* the connection was closed: the keeper makes another */
    connection_kick(bus);
}

/* What was closed with an older connection is given up for a new one. */
static void forget_done_locked(SkySubscription *subscription) {
  pthread_mutex_lock(&subscription->bus->dispatcher.mutex);
  bool done = subscription->nats_is_done;
  subscription->nats_is_done = false;
  pthread_mutex_unlock(&subscription->bus->dispatcher.mutex);
  if (done) {
    natsSubscription_Destroy(subscription->nats);
    subscription->nats = NULL;
  }
}

static void set_nats_done(SkySubscription *subscription) {
  pthread_mutex_lock(&subscription->bus->dispatcher.mutex);
  subscription->nats_is_done = true;
  pthread_mutex_unlock(&subscription->bus->dispatcher.mutex);
}

static void activate_locked(SkySubscription *subscription) {
  natsConnection *connection = connection_last(subscription->bus);
  if (subscription->nats != NULL)
    forget_done_locked(subscription);
  if (connection == NULL || subscription->nats != NULL)
    return;
  if (natsConnection_Subscribe(&subscription->nats, connection, subscription->subject, on_message, subscription) !=
      NATS_OK)
    subscription->nats = NULL; /* tried again with the next probe */
  else if (natsSubscription_SetOnCompleteCB(subscription->nats, on_complete, subscription) != NATS_OK)
    set_nats_done(subscription); /* closed meanwhile */
}

void subscriptions_activate(SkyBus *bus) {
  pthread_mutex_lock(&bus->mutex);
  for (SkySubscription *subscription = bus->subscriptions; subscription != NULL; subscription = subscription->next)
    activate_locked(subscription);
  pthread_mutex_unlock(&bus->mutex);
}

static SkyStatus fill_subject(const SkyEventRoute *route, const char *aggregate_id, char subject[SUBJECT_SIZE]) {
  if (aggregate_id != NULL && (aggregate_id[0] == '\0' || strpbrk(aggregate_id, " \t\r\n.*>") != NULL))
    return SKY_INVALID_ARGUMENT("'%.64s' cannot be an aggregate id", aggregate_id);
  const char *last = aggregate_id == NULL ? "*" : aggregate_id;
  if (snprintf(subject, SUBJECT_SIZE, "%s.%s", route->type->subject, last) >= SUBJECT_SIZE)
    return SKY_INVALID_ARGUMENT("the aggregate id '%.64s…' is too long", last);
  return SKY_OK;
}

SkyStatus sky_bus_subscribe(SkyBus *bus, const SkyEventRoute *route, const char *aggregate_id, SkySubscription **ret) {
  char subject[SUBJECT_SIZE];
  SKY_TRY(fill_subject(route, aggregate_id, subject));
  SKY_TRY(start_dispatcher(&bus->dispatcher));
  SkySubscription *subscription = calloc(1, sizeof(*subscription));
  if (subscription == NULL)
    return sky_status_no_memory();
  subscription->bus = bus;
  subscription->route = *route;
  memcpy(subscription->subject, subject, sizeof(subject));
  pthread_mutex_lock(&bus->dispatcher.mutex);
  bus->dispatcher.live++;
  pthread_mutex_unlock(&bus->dispatcher.mutex);
  pthread_mutex_lock(&bus->mutex);
  subscription->next = bus->subscriptions;
  if (bus->subscriptions != NULL)
    bus->subscriptions->previous = subscription;
  bus->subscriptions = subscription;
  activate_locked(subscription);
  pthread_mutex_unlock(&bus->mutex);
  *ret = subscription;
  return SKY_OK;
}

/* The keeper does not touch it any more. */
static void unlink_subscription(SkySubscription *subscription) {
  SkyBus *bus = subscription->bus;
  pthread_mutex_lock(&bus->mutex);
  if (subscription->previous != NULL)
    subscription->previous->next = subscription->next;
  else
    bus->subscriptions = subscription->next;
  if (subscription->next != NULL)
    subscription->next->previous = subscription->previous;
  pthread_mutex_unlock(&bus->mutex);
}

/* Waits for a running handler, unless it is the one that closes. */
static void wait_for_handler(Dispatcher *dispatcher, SkySubscription *subscription) {
  if (pthread_equal(dispatcher->thread, pthread_self()))
    return;
  while (dispatcher->running == subscription)
    pthread_cond_wait(&dispatcher->changed, &dispatcher->mutex);
}

void sky_subscription_close(SkySubscription *subscription) {
  if (subscription == NULL)
    return;
  unlink_subscription(subscription);
  natsSubscription *nats = subscription->nats;
  Dispatcher *dispatcher = &subscription->bus->dispatcher;
  pthread_mutex_lock(&dispatcher->mutex);
  subscription->closed = true;
  wait_for_handler(dispatcher, subscription);
  if (nats == NULL)
    subscription->nats_is_done = true;
  bool done = subscription->nats_is_done;
  pthread_mutex_unlock(&dispatcher->mutex);
  if (!done)
    natsSubscription_Unsubscribe(nats); /* on_complete follows */
  pthread_mutex_lock(&dispatcher->mutex);
  subscription->released = true;
  bool garbage = is_garbage_locked(subscription);
  pthread_mutex_unlock(&dispatcher->mutex);
  if (garbage)
    destroy(subscription);
}

void subscriptions_close_all(SkyBus *bus) {
  while (bus->subscriptions != NULL)
    sky_subscription_close(bus->subscriptions);
}
