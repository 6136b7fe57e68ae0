/*
 * Races: threads that call, cancel, pause, give up and run out of time all at once, while the handlers' calls are
 * finished by others and the server goes down among them. Every call must end exactly once, whatever wins; the
 * sanitizers see the rest.
 */
#include "fixture.h"

#include <stdatomic.h>

#include <sky/core/id.h>

enum { THREADS = 6, ROUNDS = 150 };

static atomic_size_t begun, ended; /* calls and streams */
static atomic_bool stop;

static void count_call(void *user, SkyStatus status, const ProtobufCMessage *response) {
  sky_status_free(status);
  atomic_fetch_add(&ended, 1);
  if (user != NULL)
    atomic_store((atomic_bool *)user, true);
}

static void count_stream(void *user, SkyStatus status) {
  count_call(user, status, NULL);
}

static void wait_for(atomic_bool *done) {
  SKY_CHECK_EVENTUALLY(atomic_load(done));
}

static void pass_time(const SkyRandom *random) {
  for (uint64_t i = sky_random_uint64(random) % 64; i > 0; i--)
    sched_yield();
}

static void call_with_short_deadline(const SkyRandom *random) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, (int64_t)(sky_random_uint64(random) % 4));
  const EchoMethod methods[] = {ECHO_INLINE, ECHO_WORKER, ECHO_DEFER};
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  SkyArena own;
  sky_arena_init(&own, 1 << 20);
  sky_status_free(sky_client_call(client, &echo_methods[methods[sky_random_uint64(random) % 3]], &context,
                                  &request.base, &own, &response));
  sky_arena_finish(&own);
}

static void call_and_cancel(const SkyRandom *random) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyContext context = sky_context_background();
  atomic_bool done = false;
  context.cancel = sky_cancel_create();
  atomic_fetch_add(&begun, 1);
  sky_client_call_async(client, &echo_methods[ECHO_DEFER], &context, &request.base, count_call, &done);
  pass_time(random);
  sky_cancel_trigger(context.cancel);
  sky_cancel_unref(context.cancel); /* the call keeps its own */
  wait_for(&done);
}

static void read_and_give_up(const SkyRandom *random) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = NULL;
  atomic_bool done = false;
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = count_stream, .user = &done};
  const EchoMethod method = sky_random_uint64(random) % 2 == 0 ? ECHO_COUNT : ECHO_WATCH;
  request.number = 500;
  SkyStatus status = sky_client_stream_open(client, &echo_methods[method], NULL, &request.base, handler, &stream);
  if (status != SKY_OK) {
    sky_status_free(status);
    return;
  }
  atomic_fetch_add(&begun, 1);
  sky_client_stream_pause(stream);
  pass_time(random);
  sky_client_stream_resume(stream);
  pass_time(random);
  sky_client_stream_cancel(stream);
  sky_client_stream_unref(stream);
  wait_for(&done);
}

static void chat_and_hang_up(const SkyRandom *random) {
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = NULL;
  atomic_bool done = false;
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = count_stream, .user = &done};
  const EchoMethod method = sky_random_uint64(random) % 2 == 0 ? ECHO_CHAT : ECHO_CHAT_WORKER;
  SkyStatus status = sky_client_stream_open(client, &echo_methods[method], NULL, NULL, handler, &stream);
  if (status != SKY_OK) {
    sky_status_free(status);
    return;
  }
  atomic_fetch_add(&begun, 1);
  for (int i = 0; i < 5; i++)
    sky_status_free(sky_client_stream_write(stream, &message.base));
  pass_time(random);
  if (sky_random_uint64(random) % 2 == 0)
    sky_client_stream_cancel(stream);
  sky_client_stream_close_send(stream);
  sky_client_stream_unref(stream);
  wait_for(&done);
}

static void *make_trouble(void *seed) {
  SkySeededRandom random;
  sky_seeded_random_init(&random, *(uint64_t *)seed);
  for (int i = 0; i < ROUNDS && !atomic_load(&stop); i++) {
    switch (sky_random_uint64(&random.random) % 4) {
    case 0:
      call_with_short_deadline(&random.random);
      break;
    case 1:
      call_and_cancel(&random.random);
      break;
    case 2:
      read_and_give_up(&random.random);
      break;
    default:
      chat_and_hang_up(&random.random);
    }
  }
  return NULL;
}

/* Finishes deferred calls, streams among them, while they are being cancelled. */
static void *finish_deferred(void *unused) {
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  while (!atomic_load(&stop)) {
    SkyCall *call = echo_service_take_any(&service);
    if (call == NULL) {
      sched_yield();
      continue;
    }
    if (sky_call_method(call)->kind == SKY_SERVER_STREAMING)
      sky_status_free(sky_call_write(call, &message.base));
    sky_call_finish(call, SKY_OK);
  }
  return NULL;
}

static pthread_t threads[THREADS], finisher;
static uint64_t seeds[THREADS];

static void start_trouble(uint64_t seed) {
  atomic_store(&stop, false);
  pthread_create(&finisher, NULL, finish_deferred, NULL);
  for (size_t i = 0; i < THREADS; i++) {
    seeds[i] = seed * 1000 + i;
    pthread_create(&threads[i], NULL, make_trouble, &seeds[i]);
  }
}

static void join_trouble(void) {
  for (size_t i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

static void stop_finisher(void) {
  atomic_store(&stop, true);
  pthread_join(finisher, NULL);
}

START_TEST(every_call_ends_once_whatever_wins) {
  start_trouble(1);
  join_trouble();
  SKY_CHECK_EVENTUALLY(atomic_load(&ended) == atomic_load(&begun));
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).active == 0);
  stop_finisher();
  const SkyServerStats stats = sky_server_stats(server);
  ck_assert_uint_eq(stats.started, stats.succeeded + stats.failed);
}
END_TEST

START_TEST(a_server_goes_down_in_the_middle) {
  start_trouble(2);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).started > 100);
  sky_server_drain(server, 5);
  join_trouble();
  sky_server_destroy(server);
  server = NULL;
  stop_finisher();
  SKY_CHECK_EVENTUALLY(atomic_load(&ended) == atomic_load(&begun));
}
END_TEST

START_TEST(a_client_is_closed_in_the_middle) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = count_stream};
  for (size_t i = 0; i < 200; i++) {
    SkyClientStream *stream = NULL;
    const EchoMethod method = i % 2 == 0 ? ECHO_COUNT : ECHO_WATCH;
    request.number = (int32_t)i * 10;
    atomic_fetch_add(&begun, 2);
    ck_assert_ptr_null(sky_client_stream_open(client, &echo_methods[method], NULL, &request.base, handler, &stream));
    sky_client_stream_unref(stream);
    sky_client_call_async(client, &echo_methods[i % 3], NULL, &request.base, count_call, NULL);
  }
  sky_client_destroy(client);
  client = NULL;
  SKY_CHECK_EVENTUALLY(atomic_load(&ended) == atomic_load(&begun));
}
END_TEST

/* A server that drains for 5 ms has no call any more after this. */
static void setup_short_drain(void) {
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){.drain_wait_ms = 2000});
}

SKY_CHECK_MAIN_WITH("rpc/races", setup_short_drain, teardown, every_call_ends_once_whatever_wins,
                    a_server_goes_down_in_the_middle, a_client_is_closed_in_the_middle)
