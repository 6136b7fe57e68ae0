#include "flight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/time.h>

#define AT_HOME_M 1.0

static int64_t travel_ms(double distance_m, double speed_mps) {
  return speed_mps <= 0 ? 0 : (int64_t)ceil(distance_m / speed_mps * SKY_MS_PER_S);
}

static double speed_of(const Flight *flight) {
  return flight->delivery_id[0] != '\0' ? flight->mission_speed_mps : flight->speed_mps;
}

static SkyPoint goal_of(const Flight *flight) {
  return flight->delivery_id[0] != '\0' ? flight->stops[flight->next_stop].point : flight->home;
}

static bool is_home(const Flight *flight, SkyPoint place) {
  return sky_geo_distance_m(place, flight->home) <= AT_HOME_M;
}

/* ---- how it is at a moment ---- */

static double share_flown(const Flight *flight, int64_t now_ms) {
  if (flight->until_ms <= flight->since_ms || now_ms >= flight->until_ms)
    return 1;
  return now_ms <= flight->since_ms
             ? 0
             : (double)(now_ms - flight->since_ms) / (double)(flight->until_ms - flight->since_ms);
}

static SkyPoint place_at(const Flight *flight, int64_t now_ms) {
  if (flight->activity != FLIGHT_FLIES)
    return flight->from;
  const SkyPoint goal = goal_of(flight);
  const double distance_m = sky_geo_distance_m(flight->from, goal);
  return sky_geo_towards(flight->from, goal, distance_m * share_flown(flight, now_ms));
}

static double battery_at(const Flight *flight, int64_t now_ms) {
  double charge = flight->battery_fraction;
  if (flight->activity == FLIGHT_FLIES && flight->range_m > 0)
    charge -= sky_geo_distance_m(flight->from, goal_of(flight)) * share_flown(flight, now_ms) / flight->range_m;
  else if ((flight->activity == FLIGHT_AT_REST || flight->activity == FLIGHT_WAITS) && is_home(flight, flight->from) &&
           now_ms > flight->since_ms)
    charge += (double)(now_ms - flight->since_ms) * flight->charge_per_ms;
  return fmin(1, fmax(0, charge));
}

static FlightMode mode_at(const Flight *flight, double battery_fraction) {
  if (flight->activity == FLIGHT_FLIES)
    return FLIGHT_CRUISE;
  if (flight->activity == FLIGHT_DWELLS)
    return FLIGHT_HOVER;
  return battery_fraction < 1 ? FLIGHT_CHARGING : FLIGHT_LANDED;
}

FlightReport flight_look(const Flight *flight, int64_t now_ms) {
  FlightReport report = {.time_ms = now_ms,
                         .place = place_at(flight, now_ms),
                         .battery_fraction = battery_at(flight, now_ms),
                         .revision = flight->revision};
  report.mode = mode_at(flight, report.battery_fraction);
  memcpy(report.delivery_id, flight->delivery_id, sizeof(report.delivery_id));
  if (flight->activity == FLIGHT_FLIES) {
    const double bearing = sky_geo_bearing(report.place, goal_of(flight)) * M_PI / 180.0;
    report.north_mps = speed_of(flight) * cos(bearing);
    report.east_mps = speed_of(flight) * sin(bearing);
  }
  return report;
}

/* ---- activities ---- */

/* Begins an activity at a moment, with place and charge as they are then. */
static void begin(Flight *flight, int64_t at_ms, int activity, SkyPoint from, double battery_fraction) {
  flight->activity = activity;
  flight->from = from;
  flight->battery_fraction = battery_fraction;
  flight->since_ms = at_ms;
  flight->until_ms = INT64_MAX;
}

static void fly(Flight *flight, int64_t at_ms, SkyPoint from, double battery_fraction) {
  begin(flight, at_ms, FLIGHT_FLIES, from, battery_fraction);
  flight->until_ms = at_ms + travel_ms(sky_geo_distance_m(from, goal_of(flight)), speed_of(flight));
}

static void rest(Flight *flight, int64_t at_ms, SkyPoint place, double battery_fraction) {
  begin(flight, at_ms, FLIGHT_AT_REST, place, battery_fraction);
}

static void go_home_or_rest(Flight *flight, int64_t at_ms, SkyPoint place, double battery_fraction) {
  if (is_home(flight, place))
    rest(flight, at_ms, place, battery_fraction);
  else
    fly(flight, at_ms, place, battery_fraction);
}

static void drop_mission(Flight *flight) {
  free(flight->stops);
  flight->stops = NULL;
  flight->stop_count = flight->next_stop = 0;
  flight->delivery_id[0] = '\0';
  flight->revision = 0;
  flight->phase = FLIGHT_NONE;
}

void flight_init(Flight *flight, SkyPoint home, SkyPoint place, double battery_fraction, int64_t now_ms) {
  flight->home = home;
  go_home_or_rest(flight, now_ms, place, battery_fraction);
}

void flight_finish(Flight *flight) {
  drop_mission(flight);
}

/* ---- orders ---- */

static size_t stop_with(const FlightOrder *order, FlightPhase arrival_phase) {
  for (size_t i = 0; i < order->stop_count; i++) {
    if (order->stops[i].arrival_phase == arrival_phase)
      return i;
  }
  return order->stop_count - 1;
}

/* The stop a flight in this phase heads for, or dwells at. */
static size_t first_stop(const FlightOrder *order) {
  switch (order->phase) {
  case FLIGHT_AT_PICKUP:
    return stop_with(order, FLIGHT_AT_PICKUP);
  case FLIGHT_PICKED_UP:
  case FLIGHT_TO_DROPOFF:
    return stop_with(order, FLIGHT_AT_PICKUP) + 1;
  case FLIGHT_AT_DROPOFF:
    return stop_with(order, FLIGHT_AT_DROPOFF);
  case FLIGHT_DELIVERED:
  case FLIGHT_RETURNING:
    return stop_with(order, FLIGHT_AT_DROPOFF) + 1;
  default:
    return 0;
  }
}

static bool take_stops(Flight *flight, const FlightOrder *order) {
  FlightStop *stops = malloc(order->stop_count * sizeof(*stops));
  if (stops == NULL)
    return false;
  memcpy(stops, order->stops, order->stop_count * sizeof(*stops));
  drop_mission(flight);
  flight->stops = stops;
  flight->stop_count = order->stop_count;
  return true;
}

static void dwell(Flight *flight, int64_t at_ms, SkyPoint place, double battery_fraction) {
  begin(flight, at_ms, FLIGHT_DWELLS, place, battery_fraction);
  flight->until_ms = at_ms + flight->stops[flight->next_stop].dwell_ms;
}

static void wait_for_start(Flight *flight, int64_t at_ms, int64_t start_ms, SkyPoint place, double battery_fraction) {
  begin(flight, at_ms, FLIGHT_WAITS, place, battery_fraction);
  flight->until_ms = start_ms > at_ms ? start_ms : at_ms;
}

bool flight_order(Flight *flight, const FlightOrder *order, int64_t now_ms) {
  const bool same = strcmp(flight->delivery_id, order->delivery_id) == 0;
  if (order->stop_count == 0 || order->stop_count > FLIGHT_MAX_STOPS || (same && order->revision <= flight->revision))
    return false;
  const FlightReport here = flight_look(flight, now_ms);
  if (!take_stops(flight, order))
    return false;
  strncpy(flight->delivery_id, order->delivery_id, sizeof(flight->delivery_id) - 1);
  flight->revision = order->revision;
  flight->phase = order->phase;
  flight->mission_speed_mps = order->speed_mps;
  flight->next_stop = first_stop(order);
  if (order->phase == FLIGHT_AT_PICKUP || order->phase == FLIGHT_AT_DROPOFF)
    dwell(flight, now_ms, flight->stops[flight->next_stop].point, here.battery_fraction);
  else if (order->phase == FLIGHT_NONE)
    wait_for_start(flight, now_ms, order->start_ms, here.place, here.battery_fraction);
  else
    fly(flight, now_ms, here.place, here.battery_fraction);
  return true;
}

void flight_abort(Flight *flight, int64_t now_ms) {
  if (flight->delivery_id[0] == '\0')
    return;
  const FlightReport here = flight_look(flight, now_ms);
  drop_mission(flight);
  go_home_or_rest(flight, now_ms, here.place, here.battery_fraction);
}

/* ---- events ---- */

int64_t flight_next_ms(const Flight *flight) {
  return flight->until_ms;
}

typedef struct Reports {
  FlightReport *list;
  size_t count;
} Reports;

static void enter(Flight *flight, FlightPhase phase, int64_t at_ms, Reports *reports) {
  flight->phase = phase;
  FlightReport *report = &reports->list[reports->count++];
  *report = flight_look(flight, at_ms);
  report->phase = phase;
}

/* What follows the stay at a stop. */
static void leave_stop(Flight *flight, int64_t at_ms, SkyPoint place, double battery_fraction, Reports *reports) {
  const FlightPhase arrival = flight->stops[flight->next_stop].arrival_phase;
  if (++flight->next_stop >= flight->stop_count) { /* an order without a way home: from here on it is ours */
    drop_mission(flight);
    go_home_or_rest(flight, at_ms, place, battery_fraction);
    return;
  }
  fly(flight, at_ms, place, battery_fraction);
  if (arrival == FLIGHT_AT_PICKUP) {
    enter(flight, FLIGHT_PICKED_UP, at_ms, reports);
    enter(flight, FLIGHT_TO_DROPOFF, at_ms, reports);
  } else if (arrival == FLIGHT_AT_DROPOFF) {
    enter(flight, FLIGHT_DELIVERED, at_ms, reports);
    enter(flight, FLIGHT_RETURNING, at_ms, reports);
  }
}

static void arrive(Flight *flight, int64_t at_ms, Reports *reports) {
  const SkyPoint place = goal_of(flight);
  const double battery_fraction = battery_at(flight, at_ms);
  if (flight->delivery_id[0] == '\0') {
    rest(flight, at_ms, flight->home, battery_fraction);
    FlightReport *report = &reports->list[reports->count++];
    *report = flight_look(flight, at_ms); /* free again, once this is known */
    return;
  }
  const FlightStop *stop = &flight->stops[flight->next_stop];
  if (stop->arrival_phase == FLIGHT_ENDED) {
    rest(flight, at_ms, place, battery_fraction);
    enter(flight, FLIGHT_ENDED, at_ms, reports);
    drop_mission(flight);
  } else if (stop->arrival_phase == FLIGHT_NONE) {
    leave_stop(flight, at_ms, place, battery_fraction, reports);
  } else {
    dwell(flight, at_ms, place, battery_fraction);
    enter(flight, stop->arrival_phase, at_ms, reports);
  }
}

size_t flight_step(Flight *flight, int64_t now_ms, FlightReport list[FLIGHT_MAX_REPORTS]) {
  enum { MOST_PER_EVENT = 2 };
  Reports reports = {.list = list};
  while (flight->until_ms <= now_ms && reports.count + MOST_PER_EVENT <= FLIGHT_MAX_REPORTS) {
    const int64_t at_ms = flight->until_ms;
    if (flight->activity == FLIGHT_FLIES) {
      arrive(flight, at_ms, &reports);
    } else if (flight->activity == FLIGHT_DWELLS) {
      leave_stop(flight, at_ms, flight->from, flight->battery_fraction, &reports);
    } else {
      fly(flight, at_ms, flight->from, battery_at(flight, at_ms));
      enter(flight, FLIGHT_TO_PICKUP, at_ms, &reports);
    }
  }
  return reports.count;
}
