#include "workflow/driver_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/core/log.h>
#include <sky/service/resource.h>

enum {
  ROOM_WAIT_MS = 4000, /* of an order for room among the active sagas; shorter than its ack wait */
  MAX_RETRY_AFTER_MS = 30000,
  CHANGE_TIMEOUT_MS = 300000,
  RETRY_AFTER_MS = 200,
};

static SkyStatus not_now(const char *what) {
  return sky_status_with_retry_after_ms(SKY_ABORTED("%s", what), RETRY_AFTER_MS);
}

/* ---- flights ---- */

void flight_queue_push(FlightQueue *queue, Flight *flight, bool of_writes) {
  *(of_writes ? &flight->next_write : &flight->next_allowed) = NULL;
  if (queue->last != NULL)
    *(of_writes ? &queue->last->next_write : &queue->last->next_allowed) = flight;
  else
    queue->first = flight;
  queue->last = flight;
  queue->size++;
}

Flight *flight_queue_pop(FlightQueue *queue, bool of_writes) {
  Flight *flight = queue->first;
  if (flight == NULL)
    return NULL;
  queue->first = of_writes ? flight->next_write : flight->next_allowed;
  if (queue->first == NULL)
    queue->last = NULL;
  queue->size--;
  return flight;
}

int64_t driver_now_ms(const Driver *driver) {
  return sky_clock_wall_ms(driver->options.clock);
}

int64_t driver_uptime_ms(const Driver *driver) {
  return sky_clock_monotonic_ns(driver->options.clock) / SKY_NS_PER_MS;
}

static void flight_destroy(Flight *flight) {
  saga_record_finish(&flight->record);
  free(flight);
}

/* With the lock held. NULL without memory. */
static Flight *flight_add(Driver *driver, const char *id, const SkyContext *context) {
  Flight *flight = calloc(1, sizeof(*flight));
  if (flight == NULL)
    return NULL;
  flight->driver = driver;
  flight->trace = context->trace;
  saga_record_init(&flight->record, id);
  SkyStatus status = sky_map_set(driver->flights, sky_str(id), flight, NULL);
  if (status == SKY_OK) {
    driver->stats.active = sky_map_size(driver->flights);
    return flight;
  }
  sky_status_free(status);
  flight_destroy(flight);
  return NULL;
}

static Waiter *waiter_create(DriverDone done, void *user, Waiter *next) {
  Waiter *waiter = malloc(sizeof(*waiter));
  if (waiter != NULL)
    *waiter = (Waiter){next, done, user};
  return waiter;
}

void waiters_tell(Waiter *waiters, const SkyError *status) {
  while (waiters != NULL) {
    Waiter *next = waiters->next;
    waiters->done(waiters->user, sky_status_copy(status));
    free(waiters);
    waiters = next;
  }
}

Waiter *waiters_join(Waiter *first, Waiter *second) {
  Waiter **end = &first;
  while (*end != NULL)
    end = &(*end)->next;
  *end = second;
  return first;
}

/* ---- room ---- */

static size_t busy(const Driver *driver) {
  return sky_map_size(driver->flights) - driver->pausing;
}

/* Those that pause cost nothing but memory, so the intake does not count them. */
static bool has_room(const Driver *driver) {
  return intake_has_room(&driver->intake, busy(driver)) && sky_map_size(driver->flights) < driver->options.max_active;
}

/* With the lock held: a flight has gone or pauses. */
static void offer_room(Driver *driver) {
  if (driver->waiting > 0 && intake_has_much_room(&driver->intake, busy(driver)) && has_room(driver))
    pthread_cond_broadcast(&driver->changed);
}

static void note_pause(Driver *driver, Flight *flight) {
  const bool pauses = flight->record.saga.doing == SAGA_DO_WAIT && !flight->removed;
  if (pauses == flight->pausing)
    return;
  flight->pausing = pauses;
  driver->pausing += pauses ? 1 : (size_t)-1;
  if (pauses) {
    flight->begin_ms = 0;
    offer_room(driver);
  }
}

/* With the lock held. */
static bool wait_for_room(Driver *driver) {
  if (has_room(driver))
    return !driver->stopping;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += ROOM_WAIT_MS / 1000;
  driver->waiting++;
  while (!driver->stopping && !(intake_has_much_room(&driver->intake, busy(driver)) && has_room(driver)))
    if (pthread_cond_timedwait(&driver->changed, &driver->lock, &until) == ETIMEDOUT)
      break;
  driver->waiting--;
  return !driver->stopping && has_room(driver);
}

/* Only what went through tells how long that takes: a refusal at the first step is quick whatever the load. */
static void tell_intake(Driver *driver, const Flight *flight) {
  if (flight->begin_ms != 0 && !flight->lost && flight->record.saga.state == SAGA_COMPLETED)
    intake_note(&driver->intake, flight->begin_ms, driver_uptime_ms(driver), busy(driver));
}

void flight_remove(Driver *driver, Flight *flight) {
  tell_intake(driver, flight);
  flight->removed = true;
  note_pause(driver, flight);
  sky_map_remove(driver->flights, sky_str(flight->record.id));
  driver->stats.active = sky_map_size(driver->flights);
  offer_room(driver);
  pthread_mutex_unlock(&driver->lock);
  sky_timers_cancel(driver->timers, &flight->timer); /* waits for its callback, which waits for the lock */
  SkyStatus status = flight->lost ? not_now("the saga has changed meanwhile") : SKY_OK;
  waiters_tell(waiters_join(flight->written_waiters, flight->waiters), status);
  sky_status_free(status);
  flight_destroy(flight);
  pthread_mutex_lock(&driver->lock);
}

/* ---- events ---- */

static void take_change(Flight *flight, const SagaEffect *effect) {
  if (effect->apply_change) {
    SkyStatus status = saga_record_apply_change(&flight->record);
    if (status != SKY_OK) /* the mask was checked when it came in; what is left is memory */
      sky_log_status(SKY_ERROR, NULL, "saga.change", status, "a change of terms could not be applied");
  }
  if (effect->drop_change)
    saga_record_drop_change(&flight->record);
}

bool saga_news_end(const SagaNews *news) {
  return news->completed || news->compensated || news->failed;
}

/* Each event of the contract that the news amount to has a version of its own. */
static void take_news(Flight *flight, const Saga *before) {
  DriverStats *stats = &flight->driver->stats;
  SagaRecord *record = &flight->record;
  const SagaNews *was = &before->news, *is = &record->saga.news;
  stats->completed += is->completed && !was->completed;
  stats->ended += (is->compensated && !was->compensated) || (is->failed && !was->failed);
  if (!flight->ending && saga_news_end(is)) {
    flight->ending = true;
    flight->shown = *before;
    flight->shown_changes = record->changes;
    flight->shown_update_ms = record->update_ms;
  }
  record->changes += saga_news_count(is) - saga_news_count(was);
}

void driver_tell(Driver *driver, const SagaRecord *record) {
  if (driver->options.changed != NULL && record->order != NULL)
    driver->options.changed(driver->options.user, record);
}

void flight_feed(Flight *flight, SagaEvent event) {
  Driver *driver = flight->driver;
  SagaRecord *record = &flight->record;
  const Saga before = record->saga;
  const int64_t now_ms = driver_now_ms(driver);
  const SagaEffect effect = saga_step(&record->saga, &event, &driver->policy, now_ms);
  take_news(flight, &before);
  note_pause(driver, flight);
  take_change(flight, &effect);
  if (effect.persist)
    flight->dirty = true;
  if (effect.action != SAGA_DO_NOTHING) {
    flight->effect = effect;
    flight->has_effect = true;
  }
  if (effect.persist || effect.action != SAGA_DO_NOTHING) {
    record->update_ms = now_ms;
    record->changes++;
    if (!flight->dirty) /* otherwise it is told when it is written */
      driver_tell(driver, record);
  }
}

static bool is_at_rest(const Flight *flight) {
  const bool waits = flight->record.saga.doing == SAGA_DO_WAIT && !flight->lost;
  return !flight->dirty && !flight->queued && !flight->writing && !flight->is_calling && !waits &&
         !flight->has_effect && !flight->loading && !flight->removed;
}

void driver_go_on(Driver *driver, Flight *flight) {
  if (flight->writing || flight->queued || flight->loading)
    return; /* goes on when that is done */
  if (flight->lost) {
    flight->has_effect = flight->dirty = false;
  } else if (flight->dirty) {
    driver_write_soon(driver, flight);
    return;
  }
  if (flight->has_effect && !flight->is_calling) {
    flight->has_effect = false;
    if (flight->effect.action != SAGA_DO_REST) {
      driver_perform(driver, flight, flight->effect);
      return;
    }
  }
  if (is_at_rest(flight))
    flight_remove(driver, flight);
}

/* ---- orders ---- */

static int64_t complete_by_ms(const Driver *driver, const common_DeliveryOrder *order) {
  const int64_t default_ms = driver_now_ms(driver) + driver->options.saga_timeout_ms;
  return order->deadline != NULL ? sky_timestamp_ms(order->deadline) : default_ms;
}

static void lock_for_us(Driver *driver, SagaRecord *record) {
  snprintf(record->locked_by, sizeof(record->locked_by), "%s", driver->options.instance_id);
  record->lock_expire_ms = driver->lease_expire_ms;
}

/* With the lock held: the record is fresh, or a cancellation that came before its order. */
static SkyStatus set_off(Driver *driver, Flight *flight, const DriverRequest *request) {
  SagaRecord *record = &flight->record;
  SKY_TRY(saga_record_set_order(record, request->order));
  snprintf(record->order_digest, sizeof(record->order_digest), "%s", request->digest);
  record->request_ms = request->time_ms;
  record->create_ms = driver_now_ms(driver);
  lock_for_us(driver, record);
  driver->stats.begun++;
  flight->begin_ms = driver_uptime_ms(driver);
  flight_feed(flight, (SagaEvent){.kind = SAGA_EVENT_BEGIN, .complete_by_ms = complete_by_ms(driver, request->order)});
  return SKY_OK;
}

/* With the lock held: an order for a saga that is in memory already. */
static SkyStatus begin_known(Driver *driver, Flight *flight, const DriverRequest *request, bool *ret_wait) {
  *ret_wait = true;
  if (flight->loading || flight->lost)
    return not_now("the saga is being read");
  if (flight->record.saga.state == SAGA_NEW)
    return set_off(driver, flight, request);
  *ret_wait = flight->record.record_version == 0; /* the first of two such orders is still being written */
  return SKY_OK;
}

/* With the lock held. The status is told at once unless *ret_wait. */
static SkyStatus begin(Driver *driver, const SkyContext *context, const char *id, const DriverRequest *request,
                       Flight **ret, bool *ret_wait) {
  Flight *flight = sky_map_get(driver->flights, sky_str(id));
  if (flight == NULL) {
    if (!wait_for_room(driver) || driver->lease_expire_ms == 0)
      return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("no room for another saga"), RETRY_AFTER_MS);
    flight = sky_map_get(driver->flights, sky_str(id));
  }
  if (flight == NULL)
    flight = flight_add(driver, id, context);
  if (flight == NULL)
    return sky_status_no_memory();
  *ret = flight;
  return begin_known(driver, flight, request, ret_wait);
}

/* With the lock held, which it releases: tells done now, or after the flight's next write. */
static void answer(Driver *driver, Flight *flight, SkyStatus status, bool wait, DriverDone done, void *user) {
  Waiter *waiter = NULL;
  if (status == SKY_OK && wait) {
    /* What is being written just now is enough, unless there is something newer. */
    Waiter **list = flight->writing && !flight->dirty ? &flight->written_waiters : &flight->waiters;
    waiter = waiter_create(done, user, *list);
    if (waiter != NULL)
      *list = waiter;
    else
      status = sky_status_no_memory();
  }
  if (flight != NULL)
    driver_go_on(driver, flight);
  pthread_mutex_unlock(&driver->lock);
  if (waiter == NULL)
    done(user, status);
}

void driver_begin(Driver *driver, const SkyContext *context, const char *id, const DriverRequest *request,
                  DriverDone done, void *user) {
  pthread_mutex_lock(&driver->lock);
  Flight *flight = NULL;
  bool wait = false;
  SkyStatus status = begin(driver, context, id, request, &flight, &wait);
  answer(driver, flight, status, wait, done, user);
}

/* ---- sagas that are not in memory ---- */

static SkyStatus load_unlocked(Driver *driver, const SkyContext *context, Flight *flight) {
  flight->loading = true;
  pthread_mutex_unlock(&driver->lock);
  SkyStatus status = saga_record_load(&flight->record, driver->options.store, driver->options.log, context);
  pthread_mutex_lock(&driver->lock);
  flight->loading = false;
  return status;
}

/* With the lock held: the saga, from memory or store. On error nothing stays. NOT_FOUND leaves a fresh flight in *ret.
 */
static SkyStatus find(Driver *driver, const SkyContext *context, const char *id, Flight **ret) {
  Flight *flight = sky_map_get(driver->flights, sky_str(id));
  if (flight != NULL && (flight->loading || flight->lost))
    return not_now("the saga is being read");
  if (flight != NULL) {
    *ret = flight;
    return SKY_OK;
  }
  if (driver->stopping || driver->lease_expire_ms == 0 || sky_map_size(driver->flights) >= driver->options.max_active)
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("no room for another saga"), RETRY_AFTER_MS);
  flight = flight_add(driver, id, context);
  if (flight == NULL)
    return sky_status_no_memory();
  SkyStatus status = load_unlocked(driver, context, flight);
  if (status == SKY_OK || sky_status_code(status) == SKY_CODE_NOT_FOUND)
    *ret = flight;
  else
    flight_remove(driver, flight);
  return status;
}

/* A saga that another live process works on is not ours to change. */
static bool is_elsewhere(const Driver *driver, const SagaRecord *record) {
  return saga_record_is_open(record) && strcmp(record->locked_by, driver->options.instance_id) != 0;
}

/*
 * A document that says it is over, of which the log knows nothing: a crash came in between. Its order was not
 * acknowledged and begins again (driver_writes.c); what the owner wants must not be taken for done before that.
 */
static bool is_without_log(const Flight *flight) {
  const SagaRecord *record = &flight->record;
  const bool just_read = !flight->writing && !flight->queued && !flight->dirty;
  return just_read && record->document_version > 0 && record->record_version == 0 && record->saga.state != SAGA_NEW &&
         !saga_record_is_open(record);
}

static SkyStatus find_for_owner(Driver *driver, const SkyContext *context, const char *id, Flight **ret) {
  SKY_TRY(find(driver, context, id, ret));
  const bool without_log = is_without_log(*ret);
  if (!without_log && !is_elsewhere(driver, &(*ret)->record)) {
    lock_for_us(driver, &(*ret)->record);
    return SKY_OK;
  }
  flight_remove(driver, *ret);
  *ret = NULL;
  return not_now(without_log ? "the saga is to begin again" : "another process works on the saga");
}

void driver_cancel(Driver *driver, const SkyContext *context, const char *id, const char *code, const char *message,
                   DriverDone done, void *user) {
  pthread_mutex_lock(&driver->lock);
  Flight *flight = NULL;
  SkyStatus status = find_for_owner(driver, context, id, &flight);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND)) { /* the order is still to come: remembered */
    flight->record.create_ms = driver_now_ms(driver);
    lock_for_us(driver, &flight->record);
  }
  if (status == SKY_OK)
    flight_feed(flight, (SagaEvent){.kind = SAGA_EVENT_CANCEL, .code = code, .message = message});
  const bool wait = status == SKY_OK && (flight->dirty || flight->writing);
  answer(driver, flight, status, wait, done, user);
}

static SkyStatus change(Flight *flight, const common_DeliveryChange *terms, const protobuf_FieldMask *mask,
                        const char *change_id, int64_t position) {
  SagaRecord *record = &flight->record;
  const bool is_busy = record->saga.change != SAGA_CHANGE_NONE || flight->writing || flight->queued;
  if (record->saga.state == SAGA_NEW || is_busy)
    return not_now(record->saga.state == SAGA_NEW ? "the saga has not begun" : "the saga is busy");
  if (!saga_can_change(&record->saga))
    return SKY_OK; /* it comes to nothing: there is nothing to change */
  bool any;
  SKY_TRY(saga_record_set_change(record, terms, mask, change_id, position, &any));
  if (any)
    flight_feed(flight,
                (SagaEvent){.kind = SAGA_EVENT_CHANGE, .needs_drone = saga_mask_needs_drone(record->change_mask)});
  return SKY_OK;
}

void driver_change(Driver *driver, const SkyContext *context, const char *id, const common_DeliveryChange *terms,
                   const protobuf_FieldMask *mask, const char *change_id, int64_t position, DriverDone done,
                   void *user) {
  pthread_mutex_lock(&driver->lock);
  Flight *flight = NULL;
  SkyStatus status = find_for_owner(driver, context, id, &flight);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND)) {
    flight_remove(driver, flight);
    flight = NULL;
    status = not_now("the saga has not begun");
  }
  if (status == SKY_OK)
    status = change(flight, terms, mask, change_id, position);
  const bool wait = status == SKY_OK && flight->dirty;
  answer(driver, flight, status, wait, done, user);
}

SkyStatus driver_resume(Driver *driver, const SkyContext *context, const char *id) {
  pthread_mutex_lock(&driver->lock);
  Flight *flight = sky_map_get(driver->flights, sky_str(id));
  SkyStatus status = SKY_OK;
  if (flight == NULL) {
    status = find(driver, context, id, &flight);
    if (status == SKY_OK) {
      lock_for_us(driver, &flight->record);
      if (saga_record_is_open(&flight->record)) {
        driver->stats.resumed++;
        flight_feed(flight, (SagaEvent){.kind = SAGA_EVENT_RESUME});
      } else {
        flight->dirty = true; /* its document lags behind its log: written once more, it is not open any longer */
      }
    }
    if (flight != NULL)
      driver_go_on(driver, flight);
  }
  pthread_mutex_unlock(&driver->lock);
  return status;
}

/* ---- looking ---- */

/* Steps are shown as they happen, the end when it is durable: a crash before that may make it another one. */
static SkyStatus show(const Flight *flight, SkyArena *arena, workflow_Workflow **ret) {
  SagaRecord record = flight->record; /* shares what it points to */
  if (flight->ending) {
    record.saga = flight->shown;
    record.changes = flight->shown_changes;
    record.update_ms = flight->shown_update_ms;
  }
  workflow_Workflow *view;
  SKY_TRY(saga_record_workflow(&record, arena, &view));
  return workflow_Workflow_copy(view, arena, ret);
}

SkyStatus driver_get(Driver *driver, const char *id, SkyArena *arena, workflow_Workflow **ret, bool *ret_found) {
  pthread_mutex_lock(&driver->lock);
  const Flight *flight = sky_map_get(driver->flights, sky_str(id));
  const bool is_known = flight != NULL && !flight->loading && !flight->lost && flight->record.order != NULL;
  *ret_found = is_known && !(flight->ending && flight->shown.state == SAGA_NEW);
  SkyStatus status = *ret_found ? show(flight, arena, ret) : SKY_OK;
  pthread_mutex_unlock(&driver->lock);
  return status;
}

void driver_set_lease(Driver *driver, int64_t expire_ms) {
  pthread_mutex_lock(&driver->lock);
  driver->lease_expire_ms = expire_ms;
  pthread_mutex_unlock(&driver->lock);
}

bool driver_has_lease(Driver *driver) {
  pthread_mutex_lock(&driver->lock);
  const bool has = driver->lease_expire_ms != 0;
  pthread_mutex_unlock(&driver->lock);
  return has;
}

DriverStats driver_stats(Driver *driver) {
  pthread_mutex_lock(&driver->lock);
  const DriverStats stats = driver->stats;
  pthread_mutex_unlock(&driver->lock);
  return stats;
}

/* ---- lifecycle ---- */

SkyStatus driver_create(const DriverOptions *options, Driver **ret) {
  Driver *driver = calloc(1, sizeof(*driver));
  if (driver == NULL)
    return sky_status_no_memory();
  driver->options = *options;
  driver->policy = (SagaPolicy){.backoff = saga_default_backoff,
                                .max_retry_after_ms = MAX_RETRY_AFTER_MS,
                                .change_timeout_ms = CHANGE_TIMEOUT_MS,
                                .random = options->random};
  IntakePolicy intake = intake_default_policy;
  intake.most = options->max_active;
  intake_init(&driver->intake, intake);
  for (int i = 0; i < PEER_COUNT; i++)
    sky_breaker_init(&driver->breakers[i], sky_breaker_default_policy);
  pthread_mutex_init(&driver->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&driver->changed, &attributes);
  pthread_cond_init(&driver->full, &attributes);
  pthread_condattr_destroy(&attributes);
  driver->flights = sky_map_create(options->max_active);
  pthread_cond_init(&driver->has_writes, NULL);
  SkyStatus status =
      driver->flights == NULL ? sky_status_no_memory() : sky_timers_create(options->max_active, &driver->timers);
  if (status == SKY_OK)
    status = driver_start_writers(driver);
  if (status == SKY_OK)
    *ret = driver;
  else
    driver_destroy(driver);
  return status;
}

void driver_destroy(Driver *driver) {
  if (driver == NULL)
    return;
  pthread_mutex_lock(&driver->lock);
  driver->stopping = true;
  pthread_cond_broadcast(&driver->changed);
  pthread_cond_broadcast(&driver->has_writes);
  pthread_cond_broadcast(&driver->full);
  while (driver->calls > 0) /* they end by their deadlines */
    pthread_cond_wait(&driver->changed, &driver->lock);
  pthread_mutex_unlock(&driver->lock);
  driver_stop_writers(driver);
  sky_timers_destroy(driver->timers);
  size_t cursor = 0;
  SkyStr key;
  void *value;
  SkyStatus stopping = SKY_UNAVAILABLE("the service stops");
  while (driver->flights != NULL && sky_map_next(driver->flights, &cursor, &key, &value)) {
    Flight *flight = value;
    waiters_tell(waiters_join(flight->written_waiters, flight->waiters), stopping);
    flight_destroy(flight);
  }
  sky_status_free(stopping);
  sky_map_destroy(driver->flights);
  pthread_cond_destroy(&driver->changed);
  pthread_cond_destroy(&driver->has_writes);
  pthread_cond_destroy(&driver->full);
  pthread_mutex_destroy(&driver->lock);
  free(driver);
}
