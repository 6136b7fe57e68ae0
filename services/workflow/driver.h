/*
 * Driver: runs thousands of sagas at once without a thread for each. What a saga wants done (saga.h) becomes an
 * asynchronous call, a timer, or a write; what comes back is the saga's next event.
 *
 * A saga in memory is a flight. Its writes go through a queue that a few workers empty in batches: documents of new
 * sagas and of those that go on, then the log, then the other documents (see store.h for what a crash in between
 * leaves). Messages from the broker are settled when what they asked for is stored.
 *
 * Bounded: no more than max_active flights; more messages stay in the stream. Thread-safe.
 */
#pragma once

#include <pthread.h>

#include <sky/core/breaker.h>
#include <sky/core/map.h>
#include <sky/core/timer.h>
#include <sky/rpc/runtime.h>

#include "workflow/record.h"
#include "workflow/steps.h"

typedef struct Driver Driver;

typedef struct DriverOptions {
  SkyRpc *rpc;
  SkyStore *store;
  SkyEventLog *log;
  const SkyClock *clock;
  const SkyRandom *random;
  Steps steps;
  const char *instance_id;
  size_t max_active;       /* sagas in memory */
  int64_t saga_timeout_ms; /* complete_by of an order without deadline */
  /* Tells of every change of a saga in memory, with the driver's lock held: must be quick and not call the driver. May
   * be NULL. */
  void (*changed)(void *user, const SagaRecord *record);
  void *user;
} DriverOptions;

SKY_MUST_USE SkyStatus driver_create(const DriverOptions *options, Driver **ret);
/* Takes nothing more, waits for what is being written, and forgets the rest: it is resumed by who comes next. */
void driver_destroy(Driver *driver);

/* How a request of the outside ends: once, on any thread; owns the status. */
typedef void (*DriverDone)(void *user, SkyStatus status);

typedef struct DriverRequest {
  const common_DeliveryOrder *order;
  const char *digest; /* of the order */
  int64_t time_ms;    /* when it was accepted */
} DriverRequest;

/*
 * A new order: done when its saga is stored, or was before. Blocks while there are too many sagas; UNAVAILABLE when
 * that takes long.
 */
void driver_begin(Driver *driver, const SkyContext *context, const char *id, const DriverRequest *request,
                  DriverDone done, void *user);
/* The owner cancels: done when that is stored, or comes too late to matter. */
void driver_cancel(Driver *driver, const SkyContext *context, const char *id, const char *code, const char *message,
                   DriverDone done, void *user);
/*
 * New terms. ABORTED: not now (no saga yet, or a change is being made), try again. position grows from change to change
 * as their owner asked for them: what had to wait does not undo what came after it and did not.
 */
void driver_change(Driver *driver, const SkyContext *context, const char *id, const common_DeliveryChange *terms,
                   const protobuf_FieldMask *mask, const char *change_id, int64_t position, DriverDone done,
                   void *user);
/* Takes over a saga that another process has left; SKY_OK also when there is nothing to do. RESOURCE_EXHAUSTED: no
 * room. */
SKY_MUST_USE SkyStatus driver_resume(Driver *driver, const SkyContext *context, const char *id);

/* The saga as it is in memory, but an end only when it is durable; false when there is nothing to show. */
SKY_MUST_USE SkyStatus driver_get(Driver *driver, const char *id, SkyArena *arena, workflow_Workflow **ret,
                                  bool *ret_found);
/* Until when this process may work on its sagas; shown to clients and stored with each saga. */
void driver_set_lease(Driver *driver, int64_t expire_ms);
/* False: orders get UNAVAILABLE, for nobody would know whose sagas they are. */
bool driver_has_lease(Driver *driver);

typedef struct DriverStats {
  uint64_t begun, completed, ended, resumed, writes, records, lost;
  size_t active;
} DriverStats;
DriverStats driver_stats(Driver *driver);
