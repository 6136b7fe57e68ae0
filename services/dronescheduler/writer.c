/*
 * Writer: appends what frames tell to the drones' logs, hundreds of drones in one commit, in order per drone. A frame
 * is acknowledged only after that.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "scheduler.h"

enum {
  MAX_WAITING = 12 /* events of one drone */,
  BATCH = 128,
  ARENA_BYTES = 64 << 20,
  TIMEOUT_MS = 10000,
  LINGER_MS = 15
};

/* Events of one drone that wait for the log; the drone's attachment while there are any. */
typedef struct Backlog {
  LifeEvent events[MAX_WAITING];
  size_t count;
  uint64_t stream, sequence; /* newest frame: who is told, and what */
  bool queued;
} Backlog;

bool writer_is_waiting(const FleetDrone *drone) {
  return drone->attachment != NULL;
}

/* ---- queue of drones ---- */

static bool grow(Scheduler *self) {
  const size_t capacity = self->queue_capacity == 0 ? 256 : self->queue_capacity * 2;
  FleetDrone **queue = malloc(capacity * sizeof(FleetDrone *));
  if (queue == NULL)
    return false;
  for (size_t i = 0; i < self->queue_count; i++)
    queue[i] = self->queue[(self->queue_head + i) % self->queue_capacity];
  free(self->queue);
  self->queue = queue;
  self->queue_head = 0;
  self->queue_capacity = capacity;
  return true;
}

/* Without memory it waits until somebody queues or lets it go again. */
void writer_queue_locked(Scheduler *self, FleetDrone *drone) {
  Backlog *backlog = drone->attachment;
  if (backlog->queued || drone->held || (self->queue_count == self->queue_capacity && !grow(self)))
    return;
  self->queue[(self->queue_head + self->queue_count++) % self->queue_capacity] = drone;
  backlog->queued = true;
}

static FleetDrone *pop(Scheduler *self) {
  while (self->queue_count > 0) {
    FleetDrone *drone = self->queue[self->queue_head];
    self->queue_head = (self->queue_head + 1) % self->queue_capacity;
    self->queue_count--;
    if (drone == NULL) /* forgotten */
      continue;
    ((Backlog *)drone->attachment)->queued = false;
    if (!drone->held)
      return drone;
  }
  return NULL;
}

void writer_forget_locked(Scheduler *self, FleetDrone *drone) {
  for (size_t i = 0; i < self->queue_count; i++) {
    FleetDrone **at = &self->queue[(self->queue_head + i) % self->queue_capacity];
    if (*at == drone)
      *at = NULL;
  }
  if (drone->attachment != NULL)
    report_expect(self, ((Backlog *)drone->attachment)->stream, -1);
  free(drone->attachment);
  drone->attachment = NULL;
}

static bool is_known(const Backlog *backlog, const LifeEvent *event) {
  for (size_t i = 0; i < backlog->count; i++) {
    const LifeEvent *known = &backlog->events[i];
    if (known->kind == event->kind && known->phase == event->phase && known->revision == event->revision &&
        known->health_failed == event->health_failed && strcmp(known->delivery_id, event->delivery_id) == 0)
      return true;
  }
  return false;
}

static Backlog *backlog_of(Scheduler *self, FleetDrone *drone, uint64_t stream) {
  Backlog *backlog = drone->attachment;
  if (backlog != NULL)
    return backlog;
  backlog = calloc(1, sizeof(*backlog));
  if (backlog == NULL)
    return NULL;
  drone->attachment = backlog;
  backlog->stream = stream;
  report_expect(self, stream, 1);
  return backlog;
}

bool writer_add_locked(Scheduler *self, FleetDrone *drone, const LifeEvent *event, uint64_t stream, uint64_t sequence) {
  Backlog *backlog = backlog_of(self, drone, stream);
  if (backlog == NULL)
    return false;
  if (!is_known(backlog, event)) {
    if (backlog->count == MAX_WAITING)
      return false;
    backlog->events[backlog->count++] = *event;
  }
  if (backlog->stream != stream) { /* it has connected anew */
    report_expect(self, backlog->stream, -1);
    report_expect(self, stream, 1);
    backlog->stream = stream;
  }
  backlog->sequence = sequence;
  writer_queue_locked(self, drone);
  return true;
}

/* ---- a batch ---- */

typedef struct Item {
  FleetDrone *drone;
  Backlog backlog;
  LifeFact *facts;
  size_t fact_count;
  SkyAppend *events; /* of those facts that the log keeps */
  size_t event_count;
  IntakeResult result;
  uint64_t dropped;
  char drone_id[LIFE_ID_SIZE];
} Item;

static size_t take_batch(Scheduler *self, Item *items) {
  size_t count = 0;
  pthread_mutex_lock(&self->mutex);
  for (FleetDrone *drone; count < BATCH && (drone = pop(self)) != NULL; count++) {
    items[count] = (Item){.drone = drone, .backlog = *(Backlog *)drone->attachment, .result = INTAKE_TAKEN};
    memcpy(items[count].drone_id, drone->id, LIFE_ID_SIZE);
    drone->held = true;
    free(drone->attachment);
    drone->attachment = NULL;
  }
  pthread_mutex_unlock(&self->mutex);
  return count;
}

/* What the events of one drone mean, one after the other; the drone is held, so its life stands still. */
static SkyStatus decide(Scheduler *self, Item *item, SkyArena *arena) {
  Life life = item->drone->life;
  item->facts = sky_arena_alloc(arena, item->backlog.count * LIFE_MAX_FACTS * sizeof(*item->facts));
  if (item->facts == NULL)
    return sky_status_no_memory();
  for (size_t i = 0; i < item->backlog.count; i++) {
    LifeFacts facts;
    const LifeOutcome outcome = life_step(&life, &item->backlog.events[i], scheduler_now_ms(self), &facts);
    item->result = outcome == LIFE_CHANGED ? INTAKE_TAKEN : outcome == LIFE_SAME ? INTAKE_REPEATED : INTAKE_INVALID;
    for (size_t f = 0; f < facts.count; f++) {
      life_apply(&life, &facts.fact[f]);
      item->facts[item->fact_count++] = facts.fact[f];
    }
  }
  item->events = sky_arena_alloc(arena, (item->fact_count + 1) * sizeof(*item->events));
  if (item->events == NULL)
    return sky_status_no_memory();
  return events_from_facts(item->drone, item->facts, item->fact_count, item->drone->log_version + 1, self->random,
                           arena, item->events, &item->event_count);
}

static void apply(Scheduler *self, const Item *item) {
  pthread_mutex_lock(&self->mutex);
  claim_apply_locked(self, item->drone, item->facts, item->fact_count);
  pthread_mutex_unlock(&self->mutex);
}

static void settle(Scheduler *self, const SkyContext *context, Item *item, SkyStatus status) {
  if (sky_status_code(status) == SKY_CODE_ABORTED) {
    sky_status_free(status);
    status = claim_catch_up(self, context, item->drone); /* the frame comes again and is judged by what is known then */
    item->result = INTAKE_RETRY;
    sky_status_free(status);
    return;
  }
  claim_settle(self, item->drone, item->facts, item->fact_count, status);
  if (status != SKY_OK)
    item->result = INTAKE_RETRY;
  sky_status_free(status);
}

/* Appends what there is to append; results end in the items. */
static void append_all(Scheduler *self, const SkyContext *context, Item *items, size_t count) {
  SkyAppendTo appends[BATCH];
  SkyStatus results[BATCH] = {0};
  Item *of[BATCH];
  size_t appending = 0;
  for (size_t i = 0; i < count; i++) {
    if (items[i].result == INTAKE_RETRY || items[i].fact_count == 0) /* a repeat changes nothing */
      continue;
    if (items[i].event_count == 0) {
      apply(self, &items[i]);
      continue;
    }
    of[appending] = &items[i];
    appends[appending++] = (SkyAppendTo){.aggregate_id = items[i].drone_id,
                                         .expected_version = items[i].drone->log_version,
                                         .events = items[i].events,
                                         .count = items[i].event_count};
  }
  if (appending == 0)
    return;
  SkyStatus whole = sky_event_log_append_many(self->log, context, appends, appending, results);
  for (size_t i = 0; i < appending; i++)
    settle(self, context, of[i], whole != SKY_OK ? sky_status_copy(whole) : results[i]);
  sky_status_free(whole);
}

static void let_go_all(Scheduler *self, Item *items, size_t count) {
  pthread_mutex_lock(&self->mutex);
  for (size_t i = 0; i < count; i++) {
    items[i].dropped = items[i].drone->dropped_count;
    if (items[i].result == INTAKE_RETRY)
      intake_refuse(items[i].drone, items[i].backlog.stream, &items[i].backlog.events[0]);
    claim_let_go_locked(self, items[i].drone);
  }
  pthread_mutex_unlock(&self->mutex);
}

/* Tells each stream of the batch, with one message. */
static void acknowledge_all(Scheduler *self, const Item *items, size_t count) {
  bool told[BATCH] = {false};
  ReportAck acks[BATCH];
  for (size_t i = 0; i < count; i++) {
    size_t ack_count = 0;
    for (size_t j = i; j < count; j++) {
      if (told[j] || items[j].backlog.stream != items[i].backlog.stream)
        continue;
      told[j] = true;
      ReportAck *ack = &acks[ack_count++];
      *ack = (ReportAck){
          .sequence = items[j].backlog.sequence, .dropped_count = items[j].dropped, .result = (int)items[j].result};
      memcpy(ack->drone_id, items[j].drone_id, LIFE_ID_SIZE);
    }
    if (ack_count == 0)
      continue;
    report_acknowledge(self, items[i].backlog.stream, acks, ack_count);
    report_expect(self, items[i].backlog.stream, -(int)ack_count);
  }
}

static void write_batch(Scheduler *self, Item *items, size_t count) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, TIMEOUT_MS);
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  for (size_t i = 0; i < count; i++) {
    SkyStatus status = items[i].drone->unsure ? claim_catch_up(self, &context, items[i].drone) : SKY_OK;
    if (status == SKY_OK)
      status = decide(self, &items[i], &arena);
    if (status != SKY_OK)
      items[i].result = INTAKE_RETRY;
    sky_status_free(status);
  }
  append_all(self, &context, items, count);
  let_go_all(self, items, count);
  acknowledge_all(self, items, count);
  sky_arena_finish(&arena);
}

static bool has_more(Scheduler *self) {
  pthread_mutex_lock(&self->mutex);
  const bool more = self->queue_count > 0;
  if (!more)
    self->writers_running--;
  pthread_mutex_unlock(&self->mutex);
  return more;
}

/* Nobody waits for a phase to be stored but its resender: a moment's patience puts many drones, and short stops of one,
 * into one commit. */
static void linger(void) {
  const struct timespec moment = {.tv_nsec = LINGER_MS * SKY_NS_PER_MS};
  nanosleep(&moment, NULL);
}

static void run(void *user) {
  Scheduler *self = user;
  Item *items = malloc(BATCH * sizeof(*items));
  if (items == NULL) {
    pthread_mutex_lock(&self->mutex);
    self->writers_running--;
    pthread_mutex_unlock(&self->mutex);
    return;
  }
  do {
    linger();
    const size_t count = take_batch(self, items);
    if (count > 0)
      write_batch(self, items, count);
  } while (has_more(self));
  free(items);
}

void writer_kick(Scheduler *self) {
  pthread_mutex_lock(&self->mutex);
  const bool start = self->queue_count > 0 && self->writers_running < SCHEDULER_WRITERS;
  if (start)
    self->writers_running++;
  pthread_mutex_unlock(&self->mutex);
  if (!start)
    return;
  const SkyStatus status = sky_executor_submit(self->writers, run, self);
  if (status == SKY_OK)
    return;
  sky_status_free(status); /* at the end of the process: what is not stored is not acknowledged */
  pthread_mutex_lock(&self->mutex);
  self->writers_running--;
  pthread_mutex_unlock(&self->mutex);
}
