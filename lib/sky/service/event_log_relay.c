/*
 * Relay: publishes in the background what this process has appended, and marks it. One thread decides everything;
 * callers and the bus's callbacks only leave it something in a list.
 *
 * Events of one aggregate go out in order, each after the one before it was confirmed (a lane); aggregates do not wait
 * for one another. A record whose predecessor another process has appended waits for that to be published. What fails
 * is dropped here, lane and all: the sweeper publishes it in order.
 *
 * Waking the thread for every confirmation would cost more than the confirmation: it looks by itself every few
 * milliseconds while any is expected. Marks wait a moment longer, so that many share a commit; a crash meanwhile costs
 * repeats, which the broker and the consumers drop.
 */
#include <sky/service/event_log_internal.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/core/map.h>

enum {
  RECORD_ARENA_BYTES = 32 << 20, /* of one pending record with its events unpacked */
  KNOWN_MAX = 8192,              /* aggregates whose last published version is remembered */
  TRIES = 6, /* looks at a predecessor that is not published yet: 10 ms to 320 ms, 630 ms together */
  FIRST_WAIT_MS = 10,
  FIRST_LOOK_MS = 4, /* for confirmations; longer each time there was none */
  LAST_LOOK_MS = 128,
  MARK_DELAY_MS = 200,
  STORE_TIMEOUT_MS = 10000,
  PUBLISH_TIMEOUT_MS = 30000,
};

typedef struct Pending {
  struct Pending *next;
  SkyEventRelay *relay;
  SkyArena arena;
  sky_log_EventRecord *record;
  size_t next_event;
  SkyStatus outcome; /* of the publication that just ended */
  unsigned tries;
  int64_t due_ns; /* monotonic; of the next look at the predecessor */
} Pending;

typedef struct List {
  Pending *first, *last;
} List;

/* The records of one aggregate behind the one that is being worked on. */
typedef struct Lane {
  List behind;
} Lane;

struct SkyEventRelay {
  SkyEventLog *log;
  pthread_t thread;

  /* The thread's own. */
  SkyMap *lanes; /* by aggregate */
  SkyMap *known; /* aggregate to the version that was published last, as a pointer */
  List waiting;  /* for their predecessor */
  Pending *marks[SKY_EVENT_LOG_MARKS];
  size_t mark_count;
  int64_t mark_ns;  /* when the marks are written at the latest */
  size_t in_flight; /* publications whose callback has not been seen */
  int64_t look_ms;  /* from one look for confirmations to the next */

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t changed;
  List added, published;
  size_t pending;
  bool asleep; /* the thread waits, and nobody has woken it */
  bool stopping;
};

/* ---- lists ---- */

static void push(List *list, Pending *pending) {
  pending->next = NULL;
  *(list->first == NULL ? &list->first : &list->last->next) = pending;
  list->last = pending;
}

static Pending *pop(List *list) {
  Pending *pending = list->first;
  if (pending != NULL)
    list->first = pending->next;
  return pending;
}

static List take_all(List *list) {
  const List all = *list;
  *list = (List){0};
  return all;
}

/* ---- adding, on any thread ---- */

static void pending_free(Pending *pending) {
  sky_status_free(pending->outcome);
  sky_arena_finish(&pending->arena);
  free(pending);
}

static Pending *pending_create(SkyEventRelay *relay, const sky_log_EventRecord *record) {
  Pending *pending = calloc(1, sizeof(*pending));
  if (pending == NULL)
    return NULL;
  pending->relay = relay;
  sky_arena_init(&pending->arena, RECORD_ARENA_BYTES);
  SkyStatus status = sky_log_EventRecord_copy(record, &pending->arena, &pending->record);
  if (status == SKY_OK)
    return pending;
  sky_status_free(status); /* no memory: the sweeper will do it */
  pending_free(pending);
  return NULL;
}

void sky_event_relay_add(SkyEventRelay *relay, const sky_log_EventRecord *record) {
  Pending *pending = pending_create(relay, record);
  if (pending == NULL)
    return;
  pthread_mutex_lock(&relay->lock);
  const bool has_room = relay->pending < relay->log->options.max_pending && !relay->stopping;
  if (has_room) {
    relay->pending++;
    push(&relay->added, pending);
    if (relay->asleep)
      pthread_cond_signal(&relay->changed);
    relay->asleep = false; /* one wake-up is enough */
  }
  pthread_mutex_unlock(&relay->lock);
  if (!has_room)
    pending_free(pending);
}

size_t sky_event_relay_pending(SkyEventRelay *relay) {
  pthread_mutex_lock(&relay->lock);
  const size_t pending = relay->pending;
  pthread_mutex_unlock(&relay->lock);
  return pending;
}

/* ---- ends of records ---- */

static void forget(SkyEventRelay *relay, Pending *pending) {
  pending_free(pending);
  pthread_mutex_lock(&relay->lock);
  relay->pending--;
  pthread_mutex_unlock(&relay->lock);
}

static SkyStatus project_marked(SkyEventRelay *relay, const SkyContext *context) {
  const SkyEventLogOptions *options = &relay->log->options;
  SkyProjection wanted[SKY_EVENT_LOG_MARKS];
  if (options->project_later == NULL)
    return SKY_OK;
  for (size_t i = 0; i < relay->mark_count; i++)
    wanted[i] = (SkyProjection){relay->marks[i]->record->aggregate_id, relay->marks[i]->record->version};
  return options->project_later(options->self, context, wanted, relay->mark_count);
}

static void flush_marks(SkyEventRelay *relay) {
  if (relay->mark_count == 0)
    return;
  SkyReplacement replacements[SKY_EVENT_LOG_MARKS];
  for (size_t i = 0; i < relay->mark_count; i++) {
    relay->marks[i]->record->published = 1;
    replacements[i] = (SkyReplacement){&relay->marks[i]->record->base, 1};
  }
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, STORE_TIMEOUT_MS);
  SkyStatus status = project_marked(relay, &context);
  if (status == SKY_OK)
    status = sky_event_log_mark(relay->log, &context, replacements, relay->mark_count);
  else
    atomic_fetch_add(&relay->log->project_failed, relay->mark_count);
  /* What cannot be marked is published once more by the sweeper; the broker or the consumer drops the repeat. */
  sky_status_free(status);
  for (size_t i = 0; i < relay->mark_count; i++)
    forget(relay, relay->marks[i]);
  relay->mark_count = 0;
}

static void remember_published(SkyEventRelay *relay, const sky_log_EventRecord *record) {
  if (sky_map_size(relay->known) >= KNOWN_MAX) {
    SkyMap *fresh = sky_map_create(KNOWN_MAX);
    if (fresh == NULL)
      return;
    sky_map_destroy(relay->known);
    relay->known = fresh;
  }
  sky_status_free(sky_map_set(relay->known, sky_str(record->aggregate_id), (void *)(intptr_t)record->version, NULL));
}

static Lane *lane_of(SkyEventRelay *relay, const Pending *pending) {
  return sky_map_get(relay->lanes, sky_str(pending->record->aggregate_id));
}

static void lane_remove(SkyEventRelay *relay, const Pending *pending) {
  free(sky_map_remove(relay->lanes, sky_str(pending->record->aggregate_id)));
}

/* Leaves the record and those behind it to the sweeper. */
static void give_up(SkyEventRelay *relay, Pending *pending) {
  List behind = take_all(&lane_of(relay, pending)->behind);
  lane_remove(relay, pending);
  forget(relay, pending);
  while ((pending = pop(&behind)) != NULL)
    forget(relay, pending);
}

/* ---- publishing ---- */

static void on_published(void *user, SkyStatus status, const SkyConfirmation *confirmation) {
  Pending *pending = user;
  SkyEventRelay *relay = pending->relay;
  pending->outcome = status;
  pthread_mutex_lock(&relay->lock);
  push(&relay->published, pending);
  pthread_mutex_unlock(&relay->lock);
}

static void publish_event(SkyEventRelay *relay, Pending *pending) {
  const Google__Protobuf__Any *stored = pending->record->events[pending->next_event];
  const SkyEventType *type = sky_event_log_type(relay->log, stored);
  ProtobufCMessage *event = NULL;
  SkyStatus status = type == NULL ? SKY_INTERNAL("unknown event") /* append() checks it */
                                  : sky_event_log_unpack(type, stored, &pending->arena, &event);
  relay->in_flight++;
  if (status != SKY_OK) {
    on_published(pending, status, NULL);
    return;
  }
  const SkyContext background = sky_context_background();
  const SkyContext bounded = sky_context_with_timeout_ms(&background, PUBLISH_TIMEOUT_MS);
  const SkyContext context = sky_event_log_context(&bounded, pending->record);
  sky_event_publish_async(relay->log->options.bus, &context, type, event, on_published, pending);
}

/* ---- starting ---- */

static bool is_known_next(const SkyEventRelay *relay, const sky_log_EventRecord *record) {
  return record->version == 1 ||
         (intptr_t)sky_map_get(relay->known, sky_str(record->aggregate_id)) == record->version - 1;
}

static bool is_next(SkyEventRelay *relay, const Pending *pending) {
  if (is_known_next(relay, pending->record))
    return true;
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, STORE_TIMEOUT_MS);
  SkyArena arena;
  sky_arena_init(&arena, RECORD_ARENA_BYTES);
  bool result = false;
  SkyStatus status = sky_event_log_is_next(relay->log, &context, pending->record, &arena, &result);
  sky_arena_finish(&arena);
  result = status == SKY_OK && result;
  sky_status_free(status); /* then it is not known, and looked at again */
  return result;
}

static void start(SkyEventRelay *relay, Pending *pending) {
  if (is_next(relay, pending)) {
    publish_event(relay, pending);
    return;
  }
  if (pending->tries == TRIES) {
    give_up(relay, pending);
    return;
  }
  const int64_t wait_ms = (int64_t)FIRST_WAIT_MS << pending->tries++;
  pending->due_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + wait_ms * SKY_NS_PER_MS;
  push(&relay->waiting, pending);
}

static SkyStatus open_lane(SkyEventRelay *relay, const Pending *pending) {
  Lane *lane = calloc(1, sizeof(*lane));
  if (lane == NULL)
    return sky_status_no_memory();
  SkyStatus status = sky_map_set(relay->lanes, sky_str(pending->record->aggregate_id), lane, NULL);
  if (status != SKY_OK)
    free(lane);
  return status;
}

static void on_added(SkyEventRelay *relay, Pending *pending) {
  Lane *lane = lane_of(relay, pending);
  if (lane != NULL) {
    push(&lane->behind, pending);
    return;
  }
  SkyStatus status = open_lane(relay, pending);
  if (status == SKY_OK) {
    start(relay, pending);
    return;
  }
  sky_status_free(status); /* no memory: the sweeper will do it */
  forget(relay, pending);
}

/* ---- after a publication ---- */

static void mark_later(SkyEventRelay *relay, Pending *pending) {
  if (relay->mark_count == 0)
    relay->mark_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + MARK_DELAY_MS * SKY_NS_PER_MS;
  relay->marks[relay->mark_count++] = pending;
  if (relay->mark_count == SKY_EVENT_LOG_MARKS)
    flush_marks(relay);
}

static void finish_record(SkyEventRelay *relay, Pending *pending) {
  atomic_fetch_add(&relay->log->published, 1);
  remember_published(relay, pending->record);
  Lane *lane = lane_of(relay, pending);
  Pending *next = pop(&lane->behind);
  if (next == NULL)
    lane_remove(relay, pending);
  mark_later(relay, pending);
  if (next != NULL)
    start(relay, next);
}

static void on_event_published(SkyEventRelay *relay, Pending *pending) {
  relay->in_flight--;
  if (pending->outcome != SKY_OK) {
    atomic_fetch_add(&relay->log->publish_failed, 1);
    give_up(relay, pending);
    return;
  }
  if (++pending->next_event < pending->record->n_events)
    publish_event(relay, pending);
  else
    finish_record(relay, pending);
}

/* ---- the thread ---- */

/* Looks again at those whose time has come; the others stay. Returns when the next is due. */
static int64_t retry_waiting(SkyEventRelay *relay) {
  List due = take_all(&relay->waiting);
  const int64_t now = sky_clock_monotonic_ns(sky_clock_system_borrow());
  int64_t next_ns = INT64_MAX;
  Pending *pending;
  while ((pending = pop(&due)) != NULL) {
    if (pending->due_ns <= now)
      start(relay, pending);
    else
      push(&relay->waiting, pending);
  }
  for (pending = relay->waiting.first; pending != NULL; pending = pending->next)
    next_ns = pending->due_ns < next_ns ? pending->due_ns : next_ns;
  return next_ns;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* When there is something to do, if nothing is added before: a record to look at again, confirmations, marks. */
static int64_t next_look_ns(const SkyEventRelay *relay, int64_t retry_ns) {
  int64_t next_ns = relay->mark_count > 0 ? least(retry_ns, relay->mark_ns) : retry_ns;
  if (relay->in_flight > 0)
    next_ns = least(next_ns, sky_clock_monotonic_ns(sky_clock_system_borrow()) + relay->look_ms * SKY_NS_PER_MS);
  return next_ns;
}

/* With the lock held. */
static void wait_for_work(SkyEventRelay *relay, int64_t until_ns) {
  const struct timespec until = {.tv_sec = until_ns / SKY_NS_PER_S, .tv_nsec = until_ns % SKY_NS_PER_S};
  relay->asleep = true;
  while (relay->added.first == NULL && !(relay->stopping && relay->in_flight == 0)) {
    if (until_ns == INT64_MAX)
      pthread_cond_wait(&relay->changed, &relay->lock);
    else if (pthread_cond_timedwait(&relay->changed, &relay->lock, &until) != 0)
      break;
  }
  relay->asleep = false;
}

static void work(SkyEventRelay *relay, List added, List published) {
  Pending *pending;
  while ((pending = pop(&published)) != NULL)
    on_event_published(relay, pending);
  while ((pending = pop(&added)) != NULL)
    on_added(relay, pending);
}

static bool marks_are_due(const SkyEventRelay *relay) {
  return relay->mark_count > 0 && sky_clock_monotonic_ns(sky_clock_system_borrow()) >= relay->mark_ns;
}

/* Stops when told, once every publication in progress has ended; what is not published then is the sweeper's. */
static void *relay_thread(void *user) {
  SkyEventRelay *relay = user;
  int64_t retry_ns = INT64_MAX;
  bool stopping = false;
  relay->look_ms = FIRST_LOOK_MS;
  while (!stopping || relay->in_flight > 0) {
    const int64_t until_ns = next_look_ns(relay, retry_ns);
    pthread_mutex_lock(&relay->lock);
    wait_for_work(relay, until_ns);
    const List added = take_all(&relay->added), published = take_all(&relay->published);
    stopping = relay->stopping;
    pthread_mutex_unlock(&relay->lock);
    if (published.first != NULL || added.first != NULL)
      relay->look_ms = FIRST_LOOK_MS;
    else
      relay->look_ms = least(relay->look_ms * 2, LAST_LOOK_MS);
    work(relay, added, published);
    retry_ns = retry_waiting(relay);
    if (stopping || marks_are_due(relay))
      flush_marks(relay);
  }
  flush_marks(relay);
  return NULL;
}

/* ---- lifecycle ---- */

static SkyStatus open_relay(SkyEventRelay *relay) {
  relay->lanes = sky_map_create(relay->log->options.max_pending);
  relay->known = sky_map_create(KNOWN_MAX);
  if (relay->lanes == NULL || relay->known == NULL)
    return sky_status_no_memory();
  if (pthread_create(&relay->thread, NULL, relay_thread, relay) != 0)
    return SKY_RESOURCE_EXHAUSTED("cannot start the event log's relay thread");
  pthread_setname_np(relay->thread, "event-relay");
  return SKY_OK;
}

static void close_relay(SkyEventRelay *relay) {
  sky_map_destroy(relay->lanes);
  sky_map_destroy(relay->known);
  pthread_cond_destroy(&relay->changed);
  pthread_mutex_destroy(&relay->lock);
  free(relay);
}

SkyStatus sky_event_relay_create(SkyEventLog *log, SkyEventRelay **ret) {
  SkyEventRelay *relay = calloc(1, sizeof(*relay));
  if (relay == NULL)
    return sky_status_no_memory();
  relay->log = log;
  pthread_mutex_init(&relay->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&relay->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  SkyStatus status = open_relay(relay);
  if (status != SKY_OK) {
    close_relay(relay);
    return status;
  }
  *ret = relay;
  return SKY_OK;
}

static void drop_all(List *list) {
  Pending *pending;
  while ((pending = pop(list)) != NULL)
    pending_free(pending);
}

static void drop_lanes(SkyEventRelay *relay) {
  size_t cursor = 0;
  SkyStr key;
  void *lane;
  while (sky_map_next(relay->lanes, &cursor, &key, &lane)) {
    drop_all(&((Lane *)lane)->behind);
    free(lane);
  }
}

void sky_event_relay_destroy(SkyEventRelay *relay) {
  if (relay == NULL)
    return;
  pthread_mutex_lock(&relay->lock);
  relay->stopping = true;
  pthread_cond_signal(&relay->changed);
  pthread_mutex_unlock(&relay->lock);
  pthread_join(relay->thread, NULL);
  drop_all(&relay->added);
  drop_all(&relay->waiting);
  drop_lanes(relay);
  close_relay(relay);
}
