#include "scheduler.h"

#include <stdlib.h>

#include "assign.h"
#include "events.h"
#include "fabrikam/dronescheduler/v1/fleet.rpc.h"
#include "fabrikam/dronescheduler/v1/scheduler.rpc.h"
#include "fabrikam/dronescheduler/v1/telemetry.rpc.h"

SkyStatus scheduler_check_loaded(const Scheduler *self) {
  return self->loaded ? SKY_OK
                      : sky_status_with_retry_after_ms(SKY_UNAVAILABLE("the fleet is being read from the store"), 500);
}

static SkyStatus init_maps(Scheduler *self) {
  self->drone_by_delivery = sky_map_create(FLEET_MAX_DRONES * 2);
  self->finished_by_delivery = sky_map_create(FLEET_MAX_DRONES * 10);
  return self->drone_by_delivery == NULL || self->finished_by_delivery == NULL ? sky_status_no_memory() : SKY_OK;
}

static SkyStatus open_log(Scheduler *self) {
  const SkyEventLogOptions options = {.store = self->store,
                                      .bus = self->bus,
                                      .clock = self->clock,
                                      .collection = &drone_log_records,
                                      .types = scheduler_event_types};
  return sky_event_log_create(&options, &self->log);
}

static void init_locks(Scheduler *self) {
  pthread_mutex_init(&self->mutex, NULL);
  pthread_cond_init(&self->let_go, NULL);
  pthread_mutex_init(&self->streams_mutex, NULL);
  for (size_t i = 0; i < SCHEDULER_STRIPES; i++)
    pthread_mutex_init(&self->stripes[i], NULL);
}

SkyStatus scheduler_init(Scheduler *self, SkyService *service) {
  self->service = service;
  self->store = sky_service_store(service);
  self->bus = sky_service_bus(service);
  self->clock = sky_service_clock(service);
  self->random = sky_service_random(service);
  self->finished_tail = &self->finished;
  self->rules = (FleetRules){.reserve_fraction = self->settings.reserve_percent / 100,
                             .assignable_fraction = self->settings.assignable_percent / 100,
                             .handling_way_m = self->settings.handling_way_m,
                             .offline_after_ms = self->settings.offline_after_ns / SKY_NS_PER_MS};
  init_locks(self);
  SKY_TRY(fleet_init(&self->fleet));
  SKY_TRY(init_maps(self));
  SKY_TRY(open_log(self));
  const SkyExecutorOptions options = {
      .threads = SCHEDULER_WRITERS, .max_queued = SCHEDULER_WRITERS, .name = "log-writer"};
  SKY_TRY(sky_executor_create(&options, &self->writers));
  const SkyBatchOptions assigns = {
      .work = assign_work, .self = self, .name = "assigns", .max_jobs = SCHEDULER_ASSIGN_BATCH};
  return sky_batch_create(&assigns, &self->assigns);
}

void scheduler_finish(Scheduler *self) {
  sky_batch_destroy(self->assigns);
  sky_executor_destroy(self->writers);
  sky_event_log_destroy(self->log);
  while (self->finished != NULL) {
    Finished *next = self->finished->next;
    free(self->finished);
    self->finished = next;
  }
  for (size_t i = 0; i < self->fleet.drone_count; i++)
    free(self->fleet.drones[i]->attachment);
  for (FeedSubscriber *subscriber; (subscriber = self->feeds.first) != NULL;) {
    feed_remove(&self->feeds, subscriber);
    feed_free(subscriber);
  }
  report_free_all(self);
  fleet_finish(&self->fleet);
  sky_map_destroy(self->drone_by_delivery);
  sky_map_destroy(self->finished_by_delivery);
  free(self->queue);
}
