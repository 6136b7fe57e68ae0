/*
 * Frames: telemetry as the contract has it. Phases are sent in key frames again and again until they are acknowledged;
 * positions once, mostly as deltas.
 */
#include <stdlib.h>
#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/dronescheduler/v1/telemetry.rpc.h"
#include "simulator.h"

enum { ARENA_BYTES = 8 << 20, RESEND_MS = 2000, RETRY_MS = 200, STALE_MS = 60000 };

struct Frames {
  Simulator *simulator;
  SkyArena arena;
  drone_TelemetryFrame *frames[SIMULATOR_BATCH];
  SimulatedDrone *of[SIMULATOR_BATCH]; /* whose frame it is */
  size_t count;
};

Frames *frames_create(Simulator *self) {
  Frames *frames = calloc(1, sizeof(*frames));
  if (frames == NULL)
    return NULL;
  frames->simulator = self;
  sky_arena_init(&frames->arena, ARENA_BYTES);
  return frames;
}

void frames_destroy(Frames *frames) {
  if (frames == NULL)
    return;
  sky_arena_finish(&frames->arena);
  free(frames);
}

/*
 * A full or broken stream has not taken the frames. Positions are overtaken by the next; phases count as not sent, or
 * the acknowledgement of a later position would be taken for theirs.
 */
static void take_back(Frames *frames) {
  const int64_t retry_ms = simulator_now_ms(frames->simulator) + RETRY_MS;
  for (size_t i = 0; i < frames->count; i++) {
    SimulatedDrone *drone = frames->of[i];
    for (size_t j = 0; j < drone->unstored_count; j++)
      drone->unstored[j].sequence = 0;
    if (drone->unstored_count > 0)
      drone->resend_ms = retry_ms;
    drone->key_needed = true;
    pilot_schedule(frames->simulator, drone);
  }
}

static bool write_frames(Frames *frames) {
  if (frames->simulator->telemetry == NULL)
    return false;
  drone_ReportTelemetryRequest request = drone_ReportTelemetryRequest_INIT;
  request.frames = frames->frames;
  request.n_frames = frames->count;
  SkyStatus status = drone_TelemetryService_report_telemetry_write(frames->simulator->telemetry, &request);
  const bool written = status == SKY_OK;
  sky_status_free(status);
  return written;
}

void frames_send(Frames *frames) {
  if (frames->count > 0 && !write_frames(frames))
    take_back(frames);
  frames->count = 0;
  sky_arena_reset(&frames->arena);
}

/* Grows with each frame, also over restarts: from the clock, in microseconds. */
static uint64_t next_sequence(SimulatedDrone *drone) {
  const uint64_t now_us = (uint64_t)(sky_clock_wall_ns(drone->simulator->clock) / 1000);
  drone->sequence = now_us > drone->sequence ? now_us : drone->sequence + 1;
  return drone->sequence;
}

static common_Location *location(SkyArena *arena, SkyPoint point) {
  common_Location *message = common_Location_create(arena);
  if (message == NULL)
    return NULL;
  common_Location_set_latitude(message, point.latitude);
  common_Location_set_longitude(message, point.longitude);
  return message;
}

static drone_TelemetryFrame *new_frame(Frames *frames, SimulatedDrone *drone, const FlightReport *report) {
  if (frames->count == SIMULATOR_BATCH)
    frames_send(frames);
  drone_TelemetryFrame *frame = drone_TelemetryFrame_create(&frames->arena);
  common_Motion *velocity = common_Motion_create(&frames->arena);
  if (frame == NULL || velocity == NULL)
    return NULL;
  frame->drone_id = drone->id;
  frame->sequence = next_sequence(drone);
  frame->observe_time = sky_timestamp_create(&frames->arena, report->time_ms);
  frame->location = location(&frames->arena, report->place);
  if (frame->observe_time == NULL || frame->location == NULL)
    return NULL;
  velocity->north_mps = report->north_mps;
  velocity->east_mps = report->east_mps;
  frame->velocity = velocity;
  drone_TelemetryFrame_set_battery_fraction(frame, report->battery_fraction);
  frames->of[frames->count] = drone;
  frames->frames[frames->count++] = frame;
  return frame;
}

static void set_everything(Frames *frames, drone_TelemetryFrame *frame, const FlightReport *report) {
  frame->kind = drone_FRAME_KIND_KEY;
  frame->flight_mode = (drone_FlightMode)report->mode;
  frame->phase = (common_MissionPhase)report->phase;
  const char *id = sky_arena_strndup(&frames->arena, report->delivery_id, strlen(report->delivery_id));
  frame->delivery_id = id == NULL ? "" : id;
  frame->revision = report->revision;
}

void frames_add_phases(Frames *frames, SimulatedDrone *drone, int64_t now_ms) {
  for (size_t i = 0; i < drone->unstored_count; i++) {
    Unstored *unstored = &drone->unstored[i];
    FlightReport report = unstored->report;
    if (now_ms - report.time_ms > STALE_MS) /* still so: what is told late is observed again */
      report.time_ms = now_ms;
    drone_TelemetryFrame *frame = new_frame(frames, drone, &report);
    if (frame == NULL)
      break;
    set_everything(frames, frame, &report);
    unstored->sequence = frame->sequence;
    drone->key_needed = false;
  }
  drone->resend_ms = drone->unstored_count > 0 ? now_ms + RESEND_MS : INT64_MAX;
}

void frames_add_position(Frames *frames, SimulatedDrone *drone, int64_t now_ms) {
  FlightReport report = flight_look(&drone->flight, now_ms);
  report.phase = drone->flight.phase;
  drone_TelemetryFrame *frame = new_frame(frames, drone, &report);
  if (frame == NULL)
    return;
  frame->kind = drone_FRAME_KIND_DELTA;
  if (drone->key_needed)
    set_everything(frames, frame, &report);
  drone->key_needed = false;
}

/* ---- acknowledgements ---- */

static void forget_stored(SimulatedDrone *drone, uint64_t sequence) {
  size_t kept = 0;
  for (size_t i = 0; i < drone->unstored_count; i++) {
    if (drone->unstored[i].sequence == 0 || drone->unstored[i].sequence > sequence)
      drone->unstored[kept++] = drone->unstored[i];
  }
  drone->unstored_count = kept;
  if (kept == 0)
    drone->resend_ms = INT64_MAX;
}

void frames_acknowledge(Simulator *self, const drone_TelemetryAck *ack) {
  SimulatedDrone *drone = sky_map_get(self->drone_by_id, sky_str(ack->drone_id));
  if (drone == NULL)
    return;
  const int64_t now_ms = simulator_now_ms(self);
  switch (ack->result) {
  case drone_FRAME_RESULT_RETRY:
    drone->resend_ms = now_ms + RETRY_MS;
    break;
  case drone_FRAME_RESULT_KEY_NEEDED:
    drone->key_needed = true;
    drone->report_ms = now_ms;
    break;
  case drone_FRAME_RESULT_DRONE_UNKNOWN:
    self->registered = false; /* somebody has deleted it: register again */
    break;
  case drone_FRAME_RESULT_INVALID:
    forget_stored(drone, ack->sequence);
    flight_abort(&drone->flight, now_ms); /* not its delivery any more */
    break;
  default:
    forget_stored(drone, ack->sequence);
    break;
  }
  pilot_schedule(self, drone);
}

void frames_send_again(Simulator *self) {
  const int64_t now_ms = simulator_now_ms(self);
  for (size_t i = 0; i < self->drone_count; i++) {
    SimulatedDrone *drone = self->drones[i];
    drone->key_needed = true;
    drone->report_ms = now_ms;
    if (drone->unstored_count > 0)
      drone->resend_ms = now_ms;
    pilot_schedule(self, drone);
  }
}
