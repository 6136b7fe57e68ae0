/*
 * Publishing with confirmation.
 *
 * We send to JetStream ourselves, with a reply subject of our inbox, instead of using js_Publish(): so every
 * publication has its own deadline, all that is unconfirmed fails at once when the connection is lost, and a broker
 * without JetStream ("no responders") is known after one round trip.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pub_ack.h"

static natsStatus add_headers(natsMsg *message, const SkyTrace *trace, const SkyPublication *publication) {
  natsStatus result = NATS_OK;
  if (publication->message_id != NULL)
    result = natsMsgHeader_Set(message, "Nats-Msg-Id", publication->message_id);
  if (result == NATS_OK && trace != NULL && sky_trace_is_valid(trace)) {
    char text[SKY_TRACEPARENT_SIZE];
    sky_trace_format(trace, text);
    result = natsMsgHeader_Set(message, "traceparent", text);
  }
  for (size_t i = 0; i < publication->header_count && result == NATS_OK; i++)
    result = natsMsgHeader_Set(message, publication->headers[i].key, publication->headers[i].value);
  return result;
}

SkyStatus publish_build(const SkyTrace *trace, const SkyPublication *publication, const char *reply, natsMsg **ret) {
  if (publication->data.size > MAX_MESSAGE_BYTES * 64)
    return SKY_INVALID_ARGUMENT("a message of %zu bytes is too large", publication->data.size);
  natsMsg *message = NULL;
  natsStatus result =
      natsMsg_Create(&message, publication->subject, reply, publication->data.data, (int)publication->data.size);
  if (result == NATS_OK)
    result = add_headers(message, trace, publication);
  if (result != NATS_OK) {
    natsMsg_Destroy(message);
    return connection_error(result, "build a message");
  }
  *ret = message;
  return SKY_OK;
}

/* Builds and sends under the reply subject of the token. */
static SkyStatus send(SkyBus *bus, const SkyTrace *trace, const SkyPublication *publication, PendingToken token) {
  Link *link;
  SKY_TRY(connection_check(bus, &link));
  int64_t most = natsConnection_GetMaxPayload(link->connection);
  if (most > 0 && publication->data.size + HEADROOM_BYTES > (size_t)most && publication->data.size > HEADROOM_BYTES)
    return SKY_INVALID_ARGUMENT("a message of %zu bytes exceeds the broker's maximum of %" PRId64,
                                publication->data.size, most);
  char reply[INBOX_SIZE + 20];
  snprintf(reply, sizeof(reply), "%s.%016" PRIx64, bus->inbox, token);
  natsMsg *message;
  SKY_TRY(publish_build(trace, publication, reply, &message));
  natsStatus result = natsConnection_PublishMsg(link->connection, message);
  natsMsg_Destroy(message);
  return result == NATS_OK ? SKY_OK : connection_error(result, "publish");
}

static void withdraw(SkyBus *bus, PendingToken token, SkyStatus status) {
  OnReply on_reply;
  void *user;
  if (pending_take(&bus->pending, token, &on_reply, &user))
    on_reply(user, status, (SkyStr){0});
  else
    sky_status_free(status); /* the timekeeper was quicker */
}

/* Returns the token through ret_token (may be NULL) before anything can complete it. */
static void request(SkyBus *bus, const SkyTrace *trace, const SkyPublication *publication, int64_t deadline_ns,
                    OnReply on_reply, void *user, PendingToken *ret_token) {
  Link *link;
  PendingToken token = 0;
  SkyStatus status = connection_check(bus, &link);
  if (status == SKY_OK)
    status = pending_add(&bus->pending, now_ns(), deadline_ns, atomic_load(&bus->epoch), on_reply, user, &token);
  if (status != SKY_OK) {
    on_reply(user, status, (SkyStr){0});
    return;
  }
  if (ret_token != NULL)
    *ret_token = token;
  status = send(bus, trace, publication, token);
  if (status != SKY_OK)
    withdraw(bus, token, status);
}

void publish_request(SkyBus *bus, const SkyTrace *trace, const SkyPublication *publication, int64_t deadline_ns,
                     OnReply on_reply, void *user) {
  request(bus, trace, publication, deadline_ns, on_reply, user, NULL);
}

void publish_on_reply(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *user) {
  (void)connection;
  (void)subscription;
  SkyBus *bus = user;
  atomic_store(&bus->last_reply_ns, now_ns());
  const char *token_text = strrchr(natsMsg_GetSubject(message), '.');
  PendingToken token = token_text == NULL ? UINT64_MAX : strtoull(token_text + 1, NULL, 16);
  OnReply on_reply;
  void *waiter;
  if (pending_take(&bus->pending, token, &on_reply, &waiter)) {
    bool nobody = natsMsg_IsNoResponders(message);
    if (nobody)
      connection_kick(bus); /* the stream is gone, or JetStream is */
    SkyStatus status =
        nobody
            ? sky_status_with_retry_after_ms(SKY_UNAVAILABLE("no stream takes this subject, or JetStream is off"), 1000)
            : SKY_OK;
    on_reply(waiter, status, (SkyStr){natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message)});
  }
  natsMsg_Destroy(message);
}

static SkyStatus check_publication(const SkyContext *context, const SkyPublication *publication) {
  if (publication->subject == NULL || publication->subject[0] == '\0' ||
      strpbrk(publication->subject, " \t\r\n*>") != NULL)
    return SKY_INVALID_ARGUMENT("'%s' is no subject to publish to",
                                publication->subject == NULL ? "" : publication->subject);
  return sky_context_check(context);
}

static int64_t deadline_of(const SkyBus *bus, const SkyContext *context) {
  int64_t longest = now_ns() + bus->publish_timeout_ms * SKY_NS_PER_MS;
  return context->deadline_ns < longest ? context->deadline_ns : longest;
}

/* What is measured of one publication. */
typedef struct Attempt {
  SkyBus *bus;
  const char *destination;
  int64_t begun_ns;
  SkyTrace trace; /* of its own span */
} Attempt;

static Attempt begin_attempt(SkyBus *bus, const SkyContext *context, const SkyPublication *publication) {
  return (Attempt){bus, publication->destination, now_ns(), sky_trace_child(&context->trace)};
}

static SkyStatus end_attempt(const Attempt *attempt, SkyStatus status) {
  atomic_fetch_add(status == SKY_OK ? &attempt->bus->published : &attempt->bus->publish_failed, 1);
  measure_published(attempt->bus, attempt->destination, attempt->begun_ns, &attempt->trace, status);
  return status;
}

/* ---- asynchronous ---- */

typedef struct AsyncPublication {
  Attempt attempt;
  SkyOnPublished done;
  void *user;
} AsyncPublication;

static void finish_async(void *user, SkyStatus status, SkyStr data) {
  AsyncPublication *publication = user;
  SkyConfirmation confirmation = {0};
  if (status == SKY_OK)
    status = pub_ack_parse(data, &confirmation);
  status = end_attempt(&publication->attempt, status);
  publication->done(publication->user, status, status == SKY_OK ? &confirmation : NULL);
  free(publication);
}

void sky_bus_publish_async(SkyBus *bus, const SkyContext *context, const SkyPublication *publication,
                           SkyOnPublished done, void *user) {
  const Attempt attempt = begin_attempt(bus, context, publication);
  SkyStatus status = check_publication(context, publication);
  AsyncPublication *async = NULL;
  if (status == SKY_OK && (async = malloc(sizeof(*async))) == NULL)
    status = sky_status_no_memory();
  if (status != SKY_OK) {
    done(user, end_attempt(&attempt, status), NULL);
    return;
  }
  *async = (AsyncPublication){.attempt = attempt, .done = done, .user = user};
  request(bus, &attempt.trace, publication, deadline_of(bus, context), finish_async, async, NULL);
}

/* ---- synchronous ---- */

typedef struct Waiter {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool done;
  bool cancelled;
  SkyStatus status;
  SkyConfirmation confirmation;
} Waiter;

static void waiter_init(Waiter *waiter) {
  *waiter = (Waiter){.done = false};
  pthread_mutex_init(&waiter->mutex, NULL);
  sky_deadline_cond_init(&waiter->changed);
}

static void waiter_finish(Waiter *waiter) {
  pthread_cond_destroy(&waiter->changed);
  pthread_mutex_destroy(&waiter->mutex);
}

static void finish_sync(void *user, SkyStatus status, SkyStr data) {
  Waiter *waiter = user;
  SkyConfirmation confirmation = {0};
  if (status == SKY_OK)
    status = pub_ack_parse(data, &confirmation);
  pthread_mutex_lock(&waiter->mutex);
  waiter->status = status;
  waiter->confirmation = confirmation;
  waiter->done = true;
  pthread_cond_signal(&waiter->changed);
  pthread_mutex_unlock(&waiter->mutex); /* the waiter may be gone after this */
}

static void cancel_wait(void *user) {
  Waiter *waiter = user;
  pthread_mutex_lock(&waiter->mutex);
  waiter->cancelled = true;
  pthread_cond_signal(&waiter->changed);
  pthread_mutex_unlock(&waiter->mutex);
}

/* Until it is done, the deadline, or a cancellation. True when done. */
static bool wait_done(Waiter *waiter, int64_t deadline_ns) {
  pthread_mutex_lock(&waiter->mutex);
  while (!waiter->done && !waiter->cancelled && sky_deadline_cond_wait(&waiter->changed, &waiter->mutex, deadline_ns))
    continue;
  bool done = waiter->done;
  pthread_mutex_unlock(&waiter->mutex);
  return done;
}

/* Gives up: nobody completes the waiter any more, or somebody just did. */
static void give_up(SkyBus *bus, Waiter *waiter, PendingToken token) {
  OnReply on_reply;
  void *user;
  if (pending_take(&bus->pending, token, &on_reply, &user)) {
    pthread_mutex_lock(&waiter->mutex);
    bool cancelled = waiter->cancelled;
    pthread_mutex_unlock(&waiter->mutex);
    waiter->status = cancelled
                         ? SKY_CANCELLED("cancelled while the broker had not confirmed yet")
                         : SKY_DEADLINE_EXCEEDED("the broker did not confirm in time; it may have stored the message");
    connection_kick(bus);
    return;
  }
  pthread_mutex_lock(&waiter->mutex);
  while (!waiter->done)
    pthread_cond_wait(&waiter->changed, &waiter->mutex);
  pthread_mutex_unlock(&waiter->mutex);
}

SkyStatus sky_bus_publish(SkyBus *bus, const SkyContext *context, const SkyPublication *publication,
                          SkyConfirmation *ret) {
  SKY_TRY(check_publication(context, publication));
  Waiter waiter;
  waiter_init(&waiter);
  SkyCancelListener listener = {.cancelled = cancel_wait, .user = &waiter};
  sky_cancel_add(context->cancel, &listener);
  int64_t deadline_ns = deadline_of(bus, context);
  const Attempt attempt = begin_attempt(bus, context, publication);
  PendingToken token = 0;
  request(bus, &attempt.trace, publication, deadline_ns, finish_sync, &waiter, &token);
  if (!wait_done(&waiter, deadline_ns))
    give_up(bus, &waiter, token);
  sky_cancel_remove(context->cancel, &listener);
  waiter_finish(&waiter);
  SkyStatus status = end_attempt(&attempt, waiter.status);
  if (status == SKY_OK && ret != NULL)
    *ret = waiter.confirmation;
  return status;
}
