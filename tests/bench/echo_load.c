/*
 * Load on an echo server, for ./dev bench: so many calls, so many of them in flight at once. Prints one JSON object
 * with the number of failed calls, the time and the latency's percentiles.
 *
 * Usage: bench-echo-load HOST:PORT CALLS IN_FLIGHT. Callbacks run on the runtime's I/O thread, while the first calls
 * begin on main's: hence the atomics.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sky/core/time.h>
#include <sky/rpc/client.h>

#include "echo.rpc.h"

typedef struct Load {
  SkyClient *client;
  size_t calls;
  _Atomic size_t started, ended, failed;
  int64_t *latencies_ns; /* one per ended call */
  pthread_mutex_t mutex;
  pthread_cond_t over_changed;
  bool over;
} Load;

/* One of the calls in flight; begins its next call when the last one ends. */
typedef struct Lane {
  Load *load;
  int64_t began_ns;
} Lane;

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static void finish(Load *load) {
  pthread_mutex_lock(&load->mutex);
  load->over = true;
  pthread_cond_signal(&load->over_changed);
  pthread_mutex_unlock(&load->mutex);
}

static void begin_next(Lane *lane);

static void on_done(void *user, SkyStatus status, const bench_EchoResponse *response) {
  Lane *lane = user;
  Load *load = lane->load;
  size_t index = atomic_fetch_add(&load->ended, 1);
  load->latencies_ns[index] = now_ns() - lane->began_ns;
  load->failed += status != SKY_OK;
  sky_status_free(status);
  if (index + 1 == load->calls)
    finish(load);
  else
    begin_next(lane);
}

static void begin_next(Lane *lane) {
  SkyContext context = sky_context_background();
  if (atomic_fetch_add(&lane->load->started, 1) >= lane->load->calls)
    return;
  bench_EchoRequest request = bench_EchoRequest_INIT;
  request.text = (char *)(uintptr_t) "hello, drone";
  lane->began_ns = now_ns();
  bench_EchoService_echo_async(lane->load->client, &context, &request, on_done, lane);
}

static int compare(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

static void report(Load *load, int64_t took_ns) {
  qsort(load->latencies_ns, load->calls, sizeof *load->latencies_ns, compare);
  printf("{\"calls\": %zu, \"failed\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", load->calls,
         (size_t)load->failed, (double)took_ns / 1e9, (double)load->latencies_ns[load->calls / 2] / 1e3,
         (double)load->latencies_ns[load->calls - 1 - load->calls / 100] / 1e3);
}

/* Waits until the channel is connected: the first call must not pay for it. */
static bool connect_client(SkyClient *client) {
  int64_t deadline = now_ns() + 5 * SKY_NS_PER_S;
  while (!sky_client_is_ready(client)) {
    if (now_ns() > deadline)
      return false;
    nanosleep(&(struct timespec){.tv_nsec = SKY_NS_PER_MS}, NULL);
  }
  return true;
}

static void run(Load *load, Lane *lanes, size_t in_flight) {
  int64_t began = now_ns();
  for (size_t i = 0; i < in_flight; i++) {
    lanes[i] = (Lane){.load = load};
    begin_next(&lanes[i]);
  }
  pthread_mutex_lock(&load->mutex);
  while (!load->over)
    pthread_cond_wait(&load->over_changed, &load->mutex);
  pthread_mutex_unlock(&load->mutex);
  report(load, now_ns() - began);
}

static int load_target(const char *target, size_t calls, size_t in_flight) {
  SkyRpc *rpc = NULL;
  Load load = {.calls = calls,
               .latencies_ns = calloc(calls, sizeof *load.latencies_ns),
               .mutex = PTHREAD_MUTEX_INITIALIZER,
               .over_changed = PTHREAD_COND_INITIALIZER};
  Lane *lanes = calloc(in_flight, sizeof *lanes);
  int code = 1;
  SkyStatus status = load.latencies_ns && lanes ? sky_rpc_create(&(SkyRpcOptions){.workers = 1}, &rpc)
                                                : SKY_RESOURCE_EXHAUSTED("no memory for %zu calls", calls);
  if (!status)
    status = sky_client_create(rpc, &(SkyClientOptions){.target = target, .service_name = "bench"}, &load.client);
  if (!status && connect_client(load.client)) {
    run(&load, lanes, in_flight);
    code = 0;
  } else {
    fprintf(stderr, "bench-echo-load: %s: %s\n", target, status ? sky_status_message(status) : "cannot connect");
    sky_status_free(status);
  }
  sky_client_destroy(load.client);
  sky_rpc_destroy(rpc);
  free(lanes);
  free(load.latencies_ns);
  return code;
}

int main(int argc, char **argv) {
  size_t calls = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
  size_t in_flight = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
  if (calls == 0 || in_flight == 0 || in_flight > calls) {
    fprintf(stderr, "usage: %s HOST:PORT CALLS IN_FLIGHT\n", argv[0]);
    return 2;
  }
  return load_target(argv[1], calls, in_flight);
}
