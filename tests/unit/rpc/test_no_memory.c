/*
 * Every allocation of ours on a call's path fails once, in client and server, for each kind of call; then every third
 * and every seventh fails all the time. No crash, no leak (under ASan), no status but RESOURCE_EXHAUSTED or success,
 * and as soon as there is memory again every method answers. Of ours, because the gRPC core ends the process when its
 * own allocations fail: it is another library, which the linker's --wrap does not reach.
 */
#include "fixture.h"

#include <string.h>

#include "failing_malloc.h"

/* --- scenarios; each returns the code of what it did. ck_assert() allocates, so it is only used when disarmed --- */

enum { TEXT_BYTES = 3000 }; /* so that arenas need more than their first chunk */

static SkyContext deadline(void) {
  const SkyContext background = sky_context_background();
  return sky_context_with_timeout_ms(&background, 20000);
}

static SkyCode code_of(SkyStatus status) {
  const SkyCode code = sky_status_code(status);
  sky_status_free(status);
  return code;
}

static SkyCode call_unary(EchoMethod method, const char *text) {
  static const SkyPrincipal principal = {.subject = "ada", .owner_id = "shop", .scopes = "all"};
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  SkyContext context = deadline();
  SkyArena own;
  context.principal = &principal;
  request.text = (char *)text;
  sky_arena_init(&own, 1 << 20);
  const SkyCode code =
      code_of(sky_client_call(client, &echo_methods[method], &context, &request.base, &own, &response));
  sky_arena_finish(&own);
  return code;
}

static SkyCode unary_inline(void) {
  static char text[TEXT_BYTES];
  memset(text, 'x', sizeof(text) - 1);
  return call_unary(ECHO_INLINE, text);
}

static SkyCode unary_on_worker(void) {
  return call_unary(ECHO_WORKER, "shout");
}

/* Its own code when there is memory for it. */
static SkyCode unary_with_rich_error(void) {
  const SkyCode code = call_unary(ECHO_INLINE, "rich");
  return code == SKY_CODE_INVALID_ARGUMENT ? SKY_CODE_OK : code;
}

static SkyCode wait_for(Outcome *outcome) {
  struct timespec begun = {0};
  while (!is_done(outcome) && sky_check_wait(&begun))
    continue;
  return is_done(outcome) ? outcome->code : SKY_CODE_UNKNOWN;
}

static SkyCode unary_asynchronous(void) {
  Outcome outcome = {0};
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  const SkyContext context = deadline();
  sky_client_call_async(client, &echo_methods[ECHO_INLINE], &context, &request.base, call_done, &outcome);
  return wait_for(&outcome);
}

/* Sends a few messages and the half-close. */
static SkyCode talk(EchoMethod method) {
  enum { MESSAGES = 3 };
  Outcome outcome = {0};
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = NULL;
  const SkyContext context = deadline();
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = stream_done, .user = &outcome};
  message.text = (char *)"hello";
  SkyStatus status = sky_client_stream_open(client, &echo_methods[method], &context, NULL, handler, &stream);
  if (status != SKY_OK)
    return code_of(status);
  for (int i = 0; i < MESSAGES && status == SKY_OK; i++)
    status = sky_client_stream_write(stream, &message.base);
  /* The call may have ended before we were through; then its status counts, and ours only says so. */
  const SkyCode written = code_of(status);
  sky_client_stream_close_send(stream);
  const SkyCode ended = wait_for(&outcome);
  sky_client_stream_unref(stream);
  return ended != SKY_CODE_OK || written == SKY_CODE_CANCELLED ? ended : written;
}

static SkyCode client_streaming(void) {
  return talk(ECHO_SUM);
}

static SkyCode bidi_streaming(void) {
  return talk(ECHO_CHAT);
}

static SkyCode bidi_streaming_on_workers(void) {
  return talk(ECHO_CHAT_WORKER);
}

static SkyCode server_streaming(void) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientReader *reader = NULL;
  SkyArena own;
  ProtobufCMessage *message = NULL;
  const SkyContext context = deadline();
  request.number = 5;
  SkyStatus status = sky_client_reader_open(client, &echo_methods[ECHO_COUNT], &context, &request.base, &reader);
  if (status != SKY_OK)
    return code_of(status);
  do {
    sky_arena_init(&own, 1 << 20);
    message = NULL;
    status = sky_client_reader_next(reader, &own, &message);
    sky_arena_finish(&own);
  } while (status == SKY_OK && message != NULL);
  sky_client_reader_close(reader);
  return code_of(status);
}

/* A client stream by a thread that waits. */
static SkyCode client_streaming_blocking(void) {
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  SkyClientReader *reader = NULL;
  SkyArena own;
  ProtobufCMessage *response = NULL;
  const SkyContext context = deadline();
  SkyStatus status = sky_client_reader_open(client, &echo_methods[ECHO_SUM], &context, NULL, &reader);
  if (status != SKY_OK)
    return code_of(status);
  for (int i = 0; i < 3 && status == SKY_OK; i++)
    status = sky_client_reader_write(reader, &message.base);
  /* The call may have ended before we were through: finish tells why. */
  if (!sky_status_take(&status, SKY_CODE_CANCELLED) && status != SKY_OK) {
    sky_client_reader_close(reader);
    return code_of(status);
  }
  sky_arena_init(&own, 1 << 20);
  status = sky_client_reader_finish(reader, &own, &response);
  sky_arena_finish(&own);
  return code_of(status);
}

static const struct {
  const char *name;
  SkyCode (*run)(void);
  int least; /* allocations, or the wrapping does not work */
} scenarios[] = {
    {"unary, inline", unary_inline, 3},
    {"unary, on a worker", unary_on_worker, 3},
    {"unary, rich error", unary_with_rich_error, 15},
    {"unary, asynchronous", unary_asynchronous, 3},
    {"client streaming", client_streaming, 5},
    {"bidi streaming", bidi_streaming, 5},
    {"bidi streaming, on workers", bidi_streaming_on_workers, 5},
    {"client streaming, blocking", client_streaming_blocking, 6},
    {"server streaming", server_streaming, 12},
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

/* Nothing of what ran before is still going on: its end may allocate. */
static void settle(void) {
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
}

static void expect_legal(const char *name, SkyCode code, int successes) {
  ck_assert_msg(code == SKY_CODE_OK || code == SKY_CODE_RESOURCE_EXHAUSTED, "%s, allocation %d: %s", name, successes,
                sky_code_name(code));
}

static void expect_recovery(void) {
  settle();
  for (size_t i = 0; i < SCENARIOS; i++)
    ck_assert_msg(scenarios[i].run() == SKY_CODE_OK, "%s does not work any more", scenarios[i].name);
  settle();
}

START_TEST(every_allocation_fails_once) {
  for (size_t i = 0; i < SCENARIOS; i++) {
    int successes = 0;
    for (;; successes++) {
      settle();
      failing_malloc_arm(successes, 0);
      const SkyCode code = scenarios[i].run();
      failing_malloc_disarm();
      expect_legal(scenarios[i].name, code, successes);
      if (failing_malloc_failures() == 0)
        break;
    }
    printf("%s: %d allocations\n", scenarios[i].name, successes);
    ck_assert_int_ge(successes, scenarios[i].least);
    expect_recovery();
  }
}
END_TEST

START_TEST(allocations_fail_all_the_time) {
  enum { ROUNDS = 30 };
  static const int periods[] = {1, 2, 3, 7};
  for (size_t p = 0; p < sizeof(periods) / sizeof(periods[0]); p++) {
    for (size_t i = 0; i < SCENARIOS; i++) {
      for (int round = 0; round < ROUNDS; round++) {
        failing_malloc_arm(round % periods[p], periods[p]);
        const SkyCode code = scenarios[i].run();
        failing_malloc_disarm();
        expect_legal(scenarios[i].name, code, round);
      }
      settle();
    }
    expect_recovery();
  }
}
END_TEST

static void setup_no_memory(void) {
  setup();
  expect_recovery(); /* every method once, so that what is kept for later calls is there */
}

SKY_CHECK_MAIN_WITH("rpc/no_memory", setup_no_memory, teardown, every_allocation_fails_once,
                    allocations_fail_all_the_time)
