/*
 * The bus as a whole: opening, closing, state.
 */
#include "internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/id.h>

enum {
  DEFAULT_PUBLISH_TIMEOUT_MS = 5000,
  DEFAULT_MAX_PENDING = 8192,
  CLOSE_TIMEOUT_MS = 5000,
  FLUSH_TIMEOUT_MS = 1000
};

static void init_locks(SkyBus *bus) {
  pthread_mutex_init(&bus->mutex, NULL);
  sky_deadline_cond_init(&bus->changed);
  dispatcher_init(&bus->dispatcher);
}

/* Unguessable and ours alone: whoever knows it can read our confirmations. */
static void make_inbox(char inbox[INBOX_SIZE]) {
  char id[SKY_UUID_TEXT_SIZE];
  SkyUuid uuid = sky_uuid_v7(sky_clock_wall_ms(sky_clock_system_borrow()), sky_random_system_borrow());
  sky_uuid_format(&uuid, id);
  snprintf(inbox, INBOX_SIZE, "_INBOX.%s", id);
}

static SkyStatus fill(SkyBus *bus, const SkyBusOptions *options) {
  bus->publish_timeout_ms = options->publish_timeout_ms > 0 ? options->publish_timeout_ms : DEFAULT_PUBLISH_TIMEOUT_MS;
  bus->replicas = options->replicas > 0 ? options->replicas : 1;
  bus->streams = options->streams;
  bus->stream_count = options->stream_count;
  bus->service_name = strdup(options->service_name);
  if (bus->service_name == NULL)
    return sky_status_no_memory();
  make_inbox(bus->inbox);
  SKY_TRY(pending_init(&bus->pending, options->max_pending > 0 ? options->max_pending : DEFAULT_MAX_PENDING));
  SKY_TRY(measure_begin(bus, options->metrics));
  return connection_options_create(bus, options, &bus->options);
}

static SkyStatus start_threads(SkyBus *bus) {
  if (pthread_create(&bus->timekeeper, NULL, connection_keep_time, bus) != 0)
    return SKY_RESOURCE_EXHAUSTED("cannot start a thread for the bus");
  if (pthread_create(&bus->keeper, NULL, connection_keep, bus) == 0)
    return SKY_OK;
  pending_close(&bus->pending);
  pthread_join(bus->timekeeper, NULL);
  return SKY_RESOURCE_EXHAUSTED("cannot start a thread for the bus");
}

SkyStatus sky_bus_connect(const SkyBusOptions *options, SkyBus **ret) {
  SkyBus *bus = calloc(1, sizeof(*bus));
  if (bus == NULL)
    return sky_status_no_memory();
  atomic_store(&bus->references, 1);
  init_locks(bus);
  SkyStatus status = fill(bus, options);
  if (status == SKY_OK)
    status = start_threads(bus);
  if (status != SKY_OK) {
    measure_end(bus);
    bus_unref(bus);
    return status;
  }
  *ret = bus;
  return SKY_OK;
}

static void destroy_link(Link *link) {
  natsSubscription_Destroy(link->replies);
  jsCtx_Destroy(link->js);
  natsConnection_Destroy(link->connection);
  free(link);
}

void bus_unref(SkyBus *bus) {
  if (atomic_fetch_sub(&bus->references, 1) != 1)
    return;
  for (Link *link = atomic_load(&bus->link), *older; link != NULL; link = older) {
    older = link->older;
    destroy_link(link);
  }
  for (Bucket *bucket = bus->buckets, *next; bucket != NULL; bucket = next) {
    next = bucket->next;
    free(bucket);
  }
  natsOptions_Destroy(bus->options);
  pending_finish(&bus->pending);
  pthread_cond_destroy(&bus->changed);
  pthread_mutex_destroy(&bus->mutex);
  pthread_cond_destroy(&bus->dispatcher.changed);
  pthread_mutex_destroy(&bus->dispatcher.mutex);
  free(bus->service_name);
  free(bus);
}

/* ---- closing ---- */

/* All are told first, so that they end side by side. */
void sky_bus_stop_consumers(SkyBus *bus, int64_t timeout_ms) {
  int64_t until_ns = now_ns() + timeout_ms * SKY_NS_PER_MS;
  for (SkyConsumer *consumer = bus->consumers; consumer != NULL; consumer = consumer->next) {
    atomic_store(&consumer->stopping, true);
    consumer_wake(consumer);
  }
  for (SkyConsumer *consumer = bus->consumers; consumer != NULL; consumer = consumer->next)
    consumer_join(consumer, until_ns);
}

static void wait_for_confirmations(SkyBus *bus, int64_t until_ns) {
  pthread_mutex_lock(&bus->mutex);
  while (pending_count(&bus->pending) > 0 && now_ns() < until_ns) {
    /* Nobody signals each confirmation; this is the end, and short. */
    int64_t tick_ns = now_ns() + 5 * SKY_NS_PER_MS;
    bus_wait_locked(bus, tick_ns < until_ns ? tick_ns : until_ns);
  }
  pthread_mutex_unlock(&bus->mutex);
}

/* After this nats.c runs no callback of any connection any more. */
static void close_connection(SkyBus *bus) {
  Link *link = atomic_load(&bus->link);
  if (link == NULL)
    return;
  if (connection_is_up(link))
    natsConnection_FlushTimeout(link->connection, FLUSH_TIMEOUT_MS); /* the last acknowledgements */
  natsConnection_Close(link->connection);
  int64_t until_ns = now_ns() + (int64_t)CLOSE_TIMEOUT_MS * SKY_NS_PER_MS;
  pthread_mutex_lock(&bus->mutex);
  while (bus->open_links > 0 && bus_wait_locked(bus, until_ns))
    continue;
  pthread_mutex_unlock(&bus->mutex);
}

static void stop_keeper(SkyBus *bus) {
  pthread_mutex_lock(&bus->mutex);
  bus->closing = true;
  pthread_cond_broadcast(&bus->changed);
  pthread_mutex_unlock(&bus->mutex);
  pthread_join(bus->keeper, NULL);
}

static void stop_timekeeper(SkyBus *bus) {
  pending_close(&bus->pending);
  pthread_join(bus->timekeeper, NULL);
  pending_expire(&bus->pending, now_ns(), atomic_fetch_add(&bus->epoch, 1) + 1);
}

void sky_bus_close(SkyBus *bus, int64_t timeout_ms) {
  if (bus == NULL)
    return;
  int64_t until_ns = now_ns() + timeout_ms * SKY_NS_PER_MS;
  measure_end(bus);
  sky_bus_stop_consumers(bus, timeout_ms);
  wait_for_confirmations(bus, until_ns);
  subscriptions_close_all(bus);
  stop_keeper(bus);
  close_connection(bus);
  stop_timekeeper(bus);
  dispatcher_finish(&bus->dispatcher);
  for (SkyConsumer *consumer = bus->consumers, *next; consumer != NULL; consumer = next) {
    next = consumer->next;
    consumer_abandon(consumer);
  }
  nats_ReleaseThreadMemory();
  bus_unref(bus);
}

/* ---- state ---- */

bool sky_bus_is_ready(SkyBus *bus) {
  return connection_is_up(atomic_load(&bus->link)) && atomic_load(&bus->ready);
}

SkyStatus sky_bus_check(SkyBus *bus) {
  if (sky_bus_is_ready(bus))
    return SKY_OK;
  if (!connection_is_up(atomic_load(&bus->link)))
    return SKY_UNAVAILABLE("not connected to the broker");
  pthread_mutex_lock(&bus->mutex);
  SkyStatus status = SKY_UNAVAILABLE("%s", bus->problem[0] == '\0' ? "streams are being looked up" : bus->problem);
  pthread_mutex_unlock(&bus->mutex);
  return status;
}

SkyBusStats sky_bus_stats(SkyBus *bus) {
  return (SkyBusStats){
      .published = atomic_load(&bus->published),
      .publish_failed = atomic_load(&bus->publish_failed),
      .consumed = atomic_load(&bus->consumed),
      .redelivered = atomic_load(&bus->redelivered),
      .dead_lettered = atomic_load(&bus->dead_lettered),
      .dropped = atomic_load(&bus->dropped),
      .reconnects = atomic_load(&bus->reconnects),
      .pending = pending_count(&bus->pending),
  };
}
