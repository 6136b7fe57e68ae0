/* Limits: each is gone beyond once, and the status is the right one. */
#include "fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sky/core/time.h>

START_TEST(a_server_sends_no_larger_message_than_it_may) {
  start_server(NULL, (SkyServerOptions){.max_response_bytes = 10000});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(call_with_payload(9000));
  assert_code(call_with_payload(11000), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_ptr_null(call_with_payload(9000));
  ck_assert_uint_eq(echo_service_handled(&service), 3);
  teardown();
}
END_TEST

START_TEST(a_client_sends_no_larger_message_than_it_may) {
  start_server(NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){.max_request_bytes = 10000});
  ck_assert_ptr_null(call_with_payload(9000));
  assert_code(call_with_payload(11000), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(echo_service_handled(&service), 1);
  teardown();
}
END_TEST

static SkyStatus add_metadata(void *self, SkyClientCall *call) {
  const char *text = self;
  return sky_client_call_add_metadata(call, "x-ascii", sky_str(text));
}

static void with_metadata(size_t size, SkyServerOptions server_options, SkyClientOptions client_options) {
  static char text[8000];
  memset(text, 'x', size);
  text[size] = '\0';
  start_server(NULL, server_options);
  start_client(client_options);
  ck_assert_ptr_null(sky_client_intercept(client, (SkyClientInterceptor){.begin = add_metadata, .self = text}));
}

START_TEST(metadata_is_bounded_in_the_server) {
  with_metadata(500, (SkyServerOptions){.max_metadata_bytes = 2000}, (SkyClientOptions){0});
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL));
  teardown();
  with_metadata(3000, (SkyServerOptions){.max_metadata_bytes = 2000}, (SkyClientOptions){0});
  assert_code(call_method(ECHO_INLINE, NULL, "x", NULL), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(echo_service_handled(&service), 0);
  teardown();
}
END_TEST

START_TEST(metadata_is_bounded_in_the_client) {
  with_metadata(3000, (SkyServerOptions){0}, (SkyClientOptions){.max_metadata_bytes = 2000});
  assert_code(call_method(ECHO_INLINE, NULL, "x", NULL), SKY_CODE_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(echo_service_handled(&service), 1); /* it sends the metadata back */
  teardown();
}
END_TEST

/* A message with as many in each other as levels says. */
static SkyStatus call_nested(EchoMethod method, size_t levels) {
  enum { MOST = 10 };
  Sky__Test__V1__Echo messages[MOST], *children[MOST];
  ProtobufCMessage *response = NULL;
  for (size_t i = 0; i < levels; i++) {
    sky__test__v1__echo__init(&messages[i]);
    children[i] = &messages[i];
    if (i == 0)
      continue;
    messages[i].children = &children[i - 1];
    messages[i].n_children = 1;
  }
  return sky_client_call(client, &echo_methods[method], NULL, &messages[levels - 1].base, &arena, &response);
}

START_TEST(nesting_is_bounded) {
  start_server(NULL, (SkyServerOptions){.max_message_depth = 3});
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(call_nested(ECHO_INLINE, 3));
  assert_code(call_nested(ECHO_INLINE, 4), SKY_CODE_INVALID_ARGUMENT);
  assert_code(call_nested(ECHO_WORKER, 4), SKY_CODE_INVALID_ARGUMENT);
  teardown();
}
END_TEST

static void start_deferred(Outcome *outcome, int64_t timeout_ms) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, timeout_ms);
  *outcome = (Outcome){0};
  sky_client_call_async(client, &echo_methods[ECHO_DEFER], &context, &request.base, call_done, outcome);
}

START_TEST(a_connection_has_no_more_streams_than_it_may) {
  Outcome first, second, third;
  start_server(NULL, (SkyServerOptions){.max_streams_per_connection = 2});
  start_client((SkyClientOptions){0});
  start_deferred(&first, 20000);
  start_deferred(&second, 20000);
  SKY_CHECK_EVENTUALLY(echo_service_deferred(&service) == 2);
  start_deferred(&third, 200);
  SKY_CHECK_EVENTUALLY(is_done(&third));
  ck_assert_int_eq(third.code, SKY_CODE_DEADLINE_EXCEEDED); /* it waited in the client for a place */
  ck_assert_uint_eq(echo_service_deferred(&service), 2);
  start_deferred(&third, 20000);
  sky_call_finish(echo_service_take_any(&service), SKY_OK);
  SKY_CHECK_EVENTUALLY(sky_server_stats(server).started == 3); /* which it has now */
  for (SkyCall *call; (call = echo_service_take_any(&service)) != NULL || !is_done(&third);) {
    if (call != NULL)
      sky_call_finish(call, SKY_OK);
  }
  SKY_CHECK_EVENTUALLY(is_done(&first) && is_done(&second));
  ck_assert_int_eq(first.code, SKY_CODE_OK);
  ck_assert_int_eq(third.code, SKY_CODE_OK);
  teardown();
}
END_TEST

static int dial(void) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((in_port_t)sky_server_port(server)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
  return fd;
}

/* Reads until the other side closes; how long that took. */
static int64_t time_until_closed_ms(int fd) {
  const SkyClock *clock = sky_clock_system_borrow();
  const int64_t begun = sky_clock_monotonic_ns(clock);
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  char bytes[256];
  while (poll(&polled, 1, 20000) == 1 && recv(fd, bytes, sizeof(bytes), 0) > 0)
    continue;
  close(fd);
  return (sky_clock_monotonic_ns(clock) - begun) / SKY_NS_PER_MS;
}

START_TEST(who_does_not_shake_hands_is_cut_off) {
  start_server(NULL, (SkyServerOptions){.handshake_timeout_ms = 300});
  start_client((SkyClientOptions){0});
  const int64_t took_ms = time_until_closed_ms(dial());
  ck_assert_msg(took_ms >= 250 && took_ms < 8000, "%d ms", (int)took_ms);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL)); /* others stay */
  teardown();
}
END_TEST

/* The code of one call on a connection of its own. */
static SkyCode call_on_new_connection(void) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  SkyClient *other = NULL;
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 5000);
  ck_assert_ptr_null(sky_client_create(rpc, &(SkyClientOptions){.target = address, .service_name = "other"}, &other));
  SkyStatus status = sky_client_call(other, &echo_methods[ECHO_INLINE], &context, &request.base, &arena, &response);
  const SkyCode code = sky_status_code(status);
  sky_status_free(status);
  sky_client_destroy(other);
  return code;
}

START_TEST(a_server_has_no_more_connections_than_it_may) {
  enum { OTHERS = 80 /* more than the table has at first */ };
  int fds[OTHERS];
  start_server(NULL, (SkyServerOptions){.max_connections = OTHERS + 1});
  start_client((SkyClientOptions){0});
  for (int i = 0; i < OTHERS; i++) {
    struct pollfd polled = {.fd = fds[i] = dial(), .events = POLLIN};
    char byte;
    ck_assert_int_eq(poll(&polled, 1, 20000), 1);
    ck_assert_int_eq(recv(fds[i], &byte, 1, 0), 1); /* it speaks first */
  }
  ck_assert_int_eq(call_on_new_connection(), SKY_CODE_UNAVAILABLE);
  ck_assert_int_lt(time_until_closed_ms(dial()), 5000);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL)); /* who is in stays in */
  ck_assert_ptr_null(sky_server_probe(server, 5000));            /* full is not dead */
  close(fds[0]);
  SKY_CHECK_EVENTUALLY(call_on_new_connection() == SKY_CODE_OK);
  for (int i = 1; i < OTHERS; i++)
    close(fds[i]);
  teardown();
}
END_TEST

START_TEST(a_server_knows_whether_it_answers) {
  start_server(NULL, (SkyServerOptions){0});
  ck_assert_ptr_null(sky_server_probe(server, 5000)); /* not started yet */
  start_client((SkyClientOptions){0});
  ck_assert_ptr_null(sky_server_probe(server, 5000));
  sky_server_drain(server, 1000);
  ck_assert_ptr_null(sky_server_probe(server, 5000));
  teardown();
}
END_TEST

SKY_CHECK_MAIN("rpc/limits", a_server_sends_no_larger_message_than_it_may, a_client_sends_no_larger_message_than_it_may,
               metadata_is_bounded_in_the_server, metadata_is_bounded_in_the_client, nesting_is_bounded,
               a_connection_has_no_more_streams_than_it_may, who_does_not_shake_hands_is_cut_off,
               a_server_has_no_more_connections_than_it_may, a_server_knows_whether_it_answers)
