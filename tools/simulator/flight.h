/*
 * Flight: how one drone moves: along great circles from stop to stop, drawing on its battery with every metre and
 * charging at home. Pure; times are Unix ms in wall time (speed and charging are already scaled by the time factor).
 *
 * A flight is a chain of events at known times; each begins where the one before ended, however late it is looked at,
 * so that a simulator under load flies the same missions, only reports them later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/geo.h>
#include <sky/core/id.h>

enum { FLIGHT_MAX_STOPS = 64, FLIGHT_MAX_REPORTS = 16 };

/* Numbered as in fabrikam.common.v1.MissionPhase. */
typedef enum FlightPhase {
  FLIGHT_NONE = 0,
  FLIGHT_TO_PICKUP = 1,
  FLIGHT_AT_PICKUP = 2,
  FLIGHT_PICKED_UP = 3,
  FLIGHT_TO_DROPOFF = 4,
  FLIGHT_AT_DROPOFF = 5,
  FLIGHT_DELIVERED = 6,
  FLIGHT_RETURNING = 7,
  FLIGHT_ENDED = 8,
} FlightPhase;

/* Numbered as in fabrikam.dronescheduler.v1.FlightMode. */
typedef enum FlightMode { FLIGHT_LANDED = 1, FLIGHT_CRUISE = 3, FLIGHT_HOVER = 4, FLIGHT_CHARGING = 6 } FlightMode;

typedef struct FlightStop {
  SkyPoint point;
  FlightPhase arrival_phase; /* NONE: only a turn */
  int64_t dwell_ms;
} FlightStop;

typedef struct FlightOrder {
  const char *delivery_id;
  uint64_t revision;
  const FlightStop *stops;
  size_t stop_count;
  double speed_mps;
  int64_t start_ms;  /* 0: at once */
  FlightPhase phase; /* where to go on */
} FlightOrder;

/* What is told of a moment. */
typedef struct FlightReport {
  FlightPhase phase; /* entered; NONE: just how it is */
  int64_t time_ms;
  SkyPoint place;
  double battery_fraction;
  double north_mps, east_mps;
  FlightMode mode;
  char delivery_id[SKY_UUID_TEXT_SIZE];
  uint64_t revision;
} FlightReport;

typedef struct Flight {
  SkyPoint home;
  double range_m;
  double speed_mps; /* of the drone itself; a mission has its own */
  double charge_per_ms;
  char delivery_id[SKY_UUID_TEXT_SIZE]; /* "" without a mission */
  uint64_t revision;
  FlightPhase phase;
  FlightStop *stops; /* owned */
  size_t stop_count, next_stop;
  double mission_speed_mps;
  enum { FLIGHT_AT_REST, FLIGHT_WAITS, FLIGHT_FLIES, FLIGHT_DWELLS } activity;
  SkyPoint from;           /* where the activity began */
  int64_t since_ms;        /* when */
  int64_t until_ms;        /* when it ends; INT64_MAX: by an order only */
  double battery_fraction; /* at its beginning */
} Flight;

/* At rest at `place`; flies home when that is elsewhere. */
void flight_init(Flight *flight, SkyPoint home, SkyPoint place, double battery_fraction, int64_t now_ms);
void flight_finish(Flight *flight);

/* Takes an order. False: it is the one being flown, or older, or cannot be taken for lack of memory. */
bool flight_order(Flight *flight, const FlightOrder *order, int64_t now_ms);
/* Breaks the mission off and flies home. Without one: nothing. */
void flight_abort(Flight *flight, int64_t now_ms);

/* When something happens next. */
int64_t flight_next_ms(const Flight *flight);
/* Lets happen what is due; the phases entered, in order. Calls may be needed until the next event lies in the future.
 */
size_t flight_step(Flight *flight, int64_t now_ms, FlightReport reports[FLIGHT_MAX_REPORTS]);
FlightReport flight_look(const Flight *flight, int64_t now_ms);
