/* What the parts of rpc/ share of the runtime. (internal) */
#pragma once

#include <pthread.h>

#include <grpc/grpc.h>

#include <sky/core/executor.h>
#include <sky/core/timer_heap.h>
#include <sky/rpc/lead.h>
#include <sky/rpc/runtime.h>
#include <sky/rpc/tag.h>

/* Something for the I/O thread to do, in the memory of whoever hands it over. */
typedef struct SkyIoTask SkyIoTask;
struct SkyIoTask {
  void (*run)(SkyIoTask *task);
  SkyIoTask *next;
};

/* Short work for the I/O thread itself, which may turn out to be long. */
typedef struct SkyShortWork {
  void (*run)(void *user);
  /* On the I/O thread, once: after the work, or while it goes on because it is long and another thread is the I/O
   * thread now. */
  void (*settle)(void *user, bool goes_on);
  void *user;
} SkyShortWork;

enum { SKY_IO_THREADS = 2 };

struct SkyRpc {
  grpc_completion_queue *queue;
  SkyLead lead; /* which of the two is the I/O thread */
  pthread_t io_threads[SKY_IO_THREADS];
  size_t io_thread_count;
  int64_t short_ns;             /* up to which mean the I/O thread runs handlers itself; -1: none */
  grpc_channel *poster_channel; /* leads nowhere */
  grpc_call *poster;            /* brings work to the I/O thread */
  SkyExecutor *workers;
  SkyIoTask *_Atomic tasks; /* handed over, the last one first */
  atomic_bool io_waits;     /* the I/O thread is in the core and must be woken for tasks */
  SkyTag wake;

  /* The I/O thread's: */
  SkyTimerHeap timers;
  bool unflushed;          /* work was given to the workers and they were not told yet */
  bool in_burst;           /* calls come several at a time */
  bool work_waits;         /* for workers that are busy: they must be looked after */
  SkyShortWork short_work; /* to be done before the next event, or going on; run is NULL when there is none */
};

/* True on the I/O thread of this runtime. */
bool sky_rpc_is_io_thread(const SkyRpc *rpc);

/* Runs the tag's function on the I/O thread, soon. From any thread; not again before it has run. */
void sky_rpc_post(SkyRpc *rpc, SkyTag *tag);
/*
 * Operations of the core are best started by the I/O thread: two threads inside the core's connection wait for each
 * other, and one that is in there hands what it finds to a third. True when this thread should hand over what it has
 * to start; false on the I/O thread, and when that sleeps and nothing else is under way, so that a lonely call is
 * answered without a change of threads.
 */
bool sky_rpc_should_hand_over(const SkyRpc *rpc);
/* Runs the task on the I/O thread, soon, in the order of handing over. */
void sky_rpc_hand_over(SkyRpc *rpc, SkyIoTask *task);

/*
 * Has the I/O thread do the work itself, after the event that it is at; for work that is mostly over in less time than
 * handing it to a worker takes. The work may block all the same, and counts as any other thread then: after a
 * millisecond or two there is another I/O thread. It does not wait for what the workers have to do. False: not taken,
 * because this is not the I/O thread, or it has such work already, or another thread still has.
 */
bool sky_rpc_run_here(SkyRpc *rpc, SkyShortWork work);

/* Returns when whatever the I/O thread was doing has ended. Not on the I/O thread itself. */
void sky_rpc_wait_for_io_thread(SkyRpc *rpc);

/* Deadlines: the core's monotonic clock is CLOCK_MONOTONIC, as ours is. INT64_MAX is "never" on both sides. */
int64_t sky_ns_from_timespec(gpr_timespec time);
gpr_timespec sky_timespec_from_ns(int64_t monotonic_ns);

/* Starts operations of a call. The core refuses only what is a bug of this runtime, so a refusal ends the process. */
void sky_start_batch(grpc_call *call, const grpc_op *ops, size_t count, SkyTag *tag);
