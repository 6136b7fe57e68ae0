/*
 * Live: what is known of active deliveries beside the store: last position, speed, estimates; and who watches them.
 *
 * Last-value data: lost with the process and complete again after the next report of each drone. Bounded; thread-safe.
 * Watchers are open WatchDelivery calls; a slow one misses positions but never the last state.
 */
#pragma once

#include <sky/rpc/call.h>

#include "delivery/aggregate.h"
#include "fabrikam/events/v1/drone.sky.h"

typedef struct Live Live;

enum { LIVE_MAX_DELIVERIES = 200000, LIVE_MAX_WATCHERS = 50000 };

SKY_MUST_USE SkyStatus live_create(Live **ret);
/* The server must have been drained: no watcher is left. NULL-safe. */
void live_destroy(Live *live);

/* A delivery has changed (or was loaded): watchers are told when the change is news; a final one is forgotten. */
void live_change(Live *live, const DeliveryDocument *document);

typedef enum LivePosition {
  LIVE_STRANGER, /* the delivery is not known here: load it, call live_change() and try again */
  LIVE_TAKEN,
  LIVE_ETA_NEWS, /* and the arrival has moved so far that it should be told: do, and call live_eta_told() */
} LivePosition;

/* *ret: with LIVE_ETA_NEWS, which no further position gives until live_eta_told(). */
LivePosition live_position(Live *live, const events_DronePositionChanged *event, const EtaModel *model,
                           DeliveryEstimate *ret);
/* The news was told, or could not be: then it is news again. The estimate told is taken from live_change(). */
void live_eta_told(Live *live, const char *id);

/* The stage that the delivery has reached at least; UNSPECIFIED when it is not known here. Saves asking the store about
 * old news. */
common_DeliveryStage live_stage(Live *live, const char *id);

/*
 * Another replica has changed the delivery, whose log was then at that version. True: it is watched here, so it must be
 * loaded for live_change(). What nobody watches is forgotten; the next position finds a stranger.
 */
bool live_changed_elsewhere(Live *live, const char *id, int64_t log_version);

/*
 * To be called now and then: forgets what has not been heard of since the last call, unless it is watched: then the end
 * may have been missed, and it should be loaded for live_change(). Returns how many of those there are, at most max;
 * the others come with later calls.
 */
size_t live_forget_quiet(Live *live, char (*ret_watched)[SKY_UUID_TEXT_SIZE], size_t max);

/* Puts what is known into a stored status. Allocates in the arena. */
SKY_MUST_USE SkyStatus live_overlay(Live *live, const char *id, delivery_DeliveryStatus *status, SkyArena *arena);

/*
 * Streams updates of the delivery to the deferred call until its stage is final or the client goes. document is the
 * present state; last_event_id what the client has seen ("" for nothing). Takes the call over: it is finished by this
 * module.
 */
void live_watch(Live *live, SkyCall *call, const DeliveryDocument *document, const char *last_event_id);

/* Ends every watcher's call with UNAVAILABLE, so that clients go to another replica. */
void live_end_watches(Live *live);
