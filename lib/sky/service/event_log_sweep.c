/*
 * Sweeper: projects and publishes what a crash, a broken projection or a broker that was away has left unpublished.
 * Records of one aggregate go out in order; one whose predecessor is not published yet is left to the next sweep.
 * Several processes may sweep at once: the broker drops repeats.
 */
#include <sky/service/event_log_internal.h>

#include <stdlib.h>
#include <string.h>

enum { SWEEP_PAGE = SKY_EVENT_LOG_MARKS, SWEEP_ARENA_BYTES = 64 << 20 };

typedef struct Entry {
  sky_log_EventRecord *record;
  int64_t document_version;
} Entry;

typedef struct Sweep {
  SkyEventLog *log;
  const SkyContext *context;
  SkyArena *arena;
  bool projected; /* the page that is being swept */
  SkyReplacement marks[SWEEP_PAGE];
  size_t mark_count;
} Sweep;

static int compare(const void *a, const void *b) {
  const sky_log_EventRecord *first = ((const Entry *)a)->record, *second = ((const Entry *)b)->record;
  const int order = strcmp(first->aggregate_id, second->aggregate_id);
  return order != 0 ? order : (first->version > second->version) - (first->version < second->version);
}

static SkyStatus publish_record(Sweep *sweep, const sky_log_EventRecord *record) {
  const SkyContext context = sky_event_log_context(sweep->context, record);
  for (size_t i = 0; i < record->n_events; i++) {
    const SkyEventType *type = sky_event_log_type(sweep->log, record->events[i]);
    ProtobufCMessage *event;
    if (type == NULL)
      return SKY_FAILED_PRECONDITION("%s is of a newer release", record->events[i]->type_url);
    SKY_TRY(sky_event_log_unpack(type, record->events[i], sweep->arena, &event));
    SKY_TRY(sky_event_publish(sweep->log->options.bus, &context, type, event));
  }
  return SKY_OK;
}

static SkyStatus sweep_record(Sweep *sweep, const Entry *entry) {
  SKY_TRY(publish_record(sweep, entry->record));
  entry->record->published = 1;
  sweep->marks[sweep->mark_count++] = (SkyReplacement){&entry->record->base, entry->document_version};
  atomic_fetch_add(&sweep->log->swept, 1);
  return SKY_OK;
}

/* What the records of one aggregate want of the read model. */
static SkyProjection wanted_of(const Entry *entries, size_t count) {
  return (SkyProjection){entries[0].record->aggregate_id, entries[count - 1].record->version};
}

/* The unpublished records of one aggregate in a page, in order. */
static SkyStatus sweep_aggregate(Sweep *sweep, const Entry *entries, size_t count) {
  bool is_next;
  SKY_TRY(sky_event_log_is_next(sweep->log, sweep->context, entries[0].record, sweep->arena, &is_next));
  if (!is_next)
    return SKY_OK;
  const SkyProjection wanted = wanted_of(entries, count);
  if (!sweep->projected)
    SKY_TRY(sky_event_log_project(sweep->log, sweep->context, &wanted));
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && entries[i].record->version != entries[i - 1].record->version + 1)
      return SKY_OK;
    SKY_TRY(sweep_record(sweep, &entries[i]));
  }
  return SKY_OK;
}

/* True when going on makes no sense: the broker or the store is away, or time is up. */
static bool ends_sweep(const SkyError *status) {
  switch (sky_status_code(status)) {
  case SKY_CODE_UNAVAILABLE:
  case SKY_CODE_DEADLINE_EXCEEDED:
  case SKY_CODE_CANCELLED:
  case SKY_CODE_RESOURCE_EXHAUSTED:
    return true;
  default:
    return false;
  }
}

/* Where the records of the aggregate that begins there end. */
static size_t end_of_aggregate(const Entry *entries, size_t count, size_t begin) {
  size_t end = begin + 1;
  while (end < count && strcmp(entries[end].record->aggregate_id, entries[begin].record->aggregate_id) == 0)
    end++;
  return end;
}

/* All at once where the log can: for the price of one commit. After another's error each is projected alone. */
static SkyStatus project_page(Sweep *sweep, const Entry *entries, size_t count) {
  const SkyEventLogOptions *options = &sweep->log->options;
  SkyProjection wanted[SWEEP_PAGE];
  size_t wanted_count = 0;
  sweep->projected = false;
  if (options->project_later == NULL)
    return SKY_OK;
  for (size_t begin = 0, end; begin < count; begin = end) {
    end = end_of_aggregate(entries, count, begin);
    wanted[wanted_count++] = wanted_of(entries + begin, end - begin);
  }
  SkyStatus status = options->project_later(options->self, sweep->context, wanted, wanted_count);
  sweep->projected = status == SKY_OK;
  if (ends_sweep(status))
    return status;
  sky_status_free(status); /* whose it is tells it again */
  return SKY_OK;
}

/* One aggregate's own error does not keep the others from being published; the first one is returned. */
static SkyStatus sweep_entries(Sweep *sweep, Entry *entries, size_t count, bool *ret_end) {
  qsort(entries, count, sizeof(*entries), compare);
  SkyStatus first = project_page(sweep, entries, count);
  bool stop = first != SKY_OK;
  *ret_end = *ret_end || stop;
  for (size_t begin = 0, end; begin < count && !stop; begin = end) {
    end = end_of_aggregate(entries, count, begin);
    SkyStatus status = sweep_aggregate(sweep, entries + begin, end - begin);
    stop = ends_sweep(status);
    *ret_end = *ret_end || stop;
    if (first == SKY_OK)
      first = status;
    else
      sky_status_free(status);
  }
  return first;
}

static SkyStatus sweep_page(Sweep *sweep, const SkyPage *page, bool *ret_end) {
  Entry entries[SWEEP_PAGE];
  for (size_t i = 0; i < page->count; i++)
    entries[i] = (Entry){(sky_log_EventRecord *)page->documents[i], page->versions[i]};
  sweep->mark_count = 0;
  SkyStatus status = sweep_entries(sweep, entries, page->count, ret_end);
  SkyStatus marked = sky_event_log_mark(sweep->log, sweep->context, sweep->marks, sweep->mark_count);
  if (status == SKY_OK)
    return marked;
  sky_status_free(marked);
  return status;
}

/* A page's token lives in the arena that is reset for the next page. */
static SkyStatus keep_token(const char *token, char **kept) {
  free(*kept);
  *kept = token[0] == '\0' ? NULL : strdup(token);
  return token[0] == '\0' || *kept != NULL ? SKY_OK : sky_status_no_memory();
}

static SkyStatus sweep_next(Sweep *sweep, SkyQuery *query, char **token, bool *ret_end) {
  SkyPage page;
  query->page_token = *token;
  *ret_end = true; /* unless there is a next page to go to */
  SKY_TRY(sky_store_find(sweep->log->options.store, sweep->context, sweep->log->options.collection, query, sweep->arena,
                         &page));
  SKY_TRY(keep_token(page.next_page_token, token));
  *ret_end = *token == NULL;
  return sweep_page(sweep, &page, ret_end);
}

SkyStatus sky_event_log_sweep(SkyEventLog *log, const SkyContext *context, int64_t min_age_ms) {
  const int64_t before_ms = sky_clock_wall_ms(log->options.clock) - min_age_ms;
  SkyQuery query = {.index = "by_published",
                    .equal = {SKY_V_BOOL(false)},
                    .to = SKY_V_TIME(before_ms * SKY_NS_PER_MS + 1), /* `to` is exclusive */
                    .page_size = SWEEP_PAGE};
  SkyArena arena;
  sky_arena_init(&arena, SWEEP_ARENA_BYTES);
  Sweep sweep = {.log = log, .context = context, .arena = &arena};
  SkyStatus first = SKY_OK;
  char *token = NULL;
  bool end = false;
  do {
    SkyStatus status = sweep_next(&sweep, &query, &token, &end);
    if (first == SKY_OK)
      first = status;
    else
      sky_status_free(status);
    sky_arena_reset(&arena);
  } while (!end);
  free(token);
  sky_arena_finish(&arena);
  return first;
}
