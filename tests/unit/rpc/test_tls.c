/* TLS: who may talk to whom, what a handler learns of its peer, and certificates that change while calls go on. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sky/core/time.h>
#include <sky/rpc/tls.h>

#include "certificates.h"

static char folder[] = "/tmp/sky-tls-XXXXXX";
static Authority *ours, *foreign;
static SkyTls *server_tls, *client_tls;

#define LOCAL_NAMES "DNS:localhost,IP:127.0.0.1"

static const char *in_folder(const char *name) {
  static char paths[8][64];
  static size_t next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
  return path;
}

static void issue(const Authority *authority, const char *name, CertificateOptions options) {
  char certificate[32], key[32];
  snprintf(certificate, sizeof(certificate), "%s.crt", name);
  snprintf(key, sizeof(key), "%s.key", name);
  authority_issue(authority, &options, in_folder(certificate), in_folder(key));
}

static SkyTls *tls_of(const char *name, const char *ca) {
  char certificate[32] = "", key[32] = "";
  SkyTls *tls = NULL;
  SkyTlsOptions options = {.ca = ca != NULL ? in_folder(ca) : NULL};
  if (name != NULL) {
    snprintf(certificate, sizeof(certificate), "%s.crt", name);
    snprintf(key, sizeof(key), "%s.key", name);
    options.certificate = in_folder(certificate);
    options.key = in_folder(key);
  }
  SkyStatus status = sky_tls_create(&options, &tls);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  return tls;
}

static void setup_files(void) {
  ck_assert_ptr_nonnull(mkdtemp(folder));
  ours = authority_create("ours");
  foreign = authority_create("foreign");
  authority_write(ours, in_folder("ca.crt"));
  authority_write(foreign, in_folder("foreign.crt"));
  issue(ours, "server", (CertificateOptions){.common_name = "server-1", .names = LOCAL_NAMES});
  issue(ours, "client",
        (CertificateOptions){.common_name = "client-1", .names = "DNS:client.test,URI:spiffe://test/client-1"});
}

static void teardown_files(void) {
  if (rpc != NULL)
    teardown();
  sky_tls_unref(server_tls);
  sky_tls_unref(client_tls);
  server_tls = client_tls = NULL;
  authority_destroy(ours);
  authority_destroy(foreign);
  static const char *const names[] = {"ca.crt",     "foreign.crt", "server.crt", "server.key", "client.crt",
                                      "client.key", "stray.crt",   "stray.key",  "junk.pem"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    unlink(in_folder(names[i]));
  rmdir(folder);
}

static void start_mutual(SkyServerOptions options) {
  server_tls = tls_of("server", "ca.crt");
  client_tls = tls_of("client", "ca.crt");
  options.tls = server_tls;
  start_server(NULL, options);
  start_client((SkyClientOptions){.tls = client_tls});
}

enum { CONNECT_WAIT_MS = 20000 }; /* a handshake may take long on a busy machine */

/* The text that the handler of "who" answers a new client of this kind; the code's name when there is none. */
static const char *who(SkyClientOptions options) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  SkyClient *other = NULL;
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 2 * CONNECT_WAIT_MS);
  char target[64];
  snprintf(target, sizeof(target), "127.0.0.1:%d", sky_server_port(server));
  request.text = (char *)"who";
  options.target = options.target != NULL ? options.target : target;
  options.connect_wait_ms = options.connect_wait_ms != 0 ? options.connect_wait_ms : CONNECT_WAIT_MS;
  ck_assert_ptr_null(sky_client_create(rpc, &options, &other));
  SkyStatus status = sky_client_call(other, &echo_methods[ECHO_INLINE], &context, &request.base, &arena, &response);
  echo_service_synchronize(&service);
  const char *answer = status == SKY_OK ? ((const Sky__Test__V1__Echo *)(const void *)response)->text
                                        : sky_code_name(sky_status_code(status));
  sky_status_free(status);
  sky_client_destroy(other);
  return answer;
}

static void expect_refused(SkyClientOptions options) {
  options.connect_wait_ms = 500;
  ck_assert_str_eq(who(options), "UNAVAILABLE");
}

START_TEST(a_client_checks_the_server_and_stays_unknown_to_it) {
  server_tls = tls_of("server", NULL);
  client_tls = tls_of(NULL, "ca.crt");
  start_server(NULL, (SkyServerOptions){.tls = server_tls});
  start_client((SkyClientOptions){.tls = client_tls});
  Sky__Test__V1__Echo *response = NULL;
  ck_assert_ptr_null(call_method(ECHO_WORKER, NULL, "who", &response));
  ck_assert_str_eq(response->text, "nobody");
  ck_assert_ptr_null(service.context.principal);
}
END_TEST

/* Whom the last call was made for, as its handler saw it. */
static void expect_principal(const char *subject, const char *owner) {
  char seen_subject[64], seen_owner[64];
  pthread_mutex_lock(&service.lock);
  snprintf(seen_subject, sizeof(seen_subject), "%s", service.subject);
  snprintf(seen_owner, sizeof(seen_owner), "%s", service.owner);
  pthread_mutex_unlock(&service.lock);
  ck_assert_str_eq(seen_subject, subject);
  ck_assert_str_eq(seen_owner, owner);
}

START_TEST(with_mutual_tls_the_handler_knows_its_peer) {
  start_mutual((SkyServerOptions){0});
  Sky__Test__V1__Echo *response = NULL;
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "who", &response));
  ck_assert_str_eq(response->text, "spiffe://test/client-1|spiffe://test/client-1|client.test|client-1");
  expect_principal("spiffe://test/client-1", ""); /* it calls for itself */

  const SkyPrincipal principal = {.subject = "ada", .owner_id = "shop", .scopes = ""};
  SkyContext context = sky_context_background();
  context.principal = &principal;
  ck_assert_ptr_null(call_method(ECHO_INLINE, &context, "who", &response));
  ck_assert_ptr_nonnull(strstr(response->text, "client-1"));
  expect_principal("ada", "shop"); /* it calls for somebody */
}
END_TEST

START_TEST(who_has_no_uri_is_known_by_dns_name_or_common_name) {
  start_mutual((SkyServerOptions){0});
  issue(ours, "stray", (CertificateOptions){.common_name = "cn", .names = "DNS:a.test,DNS:b.test"});
  SkyTls *tls = tls_of("stray", "ca.crt");
  ck_assert_str_eq(who((SkyClientOptions){.tls = tls}), "a.test||a.test|cn");
  sky_tls_unref(tls);
  issue(ours, "stray", (CertificateOptions){.common_name = "cn"});
  tls = tls_of("stray", "ca.crt");
  ck_assert_str_eq(who((SkyClientOptions){.tls = tls}), "cn|||cn");
  sky_tls_unref(tls);
}
END_TEST

START_TEST(strangers_are_refused) {
  start_mutual((SkyServerOptions){0});
  issue(foreign, "stray", (CertificateOptions){.common_name = "stray", .names = "URI:spiffe://test/client-1"});
  SkyTls *of_foreign = tls_of("stray", "ca.crt"), *nameless = tls_of(NULL, "ca.crt");
  SkyTls *distrusting = tls_of("client", "foreign.crt");
  expect_refused((SkyClientOptions){.tls = of_foreign});
  expect_refused((SkyClientOptions){.tls = nameless});
  expect_refused((SkyClientOptions){.tls = distrusting});
  expect_refused((SkyClientOptions){0}); /* plain text */
  ck_assert_uint_eq(echo_service_handled(&service), 0);
  sky_tls_unref(of_foreign);
  sky_tls_unref(nameless);
  sky_tls_unref(distrusting);
}
END_TEST

START_TEST(the_certificate_must_name_the_host_that_is_called) {
  start_mutual((SkyServerOptions){0});
  ck_assert_ptr_nonnull(strstr(who((SkyClientOptions){.tls = client_tls, .tls_server_name = "localhost"}), "client-1"));
  expect_refused((SkyClientOptions){.tls = client_tls, .tls_server_name = "elsewhere"});
}
END_TEST

/* --- files --- */

static void expect_error(SkyTlsOptions options, SkyCode code, const char *part) {
  SkyTls *tls = NULL;
  SkyStatus status = sky_tls_create(&options, &tls);
  ck_assert_msg(status != SKY_OK && strstr(sky_status_message(status), part) != NULL, "no \"%s\" in \"%s\"", part,
                sky_status_message(status));
  assert_code(status, code);
}

START_TEST(what_is_wrong_with_files_is_said_with_their_names) {
  const char *certificate = in_folder("server.crt"), *key = in_folder("server.key"), *junk = in_folder("junk.pem");
  FILE *file = fopen(junk, "w");
  fputs("-----BEGIN CERTIFICATE-----\njunk\n", file);
  fclose(file);
  expect_error((SkyTlsOptions){.certificate = "/no/such.crt", .key = key}, SKY_CODE_INVALID_ARGUMENT, "/no/such.crt");
  expect_error((SkyTlsOptions){.certificate = certificate, .key = "/no/such.key"}, SKY_CODE_INVALID_ARGUMENT,
               "/no/such.key");
  expect_error((SkyTlsOptions){.ca = "/no/such.ca"}, SKY_CODE_INVALID_ARGUMENT, "/no/such.ca");
  expect_error((SkyTlsOptions){.certificate = certificate}, SKY_CODE_INVALID_ARGUMENT, "belong together");
  expect_error((SkyTlsOptions){0}, SKY_CODE_INVALID_ARGUMENT, "neither");
  expect_error((SkyTlsOptions){.certificate = certificate, .key = in_folder("client.key")}, SKY_CODE_INVALID_ARGUMENT,
               "is not the one of the certificate");
  expect_error((SkyTlsOptions){.certificate = junk, .key = key}, SKY_CODE_INVALID_ARGUMENT, "junk.pem");
  expect_error((SkyTlsOptions){.certificate = certificate, .key = junk}, SKY_CODE_INVALID_ARGUMENT, "junk.pem");
  expect_error((SkyTlsOptions){.ca = junk}, SKY_CODE_INVALID_ARGUMENT, "junk.pem");
  expect_error((SkyTlsOptions){.ca = folder}, SKY_CODE_INVALID_ARGUMENT, "cannot read");
}
END_TEST

START_TEST(dates_are_checked) {
  issue(ours, "stray", (CertificateOptions){.common_name = "x", .valid_from_s = -7200, .valid_until_s = -60});
  const SkyTlsOptions options = {.certificate = in_folder("stray.crt"), .key = in_folder("stray.key")};
  expect_error(options, SKY_CODE_FAILED_PRECONDITION, "expired at 2");
  issue(ours, "stray", (CertificateOptions){.common_name = "x", .valid_from_s = 600});
  expect_error(options, SKY_CODE_FAILED_PRECONDITION, "not valid before");
}
END_TEST

START_TEST(each_side_needs_its_files) {
  SkyTls *only_ca = tls_of(NULL, "ca.crt"), *only_own = tls_of("server", NULL);
  start_server(NULL, (SkyServerOptions){.tls = only_ca});
  assert_code(sky_server_start(server), SKY_CODE_INVALID_ARGUMENT);
  assert_code(sky_client_create(rpc, &(SkyClientOptions){.target = "127.0.0.1:1", .tls = only_own}, &client),
              SKY_CODE_INVALID_ARGUMENT);
  sky_tls_unref(only_ca);
  sky_tls_unref(only_own);
}
END_TEST

/* --- change --- */

typedef struct Chat {
  pthread_mutex_t lock;
  int answers;
  bool done;
} Chat;

static void keep_answer(void *user, SkyClientStream *stream, const ProtobufCMessage *message) {
  Chat *chat = user;
  pthread_mutex_lock(&chat->lock);
  chat->answers++;
  pthread_mutex_unlock(&chat->lock);
}

static void chat_done(void *user, SkyStatus status) {
  Chat *chat = user;
  pthread_mutex_lock(&chat->lock);
  chat->done = true;
  ck_assert_ptr_null(status);
  pthread_mutex_unlock(&chat->lock);
}

static int answers(Chat *chat) {
  pthread_mutex_lock(&chat->lock);
  const int count = chat->answers + (chat->done ? 100 : 0);
  pthread_mutex_unlock(&chat->lock);
  return count;
}

static void say(SkyClientStream *stream, Chat *chat) {
  Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
  const int before = answers(chat);
  ck_assert_ptr_null(sky_client_stream_write(stream, &message.base));
  SKY_CHECK_EVENTUALLY(answers(chat) == before + 1);
}

START_TEST(new_connections_get_the_new_certificate_while_old_calls_go_on) {
  Chat chat = {.lock = PTHREAD_MUTEX_INITIALIZER};
  SkyClientStream *stream = NULL;
  const SkyClientStreamHandler handler = {.on_message = keep_answer, .on_done = chat_done, .user = &chat};
  start_mutual((SkyServerOptions){0});
  ck_assert_ptr_null(sky_client_stream_open(client, &echo_methods[ECHO_CHAT], NULL, NULL, handler, &stream));
  say(stream, &chat);

  /* From now on the server shows a certificate of the other authority. */
  issue(foreign, "server", (CertificateOptions){.common_name = "server-2", .names = LOCAL_NAMES});
  SkyTls *new_trust = tls_of("client", "foreign.crt"), *old_trust = tls_of("client", "ca.crt");
  ck_assert_ptr_nonnull(strstr(who((SkyClientOptions){.tls = new_trust}), "client-1"));
  expect_refused((SkyClientOptions){.tls = old_trust});
  ck_assert_uint_eq(sky_tls_state(server_tls).reloads, 1);
  say(stream, &chat);
  ck_assert_ptr_null(call_method(ECHO_INLINE, NULL, "x", NULL)); /* on the old connection */

  sky_client_stream_close_send(stream);
  SKY_CHECK_EVENTUALLY(answers(&chat) == 102);
  sky_client_stream_unref(stream);
  sky_tls_unref(new_trust);
  sky_tls_unref(old_trust);
}
END_TEST

START_TEST(a_server_goes_on_with_its_old_files_until_the_new_ones_fit) {
  start_mutual((SkyServerOptions){0});
  issue(ours, "stray", (CertificateOptions){.common_name = "half", .names = LOCAL_NAMES});
  ck_assert_int_eq(rename(in_folder("stray.crt"), in_folder("server.crt")), 0);
  SKY_CHECK_EVENTUALLY(sky_tls_state(server_tls).failures == 1);
  ck_assert_ptr_nonnull(strstr(sky_tls_state(server_tls).error, "is not the one of the certificate"));
  ck_assert_ptr_nonnull(strstr(who((SkyClientOptions){.tls = client_tls}), "client-1"));
  unlink(in_folder("server.key"));
  SKY_CHECK_EVENTUALLY(sky_tls_state(server_tls).failures == 2);
  ck_assert_ptr_nonnull(strstr(sky_tls_state(server_tls).error, "server.key"));
  ck_assert_ptr_nonnull(strstr(who((SkyClientOptions){.tls = client_tls}), "client-1"));
  ck_assert_int_eq(rename(in_folder("stray.key"), in_folder("server.key")), 0);
  SKY_CHECK_EVENTUALLY(sky_tls_state(server_tls).reloads == 1);
  ck_assert_str_eq(sky_tls_state(server_tls).error, "");
  ck_assert_int_gt(sky_tls_state(server_tls).expires_unix_s,
                   sky_clock_wall_ms(sky_clock_system_borrow()) / SKY_MS_PER_S);
}
END_TEST

START_TEST(a_certificate_that_comes_too_early_is_taken_when_its_time_has_come) {
  SkyManualClock clock;
  SkyTls *tls = NULL;
  sky_manual_clock_init(&clock, sky_clock_wall_ms(sky_clock_system_borrow()));
  const SkyTlsOptions options = {
      .certificate = in_folder("stray.crt"), .key = in_folder("stray.key"), .clock = &clock.clock};
  issue(ours, "stray", (CertificateOptions){.common_name = "first"});
  ck_assert_ptr_null(sky_tls_create(&options, &tls));
  issue(ours, "stray", (CertificateOptions){.common_name = "second", .valid_from_s = 60, .valid_until_s = 7200});
  for (int s = 0; s < 3; s++) {
    sky_manual_clock_advance_ms(&clock, 1000);
    ck_assert_uint_eq(sky_tls_state(tls).failures, 1); /* one change of the files, however often they are tried */
    ck_assert_uint_eq(sky_tls_state(tls).reloads, 0);
  }
  sky_manual_clock_advance_ms(&clock, 100000);
  ck_assert_uint_eq(sky_tls_state(tls).reloads, 1);
  ck_assert_str_eq(sky_tls_state(tls).error, "");
  sky_manual_clock_advance_ms(&clock, 2000); /* taken once */
  ck_assert_uint_eq(sky_tls_state(tls).reloads, 1);
  sky_tls_unref(tls);
}
END_TEST

static void append_file(const char *to, const char *from) {
  FILE *source = fopen(from, "r"), *target = fopen(to, "a");
  ck_assert(source != NULL && target != NULL);
  for (int character; (character = fgetc(source)) != EOF;)
    fputc(character, target);
  fclose(source);
  fclose(target);
}

START_TEST(of_several_authorities_one_must_be_valid_and_all_readable) {
  const char *bundle = in_folder("junk.pem");
  issue(ours, "stray", (CertificateOptions){.common_name = "old", .valid_from_s = -7200, .valid_until_s = -60});
  append_file(bundle, in_folder("stray.crt"));
  expect_error((SkyTlsOptions){.ca = bundle}, SKY_CODE_FAILED_PRECONDITION, "expired at 2");
  append_file(bundle, in_folder("ca.crt"));
  server_tls = tls_of("server", "junk.pem");
  client_tls = tls_of("client", "junk.pem");
  start_server(NULL, (SkyServerOptions){.tls = server_tls});
  start_client((SkyClientOptions){.tls = client_tls});
  FILE *file = fopen(bundle, "a");
  fputs("-----BEGIN CERTIFICATE-----\njunk\n", file);
  fclose(file);
  expect_error((SkyTlsOptions){.ca = bundle}, SKY_CODE_INVALID_ARGUMENT, "junk.pem");
}
END_TEST

/* False also while a client that has read one of its files too early cannot connect. */
static bool is_known_as(const char *name) {
  Sky__Test__V1__Echo *response = NULL;
  SkyStatus status = call_method(ECHO_INLINE, NULL, "who", &response);
  if (sky_status_take(&status, SKY_CODE_UNAVAILABLE))
    return false;
  ck_assert_ptr_null(status);
  return strstr(response->text, name) != NULL;
}

START_TEST(a_client_shows_its_new_certificate_on_its_next_connection) {
  start_mutual((SkyServerOptions){.max_connection_age_ms = 200});
  SKY_CHECK_EVENTUALLY(is_known_as("client-1"));
  issue(ours, "client", (CertificateOptions){.common_name = "client-2"});
  SKY_CHECK_EVENTUALLY(is_known_as("client-2"));
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/tls", setup_files, teardown_files, a_client_checks_the_server_and_stays_unknown_to_it,
                    with_mutual_tls_the_handler_knows_its_peer, who_has_no_uri_is_known_by_dns_name_or_common_name,
                    strangers_are_refused, the_certificate_must_name_the_host_that_is_called,
                    what_is_wrong_with_files_is_said_with_their_names, dates_are_checked, each_side_needs_its_files,
                    new_connections_get_the_new_certificate_while_old_calls_go_on,
                    a_server_goes_on_with_its_old_files_until_the_new_ones_fit,
                    a_certificate_that_comes_too_early_is_taken_when_its_time_has_come,
                    of_several_authorities_one_must_be_valid_and_all_readable,
                    a_client_shows_its_new_certificate_on_its_next_connection)
