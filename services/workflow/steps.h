/*
 * Steps: what the saga's actions are in calls to other services, and what their answers mean for it.
 *
 * Every request is idempotent by the saga's id: asked again with the same record it is the same request.
 */
#pragma once

#include <sky/rpc/client.h>

#include "workflow/record.h"

typedef enum StepsPeer { PEER_ACCOUNT, PEER_PACKAGE, PEER_DRONE, PEER_DELIVERY, PEER_COUNT, PEER_NONE } StepsPeer;
extern const char *const steps_peer_names[PEER_COUNT + 1]; /* for SkyServiceDefinition.peers */

typedef struct Steps {
  SkyClient *peers[PEER_COUNT];
} Steps;

/* What an answer means. sick: the peer was away or broken. Texts live as long as status and result do. */
typedef struct StepsAnswer {
  SagaEvent event;
  bool sick;
} StepsAnswer;

/* The answer's event, and what it brought, which the handler takes over into the record (steps_take_result()). */
typedef void (*StepsDone)(void *user, const StepsAnswer *answer, SagaAction action, SagaStep step,
                          const ProtobufCMessage *response);

/* Whom an action asks; PEER_NONE: it is decided here, at once. */
StepsPeer steps_peer(SagaAction action, SagaStep step);

/*
 * Performs the action: builds its request from the record (on the calling thread, before it returns) and calls done
 * once, on the I/O thread or before this returns.
 */
void steps_perform(const Steps *steps, const SkyContext *context, const SagaRecord *record, const SagaEffect *effect,
                   StepsDone done, void *user);

/* Takes over what a successful answer brought. */
SKY_MUST_USE SkyStatus steps_take_result(SagaRecord *record, SagaAction action, SagaStep step,
                                         const ProtobufCMessage *response);
