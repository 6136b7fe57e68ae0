#include "bus_kit.h"

#include <nats/nats.h>
#include <stdio.h>
#include <string.h>

#include <sky/core/time.h>

NatsServer server;
SkyBus *bus;

const SkyEventType happened_type = {
    .name = "sky.bus.test.Happened",
    .subject = "test.jobs.happened.v1",
    .stream = "JOBS",
    .aggregate_id_field = "thing_id",
    .event_id_field = "id",
    .message = {.descriptor = &sky__bus__test__happened__descriptor},
};
const SkyEventType noted_type = {
    .name = "sky.bus.test.Noted",
    .subject = "test.notes.noted.v1",
    .stream = "NOTES",
    .aggregate_id_field = "thing_id",
    .event_id_field = "id",
    .message = {.descriptor = &sky__bus__test__happened__descriptor},
};
const SkyEventType ended_type = {
    .name = "sky.bus.test.Ended",
    .subject = "test.notes.ended.v1",
    .stream = "NOTES",
    .aggregate_id_field = "thing_id",
    .event_id_field = "id",
    .message = {.descriptor = &sky__bus__test__ended__descriptor},
};
const SkyEventType position_type = {
    .name = "sky.bus.test.Position",
    .subject = "live.position.v1",
    .stream = "",
    .aggregate_id_field = "thing_id",
    .event_id_field = "id",
    .message = {.descriptor = &sky__bus__test__happened__descriptor},
};

static const char *const job_subjects[] = {"test.jobs.>", NULL};
static const char *const note_subjects[] = {"test.notes.>", NULL};
static const SkyStreamConfig streams[] = {
    {.name = "JOBS", .subjects = job_subjects, .retention = SKY_RETENTION_WORK_QUEUE, .max_bytes = 16 << 20},
    {.name = "NOTES", .subjects = note_subjects, .max_bytes = 1 << 20},
};

void must(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s: %s", sky_code_name(sky_status_code(status)), sky_status_message(status));
}

void expect(SkyCode code, SkyStatus status) {
  ck_assert_msg(sky_status_code(status) == code, "%s instead of %s: %s", sky_code_name(sky_status_code(status)),
                sky_code_name(code), sky_status_message(status));
  sky_status_free(status);
}

void connect_bus(void) {
  bus = connect_one(false);
}

SkyBus *connect_one(bool no_echo) {
  const SkyBusOptions options = {
      .url = server.url,
      .service_name = "tester",
      .streams = streams,
      .stream_count = sizeof(streams) / sizeof(streams[0]),
      .no_echo = no_echo,
  };
  SkyBus *connected = NULL;
  must(sky_bus_connect(&options, &connected));
  return connected;
}

void wait_ready(void) {
  SKY_CHECK_EVENTUALLY(sky_bus_is_ready(bus));
}

void start_all(void) {
  nats_server_init(&server);
  nats_server_start(&server);
  connect_bus();
  wait_ready();
}

void stop_all(void) {
  sky_bus_close(bus, 5000);
  bus = NULL;
  nats_server_finish(&server);
}

SkyStatus publish(const SkyEventType *type, const char *id, int64_t number, const char *text) {
  char thing[16];
  snprintf(thing, sizeof(thing), "t%d", (int)(number % 10));
  Happened event = SKY__BUS__TEST__HAPPENED__INIT;
  event.id = (char *)id;
  event.thing_id = thing;
  event.number = number;
  event.text = (char *)text;
  SkyContext context = sky_context_background();
  return sky_event_publish(bus, &context, type, &event.base);
}

SkyStatus publish_raw(const char *subject, const char *id, SkyStr data, SkyConfirmation *ret) {
  SkyContext context = sky_context_background();
  const SkyPublication publication = {.subject = subject, .message_id = id, .data = data};
  return sky_bus_publish(bus, &context, &publication, ret);
}

/* ---- recorder ---- */

void recorder_init(Recorder *recorder) {
  memset(recorder, 0, sizeof(*recorder));
  pthread_mutex_init(&recorder->mutex, NULL);
}

static void note(Recorder *recorder, SkyIncoming *incoming, const Happened *event) {
  pthread_mutex_lock(&recorder->mutex);
  unsigned call = atomic_load(&recorder->calls);
  if (event->number >= 0 && event->number < 65536)
    recorder->seen[event->number]++;
  recorder->last_attempt = sky_incoming_attempt(incoming);
  if (call < 64)
    recorder->times_ns[call] = sky_clock_monotonic_ns(sky_clock_system_borrow());
  recorder->trace = sky_incoming_context(incoming)->trace;
  const char *source = sky_incoming_header(incoming, "CE-Source");
  snprintf(recorder->source, sizeof(recorder->source), "%s", source == NULL ? "" : source);
  pthread_mutex_unlock(&recorder->mutex);
}

static SkyStatus invoke(const SkyEventRoute *route, SkyIncoming *incoming, const ProtobufCMessage *event) {
  Recorder *recorder = route->self;
  const Happened *happened = (const Happened *)event;
  note(recorder, incoming, happened);
  SkyStatus status = recorder->answer == NULL ? SKY_OK : recorder->answer(recorder, incoming, happened);
  atomic_fetch_add(&recorder->calls, 1);
  return status;
}

unsigned recorder_seen(Recorder *recorder, unsigned number) {
  pthread_mutex_lock(&recorder->mutex);
  unsigned seen = recorder->seen[number];
  pthread_mutex_unlock(&recorder->mutex);
  return seen;
}

unsigned recorder_distinct(Recorder *recorder, unsigned count) {
  unsigned distinct = 0;
  pthread_mutex_lock(&recorder->mutex);
  for (unsigned i = 0; i < count; i++)
    distinct += recorder->seen[i] > 0;
  pthread_mutex_unlock(&recorder->mutex);
  return distinct;
}

SkyEventRoute recorder_route(Recorder *recorder, const SkyEventType *type) {
  return (SkyEventRoute){.type = type, .self = recorder, .invoke = invoke};
}

SkyConsumer *consume(const SkyEventRoute *route, SkyConsumerOptions options) {
  options.stream = route->type->stream;
  options.durable = options.durable == NULL ? "tester" : options.durable;
  options.routes = route;
  options.route_count = 1;
  SkyConsumer *consumer = NULL;
  must(sky_bus_consume(bus, &options, &consumer));
  return consumer;
}

/* ---- looking into the server from outside ---- */

static natsConnection *outside(jsCtx **ret_js) {
  natsConnection *connection = NULL;
  ck_assert_int_eq(natsConnection_ConnectTo(&connection, server.url), NATS_OK);
  ck_assert_int_eq(natsConnection_JetStream(ret_js, connection, NULL), NATS_OK);
  return connection;
}

int64_t stream_messages(const char *stream) {
  jsCtx *js = NULL;
  natsConnection *connection = outside(&js);
  jsStreamInfo *info = NULL;
  int64_t messages = js_GetStreamInfo(&info, js, stream, NULL, NULL) == NATS_OK ? (int64_t)info->State.Msgs : -1;
  jsStreamInfo_Destroy(info);
  jsCtx_Destroy(js);
  natsConnection_Destroy(connection);
  return messages;
}

void remove_message(const char *stream, uint64_t sequence) {
  jsCtx *js = NULL;
  natsConnection *connection = outside(&js);
  ck_assert_int_eq(js_DeleteMsg(js, stream, sequence, NULL, NULL), NATS_OK);
  jsCtx_Destroy(js);
  natsConnection_Destroy(connection);
}

typedef struct Counts {
  int64_t unacknowledged, undelivered;
} Counts;

static Counts counts_of(const char *stream, const char *durable) {
  jsCtx *js = NULL;
  natsConnection *connection = outside(&js);
  jsConsumerInfo *info = NULL;
  Counts counts = {-1, -1};
  if (js_GetConsumerInfo(&info, js, stream, durable, NULL, NULL) == NATS_OK)
    counts = (Counts){info->NumAckPending, (int64_t)info->NumPending};
  jsConsumerInfo_Destroy(info);
  jsCtx_Destroy(js);
  natsConnection_Destroy(connection);
  return counts;
}

int64_t unacknowledged(const char *stream, const char *durable) {
  return counts_of(stream, durable).unacknowledged;
}

int64_t undelivered(const char *stream, const char *durable) {
  return counts_of(stream, durable).undelivered;
}

const char *last_header(const char *stream, const char *subject, const char *key) {
  static char copy[1024];
  jsCtx *js = NULL;
  natsConnection *connection = outside(&js);
  natsMsg *message = NULL;
  ck_assert_int_eq(js_GetLastMsg(&message, js, stream, subject, NULL, NULL), NATS_OK);
  const char *value = NULL;
  natsMsgHeader_Get(message, key, &value);
  snprintf(copy, sizeof(copy), "%s", value == NULL ? "" : value);
  natsMsg_Destroy(message);
  jsCtx_Destroy(js);
  natsConnection_Destroy(connection);
  return copy;
}
