/*
 * Rpc runtime: the gRPC core, one completion queue, one I/O thread that drives every server and client of the process
 * (and a spare, see short_handler_us), and a bounded pool of workers for handlers that block. (One queue and one thread
 * is the cheapest arrangement of this core: grpc.md.)
 *
 * Thread-safe. Callbacks of asynchronous calls and inline handlers run on the I/O thread and must not block.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sky/core/status.h>

typedef struct SkyRpc SkyRpc;

typedef struct SkyRpcOptions {
  size_t workers;          /* threads for blocking handlers; 0: 16 */
  size_t max_queued_calls; /* calls waiting for a worker; more get RESOURCE_EXHAUSTED; 0: 1024 */
  /*
   * Unary handlers that take no longer, by the mean of their last calls, are run by the I/O thread itself, because
   * handing them to a worker would take longer. They may block all the same: after one or two milliseconds another
   * thread is the I/O thread. 0: 15 microseconds; -1: every handler that is not inline is run by a worker.
   */
  int64_t short_handler_us;
} SkyRpcOptions;

/* options may be NULL. Raises the soft limit of file descriptors. RESOURCE_EXHAUSTED when no thread or memory can be
 * had. */
SKY_MUST_USE SkyStatus sky_rpc_create(const SkyRpcOptions *options, SkyRpc **ret);
/* Servers and clients must be destroyed first. Waits for the workers and the I/O thread. NULL-safe. */
void sky_rpc_destroy(SkyRpc *rpc);

/*
 * Runs work on a worker; for callbacks that must not block the I/O thread. RESOURCE_EXHAUSTED when the queue is full
 * (work was not taken).
 */
SKY_MUST_USE SkyStatus sky_rpc_run(SkyRpc *rpc, void (*work)(void *user), void *user);
