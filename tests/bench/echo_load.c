/*
 * Load on an echo server, for ./dev bench: so many calls, so many of them in flight at once. Prints one JSON object
 * with the number of failed calls, the time, the latency's percentiles and the CPU time that this client took.
 *
 * Usage: bench-echo-load HOST:PORT CALLS IN_FLIGHT [METHOD [BYTES [MESSAGES]]]: method Echo, Work or Repeat, so many
 * bytes of text, so many messages of a stream. Callbacks run on the runtime's I/O thread, while the first calls begin
 * on main's: hence the atomics.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <sky/core/time.h>
#include <sky/rpc/client.h>

#include "echo.rpc.h"

typedef struct Load {
  const char *target, *method;
  size_t calls, in_flight, bytes, messages;
  char *text;
  SkyClient *client;
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
  size_t received; /* messages of this stream */
} Lane;

static int64_t now_ns(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow());
}

static double cpu_s(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void finish(Load *load) {
  pthread_mutex_lock(&load->mutex);
  load->over = true;
  pthread_cond_signal(&load->over_changed);
  pthread_mutex_unlock(&load->mutex);
}

static void begin_next(Lane *lane);

static void ended(Lane *lane, SkyStatus status, bool complete) {
  Load *load = lane->load;
  const size_t index = atomic_fetch_add(&load->ended, 1);
  load->latencies_ns[index] = now_ns() - lane->began_ns;
  load->failed += status != SKY_OK || !complete;
  sky_status_free(status);
  if (index + 1 == load->calls)
    finish(load);
  else
    begin_next(lane);
}

static void on_done(void *user, SkyStatus status, const bench_EchoResponse *response) {
  const Lane *lane = user;
  ended(user, status, response != NULL && strlen(response->text) == lane->load->bytes);
}

static void on_message(void *user, SkyClientStream *stream, const bench_EchoResponse *message) {
  Lane *lane = user;
  lane->received += strlen(message->text) == lane->load->bytes;
}

static void on_stream_done(void *user, SkyStatus status) {
  const Lane *lane = user;
  ended(user, status, lane->received == lane->load->messages);
}

static void begin_stream(Lane *lane, const SkyContext *context) {
  const bench_EchoService_repeat_handler handler = {.on_message = on_message, .on_done = on_stream_done, .user = lane};
  bench_RepeatRequest request = bench_RepeatRequest_INIT;
  SkyClientStream *stream = NULL;
  request.text = lane->load->text;
  request.count = (uint32_t)lane->load->messages;
  lane->received = 0;
  SkyStatus status = bench_EchoService_repeat_open(lane->load->client, context, &request, handler, &stream);
  if (status == SKY_OK)
    sky_client_stream_unref(stream);
  else
    ended(lane, status, false);
}

static void begin_next(Lane *lane) {
  Load *load = lane->load;
  const SkyContext context = sky_context_background();
  if (atomic_fetch_add(&load->started, 1) >= load->calls)
    return;
  lane->began_ns = now_ns();
  bench_EchoRequest request = bench_EchoRequest_INIT;
  request.text = load->text;
  if (strcmp(load->method, "Repeat") == 0)
    begin_stream(lane, &context);
  else if (strcmp(load->method, "Work") == 0)
    bench_EchoService_work_async(load->client, &context, &request, on_done, lane);
  else
    bench_EchoService_echo_async(load->client, &context, &request, on_done, lane);
}

static int compare(const void *a, const void *b) {
  int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
  return (left > right) - (left < right);
}

static void report(Load *load, int64_t took_ns, double took_cpu_s) {
  qsort(load->latencies_ns, load->calls, sizeof *load->latencies_ns, compare);
  printf("{\"calls\": %zu, \"failed\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"cpu_us\": %.3f}\n",
         load->calls, (size_t)load->failed, (double)took_ns / 1e9, (double)load->latencies_ns[load->calls / 2] / 1e3,
         (double)load->latencies_ns[load->calls - 1 - load->calls / 100] / 1e3, took_cpu_s * 1e6 / (double)load->calls);
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

static void run(Load *load, Lane *lanes) {
  const double cpu_before_s = cpu_s();
  const int64_t began = now_ns();
  for (size_t i = 0; i < load->in_flight; i++) {
    lanes[i] = (Lane){.load = load};
    begin_next(&lanes[i]);
  }
  pthread_mutex_lock(&load->mutex);
  while (!load->over)
    pthread_cond_wait(&load->over_changed, &load->mutex);
  pthread_mutex_unlock(&load->mutex);
  report(load, now_ns() - began, cpu_s() - cpu_before_s);
}

static int load_target(Load *load) {
  SkyRpc *rpc = NULL;
  Lane *lanes = calloc(load->in_flight, sizeof *lanes);
  load->latencies_ns = calloc(load->calls, sizeof *load->latencies_ns);
  load->text = calloc(1, load->bytes + 1);
  int code = 1;
  SkyStatus status = load->latencies_ns && lanes && load->text
                         ? sky_rpc_create(&(SkyRpcOptions){.workers = 1}, &rpc)
                         : SKY_RESOURCE_EXHAUSTED("no memory for %zu calls", load->calls);
  if (!status) {
    memset(load->text, 'x', load->bytes);
    status =
        sky_client_create(rpc, &(SkyClientOptions){.target = load->target, .service_name = "bench"}, &load->client);
  }
  if (!status && connect_client(load->client)) {
    run(load, lanes);
    code = 0;
  } else {
    fprintf(stderr, "bench-echo-load: %s: %s\n", load->target, status ? sky_status_message(status) : "cannot connect");
    sky_status_free(status);
  }
  sky_client_destroy(load->client);
  sky_rpc_destroy(rpc);
  free(load->text);
  free(lanes);
  free(load->latencies_ns);
  return code;
}

int main(int argc, char **argv) {
  Load load = {.target = argc > 1 ? argv[1] : "",
               .calls = argc > 2 ? strtoull(argv[2], NULL, 10) : 0,
               .in_flight = argc > 3 ? strtoull(argv[3], NULL, 10) : 0,
               .method = argc > 4 ? argv[4] : "Echo",
               .bytes = argc > 5 ? strtoull(argv[5], NULL, 10) : 12,
               .messages = argc > 6 ? strtoull(argv[6], NULL, 10) : 1,
               .mutex = PTHREAD_MUTEX_INITIALIZER,
               .over_changed = PTHREAD_COND_INITIALIZER};
  if (argc > 7 || load.calls == 0 || load.in_flight == 0 || load.in_flight > load.calls) {
    fprintf(stderr, "usage: %s HOST:PORT CALLS IN_FLIGHT [Echo|Work|Repeat [BYTES [MESSAGES]]]\n", argv[0]);
    return 2;
  }
  return load_target(&load);
}
