/* What the driver's parts share. */
#pragma once

#include "workflow/driver.h"
#include "workflow/intake.h"

enum { DRIVER_WRITERS = 2 }; /* while one commits, the other fills its batch */

/* Somebody outside who waits until the flight's next write is done. */
typedef struct Waiter {
  struct Waiter *next;
  DriverDone done;
  void *user;
} Waiter;

typedef struct Flight {
  SagaRecord record;
  Driver *driver;
  SagaEffect effect; /* to be performed when nothing is being written */
  bool has_effect;
  bool is_calling;        /* an action is under way */
  SkyBreakerAnswer begun; /* of the peer's breaker, about that action */
  bool dirty;             /* must be written */
  bool queued;            /* for writing */
  bool writing;
  bool loading;     /* being read from the store; nobody else touches it */
  bool lost;        /* another process has it: no more writes, no more actions */
  bool removed;     /* about to be freed */
  SagaNews written; /* news in the write under way */
  bool ending;      /* its end is not durable yet: until then it is shown as `shown` says */
  Saga shown;
  uint64_t shown_changes;
  int64_t shown_update_ms;
  Waiter *waiters; /* for the next write */
  Waiter *written_waiters;
  SkyTimer timer;
  SkyTrace trace;
  int64_t begin_ms;            /* uptime when its order was taken up; 0: it was resumed, or has paused since */
  bool pausing;                /* waits for a time, not for a peer: counted in driver->pausing */
  struct Flight *next_write;   /* queue */
  struct Flight *next_allowed; /* of a peer's bulkhead */
} Flight;

typedef struct FlightQueue {
  Flight *first, *last;
  size_t size;
} FlightQueue;

struct Driver {
  DriverOptions options;
  SagaPolicy policy;
  SkyTimers *timers;
  pthread_mutex_t lock; /* guards everything below, and the flights */
  pthread_cond_t changed;
  SkyMap *flights; /* by id */
  FlightQueue writes;
  pthread_cond_t has_writes;
  pthread_cond_t full; /* a batch, for who gathers one */
  bool gathering;
  pthread_t writers[DRIVER_WRITERS];
  unsigned writer_count;
  size_t calls; /* under way */
  Intake intake;
  size_t pausing;   /* flights that wait for a time */
  unsigned waiting; /* orders that wait for room */
  SkyBreaker breakers[PEER_COUNT];
  FlightQueue blocked[PEER_COUNT]; /* for room in the bulkhead */
  int64_t lease_expire_ms;
  bool stopping;
  DriverStats stats;
};

void flight_queue_push(FlightQueue *queue, Flight *flight, bool of_writes);
Flight *flight_queue_pop(FlightQueue *queue, bool of_writes);

int64_t driver_now_ms(const Driver *driver);    /* Unix time: what is stored and told */
int64_t driver_uptime_ms(const Driver *driver); /* never jumps: durations, and until when a peer is left alone */

/* With the lock held: tells those who watch. */
void driver_tell(Driver *driver, const SagaRecord *record);
/* True when the news are that the saga has come to an end. */
bool saga_news_end(const SagaNews *news);
/* With the lock held: gives the saga an event and notes what it wants. The caller then calls driver_go_on(). */
void flight_feed(Flight *flight, SagaEvent event);
/*
 * With the lock held, which it releases and takes again: does what the flight wants done, unless a write comes first.
 * The flight may be gone afterwards.
 */
void driver_go_on(Driver *driver, Flight *flight);
/* With the lock held, which it releases and takes again: forgets the flight and tells its waiters. */
void flight_remove(Driver *driver, Flight *flight);
void waiters_tell(Waiter *waiters, const SkyError *status);
Waiter *waiters_join(Waiter *first, Waiter *second);

SKY_MUST_USE SkyStatus driver_start_writers(Driver *driver);
/* Waits for what is being written. */
void driver_stop_writers(Driver *driver);
/* With the lock held: has the flight written soon. */
void driver_write_soon(Driver *driver, Flight *flight);
/* With the lock held: the flight wants an action performed. */
void driver_perform(Driver *driver, Flight *flight, SagaEffect effect);
