/*
 * Scheduler: the process's state, and what its parts offer each other.
 *
 * One mutex guards the fleet and all that hangs on it; it is held for moments, never over a store or broker call. Who
 * wants to append to a drone's log holds the drone first (claim.c); who changes the assignment of a delivery holds the
 * delivery's stripe (assign.c). Order: stripe, drone, mutex.
 */
#pragma once

#include <pthread.h>

#include <sky/core/executor.h>
#include <sky/rpc/call.h>
#include <sky/service/batch.h>
#include <sky/service/event_log.h>
#include <sky/service/service.h>

#include "fabrikam/dronescheduler/v1/telemetry.sky.h"
#include "feed.h"
#include "fleet.h"
#include "intake.h"
#include "store.h"
#include "waiting.h"

/* Constants of ErrorInfo.reason. */
#define REASON_NO_DRONE_IN_WINDOW "NO_DRONE_IN_WINDOW"
#define REASON_NO_DRONE_AVAILABLE "NO_DRONE_AVAILABLE"
#define REASON_ASSIGNMENT_UNKNOWN "ASSIGNMENT_UNKNOWN"
#define REASON_ASSIGNMENT_CONFLICT "ASSIGNMENT_CONFLICT"
#define REASON_ASSIGNMENT_ENDED "ASSIGNMENT_ENDED"
#define REASON_ALREADY_PICKED_UP "DELIVERY_ALREADY_PICKED_UP"
#define REASON_REASSIGNED "REASSIGNED" /* of DroneReleased: new terms, another drone */

enum { SCHEDULER_STRIPES = 1024, SCHEDULER_WRITERS = 2, SCHEDULER_ASSIGN_BATCH = 128 };

typedef struct SchedulerSettings {
  double reserve_percent, assignable_percent, handling_way_m;
  int64_t offline_after_ns, lost_after_ns, position_interval_ns;
} SchedulerSettings;

/* A mission that has ended, until its assignment document says so. */
typedef struct Finished {
  char delivery_id[SKY_UUID_TEXT_SIZE];
  drone_AssignmentState state;
  LifePhase phase;
  uint64_t revision;
  int64_t end_ms;
  double flown_m, busy_s;
  struct Finished *next;
} Finished;

/* A client that reports telemetry; under the mutex of the streams. */
typedef struct ReportStream {
  struct Scheduler *scheduler;
  SkyCall *call;
  uint64_t id;
  bool working; /* a callback is at it */
  bool ended;
  bool closed;  /* by the client: ends when all is acknowledged */
  int expected; /* acknowledgements that are still to come from the writers */
  struct ReportStream *next, *next_ending;
} ReportStream;

typedef struct Scheduler {
  SchedulerSettings settings;
  SkyService *service;
  SkyStore *store;
  SkyBus *bus;
  SkyEventLog *log;
  const SkyClock *clock;
  const SkyRandom *random;

  pthread_mutex_t mutex;
  pthread_cond_t let_go; /* a drone is no longer held */
  Fleet fleet;
  FleetRules rules;
  Waiting waiting;
  SkyMap *drone_by_delivery; /* of missions that are flown */
  Finished *finished, **finished_tail;
  SkyMap *finished_by_delivery;
  Feeds feeds;
  _Atomic bool loaded;
  size_t kept_cursor; /* of the bucket of positions: where the next round goes on */

  SkyBatch *assigns;    /* AssignDrone calls */
  SkyExecutor *writers; /* append phases to the logs */
  FleetDrone **queue;   /* drones with phases to append, ring */
  size_t queue_head, queue_count, queue_capacity;
  unsigned writers_running;

  pthread_mutex_t streams_mutex;
  ReportStream *streams;
  bool streams_closed;
  uint64_t last_stream;

  pthread_mutex_t stripes[SCHEDULER_STRIPES];
} Scheduler;

SKY_MUST_USE SkyStatus scheduler_init(Scheduler *self, SkyService *service);
void scheduler_finish(Scheduler *self);
static inline int64_t scheduler_now_ms(const Scheduler *self) {
  return sky_clock_wall_ms(self->clock);
}
/* UNAVAILABLE until the fleet has been read from the store. */
SKY_MUST_USE SkyStatus scheduler_check_loaded(const Scheduler *self);

/* ---- load.c ---- */
/* Reads bases, zones, drones and their logs, and heals what a crash left between two steps. Once; a task until it
 * succeeds. */
SKY_MUST_USE SkyStatus load_fleet(void *self, const SkyContext *context);

/* ---- claim.c: the right to append to a drone's log ---- */
/* Waits while somebody else holds it. NOT_FOUND when the drone has gone meanwhile, DEADLINE_EXCEEDED. Without the
 * mutex. */
SKY_MUST_USE SkyStatus claim_hold(Scheduler *self, const SkyContext *context, const char *drone_id, FleetDrone **ret);
void claim_let_go(Scheduler *self, FleetDrone *drone);        /* without the mutex */
void claim_let_go_locked(Scheduler *self, FleetDrone *drone); /* with it */
/* Reads what the log has beyond what is known. The drone is held, or nobody else knows the fleet yet. */
SKY_MUST_USE SkyStatus claim_catch_up(Scheduler *self, const SkyContext *context, FleetDrone *drone);
/*
 * Appends to a held drone's log and brings memory up to date. ABORTED: somebody else has appended; it is then caught
 * up. After another error the drone is unsure until it is caught up.
 */
SKY_MUST_USE SkyStatus claim_append(Scheduler *self, const SkyContext *context, FleetDrone *drone,
                                    const LifeFacts *facts);
/* Memory after an append that was made elsewhere, with its outcome (any but ABORTED). Without the mutex. */
void claim_settle(Scheduler *self, FleetDrone *drone, const LifeFact *facts, size_t count, const SkyError *appended);
/* Memory after an append: fold, orders, watchers, bookkeeping. With the mutex. */
void claim_tell_watchers_locked(Scheduler *self, const FleetDrone *drone);
void claim_apply_locked(Scheduler *self, FleetDrone *drone, const LifeFact *facts, size_t count);
SKY_MUST_USE SkyStatus claim_catch_up_unsure(void *self, const SkyContext *context); /* task */

/* ---- assignments.c: assignment documents ---- */
SKY_MUST_USE SkyStatus assignments_flush(void *self, const SkyContext *context); /* task: documents of ended missions */
void assignments_finish_locked(Scheduler *self, const FleetDrone *drone, const LifeFact *released, LifePhase phase);
/* The document with what is newer in memory. */
SKY_MUST_USE SkyStatus assignments_get(Scheduler *self, SkyCall *call, const char *delivery_id,
                                       AssignmentDocument **ret, int64_t *ret_version);
void assignments_overlay(Scheduler *self, SkyArena *arena, AssignmentDocument *document);
SkyStatus handle_get_assignment(void *self, SkyCall *call, const drone_GetAssignmentRequest *request,
                                drone_GetAssignmentResponse *response);
SkyStatus handle_get_utilization(void *self, SkyCall *call, const drone_GetUtilizationRequest *request,
                                 drone_GetUtilizationResponse *response);

/* ---- assign.c, assign_batch.c, release.c ---- */
pthread_mutex_t *scheduler_stripe(Scheduler *self, const char *id);
/* Locks it; DEADLINE_EXCEEDED when the context's time ends first. */
SKY_MUST_USE SkyStatus scheduler_lock(Scheduler *self, const SkyContext *context, const char *id,
                                      pthread_mutex_t **ret);
SkyStatus handle_assign_drone(void *self, SkyCall *call, const drone_AssignDroneRequest *request,
                              drone_AssignDroneResponse *response);
SkyStatus handle_release_drone(void *self, SkyCall *call, const drone_ReleaseDroneRequest *request,
                               drone_ReleaseDroneResponse *response);
/* Fills the life event that gives a delivery to the drone of the plan, and the mission's orders. */
void assign_event(const drone_AssignDroneRequest *terms, const FleetPlan *plan, uint64_t revision, LifeEvent *ret);
/* The life event that takes its delivery from a held drone; id and reason are the caller's to add. Takes the mutex. */
LifeEvent release_event(Scheduler *self, const FleetDrone *drone);
/* Routes of the drone's mission from where it is. With the mutex. */
void assign_plan_routes(Scheduler *self, FleetDrone *drone, int64_t pickup_ms);

/* ---- telemetry.c, writer.c ---- */
SkyStatus handle_report_telemetry(void *self, SkyCall *call);
/* Queues an event of a drone for its log; acknowledged on the stream when it is stored. False: too many wait. With the
 * mutex. */
bool writer_add_locked(Scheduler *self, FleetDrone *drone, const LifeEvent *event, uint64_t stream, uint64_t sequence);
void writer_kick(Scheduler *self); /* without the mutex */
void writer_forget_locked(Scheduler *self, FleetDrone *drone);
bool writer_is_waiting(const FleetDrone *drone);
void writer_queue_locked(Scheduler *self, FleetDrone *drone);

typedef struct ReportAck {
  char drone_id[LIFE_ID_SIZE];
  uint64_t sequence, dropped_count;
  int result; /* IntakeResult */
} ReportAck;
void report_free_all(Scheduler *self);
void report_end_all(Scheduler *self); /* the process ends */
void report_acknowledge(Scheduler *self, uint64_t stream, const ReportAck *acks, size_t count);
/* More (or less) acknowledgements than before will come from the writers: a stream whose client has closed waits for
 * them. */
void report_expect(Scheduler *self, uint64_t stream, int change);
SKY_MUST_USE SkyStatus telemetry_find_lost(void *self, const SkyContext *context);      /* task */
SKY_MUST_USE SkyStatus telemetry_keep_positions(void *self, const SkyContext *context); /* task: bucket positions */

/* ---- orders.c ---- */
SkyStatus handle_fly_missions(void *self, SkyCall *call, const drone_FlyMissionsRequest *request);
SkyStatus handle_watch_fleet(void *self, SkyCall *call, const drone_WatchFleetRequest *request);
SKY_MUST_USE SkyStatus orders_show_changes(void *self, const SkyContext *context); /* task: changes to watchers */

void orders_end_all(Scheduler *self);     /* the process ends */
void orders_send_locked(Scheduler *self); /* what waits for those that fly. With the mutex */

/* ---- drones.c, bases.c, zones.c ---- */
SkyStatus handle_create_drone(void *, SkyCall *, const drone_CreateDroneRequest *, drone_CreateDroneResponse *);
SkyStatus handle_get_drone(void *, SkyCall *, const drone_GetDroneRequest *, drone_GetDroneResponse *);
SkyStatus handle_list_drones(void *, SkyCall *, const drone_ListDronesRequest *, drone_ListDronesResponse *);
SkyStatus handle_update_drone(void *, SkyCall *, const drone_UpdateDroneRequest *, drone_UpdateDroneResponse *);
SkyStatus handle_delete_drone(void *, SkyCall *, const drone_DeleteDroneRequest *, drone_DeleteDroneResponse *);
SkyStatus handle_set_maintenance(void *, SkyCall *, const drone_SetMaintenanceRequest *,
                                 drone_SetMaintenanceResponse *);
SkyStatus handle_create_base(void *, SkyCall *, const drone_CreateBaseRequest *, drone_CreateBaseResponse *);
SkyStatus handle_get_base(void *, SkyCall *, const drone_GetBaseRequest *, drone_GetBaseResponse *);
SkyStatus handle_list_bases(void *, SkyCall *, const drone_ListBasesRequest *, drone_ListBasesResponse *);
SkyStatus handle_update_base(void *, SkyCall *, const drone_UpdateBaseRequest *, drone_UpdateBaseResponse *);
SkyStatus handle_delete_base(void *, SkyCall *, const drone_DeleteBaseRequest *, drone_DeleteBaseResponse *);
SkyStatus handle_create_zone(void *, SkyCall *, const drone_CreateNoFlyZoneRequest *, drone_CreateNoFlyZoneResponse *);
SkyStatus handle_get_zone(void *, SkyCall *, const drone_GetNoFlyZoneRequest *, drone_GetNoFlyZoneResponse *);
SkyStatus handle_list_zones(void *, SkyCall *, const drone_ListNoFlyZonesRequest *, drone_ListNoFlyZonesResponse *);
SkyStatus handle_update_zone(void *, SkyCall *, const drone_UpdateNoFlyZoneRequest *, drone_UpdateNoFlyZoneResponse *);
SkyStatus handle_delete_zone(void *, SkyCall *, const drone_DeleteNoFlyZoneRequest *, drone_DeleteNoFlyZoneResponse *);

/* From a document into memory; the entry is new or is being changed. */
SKY_MUST_USE SkyStatus drones_from_document(Scheduler *self, const DroneDocument *document, int64_t version,
                                            FleetDrone *drone);
SKY_MUST_USE SkyStatus bases_from_document(const BaseDocument *document, int64_t version, FleetBase *base);
SKY_MUST_USE SkyStatus zones_from_document(const ZoneDocument *document, int64_t version, Zone *zone);
/* Writes the documents of drones whose logs have grown long since the last snapshot. Task. */
SKY_MUST_USE SkyStatus drones_snapshot(void *self, const SkyContext *context);

/* ---- helpers of the resource handlers ---- */
/* Is the creation with this key of the same as was requested then (NULL: without a key)? */
bool resource_is_repeat(const char *key, const ProtobufCMessage *wanted, const char *key_then,
                        const ProtobufCMessage *requested);
/* The id given, or one derived from the idempotency key, or a new one. */
char *resource_id(Scheduler *self, SkyCall *call, const char *id, const char *idempotency_key);
SKY_MUST_USE SkyStatus resource_set_text(char **field, const char *text);
