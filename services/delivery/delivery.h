/*
 * Delivery: the aggregate of one delivery's life. Pure: decisions are made on the fold of its events and answered with
 * events; nothing here reads a clock or a store.
 *
 * Stages go Created → HeadedToPickup → HeadedToDropoff → Completed; until pickup a delivery may be Cancelled or
 * Rescheduled (new terms, and again HeadedToPickup), and at any time before the end it may end Failed. Progress comes
 * at least once and in any order: old news changes nothing, and news that skips a stage brings the skipped events with
 * it.
 *
 * The document is in the arena of the caller's work; events borrow from document and request.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/id.h>
#include <sky/service/event_log.h>

#include "delivery/delivery_store.sky.h"
#include "delivery/eta.h"
#include "fabrikam/delivery/v1/delivery.sky.h"

typedef delivery_store_DeliveryDocument DeliveryDocument;

enum { DELIVERY_MAX_EVENTS = 4, DELIVERY_MAX_CHANGES = 64 };

/* The events that a decision adds; none when nothing changes. */
typedef struct DeliveryDecision {
  SkyAppend events[DELIVERY_MAX_EVENTS];
  size_t count;
} DeliveryDecision;

/* What decisions need from outside. */
typedef struct DeliveryWork {
  SkyArena *arena;
  const SkyRandom *random; /* event ids */
  int64_t now_ms;
  const EtaModel *eta;
} DeliveryWork;

/* Drone's news, from the event stream or ReportProgress. */
typedef struct DeliveryProgress {
  const char *drone_id;
  common_MissionPhase phase;
  const common_Location *location; /* may be NULL */
  double speed_mps;
  int64_t observe_ms;
  const common_Reason *reason; /* may be NULL */
} DeliveryProgress;

/* What the drone's positions say now. */
typedef struct DeliveryEstimate {
  int64_t pickup_ms;  /* Unix time; 0 after pickup */
  int64_t dropoff_ms; /* Unix time */
  double confidence;  /* 0 to 1 */
} DeliveryEstimate;

/* Has the arrival moved by more than people would overlook: by a minute and by a tenth of the time still to go? */
bool delivery_arrival_is_news(int64_t told_ms, int64_t arrival_ms, int64_t now_ms);

bool delivery_stage_is_final(common_DeliveryStage stage);

/* Would the phase bring a delivery of this stage further? */
bool delivery_phase_is_news(common_DeliveryStage stage, common_MissionPhase phase);

/* Folds one event in. document->delivery is NULL at first. Unknown events are passed over. */
SKY_MUST_USE SkyStatus delivery_fold(DeliveryDocument *document, const SkyLogged *logged, SkyArena *arena);

/* Each takes the fold (delivery NULL: there is none yet) and gives events, or the error for the caller. */
SKY_MUST_USE SkyStatus delivery_put(const DeliveryDocument *document, const delivery_PutDeliveryRequest *request,
                                    const DeliveryWork *work, DeliveryDecision *ret);
SKY_MUST_USE SkyStatus delivery_progress(const DeliveryDocument *document, const DeliveryProgress *progress,
                                         const DeliveryWork *work, DeliveryDecision *ret);
/* Nothing when it is no news; a delivery that has ended has no estimate. */
SKY_MUST_USE SkyStatus delivery_estimate(const DeliveryDocument *document, const DeliveryEstimate *estimate,
                                         const DeliveryWork *work, DeliveryDecision *ret);
SKY_MUST_USE SkyStatus delivery_cancel(const DeliveryDocument *document, const char *id, const common_Reason *reason,
                                       const DeliveryWork *work, DeliveryDecision *ret);
SKY_MUST_USE SkyStatus delivery_reschedule(const DeliveryDocument *document, const delivery_RescheduleRequest *request,
                                           const DeliveryWork *work, DeliveryDecision *ret);

SkyPoint delivery_point(const common_Location *location);
