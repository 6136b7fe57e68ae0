/*
 * Consumer: workers that pull messages of one durable and hand them to their handlers.
 *
 * Each worker has an inbox of its own and one open pull request at a time. The size of a pull adapts itself to about 50
 * ms of the handlers' work, so that messages do not queue behind a slow one while other workers (or replicas) are idle.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  DEFAULT_WORKERS = 4,
  MAX_WORKERS = 256,
  DEFAULT_ACK_WAIT_MS = 30000,
  DEFAULT_MAX_DELIVER = 20,
  DEFAULT_MAX_ACK_PENDING = 1024,
  PULL_EXPIRES_MS = 5000,
  PULL_GRACE_MS = 1000, /* for the broker's word that a pull has expired */
  MAX_BATCH = 64,
  BATCH_WORK_MS = 50,
  BACK_OFF_FIRST_MS = 50,
  BACK_OFF_MOST_MS = 1000,
};

struct Worker {
  SkyConsumer *consumer;
  natsSubscription *subscription;
  natsConnection *subscribed_on;
  char inbox[INBOX_SIZE + 36];
  pthread_t thread;
  bool started;
  int64_t handler_ns; /* running mean */
  int batch;
  int64_t back_off_ms;
};

/* ---- a worker ---- */

static bool is_stopping(const Worker *worker) {
  return atomic_load(&worker->consumer->stopping);
}

static bool wait_until_ensured(Worker *worker) {
  SkyConsumer *consumer = worker->consumer;
  pthread_mutex_lock(&consumer->bus->mutex);
  while (!atomic_load(&consumer->ensured) && !atomic_load(&consumer->stopping))
    pthread_cond_wait(&consumer->bus->changed, &consumer->bus->mutex);
  pthread_mutex_unlock(&consumer->bus->mutex);
  return !is_stopping(worker);
}

/* Sleeps longer each time something is wrong, unless it is told to stop. */
static void back_off(Worker *worker) {
  SkyBus *bus = worker->consumer->bus;
  connection_kick(bus);
  int64_t until = now_ns() + worker->back_off_ms * SKY_NS_PER_MS;
  pthread_mutex_lock(&bus->mutex);
  while (!is_stopping(worker) && bus_wait_locked(bus, until))
    continue;
  pthread_mutex_unlock(&bus->mutex);
  worker->back_off_ms = worker->back_off_ms * 2 < BACK_OFF_MOST_MS ? worker->back_off_ms * 2 : BACK_OFF_MOST_MS;
}

/* Deferred messages count: no more than max_ack_pending are held. */
static bool wait_for_room(Worker *worker) {
  SkyConsumer *consumer = worker->consumer;
  pthread_mutex_lock(&consumer->bus->mutex);
  while (consumer->outstanding >= consumer->max_ack_pending && !atomic_load(&consumer->stopping))
    pthread_cond_wait(&consumer->bus->changed, &consumer->bus->mutex);
  pthread_mutex_unlock(&consumer->bus->mutex);
  return !is_stopping(worker);
}

static natsStatus request(const Worker *worker, natsConnection *connection, const char *pull) {
  const SkyConsumer *consumer = worker->consumer;
  char subject[SUBJECT_SIZE];
  snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT.%s.%s", consumer->stream, consumer->durable);
  return natsConnection_PublishRequest(connection, subject, worker->inbox, pull, (int)strlen(pull));
}

static natsStatus ask(const Worker *worker, natsConnection *connection) {
  char pull[80];
  snprintf(pull, sizeof(pull), "{\"batch\":%d,\"expires\":%" PRId64 "}", worker->batch,
           (int64_t)PULL_EXPIRES_MS * SKY_NS_PER_MS);
  return request(worker, connection, pull);
}

/* A pull that does not wait is answered at once, whatever there is or is not: so the open one need not run out. A word
 * to ourselves would not do, as the connection may be without echo. */
static void wake(const Worker *worker, natsConnection *connection) {
  request(worker, connection, "{\"batch\":1,\"no_wait\":true}"); /* without a connection nothing is open either */
}

static void adapt_batch(Worker *worker, int64_t took_ns) {
  worker->handler_ns = worker->handler_ns == 0 ? took_ns : (worker->handler_ns * 7 + took_ns) / 8;
  int64_t fits = (int64_t)BATCH_WORK_MS * SKY_NS_PER_MS / (worker->handler_ns + 1);
  int64_t most = worker->batch * 2 < MAX_BATCH ? worker->batch * 2 : MAX_BATCH;
  worker->batch = (int)(fits < 1 ? 1 : fits < most ? fits : most);
}

/*
 * Messages of one pull wait in the client while earlier ones are handled. One that waited for most of its ack wait is
 * left to its next delivery, which may be on its way already.
 */
static bool is_stale(const Worker *worker, int64_t arrived_ns) {
  return now_ns() - arrived_ns > worker->consumer->ack_wait_ms * SKY_NS_PER_MS / 4 * 3;
}

/* A time before which nothing of what waits now can have come. */
static void note_arrival(const Worker *worker, int64_t *arrived_ns) {
  uint64_t queued = 0;
  if (natsSubscription_QueuedMsgs(worker->subscription, &queued) == NATS_OK && queued == 0)
    *arrived_ns = now_ns();
}

static void take(Worker *worker, natsConnection *connection, natsMsg *message, int64_t arrived_ns) {
  SkyConsumer *consumer = worker->consumer;
  if (is_stopping(worker) || is_stale(worker, arrived_ns)) {
    incoming_give_back(connection, message, 0);
    natsMsg_Destroy(message);
    return;
  }
  SkyIncoming *incoming = incoming_create(consumer, message);
  if (incoming == NULL)
    return;
  int64_t begun_ns = now_ns();
  incoming_handle(incoming);
  adapt_batch(worker, now_ns() - begun_ns);
}

typedef enum Word { WORD_MESSAGE, WORD_END, WORD_WRONG } Word;

/* What the broker sent: a message, the end of the pull (404, 408, 409 about limits), or that something is wrong (503,
 * other 409). */
static Word word_of(natsMsg *message) {
  const char *reply = natsMsg_GetReply(message);
  if (reply != NULL && strncmp(reply, "$JS.ACK.", 8) == 0)
    return WORD_MESSAGE;
  const char *code = NULL;
  if (natsMsgHeader_Get(message, "Status", &code) != NATS_OK)
    return WORD_WRONG;
  if (strcmp(code, "404") == 0 || strcmp(code, "408") == 0 || strcmp(code, "100") == 0)
    return WORD_END;
  const char *text = NULL;
  bool limits = natsMsgHeader_Get(message, "Description", &text) == NATS_OK && strstr(text, "MaxAckPending") != NULL;
  return limits ? WORD_END : WORD_WRONG;
}

/* One pull: handles messages as they come. False when something is wrong. */
static bool pull(Worker *worker, natsConnection *connection) {
  SkyConsumer *consumer = worker->consumer;
  uint64_t epoch = atomic_load(&consumer->bus->epoch);
  int wanted = worker->batch;
  if (ask(worker, connection) != NATS_OK)
    return false;
  int64_t arrived_ns = now_ns();
  while (wanted > 0 && !is_stopping(worker) && atomic_load(&consumer->bus->epoch) == epoch) {
    natsMsg *message = NULL;
    note_arrival(worker, &arrived_ns);
    natsStatus result = natsSubscription_NextMsg(&message, worker->subscription, PULL_EXPIRES_MS + PULL_GRACE_MS);
    if (result != NATS_OK)
      return result ==
             NATS_TIMEOUT; /* the request or its end got lost: ask again. NO_RESPONDERS: the consumer is gone. */
    Word word = word_of(message);
    if (word == WORD_MESSAGE) {
      take(worker, connection, message, arrived_ns);
      wanted--;
      continue;
    }
    natsMsg_Destroy(message);
    return word == WORD_END;
  }
  return true;
}

static bool subscribe(Worker *worker, natsConnection *connection) {
  if (worker->subscription != NULL && worker->subscribed_on == connection)
    return true;
  natsSubscription_Destroy(worker->subscription); /* closed with its connection */
  worker->subscription = NULL;
  if (natsConnection_SubscribeSync(&worker->subscription, connection, worker->inbox) != NATS_OK)
    return false;
  worker->subscribed_on = connection;
  natsSubscription_SetPendingLimits(worker->subscription, -1, -1); /* bounded by the pulls */
  return true;
}

/* Gives back what came after the last pull. Draining before destroying: nats.c 3.4.1 has a use after free otherwise. */
static void unsubscribe(Worker *worker, natsConnection *connection) {
  if (worker->subscription == NULL)
    return;
  natsSubscription_DrainTimeout(worker->subscription, 500);
  natsMsg *message = NULL;
  while (natsSubscription_NextMsg(&message, worker->subscription, 500) == NATS_OK) {
    if (word_of(message) == WORD_MESSAGE)
      incoming_give_back(connection, message, 0);
    natsMsg_Destroy(message);
  }
  natsSubscription_WaitForDrainCompletion(worker->subscription, 500);
  natsSubscription_Destroy(worker->subscription);
  worker->subscription = NULL;
}

static void *run(void *user) {
  Worker *worker = user;
  SkyConsumer *consumer = worker->consumer;
  SkyBus *bus = consumer->bus;
  while (wait_until_ensured(worker) && wait_for_room(worker)) {
    natsConnection *connection = connection_last(bus);
    if (subscribe(worker, connection) && pull(worker, connection)) {
      worker->back_off_ms = BACK_OFF_FIRST_MS;
    } else if (!is_stopping(worker)) {
      atomic_store(&consumer->ensured, false);
      back_off(worker);
    }
  }
  unsubscribe(worker, connection_last(bus));
  nats_ReleaseThreadMemory();
  pthread_mutex_lock(&bus->mutex);
  consumer->workers_running--;
  pthread_cond_broadcast(&bus->changed);
  pthread_mutex_unlock(&bus->mutex);
  consumer_unref(consumer);
  return NULL;
}

void consumer_wake(SkyConsumer *consumer) {
  natsConnection *connection = connection_last(consumer->bus);
  for (size_t i = 0; connection != NULL && i < consumer->worker_count; i++)
    wake(&consumer->workers[i], connection);
  pthread_mutex_lock(&consumer->bus->mutex);
  pthread_cond_broadcast(&consumer->bus->changed);
  pthread_mutex_unlock(&consumer->bus->mutex);
}

/* ---- making and ending one ---- */

static size_t common_tokens(const char *a, const char *b) {
  size_t common = 0;
  for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
    if (a[i] == '.')
      common = i + 1;
  return common;
}

/* nats-server 2.9 takes one filter: that of the only subject, or what all of them begin with. */
static char *make_filter(const SkyConsumerOptions *options) {
  const char *first = options->filter != NULL ? options->filter[0] : options->routes[0].type->subject;
  size_t common = strlen(first);
  size_t count = 1;
  if (options->filter != NULL) {
    for (; options->filter[count] != NULL; count++)
      common =
          common_tokens(first, options->filter[count]) < common ? common_tokens(first, options->filter[count]) : common;
  } else {
    for (; count < options->route_count; count++) {
      size_t tokens = common_tokens(first, options->routes[count].type->subject);
      common = tokens < common ? tokens : common;
    }
  }
  char *filter = NULL;
  bool whole = count == 1;
  const char *tail = whole ? (options->filter != NULL ? "" : ".>") : ">";
  return asprintf(&filter, "%.*s%s", (int)common, first, tail) < 0 ? NULL : filter;
}

void consumer_unref(SkyConsumer *consumer) {
  if (atomic_fetch_sub(&consumer->references, 1) != 1)
    return;
  SkyBus *bus = consumer->bus;
  while (consumer->spare != NULL) {
    SkyIncoming *spare = consumer->spare;
    consumer->spare = spare->next;
    incoming_destroy(spare);
  }
  free(consumer->stream);
  free(consumer->durable);
  free(consumer->filter);
  free(consumer->routes);
  free(consumer->workers);
  free(consumer);
  bus_unref(bus);
}

static SkyStatus check_options(const SkyBus *bus, const SkyConsumerOptions *options) {
  if (streams_find(bus, options->stream) == NULL)
    return SKY_INVALID_ARGUMENT("stream %s is not among those of the bus", options->stream);
  if (options->durable == NULL || options->durable[0] == '\0' || strpbrk(options->durable, " .*>") != NULL)
    return SKY_INVALID_ARGUMENT("a consumer of %s needs a durable name without dots and wildcards", options->stream);
  if (options->route_count == 0)
    return SKY_INVALID_ARGUMENT("consumer %s has no routes", options->durable);
  return SKY_OK;
}

static SkyStatus fill_consumer(SkyConsumer *consumer, SkyBus *bus, const SkyConsumerOptions *options) {
  *consumer = (SkyConsumer){
      .bus = bus,
      .stream = strdup(options->stream),
      .durable = strdup(options->durable),
      .filter = make_filter(options),
      .routes = calloc(options->route_count, sizeof(*consumer->routes)),
      .route_count = options->route_count,
      .ack_wait_ms = options->ack_wait_ms > 0 ? options->ack_wait_ms : DEFAULT_ACK_WAIT_MS,
      .max_deliver = options->max_deliver > 0 ? options->max_deliver : DEFAULT_MAX_DELIVER,
      .max_ack_pending = options->max_ack_pending > 0 ? options->max_ack_pending : DEFAULT_MAX_ACK_PENDING,
      .max_message_bytes = options->max_message_bytes > 0 ? options->max_message_bytes : MAX_MESSAGE_BYTES,
      .ack_sync = options->ack_sync,
      .is_work_queue = streams_find(bus, options->stream)->retention == SKY_RETENTION_WORK_QUEUE,
      .worker_count = options->workers == 0            ? DEFAULT_WORKERS
                      : options->workers < MAX_WORKERS ? options->workers
                                                       : MAX_WORKERS,
      .references = 1,
  };
  consumer->workers = calloc(consumer->worker_count, sizeof(*consumer->workers));
  atomic_fetch_add(&bus->references, 1);
  if (consumer->stream == NULL || consumer->durable == NULL || consumer->filter == NULL || consumer->routes == NULL ||
      consumer->workers == NULL)
    return sky_status_no_memory();
  memcpy(consumer->routes, options->routes, options->route_count * sizeof(*consumer->routes));
  return SKY_OK;
}

static SkyStatus start_workers(SkyConsumer *consumer) {
  static atomic_uint serial;
  unsigned number = atomic_fetch_add(&serial, 1);
  for (size_t i = 0; i < consumer->worker_count; i++) {
    Worker *worker = &consumer->workers[i];
    worker->consumer = consumer;
    worker->batch = 1;
    worker->back_off_ms = BACK_OFF_FIRST_MS;
    /* One token more than the inbox of confirmations listens to. */
    snprintf(worker->inbox, sizeof(worker->inbox), "%s.w%u.%zu", consumer->bus->inbox, number, i);
    pthread_mutex_lock(&consumer->bus->mutex);
    worker->started = pthread_create(&worker->thread, NULL, run, worker) == 0;
    consumer->workers_running += worker->started;
    atomic_fetch_add(&consumer->references, worker->started);
    pthread_mutex_unlock(&consumer->bus->mutex);
    if (!worker->started)
      return SKY_RESOURCE_EXHAUSTED("cannot start a thread for consumer %s", consumer->durable);
  }
  return SKY_OK;
}

SkyStatus sky_bus_consume(SkyBus *bus, const SkyConsumerOptions *options, SkyConsumer **ret) {
  SKY_TRY(check_options(bus, options));
  SkyConsumer *consumer = calloc(1, sizeof(*consumer));
  if (consumer == NULL)
    return sky_status_no_memory();
  SkyStatus status = fill_consumer(consumer, bus, options);
  if (status != SKY_OK) {
    consumer_unref(consumer);
    return status;
  }
  status = start_workers(consumer);
  /* From here on the bus owns it, so that also a half-started one is stopped and freed in order. */
  pthread_mutex_lock(&bus->mutex);
  consumer->next = bus->consumers;
  bus->consumers = consumer;
  pthread_mutex_unlock(&bus->mutex);
  connection_kick(bus);
  if (status == SKY_OK)
    *ret = consumer;
  else
    sky_consumer_stop(consumer, 0);
  return status;
}

static void join_worker(Worker *worker) {
  if (worker->started)
    pthread_join(worker->thread, NULL);
  worker->started = false;
}

void consumer_abandon(SkyConsumer *consumer) {
  for (size_t i = 0; i < consumer->worker_count; i++) {
    if (consumer->workers[i].started)
      pthread_detach(consumer->workers[i].thread);
    consumer->workers[i].started = false;
  }
  consumer_unref(consumer);
}

bool consumer_join(SkyConsumer *consumer, int64_t until_ns) {
  SkyBus *bus = consumer->bus;
  pthread_mutex_lock(&bus->mutex);
  while ((consumer->workers_running > 0 || consumer->outstanding > 0) && bus_wait_locked(bus, until_ns))
    continue;
  bool workers_ended = consumer->workers_running == 0;
  bool all = workers_ended && consumer->outstanding == 0;
  pthread_mutex_unlock(&bus->mutex);
  for (size_t i = 0; workers_ended && i < consumer->worker_count; i++)
    join_worker(&consumer->workers[i]);
  return all;
}

void sky_consumer_stop(SkyConsumer *consumer, int64_t timeout_ms) {
  atomic_store(&consumer->stopping, true);
  consumer_wake(consumer);
  consumer_join(consumer, now_ns() + timeout_ms * SKY_NS_PER_MS);
}
