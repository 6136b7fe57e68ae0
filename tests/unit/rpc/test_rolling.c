/*
 * Rolling restarts: processes of a service are stopped and started again while threads call them. A drained server
 * loses no call and none is handled twice; a killed one takes with it what it was working on, as far as that may not be
 * made again, and nothing else.
 */
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sky/core/deadline_wait.h>
#include <sky/core/time.h>

#include "echo_service.h"
#include "free_port.h"
#include "sky_check.h"

enum {
  THREADS = 8,
  CALLS = 24000,
  NODES = 2,
  ROUNDS = 3,         /* restarts of each node while the calls are made */
  CALLS_PER_S = 2500, /* of all threads */
  MAX_ERRORS = 16,
};

/* --- a node --- */

typedef struct Node {
  char port[8];
  pid_t pid;
  FILE *output;
} Node;

static Node nodes[NODES];
static size_t handled; /* by nodes that have ended in order */

static void node_start(Node *node) {
  int ends[2];
  char program[256], drain_ms[] = "20000", line[16];
  snprintf(program, sizeof(program), "%s", getenv("ECHO_NODE"));
  char *arguments[] = {program, node->port, drain_ms, NULL};
  posix_spawn_file_actions_t actions;
  ck_assert_int_eq(pipe(ends), 0);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  ck_assert_int_eq(posix_spawn(&node->pid, program, &actions, NULL, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  node->output = fdopen(ends[0], "r");
  ck_assert_ptr_nonnull(fgets(line, sizeof(line), node->output));
  ck_assert_str_eq(line, "up\n");
}

static void node_wait(Node *node) {
  int status = 0;
  size_t count = 0;
  handled += fscanf(node->output, "%zu", &count) == 1 ? count : 0;
  fclose(node->output);
  ck_assert_int_eq(waitpid(node->pid, &status, 0), node->pid);
  node->pid = 0;
}

static void node_end(Node *node, int number) {
  ck_assert_int_eq(kill(node->pid, number), 0);
  node_wait(node);
}

/* --- the callers --- */

static SkyRpc *rpc;
static SkyClient *client;
static atomic_size_t made, failed, failed_idempotent, last_failed;
static atomic_bool stop;
static char errors[MAX_ERRORS][200];
static size_t most_calls;
static EchoMethod methods[2];
static int64_t begun_ns;

/* Keeps all threads together at the rate. */
static void wait_for_turn(size_t number) {
  const int64_t at_ns = begun_ns + (int64_t)number * SKY_NS_PER_S / CALLS_PER_S;
  const struct timespec at = {.tv_sec = at_ns / SKY_NS_PER_S, .tv_nsec = at_ns % SKY_NS_PER_S};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void call_once(size_t number, SkyArena *arena) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  request.text = (char *)"x";
  request.number = (int32_t)number;
  const SkyMethodDescriptor *method = &echo_methods[methods[number % 2]];
  SkyStatus status = sky_client_call(client, method, NULL, &request.base, arena, &response);
  if (status != SKY_OK) {
    const size_t index = atomic_fetch_add(&failed, 1);
    atomic_store(&last_failed, number);
    if (method->idempotency != SKY_IDEMPOTENCY_UNKNOWN)
      atomic_fetch_add(&failed_idempotent, 1);
    if (index < MAX_ERRORS)
      snprintf(errors[index], sizeof(errors[index]), "call %zu, %s: %s", number, sky_code_name(sky_status_code(status)),
               sky_status_message(status));
    sky_status_free(status);
  } else {
    ck_assert_int_eq(((const Sky__Test__V1__Echo *)(const void *)response)->number, request.number);
  }
}

static void *call_on(void *unused) {
  SkyArena arena;
  sky_arena_init(&arena, 1 << 20);
  while (!atomic_load(&stop)) {
    const size_t number = atomic_fetch_add(&made, 1);
    if (number >= most_calls)
      break;
    wait_for_turn(number);
    call_once(number, &arena);
    sky_arena_reset(&arena);
  }
  sky_arena_finish(&arena);
  return NULL;
}

static pthread_t threads[THREADS];

static void start_callers(size_t calls) {
  most_calls = calls;
  begun_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  for (size_t i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, call_on, NULL);
}

static void join_callers(void) {
  for (size_t i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

static void print_errors(void) {
  for (size_t i = 0; i < atomic_load(&failed) && i < MAX_ERRORS; i++)
    fprintf(stderr, "%s\n", errors[i]);
}

static void setup(void) {
  char target[64];
  const SkyServiceDescriptor *services[] = {echo_service_binding(NULL).service, NULL};
  const SkyServiceConfig config = {.services = services};
  for (size_t i = 0; i < NODES; i++) {
    snprintf(nodes[i].port, sizeof(nodes[i].port), "%d", free_port());
    node_start(&nodes[i]);
  }
  methods[0] = ECHO_INLINE;
  methods[1] = ECHO_WORKER;
  snprintf(target, sizeof(target), "ipv4:127.0.0.1:%s,127.0.0.1:%s", nodes[0].port, nodes[1].port);
  ck_assert_ptr_null(sky_rpc_create(NULL, &rpc));
  ck_assert_ptr_null(sky_client_create(
      rpc, &(SkyClientOptions){.target = target, .connect_wait_ms = 10000, .config = &config}, &client));
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(client));
}

static void teardown(void) {
  sky_client_destroy(client);
  sky_rpc_destroy(rpc);
  for (size_t i = 0; i < NODES; i++) {
    if (nodes[i].pid != 0)
      node_end(&nodes[i], SIGTERM);
  }
}

static bool has_made(size_t calls) {
  return atomic_load(&made) >= calls;
}

START_TEST(a_rolling_restart_loses_no_call_and_doubles_none) {
  start_callers(CALLS);
  for (size_t i = 0; i < NODES * ROUNDS; i++) {
    SKY_CHECK_EVENTUALLY(has_made(CALLS / (NODES * ROUNDS + 1) * (i + 1)));
    node_end(&nodes[i % NODES], SIGTERM);
    node_start(&nodes[i % NODES]);
  }
  join_callers();
  for (size_t i = 0; i < NODES; i++)
    node_end(&nodes[i], SIGTERM);
  print_errors();
  ck_assert_uint_eq(atomic_load(&failed), 0);
  ck_assert_uint_eq(handled, CALLS);
}
END_TEST

START_TEST(calls_wait_while_the_only_server_is_restarted) {
  node_end(&nodes[1], SIGTERM);
  start_callers(4000);
  for (size_t i = 0; i < ROUNDS; i++) {
    SKY_CHECK_EVENTUALLY(has_made(1000 * (i + 1)));
    node_end(&nodes[0], SIGTERM);
    node_start(&nodes[0]);
  }
  join_callers();
  node_end(&nodes[0], SIGTERM);
  print_errors();
  ck_assert_uint_eq(atomic_load(&failed), 0);
  ck_assert_uint_eq(handled, 4000);
}
END_TEST

START_TEST(a_killed_server_takes_only_what_may_not_be_made_twice) {
  start_callers(4000);
  SKY_CHECK_EVENTUALLY(has_made(1000));
  node_end(&nodes[0], SIGKILL);
  const size_t made_then = atomic_load(&made);
  SKY_CHECK_EVENTUALLY(has_made(2500));
  node_start(&nodes[0]);
  join_callers();
  print_errors();
  /* Those that were open, and what was sent until the client saw the connection end. */
  ck_assert_uint_le(atomic_load(&failed), 4 * THREADS);
  ck_assert_uint_le(atomic_load(&last_failed), made_then + CALLS_PER_S / 10);
  ck_assert_uint_eq(atomic_load(&failed_idempotent), 0);
}
END_TEST

/* --- calls that are begun when the server has just died --- */

static SkyClient *impatient; /* of the first node alone */

typedef struct Again {
  atomic_bool done;
  SkyCode first, second;
} Again;

static void second_done(void *user, SkyStatus status, const ProtobufCMessage *response) {
  Again *again = user;
  again->second = sky_status_code(status);
  sky_status_free(status);
  atomic_store(&again->done, true);
}

static void first_done(void *user, SkyStatus status, const ProtobufCMessage *response) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  Again *again = user;
  again->first = sky_status_code(status);
  sky_status_free(status);
  sky_client_call_async(impatient, &echo_methods[ECHO_WORKER], NULL, &request.base, second_done, again);
}

static void create_impatient(void) {
  char target[64];
  snprintf(target, sizeof(target), "127.0.0.1:%s", nodes[0].port);
  const SkyClientOptions options = {.target = target, .connect_wait_ms = 150, .drain_wait_ms = 1000};
  ck_assert_ptr_null(sky_client_create(rpc, &options, &impatient));
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(impatient));
}

/* Their callers hear of the end before the client's own watcher does; what they call then is not sent any more. */
START_TEST(a_call_made_as_the_connection_ends_waits_no_longer_than_it_may) {
  enum { OPEN = 50 };
  static Again calls[OPEN];
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  create_impatient();
  for (int i = 0; i < OPEN; i++)
    sky_client_call_async(impatient, &echo_methods[ECHO_DEFER], NULL, &request.base, first_done, &calls[i]);
  node_end(&nodes[0], SIGKILL);
  const int64_t killed_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  for (int i = 0; i < OPEN; i++) {
    SKY_CHECK_EVENTUALLY(atomic_load(&calls[i].done));
    ck_assert_int_eq(calls[i].first, SKY_CODE_UNAVAILABLE);
    ck_assert_int_eq(calls[i].second, SKY_CODE_UNAVAILABLE);
  }
  ck_assert_int_lt(sky_clock_monotonic_ns(sky_clock_system_borrow()) - killed_ns,
                   10 * SKY_NS_PER_S); /* deadline: 20 s */
  sky_client_destroy(impatient);
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/rolling", setup, teardown, a_call_made_as_the_connection_ends_waits_no_longer_than_it_may,
                    a_rolling_restart_loses_no_call_and_doubles_none, calls_wait_while_the_only_server_is_restarted,
                    a_killed_server_takes_only_what_may_not_be_made_twice)
