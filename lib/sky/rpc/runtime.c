#include "runtime_internal.h"

#include <assert.h>
#include <dlfcn.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include <sky/core/context.h>
#include <sky/core/time.h>

enum { DEFAULT_WORKERS = 16, DEFAULT_QUEUED_CALLS = 1024, DEFAULT_SHORT_US = 15, MAX_TIMERS = 1 << 20 };

static _Thread_local const SkyRpc *io_thread_of; /* the runtime whose I/O thread this is */

bool sky_rpc_is_io_thread(const SkyRpc *rpc) {
  return io_thread_of == rpc;
}

int64_t sky_ns_from_timespec(gpr_timespec time) {
  if (time.tv_sec >= INT64_MAX / SKY_NS_PER_S)
    return INT64_MAX;
  if (time.tv_sec < 0)
    return 0;
  return time.tv_sec * SKY_NS_PER_S + time.tv_nsec;
}

gpr_timespec sky_timespec_from_ns(int64_t monotonic_ns) {
  if (monotonic_ns == INT64_MAX)
    return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return (gpr_timespec){.tv_sec = monotonic_ns / SKY_NS_PER_S,
                        .tv_nsec = (int32_t)(monotonic_ns % SKY_NS_PER_S),
                        .clock_type = GPR_CLOCK_MONOTONIC};
}

static void run_due_timers(SkyRpc *rpc) {
  if (rpc->timers.size == 0)
    return;
  const int64_t now_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  for (SkyTimer *timer; (timer = sky_timer_heap_pop_due(&rpc->timers, now_ns)) != NULL;)
    timer->fire(timer->user);
}

/* --- what other threads hand over to the I/O thread --- */

bool sky_rpc_should_hand_over(const SkyRpc *rpc) {
  return !sky_rpc_is_io_thread(rpc) &&
         (!atomic_load_explicit(&rpc->io_waits, memory_order_relaxed) || sky_executor_stats(rpc->workers).queued > 0);
}

static void woken(SkyTag *tag, bool ok) {
}

void sky_rpc_hand_over(SkyRpc *rpc, SkyIoTask *task) {
  task->next = atomic_load_explicit(&rpc->tasks, memory_order_relaxed);
  while (!atomic_compare_exchange_weak(&rpc->tasks, &task->next, task)) {
  }
  if (atomic_exchange(&rpc->io_waits, false))
    sky_rpc_post(rpc, &rpc->wake);
}

static SkyIoTask *take_tasks(SkyRpc *rpc) {
  SkyIoTask *first = NULL, *next = NULL;
  for (SkyIoTask *task = atomic_exchange(&rpc->tasks, NULL); task != NULL; task = next) {
    next = task->next;
    task->next = first;
    first = task;
  }
  return first;
}

static void run_tasks(SkyRpc *rpc) {
  SkyIoTask *next = NULL;
  for (SkyIoTask *task = take_tasks(rpc); task != NULL; task = next) {
    next = task->next;
    task->run(task);
  }
}

/* --- short work of its own --- */

bool sky_rpc_run_here(SkyRpc *rpc, SkyShortWork work) {
  if (!sky_rpc_is_io_thread(rpc) || rpc->short_work.run != NULL || !sky_lead_has_spare(&rpc->lead))
    return false;
  rpc->short_work = work;
  return true;
}

static void settle_short_work(SkyRpc *rpc, bool goes_on) {
  const SkyShortWork work = rpc->short_work;
  rpc->short_work.run = NULL;
  work.settle(work.user, goes_on);
}

/* --- the loop --- */

static void flush_work(SkyRpc *rpc) {
  const size_t queued = sky_executor_flush(rpc->workers);
  rpc->unflushed = false;
  rpc->work_waits = queued > 0;
  rpc->in_burst = queued > 1;
}

/* While it runs this is a thread as any other. False when it is not the I/O thread any more. */
static bool run_short_work(SkyRpc *rpc) {
  const SkyShortWork work = rpc->short_work;
  if (rpc->unflushed)
    flush_work(rpc);
  sky_lead_begin_work(&rpc->lead);
  io_thread_of = NULL;
  work.run(work.user);
  if (!sky_lead_end_work(&rpc->lead))
    return false;
  io_thread_of = rpc;
  settle_short_work(rpc, false);
  return true;
}

/* Until when the core may wait for events. */
static gpr_timespec wait_until(const SkyRpc *rpc) {
  int64_t until_ns = sky_timer_heap_next_ns(&rpc->timers);
  if (rpc->work_waits) {
    const int64_t soon_ns = sky_clock_monotonic_ns(sky_clock_system_borrow()) + SKY_NS_PER_MS;
    until_ns = soon_ns < until_ns ? soon_ns : until_ns;
  }
  return sky_timespec_from_ns(until_ns);
}

/* Tasks that are handed over from now on wake this thread; false when there are some already. */
static bool begin_waiting(SkyRpc *rpc) {
  atomic_store(&rpc->io_waits, true);
  if (atomic_load(&rpc->tasks) == NULL)
    return true;
  atomic_store_explicit(&rpc->io_waits, false, memory_order_relaxed);
  return false;
}

/*
 * The next event, which may be none. While calls come in bursts the workers are told of their work when there is no
 * further event: one of them is woken for many calls.
 */
static grpc_event next_event(SkyRpc *rpc) {
  if (rpc->unflushed && !rpc->in_burst)
    flush_work(rpc);
  if (rpc->unflushed) {
    const grpc_event event = grpc_completion_queue_next(rpc->queue, gpr_inf_past(GPR_CLOCK_MONOTONIC), NULL);
    if (event.type == GRPC_QUEUE_TIMEOUT)
      flush_work(rpc);
    return event;
  }
  if (!begin_waiting(rpc))
    return (grpc_event){.type = GRPC_QUEUE_TIMEOUT};
  const grpc_event event = grpc_completion_queue_next(rpc->queue, wait_until(rpc), NULL);
  atomic_store_explicit(&rpc->io_waits, false, memory_order_relaxed);
  if (event.type == GRPC_QUEUE_TIMEOUT && rpc->work_waits)
    flush_work(rpc);
  return event;
}

/* Until the queue is shut down (false), or the other thread has become the I/O thread. */
static bool lead(SkyRpc *rpc) {
  io_thread_of = rpc;
  if (rpc->short_work.run != NULL) /* it goes on, on the thread that led before */
    settle_short_work(rpc, true);
  for (;;) {
    run_tasks(rpc);
    const grpc_event event = next_event(rpc);
    if (event.type == GRPC_QUEUE_SHUTDOWN)
      return false;
    if (event.type == GRPC_OP_COMPLETE)
      sky_tag_complete(event.tag, event.success != 0);
    run_due_timers(rpc);
    if (rpc->short_work.run != NULL && !run_short_work(rpc))
      return true;
  }
}

static void *leader_first(void *argument) {
  SkyRpc *rpc = argument;
  pthread_setname_np(pthread_self(), "sky-io");
  do {
    if (!lead(rpc)) {
      sky_lead_over(&rpc->lead);
      break;
    }
  } while (sky_lead_wait(&rpc->lead));
  return NULL;
}

static void *spare_first(void *argument) {
  SkyRpc *rpc = argument;
  pthread_setname_np(pthread_self(), "sky-io-spare");
  return sky_lead_wait(&rpc->lead) ? leader_first(rpc) : NULL;
}

/* After the core has once run out of descriptors its listener never accepts again, so we take all we may have. */
static void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
    return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* The core completes an empty batch of any call at once, through the queue. */
static void create_poster(SkyRpc *rpc) {
  rpc->poster_channel = grpc_lame_client_channel_create("", GRPC_STATUS_UNAVAILABLE, "");
  rpc->poster =
      grpc_channel_create_call(rpc->poster_channel, NULL, GRPC_PROPAGATE_DEFAULTS, rpc->queue,
                               grpc_slice_from_static_string("/post"), NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static void destroy_poster(SkyRpc *rpc) {
  grpc_call_unref(rpc->poster);
  grpc_channel_destroy(rpc->poster_channel);
}

void sky_rpc_post(SkyRpc *rpc, SkyTag *tag) {
  sky_start_batch(rpc->poster, NULL, 0, tag);
}

typedef struct Passing {
  SkyTag tag;
  sem_t passed;
} Passing;

static void passed(SkyTag *tag, bool ok) {
  sem_post(&SKY_CONTAINER(tag, Passing, tag)->passed);
}

void sky_rpc_wait_for_io_thread(SkyRpc *rpc) {
  Passing passing = {.tag.complete = passed};
  sem_init(&passing.passed, 0, 0);
  sky_rpc_post(rpc, &passing.tag);
  while (sem_wait(&passing.passed) != 0) { /* interrupted by a signal */
  }
  sem_destroy(&passing.passed);
}

static void queue_destroy(grpc_completion_queue *queue) {
  grpc_completion_queue_destroy(queue);
  grpc_shutdown_blocking();
}

/*
 * Debian's Abseil is built with its debug checks, so that each lock of the core is entered into a graph that is
 * searched for cycles: a tenth of a call's cost and nothing a user could act on. Where there is no such switch there is
 * no such search.
 */
static void switch_off_lock_graph(void) {
  enum { IGNORE = 0 }; /* absl::OnDeadlockCycle::kIgnore */
  union {
    void *symbol;
    void (*set_mode)(int mode);
  } found = {.symbol = dlsym(RTLD_DEFAULT, "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE")};
  if (found.symbol != NULL)
    found.set_mode(IGNORE);
}

static SkyStatus start_threads(SkyRpc *rpc, const SkyRpcOptions *options) {
  const SkyExecutorOptions workers = {.threads = options->workers != 0 ? options->workers : DEFAULT_WORKERS,
                                      .max_queued = options->max_queued_calls != 0 ? options->max_queued_calls
                                                                                   : DEFAULT_QUEUED_CALLS,
                                      .name = "sky-worker"};
  static void *(*const loops[SKY_IO_THREADS])(void *rpc) = {leader_first, spare_first};
  SKY_TRY(sky_executor_create(&workers, &rpc->workers));
  for (; rpc->io_thread_count < SKY_IO_THREADS; rpc->io_thread_count++)
    if (pthread_create(&rpc->io_threads[rpc->io_thread_count], NULL, loops[rpc->io_thread_count], rpc) != 0)
      return SKY_RESOURCE_EXHAUSTED("no I/O thread can be had");
  return SKY_OK;
}

/* Signals are the main thread's: new threads inherit the mask, so it is closed while they are made. */
static SkyStatus start_threads_without_signals(SkyRpc *rpc, const SkyRpcOptions *options) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const SkyStatus status = start_threads(rpc, options);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

static int64_t short_ns(const SkyRpcOptions *options) {
  if (options->short_handler_us < 0)
    return -1;
  return (options->short_handler_us != 0 ? options->short_handler_us : DEFAULT_SHORT_US) * (SKY_NS_PER_MS / 1000);
}

SkyStatus sky_rpc_create(const SkyRpcOptions *options, SkyRpc **ret) {
  static const SkyRpcOptions defaults = {0};
  if (options == NULL)
    options = &defaults;
  SkyRpc *rpc = calloc(1, sizeof(*rpc));
  if (rpc == NULL)
    return sky_status_no_memory();
  rpc->wake.complete = woken;
  rpc->short_ns = short_ns(options);
  sky_lead_init(&rpc->lead);
  sky_timer_heap_init(&rpc->timers, MAX_TIMERS);
  raise_descriptor_limit();
  switch_off_lock_graph();
  grpc_init();
  rpc->queue = grpc_completion_queue_create_for_next(NULL);
  create_poster(rpc);
  const SkyStatus status = start_threads_without_signals(rpc, options);
  if (status != SKY_OK) {
    sky_rpc_destroy(rpc);
    return status;
  }
  *ret = rpc;
  return SKY_OK;
}

void sky_rpc_destroy(SkyRpc *rpc) {
  if (rpc == NULL)
    return;
  assert(!sky_rpc_is_io_thread(rpc));
  if (rpc->workers != NULL) /* work may wait for the I/O thread */
    sky_status_free(sky_executor_drain(rpc->workers, SKY_NO_DEADLINE));
  destroy_poster(rpc);
  grpc_completion_queue_shutdown(rpc->queue);
  for (size_t i = 0; i < rpc->io_thread_count; i++)
    pthread_join(rpc->io_threads[i], NULL);
  sky_executor_destroy(rpc->workers); /* the I/O thread looked after it to the end */
  queue_destroy(rpc->queue);
  sky_timer_heap_finish(&rpc->timers);
  sky_lead_finish(&rpc->lead);
  free(rpc);
}

SkyStatus sky_rpc_run(SkyRpc *rpc, void (*work)(void *user), void *user) {
  if (!sky_rpc_is_io_thread(rpc))
    return sky_executor_submit(rpc->workers, work, user);
  rpc->unflushed = true;
  return sky_executor_submit_soon(rpc->workers, work, user);
}

void sky_start_batch(grpc_call *call, const grpc_op *ops, size_t count, SkyTag *tag) {
  const grpc_call_error error = grpc_call_start_batch(call, ops, count, sky_tag_publish(tag), NULL);
  if (error == GRPC_CALL_OK)
    return;
  gpr_log(GPR_ERROR, "sky/rpc: the core refused a batch: %s", grpc_call_error_to_string(error));
  abort();
}
