/* What clients see of a saga, and of a request that still waits in the stream. */
#include "sky_check.h"

#include <string.h>

#include "ingestion/convert.h"

static SkyArena arena;
static common_DeliveryOrder order;
static common_Reason reason;
static protobuf_Timestamp asked, begun, changed;
static workflow_WorkflowResult result;
static workflow_Workflow workflow;

static void setup(void) {
  sky_arena_init(&arena, 1 << 16);
  order = (common_DeliveryOrder)common_DeliveryOrder_INIT;
  reason = (common_Reason)common_Reason_INIT;
  asked = begun = changed = (protobuf_Timestamp)protobuf_Timestamp_INIT;
  result = (workflow_WorkflowResult)workflow_WorkflowResult_INIT;
  result.drone_id = "drone-7";
  workflow = (workflow_Workflow)workflow_Workflow_INIT;
  workflow.id = "id-1";
  workflow.order = &order;
  workflow.reason = &reason;
  workflow.request_time = &asked;
  workflow.create_time = &begun;
  workflow.update_time = &changed;
  workflow.etag = "v3";
  workflow.result = &result;
}

static void teardown(void) {
  sky_arena_finish(&arena);
}

static const ingestion_DeliveryRequestStatus *seen(workflow_WorkflowState state) {
  workflow.state = state;
  const ingestion_DeliveryRequestStatus *status = convert_workflow(&workflow, &arena);
  ck_assert_ptr_nonnull(status);
  return status;
}

static const struct {
  workflow_WorkflowState saga;
  ingestion_DeliveryRequestState request;
  bool is_final;
} states[] = {
    {workflow_WORKFLOW_STATE_RUNNING, ingestion_DELIVERY_REQUEST_STATE_PROCESSING, false},
    {workflow_WORKFLOW_STATE_COMPENSATING, ingestion_DELIVERY_REQUEST_STATE_PROCESSING, false},
    {workflow_WORKFLOW_STATE_COMPLETED, ingestion_DELIVERY_REQUEST_STATE_SCHEDULED, false}, /* may still be cancelled */
    {workflow_WORKFLOW_STATE_REJECTED, ingestion_DELIVERY_REQUEST_STATE_REJECTED, true},
    {workflow_WORKFLOW_STATE_FAILED, ingestion_DELIVERY_REQUEST_STATE_FAILED, true},
    {workflow_WORKFLOW_STATE_CANCELLED, ingestion_DELIVERY_REQUEST_STATE_CANCELLED, true},
};
enum { STATE_COUNT = sizeof(states) / sizeof(states[0]) };

START_TEST(every_state_of_a_saga_is_one_of_a_request) {
  for (size_t i = 0; i < STATE_COUNT; i++) {
    ck_assert_int_eq(seen(states[i].saga)->state, states[i].request);
    ck_assert_int_eq(convert_is_final(states[i].request), states[i].is_final);
  }
  ck_assert(!convert_is_final(ingestion_DELIVERY_REQUEST_STATE_ACCEPTED));
}
END_TEST

START_TEST(a_filter_finds_what_it_names) {
  for (size_t i = 0; i < STATE_COUNT; i++) {
    const workflow_WorkflowState asked_for = convert_state_filter(states[i].request);
    ck_assert_int_eq(seen(asked_for)->state, states[i].request);
  }
  ck_assert_int_eq(convert_state_filter(ingestion_DELIVERY_REQUEST_STATE_UNSPECIFIED),
                   workflow_WORKFLOW_STATE_UNSPECIFIED);
}
END_TEST

START_TEST(a_request_carries_its_order_times_and_reason) {
  const ingestion_DeliveryRequestStatus *status = seen(workflow_WORKFLOW_STATE_REJECTED);
  ck_assert_str_eq(status->id, "id-1");
  ck_assert_str_eq(status->etag, "v3");
  ck_assert_ptr_eq(status->order, &order);
  ck_assert_ptr_eq(status->reason, &reason);
  ck_assert_ptr_eq(status->create_time, &asked);
  ck_assert_ptr_eq(status->update_time, &changed);
  workflow.request_time = NULL; /* of a saga that was begun before the event had the time */
  ck_assert_ptr_eq(seen(workflow_WORKFLOW_STATE_REJECTED)->create_time, &begun);
}
END_TEST

START_TEST(drone_and_delivery_are_told_when_scheduled_and_only_then) {
  for (size_t i = 0; i < STATE_COUNT; i++) {
    const bool scheduled = states[i].request == ingestion_DELIVERY_REQUEST_STATE_SCHEDULED;
    const ingestion_DeliveryRequestStatus *status = seen(states[i].saga);
    ck_assert_str_eq(status->delivery_id, scheduled ? "id-1" : "");
    ck_assert_str_eq(status->drone_id, scheduled ? "drone-7" : "");
  }
  workflow.result = NULL;
  ck_assert_str_eq(seen(workflow_WORKFLOW_STATE_COMPLETED)->drone_id, "");
}
END_TEST

START_TEST(a_step_is_told_while_processing_and_only_then) {
  workflow.step = common_WORKFLOW_STEP_DRONE;
  for (size_t i = 0; i < STATE_COUNT; i++) {
    const bool processing = states[i].request == ingestion_DELIVERY_REQUEST_STATE_PROCESSING;
    ck_assert_int_eq((int)seen(states[i].saga)->step, processing ? (int)common_WORKFLOW_STEP_DRONE : 0);
  }
}
END_TEST

START_TEST(what_waits_in_the_stream_is_accepted) {
  events_DeliveryRequested event = events_DeliveryRequested_INIT;
  event.delivery_id = "id-2";
  event.order = &order;
  event.occur_time = &asked;
  const ingestion_DeliveryRequestStatus *status = convert_waiting(&event, &arena);
  ck_assert_str_eq(status->id, "id-2");
  ck_assert_int_eq(status->state, ingestion_DELIVERY_REQUEST_STATE_ACCEPTED);
  ck_assert_ptr_eq(status->order, &order);
  ck_assert_ptr_eq(status->create_time, &asked);
  ck_assert_str_eq(status->etag, "v0");
}
END_TEST

START_TEST(without_memory_there_is_no_status) {
  events_DeliveryRequested event = events_DeliveryRequested_INIT;
  SkyArena tiny;
  sky_arena_init(&tiny, 1);
  ck_assert_ptr_null(convert_workflow(&workflow, &tiny));
  ck_assert_ptr_null(convert_waiting(&event, &tiny));
  sky_arena_finish(&tiny);
}
END_TEST

SKY_CHECK_MAIN_WITH("ingestion/convert", setup, teardown, every_state_of_a_saga_is_one_of_a_request,
                    a_filter_finds_what_it_names, a_request_carries_its_order_times_and_reason,
                    drone_and_delivery_are_told_when_scheduled_and_only_then,
                    a_step_is_told_while_processing_and_only_then, what_waits_in_the_stream_is_accepted,
                    without_memory_there_is_no_status)
