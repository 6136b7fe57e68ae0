#include "workflow/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/workflow/v1/workflow.rpc.h"
#include "workflow/workflow_store.event.h"

enum { MAX_WATCHED = 16384, TELL_ARENA_BYTES = 4 << 20, QUIET_TICKS = 10 };

struct Watch {
  Watch *next;
  SkyCall *call;
  char id[SAGA_ID_SIZE];
  uint64_t version; /* sent last */
  uint64_t tick;    /* when it was told, or looked after, last */
  SkyStatus status; /* of the call, when it is to end */
  SkySubscription *subscription;
};

bool workflow_state_is_final(workflow_WorkflowState state) {
  return state >= workflow_WORKFLOW_STATE_COMPLETED;
}

SkyStatus workflow_present(workflow_Workflow *workflow, SkyArena *arena) {
  workflow->etag = sky_etag_create(arena, (int64_t)workflow->version);
  return workflow->etag == NULL ? sky_status_no_memory() : SKY_OK;
}

/* ---- lists, with the lock held ---- */

static SkyStatus link_watch(Watchers *watchers, Watch *watch) {
  watch->next = sky_map_get(watchers->by_saga, sky_str(watch->id));
  return sky_map_set(watchers->by_saga, sky_str(watch->id), watch, NULL);
}

static void set_first(Watchers *watchers, const char *id, Watch *first) {
  if (first == NULL)
    sky_map_remove(watchers->by_saga, sky_str(id));
  else
    sky_status_free(sky_map_set(watchers->by_saga, sky_str(id), first, NULL)); /* replaces: cannot fail */
}

/* Takes the watch of this call out; NULL when it has ended. */
static Watch *unlink_watch(Watchers *watchers, const char *id, const SkyCall *call) {
  Watch *first = sky_map_get(watchers->by_saga, sky_str(id));
  for (Watch **at = &first; *at != NULL; at = &(*at)->next)
    if ((*at)->call == call) {
      Watch *watch = *at;
      *at = watch->next;
      set_first(watchers, watch->id, first);
      return watch;
    }
  return NULL;
}

static void push(Watch **list, Watch *watch, SkyStatus status) {
  watch->status = status;
  watch->next = *list;
  *list = watch;
}

/* ---- ending, without the lock: a call's end waits for its callbacks, which take it ---- */

/* Subscriptions are closed later: that waits for their callbacks, and this may be one. */
static void finish_calls(Watchers *watchers, Watch *ending) {
  for (Watch *watch = ending, *next; watch != NULL; watch = next) {
    next = watch->next;
    sky_call_finish(watch->call, watch->status);
    pthread_mutex_lock(&watchers->lock);
    push(&watchers->ended, watch, SKY_OK);
    pthread_mutex_unlock(&watchers->lock);
  }
}

/* ---- telling ---- */

/* With the lock held. False when the watch is over; *ret is what its call ends with. */
static bool send(const Watchers *watchers, Watch *watch, const workflow_Workflow *workflow, SkyStatus *ret) {
  *ret = SKY_OK;
  if (workflow->version > watch->version) {
    watch->version = workflow->version;
    watch->tick = watchers->ticks;
    workflow_WatchWorkflowResponse response = workflow_WatchWorkflowResponse_INIT;
    response.workflow = (workflow_Workflow *)workflow;
    *ret = workflow_WorkflowService_watch_workflow_write(watch->call, &response);
  }
  /* A client that is gone, or too slow, may come back and resume. */
  return *ret == SKY_OK && !workflow_state_is_final(workflow->state);
}

void watchers_tell(Watchers *watchers, const workflow_Workflow *workflow) {
  Watch *ending = NULL;
  pthread_mutex_lock(&watchers->lock);
  Watch *first = sky_map_get(watchers->by_saga, sky_str(workflow->id));
  const bool watched = first != NULL;
  for (Watch **at = &first; *at != NULL;) {
    Watch *watch = *at, *next = watch->next;
    SkyStatus status;
    if (send(watchers, watch, workflow, &status)) {
      at = &watch->next;
      continue;
    }
    *at = next;
    push(&ending, watch, status);
  }
  if (watched)
    set_first(watchers, workflow->id, first);
  pthread_mutex_unlock(&watchers->lock);
  finish_calls(watchers, ending);
}

static bool has_watchers(Watchers *watchers, const char *id) {
  pthread_mutex_lock(&watchers->lock);
  const bool has = sky_map_get(watchers->by_saga, sky_str(id)) != NULL;
  pthread_mutex_unlock(&watchers->lock);
  return has;
}

void watchers_changed(void *user, const SagaRecord *record) {
  Watchers *watchers = user;
  if (!has_watchers(watchers, record->id))
    return;
  SkyArena arena;
  sky_arena_init(&arena, TELL_ARENA_BYTES);
  workflow_Workflow *workflow;
  SkyStatus status = saga_record_workflow(record, &arena, &workflow);
  if (status == SKY_OK)
    status = workflow_present(workflow, &arena);
  if (status == SKY_OK)
    watchers_tell(watchers, workflow);
  sky_status_free(status); /* no memory: the next change tells more */
  sky_arena_finish(&arena);
}

size_t watchers_quiet(Watchers *watchers, char (*ret_ids)[SAGA_ID_SIZE], size_t max) {
  size_t count = 0, cursor = 0;
  SkyStr key;
  void *value;
  pthread_mutex_lock(&watchers->lock);
  watchers->ticks++;
  while (count < max && sky_map_next(watchers->by_saga, &cursor, &key, &value)) {
    Watch *watch = value;
    if (watchers->ticks - watch->tick <= QUIET_TICKS)
      continue;
    watch->tick = watchers->ticks;
    memcpy(ret_ids[count++], watch->id, SAGA_ID_SIZE);
  }
  pthread_mutex_unlock(&watchers->lock);
  return count;
}

/* From the process that works on the saga, perhaps this one. */
static SkyStatus on_changed(void *self, SkyIncoming *incoming, const workflow_store_SagaChanged *event) {
  if (event->saga == NULL || event->saga->workflow == NULL)
    return SKY_OK;
  workflow_Workflow workflow = *event->saga->workflow;
  SKY_TRY(workflow_present(&workflow, sky_incoming_arena(incoming)));
  watchers_tell(self, &workflow);
  return SKY_OK;
}

/* ---- calls ---- */

static Watch *find_call(const Watchers *watchers, const SkyCall *call) {
  size_t cursor = 0;
  SkyStr key;
  void *value;
  while (sky_map_next(watchers->by_saga, &cursor, &key, &value))
    for (Watch *watch = value; watch != NULL; watch = watch->next)
      if (watch->call == call)
        return watch;
  return NULL;
}

static void on_cancel(void *user, SkyCall *call) {
  Watchers *watchers = user;
  Watch *ending = NULL;
  pthread_mutex_lock(&watchers->lock);
  Watch *watch = find_call(watchers, call);
  if (watch != NULL)
    push(&ending, unlink_watch(watchers, watch->id, call), SKY_CANCELLED("the client is gone"));
  pthread_mutex_unlock(&watchers->lock);
  finish_calls(watchers, ending);
}

static Watch *watch_create(SkyCall *call, const char *id, uint64_t after_version) {
  Watch *watch = calloc(1, sizeof(*watch));
  if (watch == NULL)
    return NULL;
  watch->call = call;
  watch->version = after_version;
  snprintf(watch->id, sizeof(watch->id), "%s", id);
  return watch;
}

static void watch_destroy(Watch *watch) {
  if (watch->subscription != NULL)
    sky_subscription_close(watch->subscription);
  free(watch);
}

SkyStatus watchers_add(Watchers *watchers, SkyCall *call, const char *id, uint64_t after_version) {
  Watch *watch = watch_create(call, id, after_version);
  if (watch == NULL)
    return sky_status_no_memory();
  const SkyEventRoute route = workflow_store_SagaChanged_route(on_changed, watchers);
  /* Without the broker only this process's sagas are heard of. */
  sky_status_free(sky_bus_subscribe(watchers->bus, &route, id, &watch->subscription));
  SkyStatus deferred = sky_call_defer(call);
  sky_call_on_cancel(call, on_cancel, watchers);
  Watch *ending = NULL;
  pthread_mutex_lock(&watchers->lock);
  watch->tick = watchers->ticks;
  SkyStatus status = watchers->stopping ? SKY_UNAVAILABLE("the service stops") : link_watch(watchers, watch);
  if (status != SKY_OK)
    push(&ending, watch, status);
  else if (sky_call_is_cancelled(call)) /* perhaps before it could be found */
    push(&ending, unlink_watch(watchers, watch->id, call), SKY_CANCELLED("the client is gone"));
  pthread_mutex_unlock(&watchers->lock);
  finish_calls(watchers, ending);
  return deferred;
}

/* ---- lifecycle ---- */

SkyStatus watchers_init(Watchers *watchers, SkyBus *bus) {
  *watchers = (Watchers){.bus = bus, .by_saga = sky_map_create(MAX_WATCHED)};
  if (watchers->by_saga == NULL)
    return sky_status_no_memory();
  pthread_mutex_init(&watchers->lock, NULL);
  return SKY_OK;
}

void watchers_clear(Watchers *watchers) {
  pthread_mutex_lock(&watchers->lock);
  Watch *ended = watchers->ended;
  watchers->ended = NULL;
  pthread_mutex_unlock(&watchers->lock);
  while (ended != NULL) {
    Watch *next = ended->next;
    watch_destroy(ended);
    ended = next;
  }
}

void watchers_end(Watchers *watchers) {
  if (watchers->by_saga == NULL)
    return;
  pthread_mutex_lock(&watchers->lock);
  watchers->stopping = true;
  size_t cursor = 0;
  SkyStr key;
  void *value;
  Watch *ending = NULL;
  while (sky_map_next(watchers->by_saga, &cursor, &key, &value))
    for (Watch *watch = value, *next; watch != NULL; watch = next) {
      next = watch->next;
      push(&ending, watch, SKY_UNAVAILABLE("the service stops"));
    }
  for (Watch *watch = ending; watch != NULL; watch = watch->next)
    sky_map_remove(watchers->by_saga, sky_str(watch->id));
  pthread_mutex_unlock(&watchers->lock);
  finish_calls(watchers, ending);
}

void watchers_finish(Watchers *watchers) {
  if (watchers->by_saga == NULL)
    return;
  watchers_end(watchers);
  watchers_clear(watchers);
  sky_map_destroy(watchers->by_saga);
  watchers->by_saga = NULL;
  pthread_mutex_destroy(&watchers->lock);
}
