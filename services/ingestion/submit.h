/*
 * Submission: one request on its way into the stream. Under an idempotency key it may be there already, or be known to
 * the workflow, however long ago; then it must be the same order, and nothing is published.
 */
#pragma once

#include "fabrikam/events/v1/ingestion.sky.h"
#include "ingestion/handlers.h"

/*
 * How it went: once, on any thread; owns the status. known: the earlier request under this key as it stands now, valid
 * during the call; NULL when the request is new. IDEMPOTENCY_KEY_REUSED: the earlier one was for another order.
 */
typedef void (*SubmissionDone)(void *user, SkyStatus status, const ingestion_DeliveryRequestStatus *known);

/* Lives, like all it points to, until done. */
typedef struct Submission {
  IngestionService *service;
  const SkyContext *context;
  const events_DeliveryRequested *event;
  SubmissionDone done;
  void *user;
} Submission;

/* done may run before this returns. */
void ingestion_submit(Submission *submission);
