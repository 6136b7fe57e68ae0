/*
 * Telemetry: frames in, acknowledgements out. A position costs a look-up and some arithmetic under the mutex; only what
 * the log must have goes to the writers (writer.c), and is acknowledged from there.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <sky/core/log.h>
#include <sky/service/resource.h>

#include "events.h"
#include "fabrikam/dronescheduler/v1/telemetry.rpc.h"
#include "fabrikam/events/v1/drone.event.h"
#include "map.h"
#include "scheduler.h"

enum { PUBLISH_ARENA_BYTES = 4 << 20, ACK_ARENA_BYTES = 1 << 20, MAX_FRAMES = 1000, MAX_KEPT_POSITIONS = 200 };

/* ---- acknowledgements ---- */

static drone_TelemetryAck *map_ack(SkyArena *arena, const ReportAck *ack) {
  drone_TelemetryAck *message = drone_TelemetryAck_create(arena);
  if (message == NULL)
    return NULL;
  message->drone_id = ack->drone_id; /* lives until the message is packed */
  message->sequence = ack->sequence;
  message->result = (drone_FrameResult)ack->result;
  message->dropped_count = ack->dropped_count;
  return message;
}

static SkyStatus write_acks(SkyCall *call, const ReportAck *acks, size_t count) {
  SkyArena arena;
  sky_arena_init(&arena, ACK_ARENA_BYTES);
  drone_ReportTelemetryResponse response = drone_ReportTelemetryResponse_INIT;
  drone_TelemetryAck **list = sky_arena_alloc(&arena, count * sizeof(*list));
  SkyStatus status = list == NULL ? sky_status_no_memory() : SKY_OK;
  for (size_t i = 0; status == SKY_OK && i < count; i++) {
    list[i] = map_ack(&arena, &acks[i]);
    if (list[i] == NULL)
      status = sky_status_no_memory();
  }
  response.acks = list;
  response.n_acks = count;
  if (status == SKY_OK)
    status = drone_TelemetryService_report_telemetry_send(call, &response);
  sky_arena_finish(&arena);
  return status;
}

/* An acknowledgement that cannot be sent is lost: the frame comes again and is then a repeat. */
void report_acknowledge(Scheduler *self, uint64_t stream_id, const ReportAck *acks, size_t count) {
  if (count == 0)
    return;
  pthread_mutex_lock(&self->streams_mutex);
  for (const ReportStream *stream = self->streams; stream != NULL; stream = stream->next) {
    if (stream->id == stream_id && !stream->ended)
      sky_status_free(write_acks(stream->call, acks, count));
  }
  pthread_mutex_unlock(&self->streams_mutex);
}

/* ---- frames ---- */

/* What one message leads to, collected under the mutex and done after it. */
typedef struct Intake {
  ReportAck *acks;
  size_t ack_count;
  events_DronePositionChanged **positions;
  size_t position_count;
  SkyArena arena;
  bool writers_needed;
} Intake;

/* One acknowledgement per drone: the last frame's. */
static void acknowledge(Intake *intake, const char *drone_id, uint64_t sequence, IntakeResult result,
                        uint64_t dropped) {
  ReportAck *ack = NULL;
  if (intake->ack_count > 0 && strcmp(intake->acks[intake->ack_count - 1].drone_id, drone_id) == 0)
    ack = &intake->acks[intake->ack_count - 1]; /* frames of a drone usually follow each other */
  else
    ack = &intake->acks[intake->ack_count++];
  *ack = (ReportAck){.sequence = sequence, .dropped_count = dropped, .result = (int)result};
  snprintf(ack->drone_id, sizeof(ack->drone_id), "%s", drone_id);
}

static void take_effects(Scheduler *self, FleetDrone *drone, const IntakeEffects *effects, Intake *intake) {
  if (effects->moved)
    claim_tell_watchers_locked(self, drone);
  if (!effects->publish)
    return;
  events_DronePositionChanged *event = events_position(drone, scheduler_now_ms(self), self->random, &intake->arena);
  if (event != NULL)
    intake->positions[intake->position_count++] = event;
}

static void take_frame(Scheduler *self, const ReportStream *stream, const drone_TelemetryFrame *message,
                       Intake *intake) {
  FleetDrone *drone = fleet_drone(&self->fleet, message->drone_id);
  if (drone == NULL) {
    acknowledge(intake, message->drone_id, message->sequence, INTAKE_DRONE_UNKNOWN, 0);
    return;
  }
  const IntakeFrame frame = map_frame(message, stream->id);
  IntakeEffects effects;
  IntakeResult result = intake_take(&self->fleet, drone, &frame, scheduler_now_ms(self),
                                    self->settings.position_interval_ns / SKY_NS_PER_MS, &effects);
  take_effects(self, drone, &effects, intake);
  if (effects.durable) {
    if (writer_add_locked(self, drone, &effects.event, stream->id, frame.sequence)) {
      intake->writers_needed = true;
      return; /* acknowledged when it is stored */
    }
    result = INTAKE_RETRY;
    intake_refuse(drone, stream->id, &effects.event);
  }
  /* Acknowledging a later frame would acknowledge the one that is still being stored. */
  if (!writer_is_waiting(drone) && !drone->held)
    acknowledge(intake, drone->id, frame.sequence, result, drone->dropped_count);
}

static bool intake_init(Intake *intake, size_t frames) {
  *intake = (Intake){.acks = malloc(frames * sizeof(*intake->acks)),
                     .positions = malloc(frames * sizeof(*intake->positions))};
  sky_arena_init(&intake->arena, PUBLISH_ARENA_BYTES);
  return intake->acks != NULL && intake->positions != NULL;
}

static void intake_finish(Intake *intake) {
  sky_arena_finish(&intake->arena);
  free(intake->acks);
  free(intake->positions);
}

/* Core events are sent unconfirmed: who misses one gets the next. */
static void published(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
  sky_status_free(status);
}

static void take_frames(ReportStream *stream, const drone_ReportTelemetryRequest *request) {
  Scheduler *self = stream->scheduler;
  Intake intake;
  if (intake_init(&intake, request->n_frames)) {
    pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < request->n_frames; i++)
      take_frame(self, stream, request->frames[i], &intake);
    pthread_mutex_unlock(&self->mutex);
    if (intake.writers_needed)
      writer_kick(self);
    const SkyContext context = sky_context_background();
    for (size_t i = 0; i < intake.position_count; i++)
      events_DronePositionChanged_publish_async(self->bus, &context, intake.positions[i], published, NULL);
    report_acknowledge(self, stream->id, intake.acks, intake.ack_count);
  }
  intake_finish(&intake);
}

/* ---- the stream ---- */

static bool stream_add(Scheduler *self, ReportStream *stream) {
  pthread_mutex_lock(&self->streams_mutex);
  const bool open = !self->streams_closed;
  if (open) {
    stream->id = ++self->last_stream;
    stream->next = self->streams;
    self->streams = stream;
  }
  pthread_mutex_unlock(&self->streams_mutex);
  return open;
}

static void unlink_locked(Scheduler *self, const ReportStream *stream) {
  for (ReportStream **at = &self->streams; *at != NULL; at = &(*at)->next) {
    if (*at == stream) {
      *at = stream->next;
      return;
    }
  }
}

/* With the lock of the streams. */
static void stream_end_locked(Scheduler *self, ReportStream *stream, SkyStatus status) {
  unlink_locked(self, stream);
  sky_call_finish(stream->call, status);
  free(stream);
}

/* The client has closed, or is gone: one that has closed still hears of what it sent. */
static void stream_close(ReportStream *stream, SkyStatus status) {
  Scheduler *self = stream->scheduler;
  pthread_mutex_lock(&self->streams_mutex);
  stream->working = false;
  stream->closed = true;
  if (status != SKY_OK || stream->expected <= 0)
    stream_end_locked(self, stream, status);
  pthread_mutex_unlock(&self->streams_mutex);
}

void report_expect(Scheduler *self, uint64_t stream_id, int change) {
  pthread_mutex_lock(&self->streams_mutex);
  for (ReportStream *stream = self->streams; stream != NULL; stream = stream->next) {
    if (stream->id != stream_id)
      continue;
    stream->expected += change;
    if (stream->closed && !stream->ended && stream->expected <= 0)
      stream_end_locked(self, stream, SKY_OK);
    break;
  }
  pthread_mutex_unlock(&self->streams_mutex);
}

static SkyStatus going_away(void) {
  return SKY_UNAVAILABLE("the service is going away");
}

/* False when the stream was ended meanwhile: it is then not to be touched. */
static bool begin_work(ReportStream *stream) {
  pthread_mutex_lock(&stream->scheduler->streams_mutex);
  const bool goes_on = !stream->ended;
  stream->working = goes_on;
  pthread_mutex_unlock(&stream->scheduler->streams_mutex);
  return goes_on;
}

static void on_request(void *user, SkyCall *call, SkyStatus status, const drone_ReportTelemetryRequest *request);

/* Asks for the next message, or finishes the call when the process ends; under the mutex, so that only one of both
 * happens. */
static void end_work(ReportStream *stream) {
  Scheduler *self = stream->scheduler;
  pthread_mutex_lock(&self->streams_mutex);
  stream->working = false;
  const bool ends = stream->ended = self->streams_closed;
  if (!ends)
    drone_TelemetryService_report_telemetry_read(stream->call, on_request, stream);
  pthread_mutex_unlock(&self->streams_mutex);
  if (ends)
    sky_call_finish(stream->call, going_away());
}

static void on_request(void *user, SkyCall *call, SkyStatus status, const drone_ReportTelemetryRequest *request) {
  ReportStream *stream = user;
  if (!begin_work(stream)) {
    sky_status_free(status);
    return;
  }
  if (status != SKY_OK || request == NULL) {
    stream_close(stream, status);
    return;
  }
  take_frames(stream, request);
  end_work(stream);
}

/*
 * Streams that a callback works on end themselves. All stay in the list until nothing can call back any more. Calls are
 * finished without the lock, for which a callback may be waiting.
 */
void report_end_all(Scheduler *self) {
  ReportStream *ending = NULL;
  pthread_mutex_lock(&self->streams_mutex);
  self->streams_closed = true;
  for (ReportStream *stream = self->streams; stream != NULL; stream = stream->next) {
    if (stream->working || stream->ended)
      continue;
    stream->ended = true;
    stream->next_ending = ending;
    ending = stream;
  }
  pthread_mutex_unlock(&self->streams_mutex);
  for (; ending != NULL; ending = ending->next_ending)
    sky_call_finish(ending->call, going_away());
}

void report_free_all(Scheduler *self) {
  while (self->streams != NULL) {
    ReportStream *next = self->streams->next;
    free(self->streams);
    self->streams = next;
  }
}

SkyStatus handle_report_telemetry(void *user, SkyCall *call) {
  Scheduler *self = user;
  SKY_TRY(scheduler_check_loaded(self));
  ReportStream *stream = calloc(1, sizeof(*stream));
  if (stream == NULL)
    return sky_status_no_memory();
  stream->scheduler = self;
  stream->call = call;
  if (!stream_add(self, stream)) {
    free(stream);
    return going_away();
  }
  const SkyStatus deferred = sky_call_defer(call);
  drone_TelemetryService_report_telemetry_read(call, on_request, stream);
  return deferred;
}

/* ---- drones that are not heard of any more ---- */

SkyStatus telemetry_find_lost(void *user, const SkyContext *context) {
  Scheduler *self = user;
  const int64_t now_ms = scheduler_now_ms(self), lost_after_ms = self->settings.lost_after_ns / SKY_NS_PER_MS;
  if (!self->loaded || lost_after_ms == 0)
    return SKY_OK;
  pthread_mutex_lock(&self->mutex);
  for (size_t i = 0; i < self->fleet.drone_count; i++) {
    FleetDrone *drone = self->fleet.drones[i];
    const int64_t since_ms = drone->heard_ms > drone->start_ms ? drone->heard_ms : drone->start_ms;
    if (!drone->life.busy || now_ms - since_ms <= lost_after_ms)
      continue;
    LifeEvent event = {.kind = LIFE_LOSE,
                       .place = drone->place,
                       .battery_fraction = drone->battery_fraction,
                       .flown_m = drone->flown_m};
    life_reason_set(&event.reason, "DRONE_LOST", "not heard of for too long");
    writer_add_locked(self, drone, &event, 0, 0);
  }
  pthread_mutex_unlock(&self->mutex);
  writer_kick(self);
  return SKY_OK;
}

/* ---- last positions, for readers who come later ---- */

typedef struct KeptPosition {
  char drone_id[LIFE_ID_SIZE];
  SkyBuf value;
} KeptPosition;

static size_t take_changed(Scheduler *self, KeptPosition *kept) {
  size_t count = 0;
  pthread_mutex_lock(&self->mutex);
  for (size_t i = 0; i < self->fleet.drone_count && count < MAX_KEPT_POSITIONS; i++) {
    FleetDrone *drone = self->fleet.drones[(self->kept_cursor + i) % self->fleet.drone_count];
    if (drone->kept_ms == drone->place_ms)
      continue;
    SkyArena arena;
    sky_arena_init(&arena, 1 << 16);
    const events_DronePositionChanged *event = events_position(drone, scheduler_now_ms(self), self->random, &arena);
    sky_buf_init(&kept[count].value, 1 << 16);
    const SkyStatus status =
        event == NULL ? sky_status_no_memory() : events_DronePositionChanged_pack(event, &kept[count].value);
    sky_arena_finish(&arena);
    memcpy(kept[count].drone_id, drone->id, LIFE_ID_SIZE);
    count += status == SKY_OK ? 1 : 0;
    drone->kept_ms = drone->place_ms;
    sky_status_free(status);
  }
  self->kept_cursor += count;
  pthread_mutex_unlock(&self->mutex);
  return count;
}

SkyStatus telemetry_keep_positions(void *user, const SkyContext *context) {
  Scheduler *self = user;
  if (!self->loaded || !sky_bus_is_ready(self->bus))
    return SKY_OK;
  KeptPosition *kept = calloc(MAX_KEPT_POSITIONS, sizeof(*kept));
  if (kept == NULL)
    return sky_status_no_memory();
  const size_t count = take_changed(self, kept);
  SkyStatus status = SKY_OK;
  for (size_t i = 0; i < count; i++) {
    if (status == SKY_OK)
      status = sky_bus_kv_put(self->bus, context, "positions", kept[i].drone_id, sky_buf_str(&kept[i].value));
    sky_buf_finish(&kept[i].value);
  }
  free(kept);
  return status;
}
