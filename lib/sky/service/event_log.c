#include <sky/service/event_log_internal.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/codec/bson.h>

enum {
  APPEND_ARENA_BYTES = 64 << 20,
  LOAD_PAGE = 200,
  DEFAULT_PENDING = 4096,
};

static const char type_url_prefix[] = "type.googleapis.com/";

const SkyIndex sky_event_log_indexes[2] = {
    {.name = "by_aggregate", .fields = {"aggregate_id", "version"}, .unique = true},
    {.name = "by_published", .fields = {"published", "create_time"}},
};

/* ---- lifecycle ---- */

SkyStatus sky_event_log_create(const SkyEventLogOptions *options, SkyEventLog **ret) {
  SkyEventLog *log = calloc(1, sizeof(*log));
  if (log == NULL)
    return sky_status_no_memory();
  log->options = *options;
  if (log->options.max_pending == 0)
    log->options.max_pending = DEFAULT_PENDING;
  for (const SkyEventType *const *type = options->types; *type != NULL; type++)
    sky_bson_register_type((*type)->message.descriptor); /* so that MongoDB's tools show the events */
  SkyStatus status = sky_event_relay_create(log, &log->relay);
  if (status != SKY_OK) {
    free(log);
    return status;
  }
  *ret = log;
  return SKY_OK;
}

void sky_event_log_destroy(SkyEventLog *log) {
  if (log == NULL)
    return;
  sky_event_relay_destroy(log->relay);
  free(log);
}

SkyEventLogStats sky_event_log_stats(SkyEventLog *log) {
  return (SkyEventLogStats){
      .appended = log->appended,
      .published = log->published,
      .swept = log->swept,
      .project_failed = log->project_failed,
      .publish_failed = log->publish_failed,
      .pending = sky_event_relay_pending(log->relay),
  };
}

/* ---- stored events ---- */

const SkyEventType *sky_event_log_type(const SkyEventLog *log, const Google__Protobuf__Any *stored) {
  const char *slash = strrchr(stored->type_url, '/');
  const char *name = slash == NULL ? stored->type_url : slash + 1;
  for (const SkyEventType *const *type = log->options.types; *type != NULL; type++) {
    if (strcmp((*type)->name, name) == 0)
      return *type;
  }
  return NULL;
}

SkyStatus sky_event_log_unpack(const SkyEventType *type, const Google__Protobuf__Any *stored, SkyArena *arena,
                               ProtobufCMessage **ret) {
  const SkyStr wire = {(const char *)stored->value.data, stored->value.len};
  SkyStatus status = sky_message_unpack(type->message.descriptor, wire, arena, ret);
  if (sky_status_code(status) != SKY_CODE_INVALID_ARGUMENT)
    return status;
  SkyStatus loss = SKY_DATA_LOSS("a stored %s: %s", type->name, sky_status_message(status));
  sky_status_free(status);
  return loss;
}

SkyContext sky_event_log_context(const SkyContext *parent, const sky_log_EventRecord *record) {
  SkyContext context = *parent;
  SkyTrace trace;
  if (sky_trace_parse(sky_str(record->traceparent), &trace))
    context.trace = sky_trace_child(&trace);
  return context;
}

static char *record_id(SkyArena *arena, const char *aggregate_id, int64_t version) {
  char number[24];
  const int digits = snprintf(number, sizeof(number), "/%" PRId64, version);
  const size_t length = strlen(aggregate_id);
  char *id = sky_arena_alloc(arena, length + (size_t)digits + 1);
  if (id == NULL)
    return NULL;
  memcpy(id, aggregate_id, length);
  memcpy(id + length, number, (size_t)digits + 1);
  return id;
}

SkyStatus sky_event_log_is_next(const SkyEventLog *log, const SkyContext *context, const sky_log_EventRecord *record,
                                SkyArena *arena, bool *ret) {
  ProtobufCMessage *before;
  *ret = record->version == 1;
  if (*ret)
    return SKY_OK;
  const char *id = record_id(arena, record->aggregate_id, record->version - 1);
  if (id == NULL)
    return sky_status_no_memory();
  SKY_TRY(sky_store_get(log->options.store, context, log->options.collection, id, arena, &before, NULL));
  *ret = ((const sky_log_EventRecord *)before)->published;
  return SKY_OK;
}

SkyStatus sky_event_log_mark(SkyEventLog *log, const SkyContext *context, SkyReplacement *records, size_t count) {
  SkyStatus results[SKY_EVENT_LOG_MARKS];
  SKY_TRY(sky_store_replace_many(log->options.store, context, log->options.collection, records, count, results));
  SkyStatus first = SKY_OK;
  for (size_t i = 0; i < count; i++) {
    if (sky_status_take(&results[i], SKY_CODE_ABORTED)) /* marked by another */
      continue;
    if (first == SKY_OK)
      first = results[i];
    else
      sky_status_free(results[i]);
  }
  return first;
}

/* ---- loading ---- */

typedef struct Loading {
  const SkyEventLog *log;
  SkyArena *arena;
  SkyStatus (*visit)(void *user, const SkyLogged *logged);
  void *user;
  int64_t version;
} Loading;

static SkyStatus visit_event(const Loading *loading, const sky_log_EventRecord *record,
                             const Google__Protobuf__Any *stored) {
  const Google__Protobuf__Timestamp *time = record->create_time;
  SkyLogged logged = {
      .type = sky_event_log_type(loading->log, stored),
      .version = record->version,
      .time_ms = time == NULL ? 0 : time->seconds * SKY_MS_PER_S + time->nanos / SKY_NS_PER_MS,
  };
  if (logged.type != NULL) {
    ProtobufCMessage *event;
    SKY_TRY(sky_event_log_unpack(logged.type, stored, loading->arena, &event));
    logged.event = event;
  }
  return loading->visit(loading->user, &logged);
}

static SkyStatus visit_record(Loading *loading, const sky_log_EventRecord *record) {
  if (record->version != loading->version + 1)
    return SKY_DATA_LOSS("%s: record %" PRId64 " is missing", record->aggregate_id, loading->version + 1);
  for (size_t i = 0; i < record->n_events; i++)
    SKY_TRY(visit_event(loading, record, record->events[i]));
  loading->version = record->version;
  return SKY_OK;
}

SkyStatus sky_event_log_load_after(SkyEventLog *log, const SkyContext *context, const char *aggregate_id,
                                   int64_t after_version, SkyArena *arena,
                                   SkyStatus (*visit)(void *user, const SkyLogged *logged), void *user,
                                   int64_t *ret_version) {
  Loading loading = {log, arena, visit, user, after_version};
  SkyQuery query = {.index = "by_aggregate",
                    .equal = {SKY_V_TEXT(aggregate_id)},
                    .from = SKY_V_INT(after_version + 1),
                    .page_size = LOAD_PAGE};
  do {
    SkyPage page;
    SKY_TRY(sky_store_find(log->options.store, context, log->options.collection, &query, arena, &page));
    for (size_t i = 0; i < page.count; i++)
      SKY_TRY(visit_record(&loading, (const sky_log_EventRecord *)page.documents[i]));
    query.page_token = page.next_page_token;
  } while (query.page_token[0] != '\0');
  *ret_version = loading.version;
  return SKY_OK;
}

SkyStatus sky_event_log_load(SkyEventLog *log, const SkyContext *context, const char *aggregate_id, SkyArena *arena,
                             SkyStatus (*visit)(void *user, const SkyLogged *logged), void *user,
                             int64_t *ret_version) {
  return sky_event_log_load_after(log, context, aggregate_id, 0, arena, visit, user, ret_version);
}

/* ---- projecting ---- */

SkyStatus sky_event_log_project(SkyEventLog *log, const SkyContext *context, const SkyProjection *wanted) {
  const SkyEventLogOptions *options = &log->options;
  if (options->project != NULL)
    return options->project(options->self, context, wanted->aggregate_id);
  return options->project_later == NULL ? SKY_OK : options->project_later(options->self, context, wanted, 1);
}

/* ---- appending ---- */

static bool is_declared(const SkyEventLog *log, const SkyEventType *wanted) {
  for (const SkyEventType *const *type = log->options.types; *type != NULL; type++) {
    if (*type == wanted)
      return true;
  }
  return false;
}

static SkyStatus check_append(const SkyEventLog *log, const SkyAppendTo *append) {
  if (append->aggregate_id == NULL || append->aggregate_id[0] == '\0' || append->expected_version < 0 ||
      append->count == 0)
    return SKY_INVALID_ARGUMENT("an append needs an aggregate, the version before it and an event");
  for (size_t i = 0; i < append->count; i++) {
    const SkyAppend *event = &append->events[i];
    if (!is_declared(log, event->type) || event->event->descriptor != event->type->message.descriptor)
      return SKY_INTERNAL("%s is not among the log's types", event->type->name);
  }
  return SKY_OK;
}

static SkyStatus fill_event(const SkyAppend *append, SkyArena *arena, Google__Protobuf__Any **ret) {
  Google__Protobuf__Any *stored = sky_arena_alloc(arena, sizeof(*stored));
  const size_t size = protobuf_c_message_get_packed_size(append->event);
  const size_t prefix = strlen(type_url_prefix), name = strlen(append->type->name);
  uint8_t *bytes = sky_arena_alloc(arena, size);
  char *url = sky_arena_alloc(arena, prefix + name + 1);
  if (stored == NULL || bytes == NULL || url == NULL)
    return SKY_RESOURCE_EXHAUSTED("the events of one append are too large");
  google__protobuf__any__init(stored);
  memcpy(url, type_url_prefix, prefix);
  memcpy(url + prefix, append->type->name, name);
  stored->type_url = url;
  stored->value = (ProtobufCBinaryData){protobuf_c_message_pack(append->event, bytes), bytes};
  *ret = stored;
  return SKY_OK;
}

static SkyStatus fill_times(const SkyEventLog *log, const SkyTrace *trace, SkyArena *arena,
                            sky_log_EventRecord *record) {
  const int64_t now_ns = sky_clock_wall_ns(log->options.clock);
  record->create_time = sky_arena_alloc(arena, sizeof(*record->create_time));
  char *traceparent = sky_arena_alloc(arena, SKY_TRACEPARENT_SIZE);
  if (record->create_time == NULL || traceparent == NULL)
    return sky_status_no_memory();
  google__protobuf__timestamp__init(record->create_time);
  record->create_time->seconds = now_ns / SKY_NS_PER_S;
  record->create_time->nanos = (int32_t)(now_ns % SKY_NS_PER_S / SKY_NS_PER_MS * SKY_NS_PER_MS); /* dates are in ms */
  sky_trace_format(trace, traceparent);
  record->traceparent = traceparent;
  return SKY_OK;
}

static SkyStatus make_record(const SkyEventLog *log, const SkyContext *context, const SkyAppendTo *append,
                             SkyArena *arena, ProtobufCMessage **ret) {
  SKY_TRY(check_append(log, append));
  sky_log_EventRecord *record = sky_arena_alloc(arena, sizeof(*record));
  if (record == NULL)
    return sky_status_no_memory();
  sky__service__v1__event_record__init(record);
  record->id = record_id(arena, append->aggregate_id, append->expected_version + 1);
  record->aggregate_id = sky_arena_strndup(arena, append->aggregate_id, strlen(append->aggregate_id));
  record->version = append->expected_version + 1;
  record->events = sky_arena_alloc(arena, append->count * sizeof(*record->events));
  if (record->id == NULL || record->aggregate_id == NULL || record->events == NULL)
    return sky_status_no_memory();
  SKY_TRY(fill_times(log, append->trace == NULL ? &context->trace : append->trace, arena, record));
  for (size_t i = 0; i < append->count; i++)
    SKY_TRY(fill_event(&append->events[i], arena, &record->events[i]));
  record->n_events = append->count;
  *ret = &record->base;
  return SKY_OK;
}

/* The record is durable: brings the read model up to date and hands the record to the relay. */
static void follow_up(SkyEventLog *log, const SkyContext *context, const sky_log_EventRecord *record) {
  atomic_fetch_add(&log->appended, 1);
  SkyStatus status =
      log->options.project == NULL ? SKY_OK : log->options.project(log->options.self, context, record->aggregate_id);
  if (status != SKY_OK) { /* published only when projected; the sweeper does both */
    atomic_fetch_add(&log->project_failed, 1);
    sky_status_free(status);
    return;
  }
  sky_event_relay_add(log->relay, record);
}

static SkyStatus settle(SkyEventLog *log, const SkyContext *context, const SkyAppendTo *append,
                        const ProtobufCMessage *record, SkyStatus inserted) {
  if (sky_status_take(&inserted, SKY_CODE_ALREADY_EXISTS))
    return SKY_ABORTED("%s is past version %" PRId64, append->aggregate_id, append->expected_version);
  if (inserted == SKY_OK)
    follow_up(log, context, (const sky_log_EventRecord *)record);
  return inserted;
}

/* Makes the sound records, as the first *ret_count of records; positions say which append each belongs to. */
static void make_records(SkyEventLog *log, const SkyContext *context, const SkyAppendTo *appends, size_t count,
                         SkyArena *arena, ProtobufCMessage **records, size_t *positions, size_t *ret_count,
                         SkyStatus *results) {
  *ret_count = 0;
  for (size_t i = 0; i < count; i++) {
    results[i] = make_record(log, context, &appends[i], arena, &records[*ret_count]);
    if (results[i] == SKY_OK)
      positions[(*ret_count)++] = i;
  }
}

static SkyStatus append_all(SkyEventLog *log, const SkyContext *context, const SkyAppendTo *appends, size_t count,
                            SkyArena *arena, SkyStatus *results) {
  ProtobufCMessage **records = sky_arena_alloc(arena, count * sizeof(*records));
  size_t *positions = sky_arena_alloc(arena, count * sizeof(*positions));
  SkyStatus *inserted = sky_arena_alloc(arena, count * sizeof(*inserted));
  if (records == NULL || positions == NULL || inserted == NULL)
    return sky_status_no_memory();
  size_t made;
  make_records(log, context, appends, count, arena, records, positions, &made, results);
  SkyStatus status = sky_store_insert_many(log->options.store, context, log->options.collection,
                                           (const ProtobufCMessage *const *)records, made, inserted);
  for (size_t i = 0; i < count && status != SKY_OK; i++) {
    sky_status_free(results[i]);
    results[i] = SKY_OK;
  }
  SKY_TRY(status);
  for (size_t i = 0; i < made; i++)
    results[positions[i]] = settle(log, context, &appends[positions[i]], records[i], inserted[i]);
  return SKY_OK;
}

SkyStatus sky_event_log_append_many(SkyEventLog *log, const SkyContext *context, const SkyAppendTo *appends,
                                    size_t count, SkyStatus *results) {
  SkyArena arena;
  sky_arena_init(&arena, APPEND_ARENA_BYTES);
  SkyStatus status = append_all(log, context, appends, count, &arena, results);
  sky_arena_finish(&arena);
  return status;
}

SkyStatus sky_event_log_append(SkyEventLog *log, const SkyContext *context, const char *aggregate_id,
                               int64_t expected_version, const SkyAppend *events, size_t count) {
  const SkyAppendTo append = {
      .aggregate_id = aggregate_id, .expected_version = expected_version, .events = events, .count = count};
  SkyStatus result = SKY_OK;
  SKY_TRY(sky_event_log_append_many(log, context, &append, 1, &result));
  return result;
}
