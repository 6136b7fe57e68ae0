/*
 * Typed events: subject, message id and headers from the event type.
 *
 * Headers are CloudEvents 1.0 in binary mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md), so that tools that
 * know nothing of our contracts can route and display events.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#include <sky/codec/message.h>

enum { MAX_EVENT_BYTES = MAX_MESSAGE_BYTES, CE_HEADERS = 7 };

/* JetStream compares it with the sequence of the subject's last message: 0 means that there is none. */
static const SkyHeader first_of_subject = {"Nats-Expected-Last-Subject-Sequence", "0"};

/* An event ready to be sent. */
typedef struct Envelope {
  char subject[SUBJECT_SIZE];
  char source[SUBJECT_SIZE];
  char time[SKY_RFC3339_SIZE];
  SkyHeader headers[CE_HEADERS + 1];
  SkyBuf data;
  SkyPublication publication;
} Envelope;

/* An aggregate id is the last token of the subject. */
static SkyStatus make_subject(const SkyEventType *type, const ProtobufCMessage *event, char subject[SUBJECT_SIZE]) {
  const char *id = sky_message_string_field(event, type->aggregate_id_field);
  if (id[0] == '\0' || strpbrk(id, " \t\r\n.*>") != NULL)
    return SKY_INVALID_ARGUMENT("%s: '%.64s' cannot be an aggregate id", type->name, id);
  if (snprintf(subject, SUBJECT_SIZE, "%s.%s", type->subject, id) >= SUBJECT_SIZE)
    return SKY_INVALID_ARGUMENT("%s: the aggregate id '%.64s…' is too long", type->name, id);
  return SKY_OK;
}

static void add_cloud_event(const SkyBus *bus, const SkyEventType *type, const char *event_id, Envelope *envelope) {
  int64_t wall_ns = sky_clock_wall_ns(sky_clock_system_borrow());
  sky_time_format_rfc3339(wall_ns / SKY_NS_PER_S, (int32_t)(wall_ns % SKY_NS_PER_S), envelope->time);
  snprintf(envelope->source, sizeof(envelope->source), "/%s", bus->service_name);
  const SkyHeader headers[CE_HEADERS] = {
      {"ce-specversion", "1.0"},
      {"ce-id", event_id},
      {"ce-type", type->name},
      {"ce-source", envelope->source},
      {"ce-subject", strrchr(envelope->subject, '.') + 1},
      {"ce-time", envelope->time},
      {"content-type", "application/protobuf"},
  };
  memcpy(envelope->headers, headers, sizeof(headers));
}

static SkyStatus fill(const SkyBus *bus, const SkyEventType *type, const ProtobufCMessage *event, Envelope *envelope) {
  SKY_TRY(make_subject(type, event, envelope->subject));
  const char *event_id = sky_message_string_field(event, type->event_id_field);
  if (event_id[0] == '\0' || strpbrk(event_id, "\r\n") != NULL)
    return SKY_INVALID_ARGUMENT("%s: an event needs an id", type->name);
  SKY_TRY(sky_message_validate(event, type->message.rules));
  SKY_TRY(sky_message_pack(event, &envelope->data));
  add_cloud_event(bus, type, event_id, envelope);
  envelope->publication = (SkyPublication){
      .subject = envelope->subject,
      .message_id = event_id,
      .data = sky_buf_str(&envelope->data),
      .headers = envelope->headers,
      .header_count = CE_HEADERS,
      .destination = type->subject,
  };
  return SKY_OK;
}

static bool is_core(const SkyEventType *type) {
  return type->stream == NULL || type->stream[0] == '\0';
}

static SkyStatus send_core(SkyBus *bus, const SkyContext *context, const SkyPublication *publication) {
  Link *link;
  SKY_TRY(connection_check(bus, &link));
  natsMsg *message;
  SkyTrace trace = sky_trace_child(&context->trace);
  SKY_TRY(publish_build(&trace, publication, NULL, &message));
  natsStatus result = natsConnection_PublishMsg(link->connection, message);
  natsMsg_Destroy(message);
  return result == NATS_OK ? SKY_OK : connection_error(result, "publish");
}

SkyStatus sky_event_publish(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                            const ProtobufCMessage *event) {
  Envelope envelope;
  sky_buf_init(&envelope.data, MAX_EVENT_BYTES);
  SkyStatus status = fill(bus, type, event, &envelope);
  if (status == SKY_OK)
    status = is_core(type) ? send_core(bus, context, &envelope.publication)
                           : sky_bus_publish(bus, context, &envelope.publication, NULL);
  sky_buf_finish(&envelope.data);
  return status;
}

static void publish_async(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                          const ProtobufCMessage *event, bool first, SkyOnPublished done, void *user) {
  static const SkyConfirmation unconfirmed = {0};
  Envelope envelope;
  sky_buf_init(&envelope.data, MAX_EVENT_BYTES);
  SkyStatus status = fill(bus, type, event, &envelope);
  if (status == SKY_OK && first)
    envelope.headers[envelope.publication.header_count++] = first_of_subject;
  if (status == SKY_OK && !is_core(type)) {
    sky_bus_publish_async(bus, context, &envelope.publication, done, user);
  } else {
    if (status == SKY_OK)
      status = send_core(bus, context, &envelope.publication);
    done(user, status, status == SKY_OK ? &unconfirmed : NULL);
  }
  sky_buf_finish(&envelope.data);
}

void sky_event_publish_async(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                             const ProtobufCMessage *event, SkyOnPublished done, void *user) {
  publish_async(bus, context, type, event, false, done, user);
}

void sky_event_publish_first_async(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                                   const ProtobufCMessage *event, SkyOnPublished done, void *user) {
  publish_async(bus, context, type, event, true, done, user);
}
