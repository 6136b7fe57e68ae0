/*
 * Bus: events on NATS JetStream. Publishing is confirmed by the broker; consumption is pull-based, at least once, with
 * dead letters.
 *
 * sky_bus_connect() returns at once and the connection is made and kept in the background (no start order). While it is
 * away, publishing gives UNAVAILABLE with a retry hint, and consumers wait. Streams and consumers are created when the
 * connection is there. Thread-safe. Callbacks run on the bus's own threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/codec/service.h>
#include <sky/core/arena.h>
#include <sky/core/context.h>
#include <sky/core/status.h>
#include <sky/telemetry/metrics.h>

typedef struct SkyBus SkyBus;

/*
 * What a full stream does. LIMITS keeps the newest messages for any number of readers, read or not: the oldest go, so
 * max_bytes must hold what comes while a reader is away. WORK_QUEUE keeps what its reader has not acknowledged: new
 * messages are refused, and the publisher gets RESOURCE_EXHAUSTED.
 */
typedef enum SkyRetention { SKY_RETENTION_LIMITS, SKY_RETENTION_WORK_QUEUE } SkyRetention;

typedef struct SkyStreamConfig {
  const char *name;            /* "REQUESTS" */
  const char *const *subjects; /* NULL-terminated: "fab.ingestion.>" */
  SkyRetention retention;
  int64_t max_bytes;           /* 0: 1 GiB */
  int64_t max_age_ms;          /* 0: no limit */
  int64_t duplicate_window_ms; /* 0: 2 min */
  int replicas;                /* 0: those of the bus */
} SkyStreamConfig;

typedef struct SkyBusOptions {
  const char *url;                /* "nats://127.0.0.1:4222" */
  const char *service_name;       /* connection name and consumer prefix */
  int64_t publish_timeout_ms;     /* longest wait for a confirmation; 0: 5 s */
  size_t max_pending;             /* unconfirmed publications; more get RESOURCE_EXHAUSTED; 0: 8192 */
  int replicas;                   /* of streams that do not say; 0: 1 */
  const SkyStreamConfig *streams; /* created or updated once connected; must outlive the bus */
  size_t stream_count;
  bool no_echo;        /* subscriptions do not get what this bus has published itself; consumers do */
  SkyMetrics *metrics; /* where the bus measures itself; NULL: nowhere. Must outlive it */
} SkyBusOptions;

/* Does not wait for the broker: it is looked for until it is there, and what needs it gives UNAVAILABLE until then.
 * RESOURCE_EXHAUSTED without memory or threads. */
SKY_MUST_USE SkyStatus sky_bus_connect(const SkyBusOptions *options, SkyBus **ret);
/* Stops consumers (handlers in progress end), waits for pending publications up to the timeout, closes. NULL-safe. */
void sky_bus_close(SkyBus *bus, int64_t timeout_ms);
/*
 * Stops all consumers, as sky_consumer_stop(): before what their handlers use goes away.
 */
void sky_bus_stop_consumers(SkyBus *bus, int64_t timeout_ms);
/* Connected, and every stream is there. */
bool sky_bus_is_ready(SkyBus *bus);
/* The same as a status that says what is missing: UNAVAILABLE. */
SKY_MUST_USE SkyStatus sky_bus_check(SkyBus *bus);

/* ---- publishing ---- */

typedef struct SkyHeader {
  const char *key;
  const char *value;
} SkyHeader;

typedef struct SkyPublication {
  const char *subject;
  const char *message_id; /* Nats-Msg-Id: the broker drops a second one within the duplicate window */
  SkyStr data;
  const SkyHeader *headers; /* besides traceparent and CloudEvents, which are added */
  size_t header_count;
  const char *destination; /* the subject without its id, for metrics; must be one of few; NULL: none */
} SkyPublication;

typedef struct SkyConfirmation {
  uint64_t sequence;
  bool duplicate; /* the stream had this message_id already; or, of a first: a message of its subject */
} SkyConfirmation;

/*
 * Publishes to JetStream and waits for the confirmation. UNAVAILABLE: not connected, no stream, or lost while waiting
 * (then, as after DEADLINE_EXCEEDED, it may or may not be stored: publish again with the same message id).
 * RESOURCE_EXHAUSTED: the stream is full. INVALID_ARGUMENT: larger than the broker takes. ret may be NULL.
 */
SKY_MUST_USE SkyStatus sky_bus_publish(SkyBus *bus, const SkyContext *context, const SkyPublication *publication,
                                       SkyConfirmation *ret);
/* The same without waiting: done runs once, on a bus thread (or before this returns when it cannot be sent), and owns
 * the status. */
typedef void (*SkyOnPublished)(void *user, SkyStatus status, const SkyConfirmation *confirmation);
void sky_bus_publish_async(SkyBus *bus, const SkyContext *context, const SkyPublication *publication,
                           SkyOnPublished done, void *user);

/* Typed: subject, message id and headers (CloudEvents, traceparent) from the event type. A core event (no stream) is
 * sent unconfirmed. */
SKY_MUST_USE SkyStatus sky_event_publish(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                                         const ProtobufCMessage *event);
void sky_event_publish_async(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                             const ProtobufCMessage *event, SkyOnPublished done, void *user);
/*
 * The same for an event that shall be the only one of its aggregate in the stream: while another waits there, however
 * long, nothing is stored and the confirmation says duplicate.
 */
void sky_event_publish_first_async(SkyBus *bus, const SkyContext *context, const SkyEventType *type,
                                   const ProtobufCMessage *event, SkyOnPublished done, void *user);

/* ---- consuming ---- */

/* One message as its handler sees it. Valid until the handler returns (or, when deferred, until sky_incoming_settle()).
 */
typedef struct SkyIncoming SkyIncoming;
const SkyContext *sky_incoming_context(const SkyIncoming *incoming); /* trace of the publisher, deadline = ack wait */
SkyArena *sky_incoming_arena(SkyIncoming *incoming);
const char *sky_incoming_subject(const SkyIncoming *incoming);
SkyStr sky_incoming_data(const SkyIncoming *incoming);
const char *sky_incoming_header(const SkyIncoming *incoming, const char *key); /* any case; NULL when absent */
uint64_t sky_incoming_sequence(const SkyIncoming *incoming);
int64_t sky_incoming_time_ms(const SkyIncoming *incoming);  /* when the broker stored it */
unsigned sky_incoming_attempt(const SkyIncoming *incoming); /* 1 at first */
/* Tells the broker that work goes on: restarts the ack wait, and the deadline of the context with it. From the thread
 * that does the work. */
void sky_incoming_in_progress(SkyIncoming *incoming);
/* Returned by a handler that will settle later, from any thread, exactly once. */
SKY_MUST_USE SkyStatus sky_incoming_defer(SkyIncoming *incoming);
void sky_incoming_settle(SkyIncoming *incoming, SkyStatus status);

/* Written by protoc-gen-sky: <prefix>_<Event>_route(handler, self). */
typedef struct SkyEventRoute SkyEventRoute;
struct SkyEventRoute {
  const SkyEventType *type;
  SkyFunction handler; /* the typed handler, cast back by invoke */
  void *self;
  SkyStatus (*invoke)(const SkyEventRoute *route, SkyIncoming *incoming, const ProtobufCMessage *event);
};

/*
 * The status a handler returns settles the message: SKY_OK acknowledges it (again until the broker confirms when
 * ack_sync); a retryable error, or CANCELLED, gives it back with growing delay; any other error, an undecodable
 * payload, or too many attempts moves it to DEADLETTERS (subject dead.<stream>.<durable>, with the reason in headers)
 * and acknowledges it only when that is stored.
 */
typedef struct SkyConsumerOptions {
  const char *stream;
  const char *durable;       /* shared by all replicas of a service: "workflow" */
  const char *const *filter; /* NULL-terminated subjects; NULL: those of the routes, each with ".>" */
  const SkyEventRoute *routes;
  size_t route_count;       /* copied */
  unsigned workers;         /* pull subscriptions, each with its thread; 0: 4 */
  int64_t ack_wait_ms;      /* 0: 30 s */
  unsigned max_deliver;     /* 0: 20 */
  size_t max_ack_pending;   /* deferred and in progress; 0: 1024 */
  size_t max_message_bytes; /* a larger one goes to the dead letters unread; 0: 1 MiB */
  bool ack_sync;
} SkyConsumerOptions;

typedef struct SkyConsumer SkyConsumer;
/* Begins to hand messages to the routes, now or as soon as the broker is there. */
SKY_MUST_USE SkyStatus sky_bus_consume(SkyBus *bus, const SkyConsumerOptions *options, SkyConsumer **ret);
/* Takes no new messages and waits for handlers in progress; what is not settled comes again later. Called by
 * sky_bus_close() too. */
void sky_consumer_stop(SkyConsumer *consumer, int64_t timeout_ms);

/* ---- core subjects (last value, nobody keeps it), reading back, key-value ---- */

typedef struct SkySubscription SkySubscription;
/* Every replica gets every message; slow: the oldest are dropped and counted. The handler's status is logged by nobody:
 * return SKY_OK or the reason for the drop count. */
SKY_MUST_USE SkyStatus sky_bus_subscribe(SkyBus *bus, const SkyEventRoute *route,
                                         const char *aggregate_id /* NULL: all */, SkySubscription **ret);
void sky_subscription_close(SkySubscription *subscription);

/* The newest stored message with exactly this subject. NOT_FOUND when there is none (never stored, or acknowledged on a
 * work queue). */
SKY_MUST_USE SkyStatus sky_bus_get_last(SkyBus *bus, const SkyContext *context, const char *stream, const char *subject,
                                        SkyArena *arena, SkyStr *ret_data, int64_t *ret_time_ms);

/* Values by key, as NATS keeps them; buckets are made when they are first used. get: NOT_FOUND when there is none; the
 * value lives in the arena. */
SKY_MUST_USE SkyStatus sky_bus_kv_put(SkyBus *bus, const SkyContext *context, const char *bucket, const char *key,
                                      SkyStr value);
SKY_MUST_USE SkyStatus sky_bus_kv_get(SkyBus *bus, const SkyContext *context, const char *bucket, const char *key,
                                      SkyArena *arena, SkyStr *ret_value);

typedef struct SkyBusStats {
  uint64_t published, publish_failed, consumed, redelivered, dead_lettered, dropped, reconnects;
  size_t pending;
} SkyBusStats;
/* A snapshot; counts since the connect. */
SkyBusStats sky_bus_stats(SkyBus *bus);
