#include <sky/telemetry/admin.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sky/core/time.h>

#include "sky_check.h"

static SkyAdmin *admin;
static char answer_text[8192];

static int hello(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  *content_type = "text/x-test";
  sky_buf_printf(body, "%s query=%.*s accept=%.*s", (const char *)self, SKY_STR_ARGS(request->query),
                 SKY_STR_ARGS(request->accept));
  return 200;
}

static int busy(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  (void)self, (void)request, (void)content_type;
  sky_buf_append_text(body, "not yet");
  return 503;
}

static void must(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
}

static void setup(void) {
  must(sky_admin_create("127.0.0.1:0", &admin));
  must(sky_admin_add(admin, "/hello", hello, "hello"));
  must(sky_admin_add(admin, "/busy", busy, NULL));
  must(sky_admin_start(admin));
}

static void teardown(void) {
  sky_admin_destroy(admin);
}

static int dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((in_port_t)sky_admin_port(admin)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
  return fd;
}

static const char *receive(int fd) {
  size_t size = 0;
  for (ssize_t part;
       size < sizeof(answer_text) - 1 && (part = recv(fd, answer_text + size, sizeof(answer_text) - 1 - size, 0)) > 0;)
    size += (size_t)part;
  answer_text[size] = '\0';
  close(fd);
  return answer_text;
}

static const char *ask(const char *request) {
  int fd = dial();
  ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
  return receive(fd);
}

START_TEST(a_path_is_answered_by_its_handler) {
  ck_assert_str_eq(ask("GET /hello?a=b HTTP/1.1\r\nHost: x\r\naccept:text/html\r\n\r\n"),
                   "HTTP/1.1 200 OK\r\nContent-Type: text/x-test\r\nContent-Length: 32\r\nConnection: close\r\n\r\n"
                   "hello query=a=b accept=text/html");
}
END_TEST

START_TEST(other_answers_have_their_status) {
  ck_assert_ptr_nonnull(strstr(ask("GET /busy HTTP/1.1\r\n\r\n"), "HTTP/1.1 503 Service Unavailable\r\n"));
  ck_assert_ptr_nonnull(strstr(ask("GET /nowhere HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found\r\n"));
  ck_assert_ptr_nonnull(strstr(ask("POST /hello HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed\r\n"));
}
END_TEST

START_TEST(head_has_no_body) {
  const char *text = ask("HEAD /busy HTTP/1.1\r\n\r\n");
  ck_assert_ptr_nonnull(strstr(text, "Content-Length: 7\r\n"));
  ck_assert_ptr_null(strstr(text, "not yet"));
}
END_TEST

START_TEST(a_request_without_end_is_cut_off) {
  char large[9000];
  memset(large, 'x', sizeof(large) - 1);
  large[sizeof(large) - 1] = '\0';
  ck_assert_str_eq(ask(large), "");
  ck_assert_ptr_nonnull(strstr(ask("GET /hello HTTP/1.1\r\n\r\n"), "200 OK"));
}
END_TEST

START_TEST(a_silent_client_holds_up_others_no_longer_than_two_seconds) {
  int64_t begun = sky_clock_monotonic_ns(sky_clock_system_borrow());
  int silent = dial();
  int dripping = dial();
  ck_assert_int_eq(send(dripping, "GET", 3, MSG_NOSIGNAL), 3);
  ck_assert_ptr_nonnull(strstr(ask("GET /hello HTTP/1.1\r\n\r\n"), "200 OK"));
  ck_assert_int_lt(sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun, 6 * SKY_NS_PER_S);
  close(silent);
  close(dripping);
}
END_TEST

START_TEST(a_port_in_use_is_named) {
  char listen[32];
  snprintf(listen, sizeof(listen), "127.0.0.1:%d", sky_admin_port(admin));
  SkyAdmin *second = NULL;
  SkyStatus status = sky_admin_create(listen, &second);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_UNAVAILABLE);
  ck_assert_ptr_nonnull(strstr(sky_status_message(status), listen));
  sky_status_free(status);
}
END_TEST

START_TEST(addresses_that_are_none_are_refused) {
  static const char *const wrong[] = {"", "127.0.0.1", "127.0.0.1:http x", "no.such.host.invalid:1"};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    SkyAdmin *none = NULL;
    SkyStatus status = sky_admin_create(wrong[i], &none);
    ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
    sky_status_free(status);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("telemetry/admin", setup, teardown, a_path_is_answered_by_its_handler,
                    other_answers_have_their_status, head_has_no_body, a_request_without_end_is_cut_off,
                    a_silent_client_holds_up_others_no_longer_than_two_seconds, a_port_in_use_is_named,
                    addresses_that_are_none_are_refused)
