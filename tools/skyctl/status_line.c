#include "skyctl/status_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <sky/core/time.h>

const char *status_stage_name(common_DeliveryStage stage) {
  switch (stage) {
  case common_DELIVERY_STAGE_CREATED:
    return "created";
  case common_DELIVERY_STAGE_HEADED_TO_PICKUP:
    return "headed to pickup";
  case common_DELIVERY_STAGE_HEADED_TO_DROPOFF:
    return "headed to drop-off";
  case common_DELIVERY_STAGE_COMPLETED:
    return "completed";
  case common_DELIVERY_STAGE_CANCELLED:
    return "cancelled";
  case common_DELIVERY_STAGE_RESCHEDULED:
    return "rescheduled";
  case common_DELIVERY_STAGE_FAILED:
    return "failed";
  default:
    return "unknown";
  }
}

const char *status_request_state_name(ingestion_DeliveryRequestState state) {
  switch (state) {
  case ingestion_DELIVERY_REQUEST_STATE_ACCEPTED:
    return "accepted";
  case ingestion_DELIVERY_REQUEST_STATE_PROCESSING:
    return "processing";
  case ingestion_DELIVERY_REQUEST_STATE_SCHEDULED:
    return "scheduled";
  case ingestion_DELIVERY_REQUEST_STATE_REJECTED:
    return "rejected";
  case ingestion_DELIVERY_REQUEST_STATE_FAILED:
    return "failed";
  case ingestion_DELIVERY_REQUEST_STATE_CANCELLED:
    return "cancelled";
  default:
    return "unknown";
  }
}

static size_t end_of(size_t at, int printed) {
  const size_t end = at + (size_t)(printed < 0 ? 0 : printed);
  return end < STATUS_LINE_SIZE ? end : STATUS_LINE_SIZE - 1;
}

static size_t write_eta(const delivery_DeliveryStatus *status, int64_t now_ms, char *text, size_t at) {
  const bool to_pickup = status->stage < common_DELIVERY_STAGE_HEADED_TO_DROPOFF && status->pickup_eta != NULL;
  const common_Eta *eta = to_pickup ? status->pickup_eta : status->delivery_eta;
  if (eta == NULL || eta->time == NULL)
    return at;
  const int64_t left_s = eta->time->seconds - now_ms / SKY_MS_PER_S;
  const time_t when = (time_t)eta->time->seconds;
  struct tm local;
  char clock[16];
  localtime_r(&when, &local);
  strftime(clock, sizeof(clock), "%H:%M:%S", &local);
  const char *what = to_pickup ? "picks up" : "arrives";
  if (left_s < 0)
    return end_of(at, snprintf(text + at, STATUS_LINE_SIZE - at, "  %s now (%s)", what, clock));
  return end_of(at, snprintf(text + at, STATUS_LINE_SIZE - at, "  %s in %" PRId64 " min %02" PRId64 " s (%s)", what,
                             left_s / 60, left_s % 60, clock));
}

void status_line(const delivery_DeliveryStatus *status, int64_t now_ms, char text[STATUS_LINE_SIZE]) {
  size_t at = end_of(0, snprintf(text, STATUS_LINE_SIZE, "%-18s", status_stage_name(status->stage)));
  const common_Location *location = status->last_known_location;
  if (location != NULL)
    at = end_of(at,
                snprintf(text + at, STATUS_LINE_SIZE - at, "  %9.5f, %10.5f", location->latitude, location->longitude));
  if (status->stage == common_DELIVERY_STAGE_COMPLETED || status->stage == common_DELIVERY_STAGE_CANCELLED ||
      status->stage == common_DELIVERY_STAGE_FAILED)
    return;
  if (status->speed_mps > 0)
    at = end_of(at, snprintf(text + at, STATUS_LINE_SIZE - at, "  %6.1f m/s  %5.2f km to go", status->speed_mps,
                             status->remaining_distance_m / 1000));
  write_eta(status, now_ms, text, at);
}
