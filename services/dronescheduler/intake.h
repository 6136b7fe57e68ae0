/*
 * Intake: what one telemetry frame does to a drone in memory, and what has to follow. Pure; the caller serialises.
 *
 * Positions are last-value: a repeat or an old frame changes nothing. A phase (or a fault) is different: it counts only
 * when the drone's log has it, so it is judged by the log's phase, never by the sequence; a frame that could not be
 * stored may come again under the same number.
 */
#pragma once

#include "fleet.h"

enum { INTAKE_LATE_MS = 5 * 60 * 1000 };

/* Numbered as in fabrikam.dronescheduler.v1.FrameResult. */
typedef enum IntakeResult {
  INTAKE_TAKEN = 1,
  INTAKE_REPEATED = 2,
  INTAKE_LATE = 3,
  INTAKE_DRONE_UNKNOWN = 4,
  INTAKE_KEY_NEEDED = 5,
  INTAKE_INVALID = 6,
  INTAKE_RETRY = 7,
} IntakeResult;

/* Numbered as in fabrikam.dronescheduler.v1.FlightMode. */
enum { INTAKE_LANDED = 1, INTAKE_CHARGING = 6 };

typedef struct IntakeFrame {
  uint64_t stream; /* that it came on: a delta builds on a key frame of the same stream */
  uint64_t sequence;
  int64_t observe_ms;
  bool delta;
  LifePlace place; /* known: said */
  bool moves;      /* the velocity is said */
  double north_mps, east_mps, up_mps;
  bool has_battery;
  double battery_fraction;
  int flight_mode; /* 0: not said */
  LifePhase phase;
  char delivery_id[SKY_UUID_TEXT_SIZE];
  uint64_t revision;
  bool health_failed;
  LifeReason reason;
} IntakeFrame;

typedef struct IntakeEffects {
  bool moved;   /* memory has a newer position: watchers want to know */
  bool publish; /* and it is time to publish it */
  bool durable; /* event must go through life_step() and the log before the frame is acknowledged */
  LifeEvent event;
} IntakeEffects;

/* Interval between two published positions of a drone. */
IntakeResult intake_take(Fleet *fleet, FleetDrone *drone, const IntakeFrame *frame, int64_t now_ms,
                         int64_t publish_interval_ms, IntakeEffects *effects);

/*
 * A phase could not be taken or stored. Until it comes again nothing later of its stream counts as taken: positions,
 * because acknowledging a frame acknowledges those before it, and later phases, because they build on it.
 */
void intake_refuse(FleetDrone *drone, uint64_t stream, const LifeEvent *event);

/* Way to the next stop along the route, in metres; 0 without a delivery. */
double intake_remaining_m(const FleetDrone *drone);
