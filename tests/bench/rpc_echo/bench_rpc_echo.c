/*
 * Bench: unary echo, server and client each in a process of its own: CPU µs per call on either side, calls per second,
 * p50 and p99.
 *
 *     bench-rpc-echo [--calls=200000] [--in-flight=64] [--rounds=3] [--text-bytes=100]
 *     bench-rpc-echo --server=sky|bare         prints its port and serves (for profilers and foreign clients)
 *     bench-rpc-echo --target=HOST:PORT ...    only the client, against any server of the method
 *
 * The candidates run in turn, several rounds in one run: machines drift, ratios hold. Candidates: sky (lib/sky/rpc,
 * inline handler), worker (the same on the worker pool), bare (the core's loop with nothing around it).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <semaphore.h>

#include <sky/core/config.h>
#include <sky/core/time.h>
#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

#include "bare.h"
#include "echo.pb-c.h"

#define METHOD(method_name, is_inline)                                                                                 \
  {                                                                                                                    \
    .name = method_name, .path = "/sky.bench.v1.EchoService/" method_name, .kind = SKY_UNARY,                          \
    .request.descriptor = &sky__bench__v1__echo__descriptor, .response.descriptor = &sky__bench__v1__echo__descriptor, \
    .inline_handler = is_inline, .deadline_ms = 10000                                                                  \
  }
static const SkyMethodDescriptor methods[] = {METHOD("Echo", true), METHOD("Work", false)};
static const SkyServiceDescriptor service = {.name = "sky.bench.v1.EchoService", .methods = methods, .method_count = 2};

static SkyStatus echo(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                      ProtobufCMessage *response) {
  ((Sky__Bench__V1__Echo *)(void *)response)->text = ((const Sky__Bench__V1__Echo *)(const void *)request)->text;
  return SKY_OK;
}
static const SkyInvoke invoke[] = {echo, echo};

/* --- servers --- */

static void die(SkyStatus status, const char *what) {
  if (status == SKY_OK)
    return;
  fprintf(stderr, "bench-rpc-echo: %s: %s\n", what, sky_status_message(status));
  exit(EXIT_FAILURE);
}

static void run_sky_server(void (*ready)(int port, void *user), void *user) {
  SkyRpc *rpc = NULL;
  SkyServer *server = NULL;
  die(sky_rpc_create(NULL, &rpc), "runtime");
  die(sky_server_create(rpc, &(SkyServerOptions){.listen = "127.0.0.1:0"}, &server), "server");
  die(sky_server_add(server, (SkyServiceBinding){.service = &service, .invoke = invoke}), "service");
  die(sky_server_start(server), "server");
  ready(sky_server_port(server), user);
  for (;;)
    pause();
}

static void run_server(const char *name, void (*ready)(int port, void *user), void *user) {
  if (strcmp(name, "bare") == 0)
    bare_server_run(methods[0].path, NULL, "127.0.0.1:0", ready, user);
  else
    run_sky_server(ready, user);
}

static void print_port(int port, void *user) {
  printf("%d\n", port);
  fflush(stdout);
}

static void send_port(int port, void *user) {
  if (write(*(int *)user, &port, sizeof(port)) != (ssize_t)sizeof(port))
    exit(EXIT_FAILURE);
}

typedef struct ServerProcess {
  pid_t pid;
  int port;
} ServerProcess;

static ServerProcess start_server(const char *name) {
  int ends[2];
  ServerProcess process = {0};
  if (pipe(ends) != 0 || (process.pid = fork()) < 0) {
    perror("bench-rpc-echo");
    exit(EXIT_FAILURE);
  }
  if (process.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run_server(name, send_port, &ends[1]);
  }
  close(ends[1]);
  if (read(ends[0], &process.port, sizeof(process.port)) != (ssize_t)sizeof(process.port))
    exit(EXIT_FAILURE);
  close(ends[0]);
  return process;
}

static double cpu_us(const struct rusage *usage) {
  return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
         (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

/* Ends the server; the CPU time it took in its life, start-up included (some ms). */
static double stop_server(ServerProcess process) {
  struct rusage usage;
  kill(process.pid, SIGTERM);
  wait4(process.pid, NULL, 0, &usage);
  return cpu_us(&usage);
}

/* --- the client: a process of its own, so that its CPU time and its core are its own --- */

typedef struct Load {
  SkyClient *client;
  const SkyMethodDescriptor *method;
  char *text;
  size_t calls, started, ended; /* the I/O thread's, after the start */
  int64_t *latencies_ns;
  sem_t done;
} Load;

typedef struct LoadCall {
  Load *load;
  int64_t began_ns;
} LoadCall;

typedef struct Result {
  double calls_per_s, client_us, server_us, p50_us, p99_us;
} Result;

static void ended(void *user, SkyStatus status, const ProtobufCMessage *response);

static void start_call(LoadCall *call) {
  Load *load = call->load;
  Sky__Bench__V1__Echo request = SKY__BENCH__V1__ECHO__INIT;
  request.text = load->text;
  load->started++;
  call->began_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  sky_client_call_async(load->client, load->method, NULL, &request.base, ended, call);
}

static void ended(void *user, SkyStatus status, const ProtobufCMessage *response) {
  LoadCall *call = user;
  Load *load = call->load;
  die(status, "call");
  load->latencies_ns[load->ended++] = sky_clock_monotonic_ns(sky_clock_system_borrow()) - call->began_ns;
  if (load->started < load->calls)
    start_call(call);
  else if (load->ended == load->calls)
    sem_post(&load->done);
}

static int compare(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* The first calls are made on the I/O thread as the later ones are. */
typedef struct Kick {
  LoadCall *calls;
  size_t count;
} Kick;

static void kick(void *user, SkyStatus status, const ProtobufCMessage *response) {
  Kick *kicked = user;
  die(status, "first call");
  for (size_t i = 0; i < kicked->count; i++)
    start_call(&kicked->calls[i]);
}

static Result run_load(const char *target, const SkyMethodDescriptor *method, size_t calls, size_t in_flight,
                       size_t text_bytes) {
  SkyRpc *rpc = NULL;
  Load load = {.method = method, .calls = calls};
  load.text = calloc(1, text_bytes + 1);
  memset(load.text, 'x', text_bytes);
  load.latencies_ns = calloc(calls, sizeof(*load.latencies_ns));
  Kick first = {.calls = calloc(in_flight, sizeof(LoadCall)), .count = in_flight};
  for (size_t i = 0; i < in_flight; i++)
    first.calls[i].load = &load;
  sem_init(&load.done, 0, 0);
  die(sky_rpc_create(&(SkyRpcOptions){.workers = 1}, &rpc), "runtime");
  die(sky_client_create(rpc, &(SkyClientOptions){.target = target}, &load.client), "client");
  while (!sky_client_is_ready(load.client))
    usleep(1000);
  struct rusage before, after;
  Sky__Bench__V1__Echo request = SKY__BENCH__V1__ECHO__INIT;
  getrusage(RUSAGE_SELF, &before);
  const int64_t began = sky_clock_monotonic_ns(sky_clock_system_borrow());
  sky_client_call_async(load.client, method, NULL, &request.base, kick, &first);
  while (sem_wait(&load.done) != 0) {
  }
  const double seconds = (double)(sky_clock_monotonic_ns(sky_clock_system_borrow()) - began) / 1e9;
  getrusage(RUSAGE_SELF, &after);
  qsort(load.latencies_ns, calls, sizeof(*load.latencies_ns), compare);
  return (Result){.calls_per_s = (double)calls / seconds,
                  .client_us = (cpu_us(&after) - cpu_us(&before)) / (double)calls,
                  .p50_us = (double)load.latencies_ns[calls / 2] / 1e3,
                  .p99_us = (double)load.latencies_ns[calls * 99 / 100] / 1e3};
}

/* Runs the load in a child: the core does not live through a fork, and each round begins the same. */
static Result run_load_process(const char *target, const SkyMethodDescriptor *method, size_t calls, size_t in_flight,
                               size_t text_bytes) {
  int ends[2];
  Result result;
  fflush(stdout);
  if (pipe(ends) != 0)
    exit(EXIT_FAILURE);
  const pid_t pid = fork();
  if (pid == 0) {
    result = run_load(target, method, calls, in_flight, text_bytes);
    _exit(write(ends[1], &result, sizeof(result)) == (ssize_t)sizeof(result) ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  close(ends[1]);
  if (read(ends[0], &result, sizeof(result)) != (ssize_t)sizeof(result))
    exit(EXIT_FAILURE);
  close(ends[0]);
  waitpid(pid, NULL, 0);
  return result;
}

/* --- the table --- */

typedef struct Candidate {
  const char *name;
  size_t method;
} Candidate;

static const Candidate candidates[] = {{"sky", 0}, {"worker", 1}, {"bare", 0}};
enum { CANDIDATES = sizeof(candidates) / sizeof(candidates[0]) };

static void print_result(const char *name, const Result *result) {
  printf("%-8s %10.0f %12.2f %12.2f %9.0f %9.0f\n", name, result->calls_per_s, result->server_us, result->client_us,
         result->p50_us, result->p99_us);
  fflush(stdout);
}

static Result run_candidate(const Candidate *candidate, size_t calls, size_t in_flight, size_t text_bytes) {
  char target[64];
  const ServerProcess server = start_server(candidate->name);
  snprintf(target, sizeof(target), "127.0.0.1:%d", server.port);
  Result result = run_load_process(target, &methods[candidate->method], calls, in_flight, text_bytes);
  result.server_us = stop_server(server) / (double)calls;
  return result;
}

static void run_rounds(size_t rounds, size_t calls, size_t in_flight, size_t text_bytes) {
  double sum[CANDIDATES] = {0};
  printf("%-8s %10s %12s %12s %9s %9s   (%zu calls, %zu in flight, %zu bytes)\n", "server", "calls/s", "server us",
         "client us", "p50 us", "p99 us", calls, in_flight, text_bytes);
  for (size_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < CANDIDATES; i++) {
      const Result result = run_candidate(&candidates[i], calls, in_flight, text_bytes);
      print_result(candidates[i].name, &result);
      sum[i] += result.server_us;
    }
  }
  printf("CPU of the server against the bare core: sky %.2f, worker %.2f\n", sum[0] / sum[2], sum[1] / sum[2]);
}

int main(int argc, char **argv) {
  int64_t calls, in_flight, rounds, text_bytes;
  const char *server, *target, *method;
  bool help = false;
  const SkySetting settings[] = {
      {"calls", "BENCH_CALLS", SKY_SETTING_INT, &calls, "200000", "calls per candidate and round", 1, 1e9},
      {"in-flight", "BENCH_IN_FLIGHT", SKY_SETTING_INT, &in_flight, "64", "calls open at a time", 1, 4096},
      {"rounds", "BENCH_ROUNDS", SKY_SETTING_INT, &rounds, "3", "rounds over all candidates", 1, 1000},
      {"text-bytes", "BENCH_TEXT_BYTES", SKY_SETTING_INT, &text_bytes, "100", "size of the text", 0, 3e6},
      {"server", "BENCH_SERVER", SKY_SETTING_TEXT, &server, "", "only serve: sky, worker or bare", 0, 0},
      {"method", "BENCH_METHOD", SKY_SETTING_TEXT, &method, "Echo", "of --target: Echo (inline) or Work (workers)", 0,
       0},
      {"target", "BENCH_TARGET", SKY_SETTING_TEXT, &target, "", "only the client, against this address", 0, 0},
  };
  const size_t count = sizeof(settings) / sizeof(settings[0]);
  die(sky_config_load(settings, count, argc, argv, &help), "settings");
  if (help) {
    sky_config_print_help(argv[0], "Measures the RPC runtime.", settings, count);
  } else if (server[0] != '\0') {
    run_server(server, print_port, NULL);
  } else if (target[0] != '\0') {
    const Result result =
        run_load(target, &methods[strcmp(method, "Work") == 0], (size_t)calls, (size_t)in_flight, (size_t)text_bytes);
    print_result("client", &result);
  } else {
    run_rounds((size_t)rounds, (size_t)calls, (size_t)in_flight, (size_t)text_bytes);
  }
  return EXIT_SUCCESS;
}
