/*
 * Incoming: one message from its delivery to its settlement.
 *
 * Two parties hold it: the worker until the handler has returned, and whoever settles it. So a handler may hand it to
 * another thread that settles it before the handler itself is back.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sky/codec/message.h>
#include <sky/core/backoff.h>

enum { ARENA_BYTES = 16 << 20, ACK_SYNC_TIMEOUT_MS = 2000, ACK_SYNC_TRIES = 3 };

/* ---- life ---- */

static SkyIncoming *take_spare(SkyConsumer *consumer) {
  pthread_mutex_lock(&consumer->bus->mutex);
  consumer->outstanding++;
  SkyIncoming *spare = consumer->spare;
  if (spare != NULL)
    consumer->spare = spare->next;
  pthread_mutex_unlock(&consumer->bus->mutex);
  return spare;
}

static void note_seen(SkyConsumer *consumer, const SkyIncoming *incoming) {
  if (incoming->sequence <= consumer->seen)
    return;
  consumer->seen = incoming->sequence;
  consumer->seen_ms = incoming->time_ms;
}

/* Wakes only those who can be waiting: this runs for every message. */
static void release_outstanding(SkyConsumer *consumer, SkyIncoming *spare) {
  pthread_mutex_lock(&consumer->bus->mutex);
  if (spare != NULL) {
    note_seen(consumer, spare);
    spare->next = consumer->spare;
    consumer->spare = spare;
  }
  if (consumer->outstanding-- == consumer->max_ack_pending || atomic_load(&consumer->stopping))
    pthread_cond_broadcast(&consumer->bus->changed);
  pthread_mutex_unlock(&consumer->bus->mutex);
}

void incoming_begin_context(SkyIncoming *incoming, int64_t timeout_ms) {
  SkyContext background = sky_context_background();
  incoming->context = sky_context_with_timeout_ms(&background, timeout_ms);
  const char *traceparent = sky_incoming_header(incoming, "traceparent");
  SkyTrace publisher;
  if (traceparent != NULL && sky_trace_parse(sky_str(traceparent), &publisher))
    incoming->context.trace = sky_trace_child(&publisher);
}

static void read_metadata(SkyIncoming *incoming) {
  jsMsgMetaData *metadata = NULL;
  if (natsMsg_GetMetaData(&metadata, incoming->message) != NATS_OK)
    return;
  incoming->sequence = metadata->Sequence.Stream;
  incoming->time_ms = metadata->Timestamp / SKY_NS_PER_MS;
  incoming->attempt = (unsigned)metadata->NumDelivered;
  jsMsgMetaData_Destroy(metadata);
}

SkyIncoming *incoming_create(SkyConsumer *consumer, natsMsg *message) {
  SkyIncoming *incoming = take_spare(consumer);
  if (incoming == NULL) {
    incoming = calloc(1, sizeof(*incoming));
    if (incoming == NULL) {
      natsMsg_Destroy(message);
      release_outstanding(consumer, NULL);
      return NULL;
    }
    sky_arena_init(&incoming->arena, ARENA_BYTES);
  }
  SkyArena arena = incoming->arena;
  *incoming = (SkyIncoming){.consumer = consumer, .message = message, .attempt = 1, .arena = arena};
  atomic_store(&incoming->references, 2);
  atomic_fetch_add(&consumer->references, 1);
  read_metadata(incoming);
  incoming_begin_context(incoming, consumer->ack_wait_ms);
  return incoming;
}

void incoming_destroy(SkyIncoming *incoming) {
  sky_arena_finish(&incoming->arena);
  free(incoming);
}

void incoming_unref(SkyIncoming *incoming) {
  if (atomic_fetch_sub(&incoming->references, 1) != 1)
    return;
  SkyConsumer *consumer = incoming->consumer;
  natsMsg_Destroy(incoming->message);
  sky_status_free(incoming->failure);
  sky_arena_reset(&incoming->arena);
  release_outstanding(consumer, incoming);
  consumer_unref(consumer);
}

/* ---- what the handler sees ---- */

const SkyContext *sky_incoming_context(const SkyIncoming *incoming) {
  return &incoming->context;
}

SkyArena *sky_incoming_arena(SkyIncoming *incoming) {
  return &incoming->arena;
}

const char *sky_incoming_subject(const SkyIncoming *incoming) {
  return natsMsg_GetSubject(incoming->message);
}

SkyStr sky_incoming_data(const SkyIncoming *incoming) {
  return (SkyStr){natsMsg_GetData(incoming->message), (size_t)natsMsg_GetDataLength(incoming->message)};
}

static const char *find_header_any_case(natsMsg *message, const char *key) {
  const char **keys = NULL;
  int count = 0;
  const char *value = NULL;
  if (natsMsgHeader_Keys(message, &keys, &count) != NATS_OK)
    return NULL;
  for (int i = 0; i < count && value == NULL; i++)
    if (strcasecmp(keys[i], key) == 0)
      natsMsgHeader_Get(message, keys[i], &value);
  free(keys);
  return value;
}

/* Keys are case-sensitive in nats.c; other clients write them as they like. */
const char *sky_incoming_header(const SkyIncoming *incoming, const char *key) {
  const char *value = NULL;
  if (natsMsgHeader_Get(incoming->message, key, &value) == NATS_OK)
    return value;
  return find_header_any_case(incoming->message, key);
}

uint64_t sky_incoming_sequence(const SkyIncoming *incoming) {
  return incoming->sequence;
}

int64_t sky_incoming_time_ms(const SkyIncoming *incoming) {
  return incoming->time_ms;
}

unsigned sky_incoming_attempt(const SkyIncoming *incoming) {
  return incoming->attempt;
}

/* ---- words to the broker ---- */

/* While the connection is away this waits in the client's small buffer; lost is only time, the message comes again. */
static void tell(natsConnection *connection, natsMsg *message, const char *word) {
  const char *reply = natsMsg_GetReply(message);
  if (reply != NULL)
    natsConnection_PublishString(connection, reply, word);
}

static natsConnection *connection_of(const SkyIncoming *incoming) {
  return connection_last(incoming->consumer->bus);
}

void sky_incoming_in_progress(SkyIncoming *incoming) {
  if (incoming->consumer == NULL)
    return;
  incoming->context.deadline_ns = now_ns() + incoming->consumer->ack_wait_ms * SKY_NS_PER_MS;
  tell(connection_of(incoming), incoming->message, "+WPI");
}

void incoming_give_back(natsConnection *connection, natsMsg *message, int64_t delay_ms) {
  char word[64];
  snprintf(word, sizeof(word), "-NAK {\"delay\":%" PRId64 "}", delay_ms * SKY_NS_PER_MS);
  tell(connection, message, delay_ms > 0 ? word : "-NAK");
}

/* Half of the pause is certain, half is random: it grows, and yet many that failed together do not come back together.
 */
static int64_t retry_delay_ms(unsigned attempt, int64_t at_least_ms) {
  static const SkyBackoff backoff = {.initial_ms = 200, .max_ms = MAX_RETRY_DELAY_MS, .multiplier = 2};
  int64_t delay = (sky_backoff_ceiling_ms(&backoff, attempt) +
                   sky_backoff_delay_ms(&backoff, attempt, sky_random_system_borrow())) /
                  2;
  int64_t wanted = delay > at_least_ms ? delay : at_least_ms;
  return wanted < MAX_RETRY_DELAY_MS ? wanted : MAX_RETRY_DELAY_MS;
}

void incoming_retry(SkyIncoming *incoming, int64_t at_least_ms) {
  incoming_give_back(connection_of(incoming), incoming->message, retry_delay_ms(incoming->attempt, at_least_ms));
  incoming_unref(incoming);
}

static void on_ack_confirmed(void *user, SkyStatus status, SkyStr data);

static void acknowledge_sync(SkyIncoming *incoming) {
  const SkyPublication ack = {.subject = natsMsg_GetReply(incoming->message), .data = SKY_STR("+ACK")};
  publish_request(incoming->consumer->bus, NULL, &ack, now_ns() + (int64_t)ACK_SYNC_TIMEOUT_MS * SKY_NS_PER_MS,
                  on_ack_confirmed, incoming);
}

static void on_ack_confirmed(void *user, SkyStatus status, SkyStr data) {
  (void)data;
  SkyIncoming *incoming = user;
  bool confirmed = status == SKY_OK;
  sky_status_free(status);
  if (!confirmed && ++incoming->ack_tries < ACK_SYNC_TRIES) {
    acknowledge_sync(incoming);
    return;
  }
  if (!confirmed) /* the last chance: it may wait for the connection */
    tell(connection_of(incoming), incoming->message, "+ACK");
  incoming_unref(incoming);
}

void incoming_acknowledge(SkyIncoming *incoming) {
  if (incoming->consumer->ack_sync) {
    acknowledge_sync(incoming);
    return;
  }
  tell(connection_of(incoming), incoming->message, "+ACK");
  incoming_unref(incoming);
}

/* ---- handling and settling ---- */

/* Not a status: only its address counts. */
static char deferral;

bool incoming_is_deferral(SkyStatus status) {
  return (const void *)status == (const void *)&deferral;
}

SkyStatus sky_incoming_defer(SkyIncoming *incoming) {
  (void)incoming; /* may be settled and gone already */
  return (SkyStatus)(void *)&deferral;
}

static bool may_try_again(const SkyIncoming *incoming, const SkyError *status) {
  return (sky_status_is_retryable(status) || sky_status_code(status) == SKY_CODE_CANCELLED) &&
         incoming->attempt < incoming->consumer->max_deliver;
}

void sky_incoming_settle(SkyIncoming *incoming, SkyStatus status) {
  if (status == SKY_OK) {
    incoming_acknowledge(incoming);
  } else if (may_try_again(incoming, status)) {
    int64_t after_ms = sky_status_retry_after_ms(status);
    sky_status_free(status);
    incoming_retry(incoming, after_ms);
  } else {
    incoming->failure = status;
    dead_letter_send(incoming);
  }
}

static const SkyEventRoute *find_route(const SkyConsumer *consumer, const char *subject) {
  for (size_t i = 0; i < consumer->route_count; i++) {
    const char *prefix = consumer->routes[i].type->subject;
    size_t length = strlen(prefix);
    if (strncmp(subject, prefix, length) == 0 && subject[length] == '.')
      return &consumer->routes[i];
  }
  return NULL;
}

/* Faults of the payload never heal: whatever the codec says, they are permanent. */
static SkyStatus as_permanent(SkyStatus status, const char *type) {
  if (status == SKY_OK)
    return SKY_OK;
  SkyStatus permanent = SKY_INVALID_ARGUMENT("%s: %s", type, sky_status_message(status));
  sky_status_free(status);
  return permanent;
}

SkyStatus incoming_invoke(SkyIncoming *incoming, const SkyEventRoute *route) {
  const SkyEventType *type = route->type;
  ProtobufCMessage *event = NULL;
  SkyStatus status =
      sky_message_unpack(type->message.descriptor, sky_incoming_data(incoming), &incoming->arena, &event);
  if (status == SKY_OK)
    status = sky_message_validate(event, type->message.rules);
  if (status != SKY_OK)
    return as_permanent(status, type->name);
  return route->invoke(route, incoming, event);
}

static SkyStatus measured_invoke(SkyIncoming *incoming, const SkyEventRoute *route) {
  const SkyConsumer *consumer = incoming->consumer;
  int64_t begun_ns = now_ns();
  /* Once it is deferred the message may be gone when the handler returns. */
  SkyTrace trace = incoming->context.trace;
  measure_consumed(consumer->bus, route->type->subject, consumer->durable);
  SkyStatus status = incoming_invoke(incoming, route);
  measure_processed(consumer->bus, route->type->subject, consumer->durable, begun_ns, &trace,
                    incoming_is_deferral(status) ? SKY_OK : status);
  return status;
}

static SkyStatus handle(SkyIncoming *incoming) {
  const SkyConsumer *consumer = incoming->consumer;
  /* Also for those whose handler killed the process every time. */
  if (incoming->attempt > consumer->max_deliver)
    return SKY_INTERNAL("given up after %u attempts", incoming->attempt - 1);
  if (sky_incoming_data(incoming).size > consumer->max_message_bytes)
    return SKY_INVALID_ARGUMENT("a message of %zu bytes; at most %zu are read", sky_incoming_data(incoming).size,
                                consumer->max_message_bytes);
  const SkyEventRoute *route = find_route(consumer, sky_incoming_subject(incoming));
  if (route != NULL)
    return measured_invoke(incoming, route);
  /* The filter may be wider than the routes. In a work queue we are the only reader: nothing may vanish unseen. */
  return consumer->is_work_queue ? SKY_UNIMPLEMENTED("no handler for subject %s", sky_incoming_subject(incoming))
                                 : SKY_OK;
}

void incoming_handle(SkyIncoming *incoming) {
  SkyBus *bus = incoming->consumer->bus;
  atomic_fetch_add(&bus->consumed, 1);
  if (incoming->attempt > 1)
    atomic_fetch_add(&bus->redelivered, 1);
  SkyStatus status = handle(incoming);
  if (!incoming_is_deferral(status))
    sky_incoming_settle(incoming, status);
  incoming_unref(incoming);
}
