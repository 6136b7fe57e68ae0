/*
 * What the tests of the bus share: one server and one bus per test, two event types, a recording handler.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <sky/bus/bus.h>

#include "bus_test.pb-c.h"
#include "nats_server.h"
#include "sky_check.h"

typedef Sky__Bus__Test__Happened Happened;

extern NatsServer server;
extern SkyBus *bus;
extern const SkyEventType happened_type; /* stream JOBS, a work queue of at most 1 MiB */
extern const SkyEventType noted_type;    /* the same message on stream NOTES (limits) */
extern const SkyEventType ended_type;    /* another message on stream NOTES */
extern const SkyEventType position_type; /* core */

/* Fixtures. */
void start_all(void);   /* server and a bus that is ready */
void stop_all(void);    /* closes the bus, ends the server */
void connect_bus(void); /* a bus that may not be ready yet; with short publish timeout */
void wait_ready(void);
SkyBus *connect_one(bool no_echo); /* another bus, the caller's to close */

/* Publishes with this id (and aggregate "t<number % 10>"). */
SKY_MUST_USE SkyStatus publish(const SkyEventType *type, const char *id, int64_t number, const char *text);
SKY_MUST_USE SkyStatus publish_raw(const char *subject, const char *id, SkyStr data, SkyConfirmation *ret);
void must(SkyStatus status); /* fails with the status's message */
void expect(SkyCode code, SkyStatus status);

/* What a handler does with each message, and what it saw. */
typedef struct Recorder {
  SkyStatus (*answer)(struct Recorder *recorder, SkyIncoming *incoming, const Happened *event); /* NULL: SKY_OK */
  atomic_uint calls;
  pthread_mutex_t mutex;
  unsigned seen[65536]; /* calls by number */
  unsigned last_attempt;
  int64_t times_ns[64]; /* of the first calls */
  SkyIncoming *deferred[64];
  atomic_uint deferred_count;
  SkyTrace trace;
  char source[64];
} Recorder;

void recorder_init(Recorder *recorder);
unsigned recorder_seen(Recorder *recorder, unsigned number);    /* how often that number came */
unsigned recorder_distinct(Recorder *recorder, unsigned count); /* how many of the numbers 0 … count-1 came */
SkyEventRoute recorder_route(Recorder *recorder, const SkyEventType *type);
SkyConsumer *consume(const SkyEventRoute *route, SkyConsumerOptions options); /* fills stream, durable and route */
/* Messages of a stream, through a connection of its own; -1 when there is no such stream. */
int64_t stream_messages(const char *stream);
/* Removes a message from a stream. */
void remove_message(const char *stream, uint64_t sequence);
/* Messages of a consumer that are delivered and not acknowledged, as the broker sees it; -1 when there is no such
 * consumer. */
int64_t unacknowledged(const char *stream, const char *durable);
/* Those it has yet to deliver for the first time; -1 likewise. */
int64_t undelivered(const char *stream, const char *durable);
/* A header of the last message of a subject ("" when it has none); fails when there is no message. */
const char *last_header(const char *stream, const char *subject, const char *key);
