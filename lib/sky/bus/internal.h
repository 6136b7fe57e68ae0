/*
 * Bus, inside: what its files share. See bus.h for what it does.
 *
 * Threads: the keeper (connects, probes, creates streams and consumers; the only one that talks to the JetStream API),
 * the timekeeper (ends what waits for a reply too long), the dispatcher (handlers of core subscriptions), one per pull
 * worker, and those of nats.c. All replies come in on one inbox subscription and find their publication in the pending
 * table.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <nats/nats.h>

#include <sky/bus/bus.h>
#include <sky/core/buf.h>
#include <sky/core/deadline_wait.h>
#include <sky/core/id.h>
#include <sky/core/time.h>

#include "pending.h"

enum {
  INBOX_SIZE = 48,
  SUBJECT_SIZE = 256,
  MAX_MESSAGE_BYTES = 1 << 20,
  MAX_RETRY_DELAY_MS = 30000, /* of a message that is given back, whatever its handler asked for */
  /* Left free of the broker's maximum, so that a message still fits when the headers of a dead letter are added. */
  HEADROOM_BYTES = 8 << 10,
};

/* A key-value bucket that was created, and on which epoch of the connection. */
typedef struct Bucket {
  uint64_t epoch;
  struct Bucket *next;
  char name[];
} Bucket;

/* Subscriptions with messages that wait for the dispatcher. */
typedef struct Dispatcher {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  SkySubscription *head, *tail;
  SkySubscription *running; /* whose handler runs now */
  size_t live;              /* subscriptions not freed yet */
  pthread_t thread;
  bool started, closing;
} Dispatcher;

/*
 * A connection and what lives on it. nats.c reconnects by itself, so there is normally one; when it gives up a
 * connection for good (it does so when credentials are refused twice), the keeper makes another. The old ones are kept
 * until the bus is freed: somebody may just be using them.
 */
typedef struct Link {
  natsConnection *connection;
  jsCtx *js;
  natsSubscription *replies;
  struct Link *older;
} Link;

typedef struct Meters {
  SkyMetrics *registry;
  SkyInstrument *operation, *sent, *consumed, *process;
} Meters;

struct SkyBus {
  char *service_name;
  int64_t publish_timeout_ms;
  int replicas; /* of streams that do not say */
  const SkyStreamConfig *streams;
  size_t stream_count;
  char inbox[INBOX_SIZE];

  natsOptions *options;
  _Atomic(Link *) link;     /* NULL until a first connection was made */
  atomic_bool jetstream_up; /* it answered the last probe */
  atomic_bool ready;
  atomic_uint_fast64_t epoch;        /* +1 whenever the connection or JetStream is lost */
  atomic_int_fast64_t last_reply_ns; /* when the broker last answered anything */
  Pending pending;

  pthread_mutex_t mutex; /* guards what follows, and what its consumers and subscriptions say */
  pthread_cond_t changed;
  bool kicked;
  char problem[256]; /* what the last probe found wrong */
  bool closing;
  int open_links; /* those for which nats.c may still run callbacks */
  SkyConsumer *consumers;
  SkySubscription *subscriptions;
  Bucket *buckets;
  pthread_t keeper, timekeeper;

  Dispatcher dispatcher;
  Meters meters;
  atomic_uint references; /* the owner's, and one per consumer: a message may be settled late */
  atomic_uint_fast64_t published, publish_failed, consumed, redelivered, dead_lettered, dropped, reconnects;
};

static inline int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

void bus_unref(SkyBus *bus);

/* ---- connection.c ---- */
SKY_MUST_USE SkyStatus connection_options_create(SkyBus *bus, const SkyBusOptions *wanted, natsOptions **ret);
void *connection_keep(void *bus);      /* the keeper's thread */
void *connection_keep_time(void *bus); /* the timekeeper's thread */
/* Asks the keeper to look at once. */
void connection_kick(SkyBus *bus);
/* UNAVAILABLE unless a publication has a chance now. */
SKY_MUST_USE SkyStatus connection_check(SkyBus *bus, Link **ret);
/* Whatever connection there was last, open or not; NULL before the first. */
natsConnection *connection_last(SkyBus *bus);
bool connection_is_up(const Link *link);
/* A failure of nats.c as a status. what: "publish". */
SKY_MUST_USE SkyStatus connection_error(natsStatus error, const char *what);
/* Waits up to a time of the monotonic clock for bus->changed; the mutex is held. False when the time is over. */
bool bus_wait_locked(SkyBus *bus, int64_t until_ns);

/* ---- streams.c (keeper's thread) ---- */
SKY_MUST_USE SkyStatus streams_ensure(SkyBus *bus, int64_t wait_ms);
/* Creates the bucket unless that was done on this connection. Any thread. */
SKY_MUST_USE SkyStatus streams_ensure_bucket(SkyBus *bus, const char *bucket, int64_t wait_ms);
const SkyStreamConfig *streams_find(const SkyBus *bus, const char *name);

/* ---- publish.c ---- */
/* Sends with a reply subject. on_reply runs exactly once, also (before this returns) when it cannot be sent. trace may
 * be NULL. */
void publish_request(SkyBus *bus, const SkyTrace *trace, const SkyPublication *publication, int64_t deadline_ns,
                     OnReply on_reply, void *user);
/* A message with its headers, to be freed with natsMsg_Destroy(). reply may be NULL. */
SKY_MUST_USE SkyStatus publish_build(const SkyTrace *trace, const SkyPublication *publication, const char *reply,
                                     natsMsg **ret);
/* The handler of the inbox. */
void publish_on_reply(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *bus);

/* ---- consumer.c, incoming.c, dead_letter.c ---- */
typedef struct Worker Worker;

/* What the broker said of a durable, to notice that nothing moves. */
typedef struct Progress {
  uint64_t floor;
  uint64_t delivered;        /* the consumer's count */
  uint64_t delivered_stream; /* the stream's sequence */
  int64_t unacknowledged;
  int64_t redelivered;
  int64_t since_ns;
} Progress;

struct SkyConsumer {
  SkyBus *bus;
  char *stream;
  char *durable;
  char *filter; /* one subject: nats-server 2.9 takes no more */
  SkyEventRoute *routes;
  size_t route_count;
  int64_t ack_wait_ms;
  unsigned max_deliver;
  size_t max_ack_pending;
  size_t max_message_bytes;
  bool ack_sync;
  bool is_work_queue;
  Worker *workers;
  size_t worker_count;
  size_t workers_running; /* bus->mutex */
  size_t outstanding;     /* messages taken and not settled; bus->mutex */
  uint64_t seen;          /* highest sequence of a message that was here; 0: none; bus->mutex */
  int64_t seen_ms;        /* when the stream got that message */
  atomic_bool ensured;    /* the broker has it, on this connection */
  atomic_bool stopping;
  /* keeper's thread: */
  int64_t looked_ns;     /* when it was last looked after; 0: to be done with the next probe */
  uint64_t swept;        /* up to where the stream was cleaned since it is ensured */
  uint64_t sweep_until;  /* up to where that has to be done; 0: not known yet */
  uint64_t resume_after; /* where it begins when it is made next; 0: at the beginning */
  Progress progress;
  atomic_uint references;
  SkyIncoming *spare; /* bus->mutex */
  SkyConsumer *next;
};

/* ---- durable.c (keeper's thread) ---- */
SKY_MUST_USE SkyStatus durable_ensure(SkyConsumer *consumer, int64_t wait_ms);
/* Puts right what a killed broker got wrong. Called every few seconds. */
void durable_look_after(SkyConsumer *consumer, int64_t wait_ms);

void consumer_unref(SkyConsumer *consumer);
/* Wakes the workers from their wait for messages. */
void consumer_wake(SkyConsumer *consumer);
/* Waits for workers and messages until then; false when some are left. */
bool consumer_join(SkyConsumer *consumer, int64_t until_ns);
/* Gives up the bus's reference. A handler that never returns keeps its consumer (and the memory of the bus) until it
 * does. */
void consumer_abandon(SkyConsumer *consumer);

struct SkyIncoming {
  SkyConsumer *consumer; /* NULL: a core subscription's */
  natsMsg *message;
  uint64_t sequence;
  int64_t time_ms;
  unsigned attempt;
  SkyContext context;
  SkyArena arena;
  atomic_uint references; /* the worker's and the settler's */
  unsigned ack_tries;
  SkyStatus failure; /* why it goes to the dead letters */
  SkyIncoming *next;
};

/* Takes the message. NULL without memory (then the message is freed: it comes again). */
SkyIncoming *incoming_create(SkyConsumer *consumer, natsMsg *message);
void incoming_destroy(SkyIncoming *incoming);
/* Runs the handler and settles, unless the handler deferred. Takes the worker's reference. */
void incoming_handle(SkyIncoming *incoming);
void incoming_unref(SkyIncoming *incoming);
/* What a handler that deferred has returned. */
bool incoming_is_deferral(SkyStatus status);
void incoming_begin_context(SkyIncoming *incoming, int64_t timeout_ms);
/* Unpacks and checks the event of a route, then calls its handler. Any fault of the payload is INVALID_ARGUMENT. */
SKY_MUST_USE SkyStatus incoming_invoke(SkyIncoming *incoming, const SkyEventRoute *route);
/* Gives the message back, to come again after the delay. */
void incoming_give_back(natsConnection *connection, natsMsg *message, int64_t delay_ms);
void incoming_acknowledge(SkyIncoming *incoming);
void incoming_retry(SkyIncoming *incoming, int64_t at_least_ms);

/* Moves the message to DEADLETTERS because of incoming->failure, then acknowledges it. Takes the settler's reference.
 */
void dead_letter_send(SkyIncoming *incoming);

/* ---- measure.c ---- */
SKY_MUST_USE SkyStatus measure_begin(SkyBus *bus, SkyMetrics *metrics);
void measure_end(SkyBus *bus);
/* destination may be NULL. */
void measure_published(SkyBus *bus, const char *destination, int64_t begun_ns, const SkyTrace *trace,
                       const SkyError *status);
void measure_consumed(SkyBus *bus, const char *destination, const char *group);
void measure_processed(SkyBus *bus, const char *destination, const char *group, int64_t begun_ns, const SkyTrace *trace,
                       const SkyError *status);

/* ---- subscription.c ---- */
void dispatcher_init(Dispatcher *dispatcher);
void dispatcher_finish(Dispatcher *dispatcher); /* all subscriptions are closed; waits for nats.c to let go of them */
/* Subscribes what was asked for before there was a connection, or was lost with an older one. */
void subscriptions_activate(SkyBus *bus);
void subscriptions_close_all(SkyBus *bus);
