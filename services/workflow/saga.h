/*
 * Saga: what turns one delivery request into a delivery, step by step, and undoes it when a step fails for good.
 *
 * Pure: saga_step() takes an event and the time and says what to do next; it calls nobody, stores nothing and reads no
 * clock, so a simulator can drive thousands of sagas through lost answers and crashes in virtual time.
 *
 * At most one action is under way at a time. Every call to a peer is idempotent by the saga's id, so what is lost in a
 * crash may simply be done again: only what could otherwise not be found out is marked to be persisted
 * (SagaEffect.persist) before the action is performed.
 *
 * Steps run in the order of their numbers and are undone in reverse. A step is undone when it was done, or when it may
 * have been done though no answer said so ("uncertain").
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sky/core/backoff.h>

/* Numbers of fabrikam.common.v1.WorkflowStep. */
typedef enum SagaStep {
  SAGA_NO_STEP,
  SAGA_ACCOUNT,
  SAGA_TRANSPORT,
  SAGA_PACKAGE,
  SAGA_DRONE,
  SAGA_DELIVERY,
  SAGA_STEP_END
} SagaStep;

/* Numbers of fabrikam.workflow.v1.WorkflowState; SAGA_NEW: no order has come yet. */
typedef enum SagaState {
  SAGA_NEW,
  SAGA_RUNNING,
  SAGA_COMPENSATING,
  SAGA_COMPLETED,
  SAGA_REJECTED,
  SAGA_FAILED,
  SAGA_CANCELLED
} SagaState;

/* Numbers of fabrikam.workflow.v1.StepState. */
typedef enum SagaStepState {
  SAGA_STEP_UNTOUCHED,
  SAGA_STEP_STARTED,
  SAGA_STEP_DONE,
  SAGA_STEP_SKIPPED,
  SAGA_STEP_FAILED,
  SAGA_STEP_UNDONE
} SagaStepState;

/* Reasons the saga itself knows; the others are passed on. */
#define SAGA_NO_CARRIER "NO_CARRIER"
#define SAGA_NO_DRONE_IN_WINDOW "NO_DRONE_IN_WINDOW"
#define SAGA_ALREADY_PICKED_UP "DELIVERY_ALREADY_PICKED_UP"
#define SAGA_DELIVERY_FINAL "DELIVERY_FINAL"
#define SAGA_TIMED_OUT "TIMED_OUT"
#define SAGA_CANCELLED_BY_OWNER "CANCELLED_BY_OWNER"

/* Cut when longer. */
typedef struct SagaReason {
  char code[48]; /* "" when there is none */
  char message[160];
} SagaReason;

typedef struct SagaStepInfo {
  SagaStepState state;
  bool uncertain; /* may have had its effect though no answer said so */
  int32_t attempts;
  int64_t start_ms; /* first call; 0: none */
  int64_t end_ms;
  SagaReason reason; /* of the last attempt when it failed */
} SagaStepInfo;

/* New terms for a saga whose drone or delivery has the old ones already. */
typedef enum SagaChange {
  SAGA_CHANGE_NONE,
  SAGA_CHANGE_ASKED,         /* waits for the saga to complete, then for the delivery's yes */
  SAGA_CHANGE_DELIVERY_DONE, /* the delivery has the new terms, the drone not yet */
  SAGA_CHANGE_REVERT_DRONE,  /* refused: back to the old terms */
  SAGA_CHANGE_REVERT_DELIVERY
} SagaChange;

typedef enum SagaAction {
  SAGA_DO_NOTHING,      /* an event changed nothing: what is under way goes on */
  SAGA_DO_CALL,         /* call the step's service */
  SAGA_DO_UNDO,         /* call the step's undo */
  SAGA_DO_WAIT,         /* send SAGA_EVENT_TIMER at until_ms */
  SAGA_DO_REST,         /* nothing left to do; a completed saga may still be cancelled or changed */
  SAGA_DO_CHANGE,       /* delivery.Reschedule with the new terms */
  SAGA_DO_CHANGE_DRONE, /* AssignDrone with the new terms */
  SAGA_DO_REVERT_DRONE, /* the same with the old terms */
  SAGA_DO_REVERT
} SagaAction;

/* What has happened since the last append to the log; the driver clears it when it has appended. */
typedef struct SagaNews {
  uint8_t steps; /* bit n: step n was done or skipped */
  bool started, completed, compensated, failed;
} SagaNews;

typedef struct Saga {
  SagaState state;
  SagaAction doing; /* under way */
  SagaStep step;    /* of doing; else of the last action */
  uint32_t serial;  /* of doing: an answer with another one is too late */
  uint32_t tries;   /* failures in a row of what is being done; spaces the retries */
  SagaStepInfo steps[SAGA_STEP_END];
  SagaState outcome; /* while COMPENSATING: how it will end */
  SagaStep failed_step;
  SagaReason reason;
  bool cancel_asked;
  SagaReason cancel_reason;
  bool carrier_forced; /* no own drone can do it */
  bool carrier_booked;
  bool package_created;
  bool was_completed;
  SagaChange change;
  bool change_needs_drone;
  bool change_drone_uncertain;
  int64_t change_by_ms;
  int64_t complete_by_ms;
  SagaNews news;
} Saga;

typedef enum SagaEventKind {
  SAGA_EVENT_BEGIN,   /* the order is there: complete_by_ms */
  SAGA_EVENT_RESUME,  /* the saga was read back: what was under way is not known */
  SAGA_EVENT_OK,      /* the action under way is done */
  SAGA_EVENT_REFUSED, /* refused for good */
  SAGA_EVENT_TROUBLE, /* failed in a way that may pass */
  SAGA_EVENT_BLOCKED, /* was not tried: try at until_ms (circuit open); no attempt */
  SAGA_EVENT_TIMER,   /* the wait is over */
  SAGA_EVENT_CANCEL,  /* the owner cancels: code, message */
  SAGA_EVENT_CHANGE   /* the owner changes terms: needs_drone */
} SagaEventKind;

typedef struct SagaEvent {
  SagaEventKind kind;
  uint32_t serial;        /* OK, REFUSED, TROUBLE, BLOCKED, TIMER: of the action answered */
  const char *code;       /* REFUSED, TROUBLE, CANCEL; may be NULL */
  const char *message;    /* may be NULL */
  bool not_found;         /* REFUSED: there is nothing to undo */
  bool definite;          /* TROUBLE: the peer said that it did nothing */
  int64_t retry_after_ms; /* TROUBLE: what the peer asked for; <= 0: nothing */
  int64_t until_ms;       /* BLOCKED */
  int64_t complete_by_ms; /* BEGIN */
  bool skipped;           /* OK: the step was not needed */
  bool created;           /* OK of package: this saga made it */
  bool booked;            /* OK of transport: by a carrier */
  bool needs_drone;       /* CHANGE: the drone's orders change too */
} SagaEvent;

typedef struct SagaEffect {
  SagaAction action;
  SagaStep step;
  uint32_t serial;
  int64_t until_ms;  /* WAIT */
  bool persist;      /* the saga must be stored before the action is performed */
  bool apply_change; /* the new terms are the order's now */
  bool drop_change;  /* the new terms are not wanted any more */
} SagaEffect;

typedef struct SagaPolicy {
  SkyBackoff backoff;
  int64_t max_retry_after_ms; /* no peer can make it wait longer */
  int64_t change_timeout_ms;
  const SkyRandom *random;
} SagaPolicy;

extern const SkyBackoff saga_default_backoff;

void saga_init(Saga *saga);
SagaEffect saga_step(Saga *saga, const SagaEvent *event, const SagaPolicy *policy, int64_t now_ms);

/* Rejected, failed or cancelled: nothing can happen any more. (Completed is final too, until it is cancelled.) */
bool saga_is_over(const Saga *saga);
/* A change can be taken now: none is waiting, and the saga has not come to nothing. */
bool saga_can_change(const Saga *saga);
