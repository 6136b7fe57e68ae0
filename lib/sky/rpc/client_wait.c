/*
 * Waiting for a connection: a call that finds none waits for one (gRPC's wait-for-ready), for as long as its client or
 * its options say, and fails with UNAVAILABLE then. So a peer that has just been started again costs its callers some
 * milliseconds instead of an error, and one that stays away costs them little.
 *
 * While calls wait, connecting is tried again every few milliseconds, whatever back-off the channel is in.
 */
#include "client_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include <sky/core/time.h>

enum { LOOK_MS = 50 };

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

/* The I/O thread is to look after the calls that wait. With the lock held. */
static void schedule(SkyClient *client) {
  if (client->wait_scheduled)
    return;
  client->wait_scheduled = true;
  sky_rpc_post(client->rpc, &client->wait_posted);
}

static void wait_for_connection(SkyClientCall *call, int64_t wait_ms) {
  call->connect_by_ns = wait_ms < INT64_MAX / SKY_NS_PER_MS ? now_ns() + wait_ms * SKY_NS_PER_MS : INT64_MAX;
  schedule(call->client);
}

/* By the core itself: the watcher's news wait in the queue, behind the ends of the calls that were open. */
static bool is_connected(const SkyClient *client) {
  return grpc_channel_check_connectivity_state(client->channel, 0) == GRPC_CHANNEL_READY;
}

void sky_client_wait_begin(SkyClientCall *call, int64_t wait_ms) {
  call->wait_for_ready = wait_ms >= 0;
  call->connect_wait_ms = wait_ms;
  if (call->wait_for_ready && !is_connected(call->client))
    wait_for_connection(call, wait_ms);
}

void sky_client_wait_connected(SkyClient *client) {
  for (SkyClientCall *call = client->open_calls; call != NULL; call = call->next)
    call->connect_by_ns = 0;
}

static int64_t drain_wait_ms(const SkyClientCall *call) {
  const int64_t own_ms = call->client->drain_wait_ms;
  return call->connect_wait_ms > own_ms ? call->connect_wait_ms : own_ms;
}

/*
 * What has been sent may be with a server that drains, or be made again by the core; of a unary call, which is one
 * operation, we do not even know whether it has been sent. (The peer's name, which the core knows of a call that has
 * been handed to a connection, is no way to tell: it stays when the core sends the call again, but is freed with the
 * connection.) Once the server has said something of it the core does not make it again.
 */
void sky_client_wait_disconnected(SkyClient *client) {
  for (SkyClientCall *call = client->open_calls; call != NULL; call = call->next) {
    if (!call->wait_for_ready || call->heard || call->connect_by_ns != 0)
      continue;
    call->adrift = call->sent || call->method->kind == SKY_UNARY;
    wait_for_connection(call, call->adrift ? drain_wait_ms(call) : call->connect_wait_ms);
  }
}

static void give_up(SkyClientCall *call) {
  char reason[128];
  snprintf(reason, sizeof(reason), "no connection to %s within %" PRId64 " ms", call->client->target,
           call->adrift ? drain_wait_ms(call) : call->connect_wait_ms);
  call->connect_by_ns = 0;
  (void)grpc_call_cancel_with_status(call->core, GRPC_STATUS_UNAVAILABLE, reason, NULL);
}

/* There is no connection: what has been sent meanwhile went out on the one that has ended; the news overtook it. */
static void look_at(SkyClientCall *call) {
  if (call->heard) {
    call->connect_by_ns = 0;
  } else if (call->sent && !call->adrift) {
    call->adrift = true;
    wait_for_connection(call, drain_wait_ms(call));
  }
  if (call->connect_by_ns != 0 && call->connect_by_ns <= now_ns())
    give_up(call);
}

/*
 * When the first of the waiting calls gives up; INT64_MAX when none waits. What a connection that has just come has
 * taken up must not be given up. With the lock held.
 */
static int64_t look_through(SkyClient *client, size_t *ret_waiting) {
  int64_t first_ns = INT64_MAX;
  if (is_connected(client))
    sky_client_wait_connected(client);
  for (SkyClientCall *call = client->open_calls; call != NULL; call = call->next) {
    if (call->connect_by_ns != 0)
      look_at(call);
    if (call->connect_by_ns == 0)
      continue;
    ++*ret_waiting;
    first_ns = call->connect_by_ns < first_ns ? call->connect_by_ns : first_ns;
  }
  return first_ns;
}

/* With the lock held, on the I/O thread. */
static bool look_again_later(SkyClient *client, int64_t first_ns) {
  const int64_t next_ns = now_ns() + LOOK_MS * SKY_NS_PER_MS;
  SkyStatus status =
      sky_timer_heap_add(&client->rpc->timers, &client->wait_timer, first_ns < next_ns ? first_ns : next_ns);
  if (status == SKY_OK)
    return true;
  sky_status_free(status); /* without memory for the timer the calls' deadlines must do */
  return false;
}

static void look(void *user) {
  SkyClient *client = user;
  size_t waiting = 0;
  pthread_mutex_lock(&client->lock);
  const int64_t first_ns = client->closing ? INT64_MAX : look_through(client, &waiting);
  if (waiting > 0 && client->last_state == GRPC_CHANNEL_TRANSIENT_FAILURE)
    grpc_channel_reset_connect_backoff(client->channel);
  client->wait_scheduled = waiting > 0 && look_again_later(client, first_ns);
  if (!client->wait_scheduled && client->closing)
    pthread_cond_broadcast(&client->changed);
  pthread_mutex_unlock(&client->lock);
}

static void posted(SkyTag *tag, bool ok) {
  look(SKY_CONTAINER(tag, SkyClient, wait_posted));
}

void sky_client_wait_init(SkyClient *client) {
  client->wait_posted.complete = posted;
  client->wait_timer = (SkyTimer){.fire = look, .user = client};
}
