/*
 * Durable: the broker's side of a consumer: made when it is missing, and put right when a killed broker came back with
 * less than it had known.
 *
 * Seen with nats-server 2.9.10 after kill -9: removals are forgotten, so that acknowledged messages stand in a work
 * queue again (thousands; they are never delivered and fill it up); and in one of eight restarts the acknowledged floor
 * stays behind for ever, with messages that count as delivered, or with none.
 *
 * After a power failure the stream may have lost its newest messages (nats-server flushes them every two minutes unless
 * told otherwise) and the consumer's state not: what comes into the stream then has sequences that count as delivered.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static const int64_t STUCK_MARGIN_MS = 10000;

enum { SWEEP_MS = 200 }; /* at a time: the keeper has other things to look after */

/* Longer than any pause between two deliveries: that of a message nobody settles, and that of one given back. */
static int64_t longest_pause_ns(const SkyConsumer *consumer) {
  int64_t given_back_ms = consumer->ack_wait_ms > MAX_RETRY_DELAY_MS ? consumer->ack_wait_ms : MAX_RETRY_DELAY_MS;
  return (consumer->ack_wait_ms + given_back_ms + STUCK_MARGIN_MS) * SKY_NS_PER_MS;
}

static jsOptions with_wait(int64_t wait_ms) {
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = wait_ms;
  return options;
}

static jsCtx *js_of(const SkyConsumer *consumer) {
  return atomic_load(&consumer->bus->link)->js;
}

static SkyStatus consumer_error(natsStatus result, jsErrCode code, const SkyConsumer *consumer) {
  SkyStatus status = connection_error(result, "create consumer");
  return sky_status_annotate(status, "%s on %s (%d): ", consumer->durable, consumer->stream, (int)code);
}

static void fill_config(const SkyConsumer *consumer, jsConsumerConfig *config) {
  jsConsumerConfig_Init(config);
  config->Durable = consumer->durable;
  config->AckPolicy = js_AckExplicit;
  config->AckWait = consumer->ack_wait_ms * SKY_NS_PER_MS;
  config->FilterSubject = consumer->filter;
  config->MaxAckPending = (int64_t)consumer->max_ack_pending;
  /* Attempts are counted by us: the broker would only stop delivering, and tell nobody who is not listening just then.
   */
  config->MaxDeliver = -1;
  /* A work queue is read from its beginning (the broker insists); what was acknowledged is not in it. */
  if (consumer->resume_after > 0 && !consumer->is_work_queue) {
    config->DeliverPolicy = js_DeliverByStartSequence;
    config->OptStartSeq = consumer->resume_after + 1;
  }
}

static void forget_seen(SkyConsumer *consumer) {
  pthread_mutex_lock(&consumer->bus->mutex);
  consumer->seen = 0;
  pthread_mutex_unlock(&consumer->bus->mutex);
}

SkyStatus durable_ensure(SkyConsumer *consumer, int64_t wait_ms) {
  jsOptions options = with_wait(wait_ms);
  jsConsumerConfig config;
  fill_config(consumer, &config);
  jsConsumerInfo *info = NULL;
  jsErrCode code = 0;
  natsStatus result = js_GetConsumerInfo(&info, js_of(consumer), consumer->stream, consumer->durable, &options, &code);
  if (result == NATS_OK) { /* where it began cannot be changed */
    config.DeliverPolicy = info->Config->DeliverPolicy;
    config.OptStartSeq = info->Config->OptStartSeq;
  }
  if (result == NATS_NOT_FOUND)
    forget_seen(consumer); /* perhaps the stream is another one, too, with numbers of its own */
  if (result == NATS_OK || result == NATS_NOT_FOUND)
    result = js_AddConsumer(NULL, js_of(consumer), consumer->stream, &config, &options, &code);
  jsConsumerInfo_Destroy(info);
  if (result != NATS_OK)
    return consumer_error(result, code, consumer);
  consumer->resume_after = 0; /* of this stream: one that is made anew with it has other numbers */
  return SKY_OK;
}

static bool is_same(const Progress *a, const Progress *b) {
  return a->floor == b->floor && a->delivered == b->delivered && a->unacknowledged == b->unacknowledged &&
         a->redelivered == b->redelivered;
}

/* The first message that stands in the stream from a sequence on; NULL when there is none, or nobody says (*ret_known).
 * One of any subject: asked for some subjects, nats-server 2.9 passes over messages whose neighbours were removed. */
static natsMsg *find_next(const SkyConsumer *consumer, uint64_t sequence, int64_t wait_ms, bool *ret_known) {
  jsOptions options = with_wait(wait_ms);
  jsDirectGetMsgOptions what;
  jsDirectGetMsgOptions_Init(&what);
  what.Sequence = sequence;
  what.NextBySubject = ">";
  natsMsg *message = NULL;
  natsStatus result = js_DirectGetMsg(&message, js_of(consumer), consumer->stream, &options, &what);
  *ret_known = result == NATS_OK || result == NATS_NOT_FOUND;
  return message;
}

/* The stream's last sequence; UINT64_MAX when nobody says. */
static uint64_t last_sequence(const SkyConsumer *consumer, int64_t wait_ms) {
  jsOptions options = with_wait(wait_ms);
  jsStreamInfo *info = NULL;
  if (js_GetStreamInfo(&info, js_of(consumer), consumer->stream, &options, NULL) != NATS_OK)
    return UINT64_MAX;
  const uint64_t last = info->State.LastSeq;
  jsStreamInfo_Destroy(info);
  return last;
}

/* The newest message that we had been given has another one in its place. */
static bool is_replaced(SkyConsumer *consumer, int64_t wait_ms) {
  pthread_mutex_lock(&consumer->bus->mutex);
  const uint64_t seen = consumer->seen;
  const int64_t seen_ms = consumer->seen_ms;
  pthread_mutex_unlock(&consumer->bus->mutex);
  if (seen == 0)
    return false;
  jsOptions options = with_wait(wait_ms);
  jsDirectGetMsgOptions what;
  jsDirectGetMsgOptions_Init(&what);
  what.Sequence = seen;
  natsMsg *message = NULL;
  if (js_DirectGetMsg(&message, js_of(consumer), consumer->stream, &options, &what) != NATS_OK)
    return false; /* it was removed, as it should in a work queue */
  const bool replaced = natsMsg_GetTime(message) / SKY_NS_PER_MS != seen_ms;
  natsMsg_Destroy(message);
  return replaced;
}

/* The stream has lost messages that the consumer had been given. now is older than the stream's last sequence. */
static bool has_lost_its_tail(SkyConsumer *consumer, const Progress *now, int64_t wait_ms) {
  return last_sequence(consumer, wait_ms) < now->delivered_stream || is_replaced(consumer, wait_ms);
}

/* Whether a subject is one of those a filter names ('*': one token, '>': one or more). */
static bool is_matched(const char *filter, const char *subject) {
  for (; *filter != '\0' && *filter != '>'; filter++) {
    if (*filter == '*')
      subject += strcspn(subject, ".");
    else if (*filter != *subject++)
      return false;
  }
  return *filter == '>' ? *subject != '\0' : *subject == '\0';
}

/* Goes one message further; false when that was the last one, or has to wait. */
static bool sweep_next(SkyConsumer *consumer, uint64_t until, int64_t wait_ms) {
  bool known = false;
  natsMsg *message = find_next(consumer, consumer->swept + 1, wait_ms, &known);
  const uint64_t sequence = message == NULL ? 0 : natsMsg_GetSequence(message);
  const bool ours = message != NULL && is_matched(consumer->filter, natsMsg_GetSubject(message));
  natsMsg_Destroy(message);
  if (sequence == 0 || sequence > until) {
    consumer->swept = known ? until : consumer->swept;
    return false;
  }
  jsOptions options = with_wait(wait_ms);
  if (ours && js_DeleteMsg(js_of(consumer), consumer->stream, sequence, &options, NULL) != NATS_OK)
    return false; /* another replica was quicker, perhaps: looked for again next time */
  consumer->swept = sequence;
  return true;
}

/*
 * What a restarted broker has forgotten to remove lies below the acknowledged floor of the work queue's only reader,
 * and below what had been delivered when it came back. It goes one by one, not by a purge: even that of one subject
 * below one sequence makes nats-server 2.9 forget all that the consumer was given and has not acknowledged (its
 * consumer.purge() drops the whole table), and it is never delivered again. To remove a message touches what is
 * unacknowledged only if it is that message, and below the floor nothing is.
 */
static void sweep(SkyConsumer *consumer, const Progress *now, int64_t wait_ms) {
  if (!consumer->is_work_queue)
    return;
  if (consumer->sweep_until == 0)
    consumer->sweep_until = now->delivered_stream;
  const uint64_t until = now->floor < consumer->sweep_until ? now->floor : consumer->sweep_until;
  const int64_t until_ns = now_ns() + (int64_t)SWEEP_MS * SKY_NS_PER_MS;
  while (consumer->swept < until && sweep_next(consumer, until, wait_ms))
    if (now_ns() > until_ns) {
      consumer->looked_ns = 0; /* goes on with the next probe, which must not wait */
      return;
    }
}

static bool is_idle(SkyConsumer *consumer) {
  pthread_mutex_lock(&consumer->bus->mutex);
  bool idle = consumer->outstanding == 0;
  pthread_mutex_unlock(&consumer->bus->mutex);
  return idle;
}

/*
 * Something is missing below what was delivered, nobody here holds a message, there are readers, and nothing moves for
 * longer than any pause that is meant.
 */
static bool is_stuck(SkyConsumer *consumer, const Progress *now, int64_t waiting) {
  Progress *last = &consumer->progress;
  bool nothing = now->delivered == 0; /* though the broker may have passed over what is not for it */
  bool complete = now->unacknowledged == 0 && (nothing || now->floor == now->delivered_stream);
  if (last->since_ns == 0 || !is_same(last, now) || complete || waiting == 0 || !is_idle(consumer)) {
    *last = *now;
    return false;
  }
  return now->since_ns - last->since_ns > longest_pause_ns(consumer);
}

/*
 * Makes the durable anew after what it had acknowledged without a gap. What was acknowledged beyond comes again, which
 * handlers must bear anyway. (Another replica may hold a message longer than that, telling its progress: then its
 * message comes twice, too.)
 */
static void make_anew(SkyConsumer *consumer, uint64_t floor, int64_t wait_ms) {
  jsOptions options = with_wait(wait_ms);
  consumer->resume_after = floor;
  consumer->progress = (Progress){.floor = 0};
  (void)js_DeleteConsumer(js_of(consumer), consumer->stream, consumer->durable, &options, NULL);
  atomic_store(&consumer->ensured, false); /* whatever came of it: durable_ensure() finds it or makes it */
}

void durable_look_after(SkyConsumer *consumer, int64_t wait_ms) {
  jsOptions options = with_wait(wait_ms);
  jsConsumerInfo *info = NULL;
  if (js_GetConsumerInfo(&info, js_of(consumer), consumer->stream, consumer->durable, &options, NULL) != NATS_OK)
    return;
  const Progress now = {
      .floor = info->AckFloor.Stream,
      .delivered = info->Delivered.Consumer,
      .delivered_stream = info->Delivered.Stream,
      .unacknowledged = info->NumAckPending,
      .redelivered = info->NumRedelivered,
      .since_ns = now_ns(),
  };
  int64_t waiting = info->NumWaiting;
  jsConsumerInfo_Destroy(info);
  if (has_lost_its_tail(consumer, &now, wait_ms)) { /* before anything is swept, for it might be new */
    make_anew(consumer, 0, wait_ms);                /* where the tail began nobody can say: all of it comes again */
    return;
  }
  sweep(consumer, &now, wait_ms);
  if (is_stuck(consumer, &now, waiting))
    make_anew(consumer, now.floor, wait_ms);
}
