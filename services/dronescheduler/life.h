/*
 * Life: what a drone's event log says of it: which delivery it has, how far its flight is, whether it has failed. Pure.
 *
 * life_step() decides what an event of the outside (an assignment, a frame, a release) means and returns facts;
 * life_apply() folds a fact into the state. A fact is appended to the drone's log before it is applied, so state = fold
 * of the log, now and after a restart; only what lies between two milestones (life_is_passing()) is in memory alone.
 *
 * Not thread-safe: the caller serialises per drone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/geo.h>
#include <sky/core/id.h>

enum { LIFE_ID_SIZE = 65, LIFE_REASON_SIZE = 65, LIFE_MESSAGE_SIZE = 257, LIFE_MAX_FACTS = 6 };

/* Phases of a flight, numbered as in fabrikam.common.v1.MissionPhase (checked in map.c). They only go forward. */
typedef enum LifePhase {
  LIFE_PHASE_NONE = 0,
  LIFE_PHASE_TO_PICKUP = 1,
  LIFE_PHASE_AT_PICKUP = 2,
  LIFE_PHASE_PICKED_UP = 3,
  LIFE_PHASE_TO_DROPOFF = 4,
  LIFE_PHASE_AT_DROPOFF = 5,
  LIFE_PHASE_DELIVERED = 6,
  LIFE_PHASE_RETURNING = 7,
  LIFE_PHASE_ENDED = 8,
  LIFE_PHASE_ABORTED = 9,
  LIFE_PHASE_FAILED = 10,
} LifePhase;

typedef struct LifePlace {
  SkyPoint point;
  double altitude_m; /* meaningful when has_altitude */
  bool has_altitude;
  bool known;
} LifePlace;

typedef struct LifeReason {
  char code[LIFE_REASON_SIZE];
  char message[LIFE_MESSAGE_SIZE];
} LifeReason;

/* One delivery's flight by this drone. */
typedef struct LifeMission {
  char delivery_id[SKY_UUID_TEXT_SIZE];
  char owner_id[LIFE_ID_SIZE];
  uint64_t revision; /* of the terms; frames of older ones are history */
  uint64_t version;  /* of the delivery's events: consecutive over all drones that had it */
  LifePhase phase;
  LifePlace start; /* where the drone was when it was chosen */
  LifePlace pickup;
  LifePlace dropoff;
  double distance_m; /* planned: to the pickup, to the drop-off and home */
  int64_t assign_ms; /* when this drone got it */
  int64_t pickup_eta_ms;
  int64_t delivery_eta_ms;
} LifeMission;

typedef struct Life {
  bool busy; /* has the mission */
  LifeMission mission;
  bool homing; /* called off in the air: flies home and is free there */
  bool failed;
  LifeReason fault;
  LifePlace place; /* where the log last saw it */
  double battery_fraction;
  int64_t change_ms;
  char ended_delivery_id[SKY_UUID_TEXT_SIZE]; /* the last one that ended: its frames are repeats, no contradictions */
  uint64_t ended_revision;
} Life;

typedef enum LifeFactKind { LIFE_ASSIGNED = 1, LIFE_PROGRESSED, LIFE_RELEASED, LIFE_FAILED } LifeFactKind;

typedef struct LifeFact {
  LifeFactKind kind;
  int64_t time_ms;
  LifeMission mission;      /* as it is after the fact: id, owner, revision, version, phase; ASSIGNED: all of it */
  LifePhase previous_phase; /* PROGRESSED */
  LifePlace place;
  double battery_fraction;
  double speed_mps;
  bool passing;          /* PROGRESSED: known in memory only, see life_is_passing() */
  bool completed;        /* RELEASED */
  bool package_on_board; /* FAILED */
  double distance_m;     /* RELEASED: way flown */
  LifeReason reason;
  char other_drone_id[LIFE_ID_SIZE]; /* ASSIGNED: the drone that had it before */
} LifeFact;

typedef enum LifeEventKind {
  LIFE_ASSIGN = 1, /* a new delivery, or new terms of the one it has (greater revision) */
  LIFE_REPORT,     /* a frame */
  LIFE_RELEASE,    /* taken back before pickup */
  LIFE_LOSE,       /* not heard of for too long */
} LifeEventKind;

typedef struct LifeEvent {
  LifeEventKind kind;
  LifeMission mission; /* ASSIGN: the terms */
  char other_drone_id[LIFE_ID_SIZE];
  char delivery_id[SKY_UUID_TEXT_SIZE]; /* REPORT, RELEASE */
  uint64_t revision;                    /* REPORT */
  LifePhase phase;                      /* REPORT; NONE: says nothing of it */
  bool health_failed;                   /* REPORT */
  LifePlace place;
  double battery_fraction;
  double speed_mps;
  double flown_m; /* way flown on the mission so far */
  LifeReason reason;
} LifeEvent;

typedef enum LifeOutcome {
  LIFE_CHANGED,    /* facts to be appended */
  LIFE_SAME,       /* nothing new: a repeat or an old frame */
  LIFE_IMPOSSIBLE, /* contradicts what is known */
  LIFE_TOO_LATE,   /* release or new terms after pickup */
} LifeOutcome;

typedef struct LifeFacts {
  LifeFact fact[LIFE_MAX_FACTS];
  size_t count;
} LifeFacts;

/* What the event means. Adds no facts unless it returns LIFE_CHANGED. */
LifeOutcome life_step(const Life *life, const LifeEvent *event, int64_t now_ms, LifeFacts *facts);

/* Folds a fact that is in the log. Facts of a mission the drone does not have change nothing. */
void life_apply(Life *life, const LifeFact *fact);

/*
 * No milestone (on its way, package on board, package dropped, failed): nobody's decision depends on it, so the log
 * does not keep it, no event tells it and it takes no version. After a restart a drone is at the milestone before it,
 * from where it goes on. The end is told by the release that comes with it.
 */
bool life_is_passing(LifePhase phase);

/* The package is on board or delivered: neither release nor new terms any more. */
bool life_is_picked_up(LifePhase phase);

void life_reason_set(LifeReason *reason, const char *code, const char *message); /* cut to size at a character */
