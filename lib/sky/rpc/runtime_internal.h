/* What the parts of rpc/ share of the runtime. (internal) */
#pragma once

#include <pthread.h>

#include <grpc/grpc.h>

#include <sky/core/executor.h>
#include <sky/core/timer_heap.h>
#include <sky/rpc/runtime.h>
#include <sky/rpc/tag.h>

struct SkyRpc {
  grpc_completion_queue *queue;
  pthread_t io_thread;
  grpc_channel *poster_channel; /* leads nowhere */
  grpc_call *poster;            /* brings work to the I/O thread */
  SkyExecutor *workers;
  SkyTimerHeap timers; /* the I/O thread's */
};

/* True on the I/O thread of this runtime. */
bool sky_rpc_is_io_thread(const SkyRpc *rpc);

/* Runs the tag's function on the I/O thread, soon. From any thread; not again before it has run. */
void sky_rpc_post(SkyRpc *rpc, SkyTag *tag);

/* Deadlines: the core's monotonic clock is CLOCK_MONOTONIC, as ours is. INT64_MAX is "never" on both sides. */
int64_t sky_ns_from_timespec(gpr_timespec time);
gpr_timespec sky_timespec_from_ns(int64_t monotonic_ns);

/* Starts operations of a call. The core refuses only what is a bug of this runtime, so a refusal ends the process. */
void sky_start_batch(grpc_call *call, const grpc_op *ops, size_t count, SkyTag *tag);
