/*
 * Simulator: a fleet that flies what the drone scheduler orders. It knows nothing by itself: drones, places and
 * missions come from the scheduler.
 *
 * One thread, the pilot, moves all drones, writes telemetry and keeps the two streams open; the callbacks of the
 * streams (on the I/O thread) only change the state under the mutex and wake it.
 */
#pragma once

#include <pthread.h>

#include <sky/core/backoff.h>
#include <sky/core/map.h>
#include <sky/core/timer_heap.h>
#include <sky/service/service.h>

#include "fabrikam/dronescheduler/v1/fleet.sky.h"
#include "fabrikam/dronescheduler/v1/telemetry.sky.h"
#include "flight.h"

enum { SIMULATOR_ID_SIZE = 65, SIMULATOR_MAX_DRONES = 100000, SIMULATOR_MAX_UNSTORED = 12, SIMULATOR_BATCH = 500 };

typedef struct SimulatorSettings {
  int64_t drones, bases;
  const char *center;
  double time_factor, speed_mps, range_m, capacity_kg, radius_m;
  int64_t report_interval_ns, charge_time_ns;
  const char *prefix;
} SimulatorSettings;

/* A phase that the scheduler has not stored yet, as far as we know. */
typedef struct Unstored {
  FlightReport report;
  uint64_t sequence; /* of the frame it was last sent in; 0: not sent */
} Unstored;

typedef struct SimulatedDrone {
  char id[SIMULATOR_ID_SIZE];
  Flight flight;
  SkyTimer timer; /* its next event or report */
  struct Simulator *simulator;
  Unstored unstored[SIMULATOR_MAX_UNSTORED];
  size_t unstored_count;
  int64_t report_ms; /* next report */
  int64_t resend_ms; /* next time unstored phases are sent again; INT64_MAX: nothing to send */
  uint64_t sequence;
  bool key_needed; /* the next frame must say everything */
  bool in_force;   /* its mission was among the orders of this stream */
} SimulatedDrone;

typedef struct Simulator {
  SimulatorSettings settings;
  SkyPoint center;
  SkyService *service;
  SkyClient *scheduler;
  const SkyClock *clock;

  pthread_t pilot;
  bool pilot_runs;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  bool stopping;
  bool woken;

  SimulatedDrone **drones;
  size_t drone_count;
  SkyMap *drone_by_id;
  SkyTimerHeap timers;
  _Atomic bool registered;

  SkyClientStream *orders, *telemetry; /* NULL: not open */
  bool orders_ended, telemetry_ended;  /* since they were opened; told by the I/O thread */
  bool orders_complete;                /* all orders in force have come */
  int64_t orders_retry_ms, telemetry_retry_ms;
  uint32_t orders_failures, telemetry_failures;
} Simulator;

static inline int64_t simulator_now_ms(const Simulator *self) {
  return sky_clock_wall_ms(self->clock);
}

/* register.c: makes bases and drones as they should be and reads how they are. Blocks; for the pilot. */
SKY_MUST_USE SkyStatus simulator_register(Simulator *self, const SkyContext *context);

/* link.c: the streams. With the mutex. */
void link_keep_open(Simulator *self, int64_t now_ms);
int64_t link_next_ms(const Simulator *self);
void link_close(Simulator *self);

/* frames.c: what is told. With the mutex. */
typedef struct Frames Frames;
Frames *frames_create(Simulator *self);
void frames_destroy(Frames *frames);
void frames_add_phases(Frames *frames, SimulatedDrone *drone, int64_t now_ms); /* those not stored yet */
void frames_add_position(Frames *frames, SimulatedDrone *drone, int64_t now_ms);
void frames_send(Frames *frames); /* what was added; what cannot be sent is sent again later */
void frames_acknowledge(Simulator *self, const drone_TelemetryAck *ack);
void frames_send_again(Simulator *self); /* a new stream: everything from the beginning */

/* pilot.c */
void pilot_schedule(Simulator *self, SimulatedDrone *drone); /* with the mutex */
void pilot_wake(Simulator *self);                            /* with the mutex */
void *pilot_run(void *self);
