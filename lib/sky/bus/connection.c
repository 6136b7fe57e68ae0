/*
 * Connection: made and kept in the background.
 *
 * The keeper repeats the first connect itself: with RetryOnFailedConnect nats.c 3.4.1 closes the connection for good
 * when the server dies during the first handshake. After that nats.c reconnects; on top of it the keeper asks JetStream
 * every few seconds for the streams we need, because a connection says nothing about it: the server may run without
 * JetStream, may have lost its data, or be stopped. A lost JetStream then fails publications at once instead of by
 * timeout.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  CONNECT_TIMEOUT_MS = 2000,
  PROBE_TIMEOUT_MS = 1500,
  PROBE_PERIOD_MS = 2000,
  PROBE_PERIOD_WHEN_LOST_MS = 250,
  RECONNECT_FIRST_MS = 50,
  RECONNECT_MOST_MS = 1000,
  PING_PERIOD_MS = 5000,
  WRITE_TIMEOUT_MS = 2000,
  RECONNECT_BUFFER_BYTES = 64 << 10, /* acknowledgements; publications are refused while the connection is away */
  TICK_MS = 100,
  LOOK_PERIOD_MS = 5000,
  SUSPICIOUS_MS = 500, /* a confirmation that takes longer makes the keeper probe */
};

bool connection_is_up(const Link *link) {
  return link != NULL && natsConnection_Status(link->connection) == NATS_CONN_STATUS_CONNECTED;
}

natsConnection *connection_last(SkyBus *bus) {
  Link *link = atomic_load(&bus->link);
  return link == NULL ? NULL : link->connection;
}

void connection_kick(SkyBus *bus) {
  pthread_mutex_lock(&bus->mutex);
  bus->kicked = true;
  pthread_cond_broadcast(&bus->changed);
  pthread_mutex_unlock(&bus->mutex);
}

/* Whatever was sent before is not confirmed any more, and consumers must ask again. */
static void lose(SkyBus *bus) {
  atomic_store(&bus->ready, false);
  atomic_store(&bus->jetstream_up, false);
  atomic_fetch_add(&bus->epoch, 1);
}

static void on_reconnected(natsConnection *connection, void *user) {
  (void)connection;
  SkyBus *bus = user;
  atomic_fetch_add(&bus->reconnects, 1);
  connection_kick(bus);
}

static void on_disconnected(natsConnection *connection, void *bus) {
  (void)connection;
  lose(bus);
  connection_kick(bus);
}

static void on_closed(natsConnection *connection, void *user) {
  (void)connection;
  SkyBus *bus = user;
  pthread_mutex_lock(&bus->mutex);
  bus->open_links--;
  bus->kicked = true;
  pthread_cond_broadcast(&bus->changed);
  pthread_mutex_unlock(&bus->mutex);
}

static int64_t reconnect_delay_ms(natsConnection *connection, int attempts, void *bus) {
  (void)connection;
  (void)bus;
  int64_t delay = attempts > 5 ? RECONNECT_MOST_MS : (int64_t)RECONNECT_FIRST_MS << attempts;
  if (delay > RECONNECT_MOST_MS)
    delay = RECONNECT_MOST_MS;
  return delay - (int64_t)(sky_random_unit(sky_random_system_borrow()) * (double)delay / 4);
}

/* nats.c asks for it, or else prints slow consumers on stderr. Dropped core messages are counted by our own queue. */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus error, void *bus) {
  (void)connection, (void)subscription, (void)error, (void)bus;
}

static natsStatus set_callbacks(natsOptions *options, SkyBus *bus) {
  natsStatus result = natsOptions_SetDisconnectedCB(options, on_disconnected, bus);
  if (result == NATS_OK)
    result = natsOptions_SetReconnectedCB(options, on_reconnected, bus);
  if (result == NATS_OK)
    result = natsOptions_SetClosedCB(options, on_closed, bus);
  if (result == NATS_OK)
    result = natsOptions_SetErrorHandler(options, on_error, bus);
  if (result == NATS_OK)
    result = natsOptions_SetCustomReconnectDelay(options, reconnect_delay_ms, bus);
  return result;
}

static natsStatus set_limits(natsOptions *options) {
  natsStatus result = natsOptions_SetMaxReconnect(options, -1);
  if (result == NATS_OK)
    result = natsOptions_SetFailRequestsOnDisconnect(options, true);
  if (result == NATS_OK)
    result = natsOptions_SetTimeout(options, CONNECT_TIMEOUT_MS);
  if (result == NATS_OK)
    result = natsOptions_SetPingInterval(options, PING_PERIOD_MS);
  if (result == NATS_OK)
    result = natsOptions_SetMaxPingsOut(options, 2);
  if (result == NATS_OK)
    result = natsOptions_SetWriteDeadline(options, WRITE_TIMEOUT_MS);
  if (result == NATS_OK)
    result = natsOptions_SetReconnectBufSize(options, RECONNECT_BUFFER_BYTES);
  /* At once instead of by the flusher thread: measured on a busy machine, a publication that is waited for takes 0.25
   * ms instead of 1.2, and half of the CPU time; one in a crowd costs a quarter more. */
  if (result == NATS_OK)
    result = natsOptions_SetSendAsap(options, true);
  /* One thread for all asynchronous subscriptions instead of one each: a watcher is a subscription. */
  if (result == NATS_OK)
    result = natsOptions_UseGlobalMessageDelivery(options, true);
  return result;
}

/* nats.c takes anything and finds out when it connects; a wrong setting shall be told at start. */
static bool is_url(const char *url) {
  SkyStr rest = sky_str(url);
  SkyStr scheme;
  if (!sky_str_cut(&rest, ':', &scheme) || !(sky_str_is(scheme, "nats") || sky_str_is(scheme, "tls")) ||
      !sky_str_starts_with(rest, SKY_STR("//")))
    return false;
  rest = (SkyStr){rest.data + 2, rest.size - 2};
  const char *at = memrchr(rest.data, '@', rest.size);
  const char *colon = memrchr(rest.data, ':', rest.size);
  if (colon == NULL || (at != NULL && colon < at)) /* without a port */
    return rest.size > 0;
  uint64_t port = 0;
  SkyStr port_text = {colon + 1, rest.size - (size_t)(colon + 1 - rest.data)};
  return colon > rest.data && sky_str_to_uint64(port_text, &port) && port > 0 && port < 65536;
}

SkyStatus connection_options_create(SkyBus *bus, const SkyBusOptions *wanted, natsOptions **ret) {
  const char *url = wanted->url;
  if (!is_url(url))
    return SKY_INVALID_ARGUMENT("'%s' is not the address of a NATS server (nats://host:port)", url);
  natsOptions *options = NULL;
  natsStatus result = natsOptions_Create(&options);
  if (result != NATS_OK)
    return connection_error(result, "start the NATS client");
  result = natsOptions_SetURL(options, url);
  if (result != NATS_OK) {
    natsOptions_Destroy(options);
    return SKY_INVALID_ARGUMENT("'%s' is not the address of a NATS server (nats://host:port)", url);
  }
  result = natsOptions_SetName(options, bus->service_name);
  if (result == NATS_OK)
    result = set_callbacks(options, bus);
  if (result == NATS_OK)
    result = set_limits(options);
  if (result == NATS_OK)
    result = natsOptions_SetNoEcho(options, wanted->no_echo);
  if (result != NATS_OK) {
    natsOptions_Destroy(options);
    return connection_error(result, "set up the NATS client");
  }
  *ret = options;
  return SKY_OK;
}

SkyStatus connection_check(SkyBus *bus, Link **ret) {
  Link *link = atomic_load(&bus->link);
  if (!connection_is_up(link))
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("not connected to the broker"), 1000);
  if (!atomic_load(&bus->jetstream_up))
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("the broker's JetStream does not answer"), 1000);
  *ret = link;
  return SKY_OK;
}

SkyStatus connection_error(natsStatus error, const char *what) {
  const char *text = natsStatus_GetText(error);
  switch (error) {
  case NATS_TIMEOUT:
    return SKY_DEADLINE_EXCEEDED("%s: the broker did not answer in time", what);
  case NATS_NOT_FOUND:
    return SKY_NOT_FOUND("%s: not found", what);
  case NATS_MAX_PAYLOAD:
  case NATS_INVALID_ARG:
  case NATS_INVALID_SUBJECT:
    return SKY_INVALID_ARGUMENT("%s: %s", what, text);
  case NATS_NO_MEMORY:
    return sky_status_no_memory();
  default:
    return sky_status_with_retry_after_ms(SKY_UNAVAILABLE("%s: %s", what, text), 1000);
  }
}

/* ---- the timekeeper ---- */

void *connection_keep_time(void *user) {
  SkyBus *bus = user;
  while (pending_wait(&bus->pending, TICK_MS)) {
    int64_t now = now_ns();
    if (pending_oldest_ns(&bus->pending) < now - (int64_t)SUSPICIOUS_MS * SKY_NS_PER_MS)
      connection_kick(bus);
    pending_expire(&bus->pending, now, atomic_load(&bus->epoch));
  }
  nats_ReleaseThreadMemory();
  return NULL;
}

/* ---- the keeper ---- */

static natsStatus subscribe_inbox(SkyBus *bus, Link *link) {
  char subject[INBOX_SIZE + 4];
  snprintf(subject, sizeof(subject), "%s.*", bus->inbox);
  natsStatus result = natsConnection_Subscribe(&link->replies, link->connection, subject, publish_on_reply, bus);
  if (result == NATS_OK) /* bounded by the pending table */
    result = natsSubscription_SetPendingLimits(link->replies, -1, -1);
  return result;
}

/* From now on nats.c may call back for it; on_closed counts down. */
static void publish_link(SkyBus *bus, Link *link) {
  pthread_mutex_lock(&bus->mutex);
  link->older = atomic_load(&bus->link);
  atomic_store(&bus->link, link);
  pthread_cond_broadcast(&bus->changed);
  pthread_mutex_unlock(&bus->mutex);
}

/* Tries for at most the connect timeout. */
static void try_connect(SkyBus *bus) {
  Link *link = calloc(1, sizeof(*link));
  if (link == NULL || natsConnection_Connect(&link->connection, bus->options) != NATS_OK) {
    free(link);
    return;
  }
  pthread_mutex_lock(&bus->mutex);
  bus->open_links++;
  pthread_mutex_unlock(&bus->mutex);
  natsStatus result = natsConnection_JetStream(&link->js, link->connection, NULL);
  if (result == NATS_OK)
    result = subscribe_inbox(bus, link);
  if (result != NATS_OK) /* closed, it counts as an old one, and the next attempt makes another */
    natsConnection_Close(link->connection);
  publish_link(bus, link);
}

static bool needs_link(const Link *link) {
  return link == NULL || natsConnection_Status(link->connection) == NATS_CONN_STATUS_CLOSED;
}

static void look_after_sometimes(SkyConsumer *consumer) {
  int64_t now = now_ns();
  if (consumer->looked_ns != 0 && now - consumer->looked_ns < (int64_t)LOOK_PERIOD_MS * SKY_NS_PER_MS)
    return;
  consumer->looked_ns = now;
  durable_look_after(consumer, PROBE_TIMEOUT_MS);
}

static void ensure_consumers(SkyBus *bus) {
  pthread_mutex_lock(&bus->mutex);
  SkyConsumer *consumer = bus->consumers; /* the list only grows, at its head */
  pthread_mutex_unlock(&bus->mutex);
  for (; consumer != NULL; consumer = consumer->next) {
    if (atomic_load(&consumer->ensured)) {
      look_after_sometimes(consumer);
      continue;
    }
    consumer->looked_ns = 0;
    consumer->swept = consumer->sweep_until = 0;
    SkyStatus status = durable_ensure(consumer, PROBE_TIMEOUT_MS);
    if (status == SKY_OK) {
      atomic_store(&consumer->ensured, true);
      look_after_sometimes(consumer);
      pthread_mutex_lock(&bus->mutex);
      pthread_cond_broadcast(&bus->changed);
      pthread_mutex_unlock(&bus->mutex);
    }
    sky_status_free(status); /* tried again with the next probe */
  }
}

static void forget_consumers(SkyBus *bus) {
  pthread_mutex_lock(&bus->mutex);
  SkyConsumer *consumer = bus->consumers;
  pthread_mutex_unlock(&bus->mutex);
  for (; consumer != NULL; consumer = consumer->next) {
    atomic_store(&consumer->ensured, false);
    consumer_wake(consumer);
  }
}

/* Lost is said only when the broker was silent for the whole time of the probe: a busy one answers something. */
static bool is_silent(SkyBus *bus, SkyCode code, int64_t since_ns) {
  return code == SKY_CODE_UNAVAILABLE ||
         (code == SKY_CODE_DEADLINE_EXCEEDED && atomic_load(&bus->last_reply_ns) < since_ns);
}

static void note_problem(SkyBus *bus, const SkyError *status) {
  pthread_mutex_lock(&bus->mutex);
  snprintf(bus->problem, sizeof(bus->problem), "%s", sky_status_message(status));
  pthread_mutex_unlock(&bus->mutex);
}

static void probe(SkyBus *bus, uint64_t *seen_epoch) {
  subscriptions_activate(bus);
  int64_t started_ns = now_ns();
  uint64_t epoch = atomic_load(&bus->epoch);
  if (*seen_epoch != epoch)
    forget_consumers(bus);
  *seen_epoch = epoch;
  SkyStatus status = streams_ensure(bus, PROBE_TIMEOUT_MS);
  SkyCode code = sky_status_code(status);
  note_problem(bus, status);
  sky_status_free(status);
  if (is_silent(bus, code, started_ns)) {
    if (atomic_load(&bus->jetstream_up))
      lose(bus);
    return;
  }
  atomic_store(&bus->jetstream_up, true);
  atomic_store(&bus->ready, code == SKY_CODE_OK);
  if (atomic_load(&bus->epoch) != epoch) { /* lost meanwhile: the callback's word counts */
    atomic_store(&bus->jetstream_up, false);
    atomic_store(&bus->ready, false);
  } else {
    ensure_consumers(bus);
  }
}

bool bus_wait_locked(SkyBus *bus, int64_t until_ns) {
  return sky_deadline_cond_wait(&bus->changed, &bus->mutex, until_ns);
}

/* Until the next probe is due or asked for. False when closing. */
static bool wait_for_work(SkyBus *bus) {
  int64_t period = atomic_load(&bus->ready) ? PROBE_PERIOD_MS : PROBE_PERIOD_WHEN_LOST_MS;
  int64_t until = now_ns() + period * SKY_NS_PER_MS;
  pthread_mutex_lock(&bus->mutex);
  while (!bus->kicked && !bus->closing && bus_wait_locked(bus, until))
    continue;
  bus->kicked = false;
  bool open = !bus->closing;
  pthread_mutex_unlock(&bus->mutex);
  return open;
}

void *connection_keep(void *user) {
  SkyBus *bus = user;
  uint64_t seen_epoch = 0;
  do {
    if (needs_link(atomic_load(&bus->link)))
      try_connect(bus);
    if (connection_is_up(atomic_load(&bus->link)))
      probe(bus, &seen_epoch);
  } while (wait_for_work(bus));
  nats_ReleaseThreadMemory();
  return NULL;
}
