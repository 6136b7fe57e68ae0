/* Calls that find no connection: how long they wait for one, and what ends the waiting. */
#include "fixture.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sky/core/time.h>

#include "free_port.h"

static SkyServer *late; /* started while calls wait */

static void setup_without_server(void) {
  start_server(NULL, (SkyServerOptions){0});
  snprintf(address, sizeof(address), "127.0.0.1:%d", free_port());
}

static void teardown_all(void) {
  sky_server_destroy(late);
  teardown();
}

static void create_client(int64_t connect_wait_ms) {
  const SkyClientOptions options = {.target = address, .connect_wait_ms = connect_wait_ms};
  ck_assert_ptr_null(sky_client_create(rpc, &options, &client));
}

static void create_late_server(void) {
  ck_assert_ptr_null(sky_server_create(rpc, &(SkyServerOptions){.listen = address}, &late));
  ck_assert_ptr_null(sky_server_add(late, echo_service_binding(&service)));
  ck_assert_ptr_null(sky_server_start(late));
}

static int64_t now_ms(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) / SKY_NS_PER_MS;
}

static void call_async(const SkyContext *context, Outcome *outcome) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  sky_client_call_async(client, &echo_methods[ECHO_INLINE], context, &request.base, call_done, outcome);
}

/* The channel has tried and failed, and waits for its next try. */
static void let_connecting_fail(void) {
  SkyCallOptions impatient = {.connect_wait_ms = -1};
  SkyContext context = sky_context_background();
  context.call_options = &impatient;
  assert_code(call_method(ECHO_INLINE, &context, "", NULL), SKY_CODE_UNAVAILABLE);
}

START_TEST(a_call_waits_for_a_server_that_comes) {
  Outcome outcome = {0};
  create_client(20000);
  let_connecting_fail();
  call_async(NULL, &outcome);
  create_late_server();
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_OK);
}
END_TEST

START_TEST(a_stream_waits_for_a_server_that_comes) {
  Outcome outcome = {0};
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = NULL;
  const SkyClientStreamHandler handler = {.on_done = stream_done, .user = &outcome};
  create_client(20000);
  let_connecting_fail();
  ck_assert_ptr_null(sky_client_stream_open(client, &echo_methods[ECHO_COUNT], NULL, &request.base, handler, &stream));
  create_late_server();
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_OK);
  sky_client_stream_unref(stream);
}
END_TEST

START_TEST(a_call_waits_no_longer_than_it_may) {
  create_client(150);
  let_connecting_fail();
  const int64_t begun_ms = now_ms();
  SkyStatus status = call_method(ECHO_INLINE, NULL, "", NULL);
  ck_assert_int_ge(now_ms() - begun_ms, 149);
  ck_assert_int_lt(now_ms() - begun_ms, 10000); /* its deadline is at 20 s */
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), address));
  assert_code(status, SKY_CODE_UNAVAILABLE);
}
END_TEST

START_TEST(the_deadline_ends_the_waiting_too) {
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 80);
  create_client(SKY_WAIT_UNTIL_DEADLINE);
  assert_code(call_method(ECHO_INLINE, &context, "", NULL), SKY_CODE_DEADLINE_EXCEEDED);
}
END_TEST

START_TEST(a_call_may_be_more_patient_than_its_client) {
  Outcome impatient = {0}, patient = {0};
  const SkyCallOptions options = {.connect_wait_ms = SKY_WAIT_UNTIL_DEADLINE};
  SkyContext context = sky_context_background();
  context.call_options = &options;
  create_client(-1);
  let_connecting_fail();
  call_async(&context, &patient);
  call_async(NULL, &impatient);
  SKY_CHECK_EVENTUALLY(is_done(&impatient));
  ck_assert_int_eq(impatient.code, SKY_CODE_UNAVAILABLE);
  ck_assert(!is_done(&patient));
  create_late_server();
  SKY_CHECK_EVENTUALLY(is_done(&patient));
  ck_assert_int_eq(patient.code, SKY_CODE_OK);
}
END_TEST

START_TEST(an_open_call_does_not_end_because_the_connection_was_waited_for) {
  Outcome outcome = {0};
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  create_client(1500);
  create_late_server();
  sky_client_call_async(client, &echo_methods[ECHO_DEFER], NULL, &request.base, call_done, &outcome);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  const int64_t begun_ms = now_ms();
  SKY_CHECK_EVENTUALLY(now_ms() - begun_ms > 1600);
  ck_assert(!is_done(&outcome));
  sky_call_finish(echo_service_take_any(&service), SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_OK);
}
END_TEST

/* ---- connections that end while calls are made ---- */

enum { FRAME_HEADER = 9, FRAME_DATA = 0, FLAG_END_STREAM = 1 };

static bool receive_all(int fd, uint8_t *bytes, size_t size) {
  return recv(fd, bytes, size, MSG_WAITALL) == (ssize_t)size;
}

static void await_whole_request(int fd) {
  uint8_t frame[FRAME_HEADER], payload[1 << 16];
  ck_assert(receive_all(fd, payload, strlen("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
  do {
    ck_assert(receive_all(fd, frame, sizeof(frame)));
    const size_t size = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
    ck_assert_uint_le(size, sizeof(payload));
    ck_assert(size == 0 || receive_all(fd, payload, size));
  } while (frame[3] != FRAME_DATA || (frame[4] & FLAG_END_STREAM) == 0);
}

/* Takes one connection and one call, says that it has not seen it, and is gone. */
static void *refuse_and_go(void *user) {
  static const uint8_t settings[FRAME_HEADER] = {[3] = 4}, goaway[FRAME_HEADER + 8] = {[2] = 8, [3] = 7};
  const int listener = *(const int *)user, fd = accept(listener, NULL, NULL);
  ck_assert_int_eq(send(fd, settings, sizeof(settings), MSG_NOSIGNAL), sizeof(settings));
  await_whole_request(fd);
  close(listener);
  ck_assert_int_eq(send(fd, goaway, sizeof(goaway), MSG_NOSIGNAL), sizeof(goaway));
  close(fd);
  return NULL;
}

static pthread_t start_refusing(int *ret_listener) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof(at);
  pthread_t thread;
  *ret_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(bind(*ret_listener, (const struct sockaddr *)&at, sizeof(at)), 0);
  ck_assert_int_eq(listen(*ret_listener, 1), 0);
  ck_assert_int_eq(getsockname(*ret_listener, (struct sockaddr *)&at, &size), 0);
  snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(at.sin_port));
  ck_assert_int_eq(pthread_create(&thread, NULL, refuse_and_go, ret_listener), 0);
  return thread;
}

/* Connected, for its calls do not wait long for that. */
static void create_client_that_lets_drain(int64_t drain_wait_ms) {
  const SkyClientOptions options = {.target = address, .connect_wait_ms = 100, .drain_wait_ms = drain_wait_ms};
  ck_assert_ptr_null(sky_client_create(rpc, &options, &client));
  SKY_CHECK_EVENTUALLY(sky_client_is_ready(client));
}

START_TEST(a_call_whose_server_is_gone_does_not_wait_for_its_deadline) {
  int listener;
  const pthread_t thread = start_refusing(&listener);
  create_client_that_lets_drain(700);
  const int64_t begun_ms = now_ms();
  SkyStatus status = call_method(ECHO_INLINE, NULL, "", NULL);
  ck_assert_int_ge(now_ms() - begun_ms, 699);
  ck_assert_int_lt(now_ms() - begun_ms, 10000); /* its deadline is at 20 s */
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), "700 ms"));
  assert_code(status, SKY_CODE_UNAVAILABLE);
  pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_stream_whose_server_is_gone_does_not_wait_for_ever) {
  int listener;
  Outcome outcome = {0};
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  SkyClientStream *stream = NULL;
  const SkyClientStreamHandler handler = {.on_message = ignore_message, .on_done = stream_done, .user = &outcome};
  const pthread_t thread = start_refusing(&listener);
  create_client_that_lets_drain(700);
  ck_assert_ptr_null(sky_client_stream_open(client, &echo_methods[ECHO_CHAT], NULL, NULL, handler, &stream));
  ck_assert_ptr_null(sky_client_stream_write(stream, &message.base));
  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_UNAVAILABLE);
  sky_client_stream_unref(stream);
  pthread_join(thread, NULL);
}
END_TEST

static void *drain_late(void *unused) {
  sky_server_drain(late, 20000);
  return NULL;
}

START_TEST(a_call_with_a_server_that_drains_is_not_given_up) {
  Outcome outcome = {0};
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  pthread_t thread;
  create_late_server();
  create_client_that_lets_drain(20000);
  sky_client_call_async(client, &echo_methods[ECHO_DEFER], NULL, &request.base, call_done, &outcome);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 1);
  pthread_create(&thread, NULL, drain_late, NULL);
  SKY_CHECK_EVENTUALLY(!sky_client_is_ready(client)); /* it has been told, and there is no other server */
  const int64_t begun_ms = now_ms();
  SKY_CHECK_EVENTUALLY(now_ms() - begun_ms > 400);
  ck_assert(!is_done(&outcome));
  sky_call_finish(echo_service_take_any(&service), SKY_OK);
  SKY_CHECK_EVENTUALLY(is_done(&outcome));
  ck_assert_int_eq(outcome.code, SKY_CODE_OK);
  pthread_join(thread, NULL);
}
END_TEST

/* For some ages of a connection, and on a busy machine until some calls were made. */
static void *call_until(void *user) {
  const int64_t *end_ms = user;
  SkyArena own;
  size_t failures = 0;
  sky_arena_init(&own, 1 << 20);
  while (now_ms() < *end_ms || sky_server_stats(late).succeeded <= 20) {
    Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
    ProtobufCMessage *response = NULL;
    SkyStatus status = sky_client_call(client, &echo_methods[ECHO_WORKER], NULL, &request.base, &own, &response);
    failures += status != SKY_OK;
    sky_status_free(status);
    sky_arena_reset(&own);
  }
  sky_arena_finish(&own);
  return (void *)failures;
}

START_TEST(connections_that_end_by_their_age_lose_no_call) {
  pthread_t threads[4];
  int64_t end_ms = now_ms() + 1500;
  ck_assert_ptr_null(
      sky_server_create(rpc, &(SkyServerOptions){.listen = address, .max_connection_age_ms = 50}, &late));
  ck_assert_ptr_null(sky_server_add(late, echo_service_binding(&service)));
  ck_assert_ptr_null(sky_server_start(late));
  create_client(20000);
  for (int i = 0; i < 4; i++)
    pthread_create(&threads[i], NULL, call_until, &end_ms);
  for (int i = 0; i < 4; i++) {
    void *failures = NULL;
    pthread_join(threads[i], &failures);
    ck_assert_ptr_null(failures);
  }
}
END_TEST

START_TEST(a_client_is_destroyed_while_calls_wait) {
  Outcome outcomes[3] = {0};
  create_client(SKY_WAIT_UNTIL_DEADLINE);
  for (int i = 0; i < 3; i++)
    call_async(NULL, &outcomes[i]);
  sky_client_destroy(client);
  client = NULL;
  for (int i = 0; i < 3; i++) {
    ck_assert(is_done(&outcomes[i]));
    ck_assert_int_eq(outcomes[i].code, SKY_CODE_CANCELLED);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/connect", setup_without_server, teardown_all, a_call_waits_for_a_server_that_comes,
                    a_stream_waits_for_a_server_that_comes, a_call_waits_no_longer_than_it_may,
                    the_deadline_ends_the_waiting_too, a_call_may_be_more_patient_than_its_client,
                    an_open_call_does_not_end_because_the_connection_was_waited_for,
                    a_call_whose_server_is_gone_does_not_wait_for_its_deadline,
                    a_stream_whose_server_is_gone_does_not_wait_for_ever,
                    a_call_with_a_server_that_drains_is_not_given_up, connections_that_end_by_their_age_lose_no_call,
                    a_client_is_destroyed_while_calls_wait)
