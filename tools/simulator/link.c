/*
 * Link: the two streams to the drone scheduler, opened again with growing delays for as long as it takes.
 */
#include <stdio.h>
#include <string.h>

#include <sky/core/log.h>
#include <sky/service/resource.h>

#include "fabrikam/dronescheduler/v1/telemetry.rpc.h"
#include "simulator.h"

static const SkyBackoff reconnect = {.initial_ms = 50, .max_ms = 2000, .multiplier = 2};

/* ---- orders ---- */

static size_t take_stops(const drone_FlyMission *fly, FlightStop stops[FLIGHT_MAX_STOPS]) {
  if (fly->n_waypoints > FLIGHT_MAX_STOPS)
    return 0;
  for (size_t i = 0; i < fly->n_waypoints; i++) {
    const common_Waypoint *waypoint = fly->waypoints[i];
    stops[i] = (FlightStop){.point = {waypoint->location->latitude, waypoint->location->longitude},
                            .arrival_phase = (FlightPhase)waypoint->arrival_phase};
    if (waypoint->dwell != NULL)
      stops[i].dwell_ms = waypoint->dwell->seconds * SKY_MS_PER_S + waypoint->dwell->nanos / SKY_NS_PER_MS;
  }
  return fly->n_waypoints;
}

/* A new delivery means that the end of the last one is stored, and all before it: only the acknowledgement is not here
 * yet. */
static void forget_others(SimulatedDrone *drone, const char *delivery_id) {
  size_t kept = 0;
  for (size_t i = 0; i < drone->unstored_count; i++) {
    if (strcmp(drone->unstored[i].report.delivery_id, delivery_id) == 0)
      drone->unstored[kept++] = drone->unstored[i];
  }
  drone->unstored_count = kept;
}

static void fly(Simulator *self, const drone_FlyMission *message) {
  SimulatedDrone *drone = sky_map_get(self->drone_by_id, sky_str(message->drone_id));
  if (drone == NULL)
    return;
  FlightStop stops[FLIGHT_MAX_STOPS];
  const FlightOrder order = {.delivery_id = message->delivery_id,
                             .revision = message->revision,
                             .stops = stops,
                             .stop_count = take_stops(message, stops),
                             .speed_mps = message->speed_mps,
                             .start_ms = sky_timestamp_ms(message->start_time),
                             .phase = (FlightPhase)message->phase};
  drone->in_force = true;
  /* One whose end is told already, but not stored yet: the order is the past. */
  for (size_t i = 0; i < drone->unstored_count; i++) {
    const FlightReport *report = &drone->unstored[i].report;
    if (report->phase == FLIGHT_ENDED && strcmp(report->delivery_id, order.delivery_id) == 0)
      return;
  }
  if (!flight_order(&drone->flight, &order, simulator_now_ms(self)))
    return;
  forget_others(drone, order.delivery_id);
  pilot_schedule(self, drone);
}

static void abort_mission(Simulator *self, const drone_AbortMission *message) {
  SimulatedDrone *drone = sky_map_get(self->drone_by_id, sky_str(message->drone_id));
  if (drone == NULL || strcmp(drone->flight.delivery_id, message->delivery_id) != 0)
    return;
  flight_abort(&drone->flight, simulator_now_ms(self));
  drone->unstored_count = 0;
  drone->key_needed = true;
  drone->report_ms = simulator_now_ms(self);
  pilot_schedule(self, drone);
}

/* What is flown but was not ordered on this stream was called off while nobody listened. */
static void abort_others(Simulator *self) {
  for (size_t i = 0; i < self->drone_count; i++) {
    SimulatedDrone *drone = self->drones[i];
    if (drone->in_force || drone->flight.delivery_id[0] == '\0')
      continue;
    flight_abort(&drone->flight, simulator_now_ms(self));
    drone->key_needed = true;
    drone->report_ms = simulator_now_ms(self);
    pilot_schedule(self, drone);
  }
}

static void on_order(void *user, SkyClientStream *stream, const drone_FlyMissionsResponse *message) {
  Simulator *self = user;
  pthread_mutex_lock(&self->mutex);
  self->orders_failures = 0;
  switch (message->order_case) {
  case drone_FlyMissionsResponse_ORDER_FLY:
    fly(self, message->fly);
    break;
  case drone_FlyMissionsResponse_ORDER_ABORT:
    abort_mission(self, message->abort);
    break;
  case drone_FlyMissionsResponse_ORDER_IN_FORCE:
    if (!self->orders_complete)
      abort_others(self);
    self->orders_complete = true;
    break;
  default:
    break; /* an order of a newer release */
  }
  pilot_wake(self);
  pthread_mutex_unlock(&self->mutex);
}

static void on_orders_done(void *user, SkyStatus status) {
  Simulator *self = user;
  sky_log_status(SKY_DEBUG, NULL, "simulator.orders_ended", status, "orders");
  pthread_mutex_lock(&self->mutex);
  self->orders_ended = true;
  pilot_wake(self);
  pthread_mutex_unlock(&self->mutex);
}

/* Orders for our bases; the drones of others are not ours. */
static SkyStatus open_orders(Simulator *self) {
  enum { MAX_BASES = 1000 };
  static char names[MAX_BASES][SIMULATOR_ID_SIZE];
  const char *ids[MAX_BASES];
  drone_FlyMissionsRequest request = drone_FlyMissionsRequest_INIT;
  for (int64_t i = 0; i < self->settings.bases && i < MAX_BASES; i++) {
    snprintf(names[i], sizeof(names[i]), "%.40s-base-%03d", self->settings.prefix, (int)(i + 1));
    ids[request.n_base_ids++] = names[i];
  }
  request.base_ids = ids;
  for (size_t i = 0; i < self->drone_count; i++)
    self->drones[i]->in_force = false;
  self->orders_complete = self->orders_ended = false;
  const SkyContext context = sky_context_background();
  return drone_TelemetryService_fly_missions_open(
      self->scheduler, &context, &request,
      (drone_TelemetryService_fly_missions_handler){.on_message = on_order, .on_done = on_orders_done, .user = self},
      &self->orders);
}

/* ---- telemetry ---- */

static void on_acks(void *user, SkyClientStream *stream, const drone_ReportTelemetryResponse *message) {
  Simulator *self = user;
  pthread_mutex_lock(&self->mutex);
  self->telemetry_failures = 0;
  for (size_t i = 0; i < message->n_acks; i++)
    frames_acknowledge(self, message->acks[i]);
  pilot_wake(self);
  pthread_mutex_unlock(&self->mutex);
}

static void on_telemetry_done(void *user, SkyStatus status) {
  Simulator *self = user;
  sky_log_status(SKY_DEBUG, NULL, "simulator.telemetry_ended", status, "telemetry");
  pthread_mutex_lock(&self->mutex);
  self->telemetry_ended = true;
  pilot_wake(self);
  pthread_mutex_unlock(&self->mutex);
}

static SkyStatus open_telemetry(Simulator *self) {
  const SkyContext context = sky_context_background();
  self->telemetry_ended = false;
  SKY_TRY(drone_TelemetryService_report_telemetry_open(
      self->scheduler, &context,
      (drone_TelemetryService_report_telemetry_handler){
          .on_message = on_acks, .on_done = on_telemetry_done, .user = self},
      &self->telemetry));
  frames_send_again(self);
  return SKY_OK;
}

/* ---- keeping them open ---- */

static void keep_one(Simulator *self, SkyClientStream **stream, const bool *ended, int64_t *retry_ms,
                     uint32_t *failures, SkyStatus (*open)(Simulator *self), int64_t now_ms) {
  if (*stream != NULL && *ended) {
    sky_client_stream_unref(*stream);
    *stream = NULL;
    *retry_ms = now_ms + sky_backoff_delay_ms(&reconnect, ++*failures, sky_service_random(self->service));
  }
  if (*stream != NULL || now_ms < *retry_ms)
    return;
  const SkyStatus status = open(self);
  if (status != SKY_OK) {
    *stream = NULL;
    *retry_ms = now_ms + sky_backoff_delay_ms(&reconnect, ++*failures, sky_service_random(self->service));
  }
  sky_status_free(status);
}

void link_keep_open(Simulator *self, int64_t now_ms) {
  keep_one(self, &self->orders, &self->orders_ended, &self->orders_retry_ms, &self->orders_failures, open_orders,
           now_ms);
  keep_one(self, &self->telemetry, &self->telemetry_ended, &self->telemetry_retry_ms, &self->telemetry_failures,
           open_telemetry, now_ms);
}

int64_t link_next_ms(const Simulator *self) {
  int64_t next_ms = INT64_MAX;
  if (self->orders == NULL)
    next_ms = self->orders_retry_ms;
  if (self->telemetry == NULL && self->telemetry_retry_ms < next_ms)
    next_ms = self->telemetry_retry_ms;
  return next_ms;
}

void link_close(Simulator *self) {
  if (self->orders != NULL)
    sky_client_stream_cancel(self->orders);
  if (self->telemetry != NULL)
    sky_client_stream_close_send(self->telemetry);
  sky_client_stream_unref(self->orders);
  sky_client_stream_unref(self->telemetry);
  self->orders = self->telemetry = NULL;
}
