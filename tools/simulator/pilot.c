/*
 * Pilot: the thread that moves the drones. It sleeps until the next drone has something to do; what is due within a few
 * milliseconds is done at once, so that many drones share a message.
 */
#include <string.h>

#include <sky/core/log.h>

#include "simulator.h"

enum {
  TICK_MS = 10,
  IDLE_REPORT_MS = 15000,
  CHARGING_REPORT_MS = 5000,
  REGISTER_RETRY_MS = 500,
  REGISTER_TIMEOUT_MS = 30000
};

static int64_t report_interval_ms(const Simulator *self, const SimulatedDrone *drone, const FlightReport *now) {
  if (drone->flight.activity == FLIGHT_FLIES || drone->flight.activity == FLIGHT_DWELLS)
    return self->settings.report_interval_ns / SKY_NS_PER_MS;
  return now->battery_fraction < 1 ? CHARGING_REPORT_MS : IDLE_REPORT_MS;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

void pilot_schedule(Simulator *self, SimulatedDrone *drone) {
  const int64_t next_ms = least(flight_next_ms(&drone->flight), least(drone->report_ms, drone->resend_ms));
  sky_status_free(sky_timer_heap_add(&self->timers, &drone->timer, next_ms)); /* there is room for every drone */
}

void pilot_wake(Simulator *self) {
  self->woken = true;
  pthread_cond_signal(&self->wake);
}

/* ---- moving ---- */

static void remember(SimulatedDrone *drone, const FlightReport *report) {
  if (report->phase == FLIGHT_NONE) { /* home after an abort: the next frame says so */
    drone->key_needed = true;
    drone->report_ms = report->time_ms;
    return;
  }
  if (drone->unstored_count ==
      SIMULATOR_MAX_UNSTORED) { /* cannot be: a mission has 8 phases, and the next begins after the last is stored */
    memmove(drone->unstored, drone->unstored + 1, (SIMULATOR_MAX_UNSTORED - 1) * sizeof(drone->unstored[0]));
    drone->unstored_count--;
  }
  drone->unstored[drone->unstored_count++] = (Unstored){.report = *report};
  drone->resend_ms = 0;
}

static void move(Simulator *self, SimulatedDrone *drone, Frames *frames, int64_t now_ms) {
  FlightReport reports[FLIGHT_MAX_REPORTS];
  while (flight_next_ms(&drone->flight) <= now_ms) {
    const size_t count = flight_step(&drone->flight, now_ms, reports);
    for (size_t i = 0; i < count; i++)
      remember(drone, &reports[i]);
  }
  if (drone->resend_ms <= now_ms)
    frames_add_phases(frames, drone, now_ms);
  if (drone->report_ms <= now_ms) {
    const FlightReport now = flight_look(&drone->flight, now_ms);
    frames_add_position(frames, drone, now_ms);
    drone->report_ms = now_ms + report_interval_ms(self, drone, &now);
  } else if (drone->flight.activity == FLIGHT_FLIES &&
             drone->report_ms > now_ms + self->settings.report_interval_ns / SKY_NS_PER_MS) {
    drone->report_ms = now_ms + self->settings.report_interval_ns / SKY_NS_PER_MS; /* it has just left */
  }
  pilot_schedule(self, drone);
}

static void move_all(Simulator *self, Frames *frames, int64_t now_ms) {
  SkyTimer *timer;
  while ((timer = sky_timer_heap_pop_due(&self->timers, now_ms)) != NULL)
    move(self, timer->user, frames, now_ms);
  frames_send(frames);
}

/* ---- the thread ---- */

static void sleep_until(Simulator *self, int64_t at_ms, int64_t now_ms) {
  const int64_t wait_ms = at_ms == INT64_MAX ? 60000 : at_ms - now_ms;
  const int64_t until_ns = sky_clock_monotonic_ns(self->clock) + wait_ms * SKY_NS_PER_MS;
  const struct timespec until = {.tv_sec = (time_t)(until_ns / SKY_NS_PER_S),
                                 .tv_nsec = (long)(until_ns % SKY_NS_PER_S)};
  pthread_cond_clockwait(&self->wake, &self->mutex, CLOCK_MONOTONIC, &until);
}

static void fly_until_told(Simulator *self, Frames *frames) {
  while (!self->stopping && self->registered) {
    const int64_t now_ms = simulator_now_ms(self);
    link_keep_open(self, now_ms);
    move_all(self, frames, now_ms);
    int64_t next_ms = least(sky_timer_heap_next_ns(&self->timers), link_next_ms(self));
    if (next_ms < now_ms + TICK_MS)
      next_ms = now_ms + TICK_MS;
    self->woken = false;
    while (!self->woken && !self->stopping && simulator_now_ms(self) < next_ms)
      sleep_until(self, next_ms, simulator_now_ms(self));
    /* Woken early: let more come, so that they travel together. */
    if (self->woken && !self->stopping && simulator_now_ms(self) < now_ms + TICK_MS)
      sleep_until(self, now_ms + TICK_MS, simulator_now_ms(self));
  }
}

static void register_fleet(Simulator *self) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, REGISTER_TIMEOUT_MS);
  const SkyStatus status = simulator_register(self, &context);
  self->registered = status == SKY_OK;
  if (status == SKY_OK)
    sky_log(SKY_INFO, NULL, "simulator.registered", NULL, "flying %zu drones, time runs %g times as fast",
            self->drone_count, self->settings.time_factor);
  else
    sky_log_status(sky_status_is_retryable(status) ? SKY_DEBUG : SKY_WARN, NULL, "simulator.register", status,
                   "the fleet could not be registered; trying again");
}

void *pilot_run(void *user) {
  Simulator *self = user;
  Frames *frames = frames_create(self);
  pthread_mutex_lock(&self->mutex);
  while (frames != NULL && !self->stopping) {
    if (!self->registered) {
      pthread_mutex_unlock(&self->mutex);
      register_fleet(self);
      pthread_mutex_lock(&self->mutex);
      if (!self->registered && !self->stopping)
        sleep_until(self, simulator_now_ms(self) + REGISTER_RETRY_MS, simulator_now_ms(self));
      continue;
    }
    fly_until_told(self, frames);
  }
  link_close(self);
  pthread_mutex_unlock(&self->mutex);
  frames_destroy(frames);
  return NULL;
}
