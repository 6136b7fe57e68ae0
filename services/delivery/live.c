#include "delivery/live.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/map.h>
#include <sky/service/resource.h>

#include "fabrikam/delivery/v1/delivery.rpc.h"

enum { EVENT_ID_SIZE = 48, REASON_SIZE = 128 };

typedef struct Watcher {
  struct Watcher *next;
  struct Entry *entry;
  SkyCall *call;
  bool behind; /* its queue was full: it is told the state as soon as there is room */
} Watcher;

typedef struct Entry {
  char id[SKY_UUID_TEXT_SIZE];
  Watcher *watchers;
  common_DeliveryStage stage;
  uint64_t version;
  int64_t log_version;
  uint64_t updates;   /* positions told since the last change of stage */
  bool heard;         /* of, since live_forget_quiet() looked last */
  struct Entry *next; /* while that forgets it */
  bool picked_up;
  SkyPoint pickup, dropoff;
  bool has_position;
  SkyPoint position;
  double altitude_m;
  int64_t position_ms;
  common_MissionPhase phase;
  double speed_mps;
  double battery_fraction;
  int64_t pickup_ms, dropoff_ms;
  int64_t told_dropoff_ms; /* the estimate that the log has */
  bool telling;            /* a newer one is on its way there */
  double confidence;
  double remaining_m;
  char reason_code[REASON_SIZE], reason_message[2 * REASON_SIZE];
} Entry;

struct Live {
  pthread_mutex_t mutex;
  SkyMap *entries;
  /* By call: a call's callback may be on its way while the delivery ends and the watcher goes, so callbacks look for it
   * here. */
  SkyMap *watchers;
};

/* ---- messages, built on the stack ---- */

typedef struct Update {
  delivery_WatchDeliveryResponse response;
  delivery_DeliveryStatus status;
  common_Location location;
  protobuf_Timestamp location_time, pickup_time, dropoff_time;
  common_Eta pickup_eta, dropoff_eta;
  common_Reason reason;
  char event_id[EVENT_ID_SIZE];
} Update;

static void set_time(protobuf_Timestamp *timestamp, int64_t unix_ms) {
  *timestamp = (protobuf_Timestamp)protobuf_Timestamp_INIT;
  timestamp->seconds = unix_ms / SKY_MS_PER_S;
  timestamp->nanos = (int32_t)(unix_ms % SKY_MS_PER_S) * SKY_NS_PER_MS;
}

static void set_location(common_Location *location, SkyPoint point, double altitude_m) {
  *location = (common_Location)common_Location_INIT;
  location->latitude = point.latitude;
  location->longitude = point.longitude;
  location->altitude = altitude_m;
  location->_latitude_case = FABRIKAM__COMMON__V1__LOCATION___LATITUDE_LATITUDE;
  location->_longitude_case = FABRIKAM__COMMON__V1__LOCATION___LONGITUDE_LONGITUDE;
  location->_altitude_case = FABRIKAM__COMMON__V1__LOCATION___ALTITUDE_ALTITUDE;
}

static common_Eta *set_eta(common_Eta *eta, protobuf_Timestamp *time, int64_t unix_ms, double confidence) {
  if (unix_ms == 0)
    return NULL;
  *eta = (common_Eta)common_Eta_INIT;
  set_time(time, unix_ms);
  eta->time = time;
  eta->confidence = confidence;
  return eta;
}

static void build(const Entry *entry, delivery_DeliveryUpdateKind kind, Update *update) {
  delivery_DeliveryStatus *status = &update->status;
  update->response = (delivery_WatchDeliveryResponse)delivery_WatchDeliveryResponse_INIT;
  *status = (delivery_DeliveryStatus)delivery_DeliveryStatus_INIT;
  status->delivery_id = entry->id;
  status->stage = entry->stage;
  status->version = entry->version;
  status->phase = entry->phase;
  status->speed_mps = entry->speed_mps;
  status->battery_fraction = entry->battery_fraction;
  status->remaining_distance_m = entry->remaining_m;
  if (entry->has_position) {
    set_location(&update->location, entry->position, entry->altitude_m);
    set_time(&update->location_time, entry->position_ms);
    status->last_known_location = &update->location;
    status->location_time = &update->location_time;
  }
  status->pickup_eta =
      set_eta(&update->pickup_eta, &update->pickup_time, entry->pickup_ms, entry->picked_up ? 1 : entry->confidence);
  status->delivery_eta = set_eta(&update->dropoff_eta, &update->dropoff_time, entry->dropoff_ms, entry->confidence);
  if (entry->reason_code[0] != '\0') {
    update->reason = (common_Reason)common_Reason_INIT;
    update->reason.code = entry->reason_code;
    update->reason.message = entry->reason_message;
    update->response.reason = &update->reason;
  }
  snprintf(update->event_id, sizeof(update->event_id), "%" PRIu64 ".%" PRIu64, entry->version, entry->updates);
  update->response.event_id = update->event_id;
  update->response.kind = kind;
  update->response.status = status;
}

/* ---- watchers; all but the callbacks with the mutex held ---- */

static SkyStr call_key(SkyCall *const *call) {
  return (SkyStr){(const char *)call, sizeof(*call)};
}

static void on_writable(void *user, SkyCall *call);

static void tell(Live *live, Watcher *watcher, const delivery_WatchDeliveryResponse *response) {
  if (watcher->behind)
    return;
  SkyStatus status = delivery_DeliveryService_watch_delivery_write(watcher->call, response);
  if (sky_status_code(status) == SKY_CODE_RESOURCE_EXHAUSTED) {
    watcher->behind = true;
    sky_call_on_writable(watcher->call, on_writable, live);
  }
  sky_status_free(status); /* CANCELLED: on_cancel() takes the watcher away */
}

static void tell_all(Live *live, const Entry *entry, delivery_DeliveryUpdateKind kind) {
  Update update;
  if (entry->watchers == NULL)
    return;
  build(entry, kind, &update);
  for (Watcher *watcher = entry->watchers; watcher != NULL; watcher = watcher->next)
    tell(live, watcher, &update.response);
}

/* Takes the watcher out of both tables; its call is then the caller's to finish. */
static void take_out(Live *live, Watcher *watcher) {
  for (Watcher **link = &watcher->entry->watchers; *link != NULL; link = &(*link)->next)
    if (*link == watcher) {
      *link = watcher->next;
      break;
    }
  sky_map_remove(live->watchers, call_key(&watcher->call));
}

/* All of them, to be ended by end_watchers(). */
static void take_out_all(Live *live, Entry *entry, Watcher **ending) {
  while (entry->watchers != NULL) {
    Watcher *watcher = entry->watchers;
    take_out(live, watcher);
    watcher->next = *ending;
    *ending = watcher;
  }
}

/* Without the mutex: the end of a call waits for its callback, which takes it. */
static void end_watchers(Watcher *ending, const char *unavailable) {
  for (Watcher *next; ending != NULL; ending = next) {
    next = ending->next;
    sky_call_finish(ending->call, unavailable == NULL ? SKY_OK : SKY_UNAVAILABLE("%s", unavailable));
    free(ending);
  }
}

static void on_writable(void *user, SkyCall *call) {
  Live *live = user;
  Update update;
  pthread_mutex_lock(&live->mutex);
  Watcher *watcher = sky_map_get(live->watchers, call_key(&call));
  if (watcher != NULL) {
    watcher->behind = false;
    build(watcher->entry, delivery_DELIVERY_UPDATE_KIND_SNAPSHOT, &update);
    tell(live, watcher, &update.response);
  }
  pthread_mutex_unlock(&live->mutex);
}

static void on_cancel(void *user, SkyCall *call) {
  Live *live = user;
  pthread_mutex_lock(&live->mutex);
  Watcher *watcher = sky_map_get(live->watchers, call_key(&call));
  if (watcher != NULL)
    take_out(live, watcher);
  pthread_mutex_unlock(&live->mutex);
  if (watcher != NULL)
    sky_call_finish(call, SKY_CANCELLED("the client is gone"));
  free(watcher);
}

/* ---- entries; all with the mutex held ---- */

static Entry *entry_for(Live *live, const DeliveryDocument *document) {
  Entry *entry = sky_map_get(live->entries, sky_str(document->id));
  if (entry != NULL)
    return entry;
  entry = calloc(1, sizeof(*entry));
  if (entry == NULL)
    return NULL;
  entry->heard = true;
  snprintf(entry->id, sizeof(entry->id), "%s", document->id);
  SkyStatus status = sky_map_set(live->entries, sky_str(entry->id), entry, NULL);
  if (status == SKY_OK)
    return entry;
  sky_status_free(status); /* full: this delivery goes without live data, its stored state is still right */
  free(entry);
  return NULL;
}

static int64_t eta_ms(const common_Eta *eta) {
  return eta == NULL ? 0 : sky_timestamp_ms(eta->time);
}

static void copy_reason(Entry *entry, const common_Reason *reason) {
  if (reason == NULL)
    return;
  snprintf(entry->reason_code, sizeof(entry->reason_code), "%s", reason->code);
  snprintf(entry->reason_message, sizeof(entry->reason_message), "%s", reason->message);
}

static void take_document(Entry *entry, const DeliveryDocument *document) {
  const delivery_Delivery *delivery = document->delivery;
  entry->heard = true;
  const delivery_DeliveryStatus *status = delivery->status;
  entry->stage = status->stage;
  entry->version = status->version;
  entry->log_version = document->log_version;
  entry->updates = 0;
  entry->picked_up = delivery->pickup_time != NULL;
  if (delivery->order != NULL) {
    entry->pickup = delivery_point(delivery->order->pickup_location);
    entry->dropoff = delivery_point(delivery->order->dropoff_location);
  }
  entry->phase = status->phase;
  if (status->last_known_location != NULL && sky_timestamp_ms(status->location_time) >= entry->position_ms) {
    entry->has_position = true;
    entry->position = delivery_point(status->last_known_location);
    entry->altitude_m = status->last_known_location->altitude;
    entry->position_ms = sky_timestamp_ms(status->location_time);
  }
  entry->pickup_ms = eta_ms(status->pickup_eta);
  entry->dropoff_ms = entry->told_dropoff_ms = eta_ms(status->delivery_eta);
  entry->confidence = status->delivery_eta == NULL ? 0 : status->delivery_eta->confidence;
  entry->remaining_m = status->remaining_distance_m;
  copy_reason(entry, delivery->reason);
}

static void forget(Live *live, Entry *entry) {
  sky_map_remove(live->entries, sky_str(entry->id));
  free(entry);
}

/* ---- interface ---- */

SkyStatus live_create(Live **ret) {
  Live *live = calloc(1, sizeof(*live));
  if (live == NULL)
    return sky_status_no_memory();
  live->entries = sky_map_create(LIVE_MAX_DELIVERIES);
  live->watchers = sky_map_create(LIVE_MAX_WATCHERS);
  if (live->entries == NULL || live->watchers == NULL) {
    sky_map_destroy(live->entries);
    sky_map_destroy(live->watchers);
    free(live);
    return sky_status_no_memory();
  }
  pthread_mutex_init(&live->mutex, NULL);
  *ret = live;
  return SKY_OK;
}

void live_destroy(Live *live) {
  if (live == NULL)
    return;
  size_t cursor = 0;
  SkyStr key;
  void *entry;
  while (sky_map_next(live->entries, &cursor, &key, &entry))
    free(entry);
  sky_map_destroy(live->entries);
  sky_map_destroy(live->watchers);
  pthread_mutex_destroy(&live->mutex);
  free(live);
}

void live_change(Live *live, const DeliveryDocument *document) {
  Watcher *ending = NULL;
  const bool final = delivery_stage_is_final(document->delivery->status->stage);
  pthread_mutex_lock(&live->mutex);
  Entry *entry = final ? sky_map_get(live->entries, sky_str(document->id)) : entry_for(live, document);
  if (entry != NULL && document->delivery->status->version > entry->version) {
    take_document(entry, document);
    tell_all(live, entry, delivery_DELIVERY_UPDATE_KIND_STAGE);
  } else if (entry != NULL &&
             document->log_version > entry->log_version) { /* a new estimate: watchers have it already */
    entry->log_version = document->log_version;
    entry->told_dropoff_ms = eta_ms(document->delivery->status->delivery_eta);
  }
  if (entry != NULL && final) {
    take_out_all(live, entry, &ending);
    forget(live, entry);
  }
  pthread_mutex_unlock(&live->mutex);
  end_watchers(ending, NULL);
}

static double speed_of(const common_Motion *motion) {
  return motion == NULL ? 0 : hypot(motion->north_mps, motion->east_mps);
}

static void take_position(Live *live, Entry *entry, const events_DronePositionChanged *event, const EtaModel *model) {
  const int64_t time_ms = sky_timestamp_ms(event->occur_time);
  entry->heard = true;
  if (event->location == NULL || time_ms < entry->position_ms)
    return;
  entry->has_position = true;
  entry->position = delivery_point(event->location);
  entry->altitude_m = event->location->altitude;
  entry->position_ms = time_ms;
  entry->phase = event->phase;
  entry->speed_mps = speed_of(event->velocity);
  entry->battery_fraction = event->battery_fraction;
  const bool picked_up = entry->picked_up || event->phase >= common_MISSION_PHASE_PICKED_UP;
  const EtaInput input = {time_ms, entry->position, entry->pickup, entry->dropoff, picked_up, entry->speed_mps};
  const EtaEstimate estimate = eta_estimate(model, &input);
  if (!picked_up)
    entry->pickup_ms = estimate.pickup_ms;
  entry->dropoff_ms = estimate.dropoff_ms;
  entry->confidence = estimate.confidence;
  entry->remaining_m = estimate.remaining_m;
  entry->updates++;
  tell_all(live, entry, delivery_DELIVERY_UPDATE_KIND_POSITION);
}

static bool has_eta_news(Entry *entry) {
  if (entry->telling || !delivery_arrival_is_news(entry->told_dropoff_ms, entry->dropoff_ms, entry->position_ms))
    return false;
  entry->telling = true;
  return true;
}

LivePosition live_position(Live *live, const events_DronePositionChanged *event, const EtaModel *model,
                           DeliveryEstimate *ret) {
  LivePosition position = LIVE_STRANGER;
  pthread_mutex_lock(&live->mutex);
  Entry *entry = sky_map_get(live->entries, sky_str(event->delivery_id));
  if (entry != NULL)
    position = LIVE_TAKEN;
  if (entry != NULL && event->phase < common_MISSION_PHASE_DELIVERED) {
    take_position(live, entry, event, model);
    if (has_eta_news(entry)) {
      position = LIVE_ETA_NEWS;
      *ret = (DeliveryEstimate){entry->picked_up ? 0 : entry->pickup_ms, entry->dropoff_ms, entry->confidence};
    }
  }
  pthread_mutex_unlock(&live->mutex);
  return position;
}

void live_eta_told(Live *live, const char *id) {
  pthread_mutex_lock(&live->mutex);
  Entry *entry = sky_map_get(live->entries, sky_str(id));
  if (entry != NULL)
    entry->telling = false;
  pthread_mutex_unlock(&live->mutex);
}

common_DeliveryStage live_stage(Live *live, const char *id) {
  pthread_mutex_lock(&live->mutex);
  const Entry *entry = sky_map_get(live->entries, sky_str(id));
  const common_DeliveryStage stage = entry == NULL ? common_DELIVERY_STAGE_UNSPECIFIED : entry->stage;
  pthread_mutex_unlock(&live->mutex);
  return stage;
}

bool live_changed_elsewhere(Live *live, const char *id, int64_t log_version) {
  pthread_mutex_lock(&live->mutex);
  Entry *entry = sky_map_get(live->entries, sky_str(id));
  const bool is_old = entry != NULL && entry->log_version < log_version;
  const bool watched = is_old && entry->watchers != NULL;
  if (is_old && !watched)
    forget(live, entry);
  pthread_mutex_unlock(&live->mutex);
  return watched;
}

static void forget_all(Live *live, Entry *entries) {
  for (Entry *entry = entries, *next; entry != NULL; entry = next) {
    next = entry->next;
    forget(live, entry);
  }
}

size_t live_forget_quiet(Live *live, char (*ret_watched)[SKY_UUID_TEXT_SIZE], size_t max) {
  size_t cursor = 0, count = 0;
  SkyStr key;
  void *value;
  Entry *quiet = NULL; /* forgotten after the walk: the map must stand still for it */
  pthread_mutex_lock(&live->mutex);
  while (sky_map_next(live->entries, &cursor, &key, &value)) {
    Entry *entry = value;
    if (entry->heard) {
      entry->heard = false;
    } else if (entry->watchers == NULL) {
      entry->next = quiet;
      quiet = entry;
    } else if (count < max) { /* the turn of the others comes with later calls */
      memcpy(ret_watched[count++], entry->id, sizeof(entry->id));
      entry->heard = true;
    }
  }
  forget_all(live, quiet);
  pthread_mutex_unlock(&live->mutex);
  return count;
}

SkyStatus live_overlay(Live *live, const char *id, delivery_DeliveryStatus *status, SkyArena *arena) {
  Update update;
  pthread_mutex_lock(&live->mutex);
  const Entry *entry = sky_map_get(live->entries, sky_str(id));
  const bool known = entry != NULL && entry->version == status->version && entry->updates > 0;
  if (known)
    build(entry, delivery_DELIVERY_UPDATE_KIND_POSITION, &update);
  if (known)
    update.status.delivery_id = status->delivery_id; /* the entry may go once the mutex is free */
  pthread_mutex_unlock(&live->mutex);
  if (!known)
    return SKY_OK;
  delivery_DeliveryStatus *copy;
  SKY_TRY(delivery_DeliveryStatus_copy(&update.status, arena, &copy));
  *status = *copy;
  return SKY_OK;
}

/* "<version>.<n>": what the client has seen of the stages. */
static uint64_t seen_version(const char *last_event_id) {
  return strtoull(last_event_id, NULL, 10);
}

static void finish_at_once(SkyCall *call, const DeliveryDocument *document, bool is_news) {
  Entry entry = {0};
  Update update;
  SkyStatus status = SKY_OK;
  if (is_news) {
    snprintf(entry.id, sizeof(entry.id), "%s", document->id);
    take_document(&entry, document);
    build(&entry, delivery_DELIVERY_UPDATE_KIND_SNAPSHOT, &update);
    status = delivery_DeliveryService_watch_delivery_write(call, &update.response);
  }
  sky_call_finish(call, status);
}

static Watcher *add_watcher(Live *live, SkyCall *call, const DeliveryDocument *document) {
  Entry *entry = entry_for(live, document);
  Watcher *watcher = entry == NULL ? NULL : calloc(1, sizeof(*watcher));
  if (watcher == NULL)
    return NULL;
  *watcher = (Watcher){.next = entry->watchers, .entry = entry, .call = call};
  SkyStatus status = sky_map_set(live->watchers, call_key(&watcher->call), watcher, NULL);
  if (status != SKY_OK) {
    sky_status_free(status);
    free(watcher);
    return NULL;
  }
  entry->watchers = watcher;
  if (document->delivery->status->version > entry->version)
    take_document(entry, document);
  return watcher;
}

void live_watch(Live *live, SkyCall *call, const DeliveryDocument *document, const char *last_event_id) {
  const delivery_DeliveryStatus *status = document->delivery->status;
  if (delivery_stage_is_final(status->stage)) {
    finish_at_once(call, document, status->version > seen_version(last_event_id));
    return;
  }
  pthread_mutex_lock(&live->mutex);
  Watcher *watcher = add_watcher(live, call, document);
  if (watcher != NULL) {
    Update update;
    const bool resumes = last_event_id[0] != '\0' && watcher->entry->version > seen_version(last_event_id);
    build(watcher->entry, resumes ? delivery_DELIVERY_UPDATE_KIND_STAGE : delivery_DELIVERY_UPDATE_KIND_SNAPSHOT,
          &update);
    tell(live, watcher, &update.response);
    sky_call_on_cancel(call, on_cancel, live); /* comes on the I/O thread, so it waits for the mutex */
  }
  pthread_mutex_unlock(&live->mutex);
  if (watcher == NULL)
    sky_call_finish(call, SKY_RESOURCE_EXHAUSTED("too many deliveries are being watched"));
}

void live_end_watches(Live *live) {
  size_t cursor = 0;
  SkyStr key;
  void *value;
  Watcher *ending = NULL;
  pthread_mutex_lock(&live->mutex);
  while (sky_map_next(live->entries, &cursor, &key, &value))
    take_out_all(live, value, &ending);
  pthread_mutex_unlock(&live->mutex);
  end_watchers(ending, "the service is going down; watch again");
}
