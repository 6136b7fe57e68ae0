#include "ingestion/submit.h"

#include <string.h>

#include <sky/codec/message.h>

#include "fabrikam/events/v1/ingestion.event.h"
#include "fabrikam/workflow/v1/workflow.rpc.h"
#include "ingestion/convert.h"
#include "ingestion/order.h"

enum { ASK_TIMEOUT_MS = 1000, ARENA_BYTES = 4 << 20 };

static void finish(Submission *submission, SkyStatus status, const ingestion_DeliveryRequestStatus *known) {
  submission->done(submission->user, status, known);
}

/* digest: of the earlier request's order as it was sent, for its terms may have changed since; empty when a release
 * that knew no digests took it. */
static void finish_known(Submission *submission, const char *digest, const ingestion_DeliveryRequestStatus *known) {
  const events_DeliveryRequested *event = submission->event;
  const bool same = digest[0] != '\0'
                        ? strcmp(digest, event->order_digest) == 0
                        : known->order == NULL || sky_message_same(&known->order->base, &event->order->base);
  if (same)
    finish(submission, SKY_OK, known);
  else
    finish(submission,
           sky_status_with_reason(SKY_ALREADY_EXISTS("the idempotency key was used for another order"),
                                  "IDEMPOTENCY_KEY_REUSED"),
           NULL);
}

/* The stream holds the request, or did. On a worker. */
static void compare_with_first(void *user) {
  Submission *submission = user;
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  ingestion_DeliveryRequestStatus *known;
  const char *digest;
  SkyStatus status = ingestion_lookup_first(submission->service, submission->context, submission->event->delivery_id,
                                            &arena, &known, &digest);
  if (status == SKY_OK)
    finish_known(submission, digest, known);
  else
    finish(submission, status, NULL);
  sky_arena_finish(&arena);
}

static void on_published(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
  Submission *submission = user;
  if (status != SKY_OK) {
    finish(submission, ingestion_queue_error(status), NULL);
    return;
  }
  if (!confirmation->duplicate) {
    finish(submission, SKY_OK, NULL);
    return;
  }
  status = sky_rpc_run(submission->service->rpc, compare_with_first, submission);
  if (status != SKY_OK)
    finish(submission, ingestion_queue_error(status), NULL);
}

static bool has_key(const Submission *submission) {
  return submission->event->idempotency_key[0] != '\0';
}

static void publish(void *user) {
  Submission *submission = user;
  const events_DeliveryRequested *event = submission->event;
  SkyBus *bus = submission->service->bus;
  if (has_key(submission))
    sky_event_publish_first_async(bus, submission->context, &events_DeliveryRequested_event, &event->base, on_published,
                                  submission);
  else
    events_DeliveryRequested_publish_async(bus, submission->context, event, on_published, submission);
}

/*
 * New; or the workflow is away or hangs, and a request must not wait for it. Any other error, that it is overloaded
 * above all, comes from one that may know the request, perhaps with another order: the client is to come again.
 */
static bool may_publish(const SkyError *status) {
  const SkyCode code = sky_status_code(status);
  return code == SKY_CODE_NOT_FOUND || code == SKY_CODE_UNAVAILABLE || code == SKY_CODE_DEADLINE_EXCEEDED;
}

/* On the I/O thread, where nothing is published. */
static void publish_if_new(Submission *submission, SkyStatus status) {
  if (may_publish(status)) {
    sky_status_free(status);
    status = sky_rpc_run(submission->service->rpc, publish, submission);
  } else if (!sky_status_is_retryable(status)) { /* a fault of ours, whatever it says */
    sky_status_free(status);
    status = SKY_UNAVAILABLE("the workflow cannot say whether it knows the request");
  }
  if (status != SKY_OK)
    finish(submission, ingestion_queue_error(status), NULL);
}

static void on_asked(void *user, SkyStatus status, const workflow_GetWorkflowResponse *response) {
  Submission *submission = user;
  if (status != SKY_OK) {
    publish_if_new(submission, status);
    return;
  }
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  const ingestion_DeliveryRequestStatus *known = convert_workflow(response->workflow, &arena);
  if (known != NULL)
    finish_known(submission, response->workflow->order_digest, known);
  else
    finish(submission, sky_status_no_memory(), NULL);
  sky_arena_finish(&arena);
}

static void ask_workflow(Submission *submission) {
  const SkyContext context = sky_context_with_timeout_ms(submission->context, ASK_TIMEOUT_MS);
  workflow_GetWorkflowRequest request = workflow_GetWorkflowRequest_INIT;
  request.id = submission->event->delivery_id;
  workflow_WorkflowService_get_workflow_async(submission->service->workflow, &context, &request, on_asked, submission);
}

void ingestion_submit(Submission *submission) {
  if (has_key(submission) && sky_client_is_ready(submission->service->workflow))
    ask_workflow(submission);
  else
    publish(submission);
}
