/*
 * Durable: the broker's side of a consumer: made when it is missing, and put right when a killed broker came back with
 * less than it had known.
 *
 * Seen with nats-server 2.9.10 after kill -9: removals are forgotten, so that acknowledged messages stand in a work
 * queue again (thousands; they are never delivered and fill it up); and in one of eight restarts the acknowledged floor
 * stays behind for ever, with messages that count as delivered, or with none.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static const int64_t STUCK_MARGIN_MS = 10000;
static const int64_t SWEEP_MARGIN_MS = 2000;

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
  if (result == NATS_OK || result == NATS_NOT_FOUND)
    result = js_AddConsumer(NULL, js_of(consumer), consumer->stream, &config, &options, &code);
  jsConsumerInfo_Destroy(info);
  return result == NATS_OK ? SKY_OK : consumer_error(result, code, consumer);
}

static bool is_same(const Progress *a, const Progress *b) {
  return a->floor == b->floor && a->delivered == b->delivered && a->unacknowledged == b->unacknowledged &&
         a->redelivered == b->redelivered;
}

/* Whether the other consumers of the stream have acknowledged all they were given. */
static bool others_are_through(const SkyConsumer *consumer, int64_t wait_ms) {
  jsOptions options = with_wait(wait_ms);
  jsConsumerInfoList *list = NULL;
  if (js_Consumers(&list, js_of(consumer), consumer->stream, &options, NULL) != NATS_OK)
    return false;
  bool through = true;
  for (int i = 0; i < list->Count; i++)
    through = through && (list->List[i]->NumAckPending == 0 || strcmp(list->List[i]->Name, consumer->durable) == 0);
  jsConsumerInfoList_Destroy(list);
  return through;
}

/*
 * What lies below the acknowledged floor of a work queue's only reader can go. But a purge, even of one subject below
 * one sequence, makes nats-server 2.9 forget what any consumer of the stream has not acknowledged: what a killed
 * process held would never be delivered again. So it waits until nothing has moved for longer than it takes to deliver
 * again.
 */
static void sweep(SkyConsumer *consumer, const Progress *now, int64_t wait_ms) {
  if (!is_same(&consumer->quiet, now)) {
    consumer->quiet = *now;
    return;
  }
  int64_t quiet_ms = (now->since_ns - consumer->quiet.since_ns) / SKY_NS_PER_MS;
  if (!consumer->is_work_queue || now->floor == 0 || now->floor == consumer->swept_floor ||
      quiet_ms < consumer->ack_wait_ms + SWEEP_MARGIN_MS || !others_are_through(consumer, wait_ms))
    return;
  jsOptions options = with_wait(wait_ms);
  options.Stream.Purge.Subject = consumer->filter;
  options.Stream.Purge.Sequence = now->floor + 1; /* up to, not including */
  if (js_PurgeStream(js_of(consumer), consumer->stream, &options, NULL) == NATS_OK)
    consumer->swept_floor = now->floor;
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
  bool complete = now->unacknowledged == 0 && now->floor == now->delivered_stream;
  if (!is_same(last, now) || complete || waiting == 0 || !is_idle(consumer)) {
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
  if (js_DeleteConsumer(js_of(consumer), consumer->stream, consumer->durable, &options, NULL) == NATS_OK)
    atomic_store(&consumer->ensured, false);
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
  sweep(consumer, &now, wait_ms);
  if (is_stuck(consumer, &now, waiting))
    make_anew(consumer, now.floor, wait_ms);
}
