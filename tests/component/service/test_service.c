/* A service as its operators see it: a process with settings, probes, metrics, logs and an orderly end. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sky/core/time.h>
#include <sky/rpc/client.h>

#include "certificates.h"
#include "greeter.rpc.h"
#include "nats_server.h"
#include "process.h"
#include "sky_check.h"

static NatsServer nats;
static Process greeter;
static SkyRpc *rpc;
static SkyClient *client;
static SkyArena arena;

static void must(SkyStatus status) {
  ck_assert_msg(status == SKY_OK, "%s: %s", sky_code_name(sky_status_code(status)), sky_status_message(status));
}

static int64_t now_ms(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) / SKY_NS_PER_MS;
}

static void setup(void) {
  nats_server_init(&nats);
  process_init(&greeter);
  sky_arena_init(&arena, 1 << 20);
}

static void teardown(void) {
  sky_client_destroy(client);
  sky_rpc_destroy(rpc);
  client = NULL;
  rpc = NULL;
  sky_arena_finish(&arena);
  process_finish(&greeter);
  nats_server_finish(&nats);
}

/* The client is made after the processes: the core's threads do not survive a fork. */
static void connect_client(void) {
  char target[40];
  snprintf(target, sizeof(target), "127.0.0.1:%d", greeter.listen_port);
  must(sky_rpc_create(&(SkyRpcOptions){.workers = 2}, &rpc));
  must(sky_client_create(rpc, &(SkyClientOptions){.target = target, .service_name = "test"}, &client));
}

static void start_greeter(const char *const *more) {
  char url[64];
  snprintf(url, sizeof(url), "--nats-url=%s", nats.url);
  const char *arguments[PROCESS_MAX_ARGUMENTS] = {url};
  for (size_t i = 0; more != NULL && more[i] != NULL; i++)
    arguments[i + 1] = more[i];
  process_start(&greeter, arguments);
}

static void start_all(const char *const *more) {
  nats_server_start(&nats);
  start_greeter(more);
  SKY_CHECK_EVENTUALLY(process_is_ready(&greeter));
  connect_client();
}

static SkyCode call(bool relay, bool publish) {
  component_GreetRequest request = COMPONENT__V1__GREET_REQUEST__INIT;
  request.name = (char *)"ada";
  request.publish = publish;
  component_GreetResponse *response = NULL;
  SkyContext background = sky_context_background();
  SkyContext context = sky_context_with_timeout_ms(&background, 5000);
  SkyStatus status = relay ? component_GreeterService_relay(client, &context, &request, &arena, &response)
                           : component_GreeterService_greet(client, &context, &request, &arena, &response);
  if (status == SKY_OK)
    ck_assert_str_eq(response->text, "hello, ada");
  SkyCode code = sky_status_code(status);
  sky_status_free(status);
  return code;
}

START_TEST(it_starts_alone_says_what_is_missing_and_becomes_ready) {
  start_greeter(NULL);
  SKY_CHECK_EVENTUALLY(process_get(&greeter, "/healthz", NULL) == 200);
  const char *body;
  SKY_CHECK_EVENTUALLY(process_get(&greeter, "/readyz", &body) == 503 &&
                       strstr(body, "{\"name\":\"service\",\"ready\":true}") != NULL);
  ck_assert_msg(strstr(body, "{\"name\":\"bus\",\"ready\":false,\"detail\":\"not connected to the broker\"}") != NULL,
                "%s", body);
  ck_assert_msg(strstr(body, "{\"name\":\"store\",\"ready\":true}") != NULL, "%s", body);
  nats_server_start(&nats);
  SKY_CHECK_EVENTUALLY(process_is_ready(&greeter));
  connect_client();
  ck_assert_int_eq(call(false, true), SKY_CODE_OK);
  nats_server_kill(&nats);
  SKY_CHECK_EVENTUALLY(!process_is_ready(&greeter));
  ck_assert_int_eq(call(false, true), SKY_CODE_UNAVAILABLE);
  ck_assert_int_eq(call(false, false), SKY_CODE_OK); /* what needs no broker goes on */
}
END_TEST

START_TEST(a_server_without_jetstream_is_named_in_the_probe) {
  nats.jetstream = false;
  nats_server_start(&nats);
  start_greeter(NULL);
  const char *body;
  SKY_CHECK_EVENTUALLY(process_get(&greeter, "/readyz", &body) == 503 && strstr(body, "DEADLETTERS") != NULL);
}
END_TEST

START_TEST(a_peer_that_is_away_is_unavailable_until_it_comes) {
  Process friend;
  process_init(&friend);
  char address[64];
  snprintf(address, sizeof(address), "--friend-address=127.0.0.1:%d", friend.listen_port);
  start_all((const char *const[]){address, NULL});
  ck_assert_int_eq(call(true, false), SKY_CODE_UNAVAILABLE);
  process_start(&friend, NULL);
  SKY_CHECK_EVENTUALLY(call(true, false) == SKY_CODE_OK);
  process_finish(&friend);
}
END_TEST

typedef struct Held {
  int64_t hold_ms;
  SkyCode code;
  atomic_bool done;
} Held;

static void *hold(void *user) {
  Held *held = user;
  component_HoldRequest request = COMPONENT__V1__HOLD_REQUEST__INIT;
  request.hold_ms = held->hold_ms;
  component_HoldResponse *response = NULL;
  SkyArena own;
  sky_arena_init(&own, 1 << 16);
  SkyContext background = sky_context_background();
  SkyContext context = sky_context_with_timeout_ms(&background, 60000);
  SkyStatus status = component_GreeterService_hold(client, &context, &request, &own, &response);
  held->code = sky_status_code(status);
  sky_status_free(status);
  sky_arena_finish(&own);
  atomic_store(&held->done, true);
  return NULL;
}

static bool has_active_call(void) {
  const char *body;
  return process_get(&greeter, "/metrics", &body) == 200 &&
         strstr(body, "rpc_server_active_calls{rpc_system_name=\"grpc\"} 1\n") != NULL;
}

static pthread_t begin_hold(Held *held) {
  pthread_t thread;
  ck_assert_int_eq(pthread_create(&thread, NULL, hold, held), 0);
  SKY_CHECK_EVENTUALLY(has_active_call());
  return thread;
}

START_TEST(sigterm_lets_calls_end_and_takes_no_more) {
  start_all((const char *const[]){"--drain-timeout=60s", NULL});
  Held held = {.hold_ms = 60000};
  pthread_t thread = begin_hold(&held);
  process_signal(&greeter, SIGTERM);
  const char *body;
  SKY_CHECK_EVENTUALLY(process_get(&greeter, "/readyz", &body) == 503 && strstr(body, "stopping") != NULL);
  /* The probe turns first, so that nobody is sent here any more; the server closes a moment later. */
  SKY_CHECK_EVENTUALLY(call(false, false) == SKY_CODE_UNAVAILABLE);
  ck_assert(!atomic_load(&held.done));
  process_signal(&greeter, SIGUSR1); /* only now may it end */
  ck_assert_int_eq(process_wait(&greeter), 0);
  pthread_join(thread, NULL);
  ck_assert_int_eq(held.code, SKY_CODE_OK);
  ck_assert_ptr_nonnull(strstr(process_output(&greeter), "\"event_name\":\"service.stopped\""));
}
END_TEST

START_TEST(draining_ends_at_its_timeout) {
  start_all((const char *const[]){"--drain-timeout=300ms", NULL});
  Held held = {.hold_ms = 25000};
  pthread_t thread = begin_hold(&held);
  int64_t begun = now_ms();
  process_signal(&greeter, SIGTERM);
  ck_assert_int_eq(process_wait(&greeter), 0);
  ck_assert_int_ge(now_ms() - begun, 290);
  ck_assert_int_lt(now_ms() - begun, 10000);
  pthread_join(thread, NULL);
  ck_assert_int_ne(held.code, SKY_CODE_OK);
}
END_TEST

START_TEST(a_second_signal_ends_it_at_once) {
  start_all((const char *const[]){"--drain-timeout=60s", NULL});
  Held held = {.hold_ms = 25000};
  pthread_t thread = begin_hold(&held);
  process_signal(&greeter, SIGTERM);
  const char *body;
  SKY_CHECK_EVENTUALLY(process_get(&greeter, "/readyz", &body) == 503 && strstr(body, "stopping") != NULL);
  process_signal(&greeter, SIGTERM);
  int64_t begun = now_ms();
  ck_assert_int_eq(process_wait(&greeter), -SIGTERM);
  ck_assert_int_lt(now_ms() - begun, 2000);
  pthread_join(thread, NULL);
}
END_TEST

static size_t count_lines(const char *output) {
  size_t lines = 0;
  for (; *output != '\0'; output++)
    lines += *output == '\n';
  return lines;
}

static void expect_failure(const char *const *arguments, int code, const char *named) {
  process_start(&greeter, arguments);
  ck_assert_int_eq(process_wait(&greeter), code);
  const char *output = process_output(&greeter);
  ck_assert_msg(strstr(output, named) != NULL, "%s is not named in: %s", named, output);
  ck_assert_msg(count_lines(output) == 1, "more than a line: %s", output);
  remove(greeter.log);
}

START_TEST(a_port_in_use_is_one_clear_line) {
  Process first;
  process_init(&first);
  process_start(&first, NULL);
  SKY_CHECK_EVENTUALLY(process_get(&first, "/healthz", NULL) == 200);
  SKY_CHECK_EVENTUALLY(strstr(process_output(&first), "service.started") != NULL);
  char named[80];
  const int own_admin = greeter.admin_port;
  greeter.admin_port = first.admin_port;
  snprintf(named, sizeof(named), "--admin (SKY_ADMIN): cannot listen on 127.0.0.1:%d", first.admin_port);
  expect_failure(NULL, 1, named);
  greeter.admin_port = own_admin;
  greeter.listen_port = first.listen_port;
  snprintf(named, sizeof(named), "--listen (SKY_LISTEN): cannot listen on 127.0.0.1:%d", first.listen_port);
  expect_failure(NULL, 1, named);
  process_finish(&first);
}
END_TEST

START_TEST(wrong_settings_are_named) {
  expect_failure((const char *const[]){"--no-such-flag=1", NULL}, 2, "--no-such-flag");
  expect_failure((const char *const[]){"--workers=none", NULL}, 2, "--workers");
  expect_failure((const char *const[]){"--workers=100000", NULL}, 2, "--workers");
  expect_failure((const char *const[]){"--log-level=loud", NULL}, 2, "--log-level");
  expect_failure((const char *const[]){"--nats-url=http://x", NULL}, 2, "--nats-url");
  expect_failure((const char *const[]){"loose", NULL}, 2, "loose");
}
END_TEST

START_TEST(help_lists_every_setting) {
  process_start_bare(&greeter, (const char *const[]){"--help", NULL});
  ck_assert_int_eq(process_wait(&greeter), 0);
  static const char *const names[] = {"Greets.",
                                      "--listen",
                                      "SKY_LISTEN",
                                      "--admin",
                                      "SKY_ADMIN",
                                      "--nats-url",
                                      "SKY_NATS_URL",
                                      "--store",
                                      "SKY_STORE",
                                      "--log-level",
                                      "SKY_LOG_LEVEL",
                                      "--workers",
                                      "SKY_WORKERS",
                                      "--drain-timeout",
                                      "SKY_DRAIN_TIMEOUT",
                                      "--friend-address",
                                      "SKY_FRIEND_ADDRESS",
                                      "--secret-word",
                                      "GREETER_SECRET_WORD",
                                      "--nats-replicas",
                                      "--tls-cert",
                                      "SKY_TLS_CLIENT_CA",
                                      "SKY_MAX_METADATA_BYTES",
                                      "SKY_CHANNELZ"};
  const char *output = process_output(&greeter);
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    ck_assert_msg(strstr(output, names[i]) != NULL, "%s is missing in: %s", names[i], output);
}
END_TEST

static bool shows(const char *path, const char *line) {
  const char *body;
  return process_get(&greeter, path, &body) == 200 && strstr(body, line) != NULL;
}

START_TEST(calls_messages_and_operations_are_measured) {
  start_all(NULL);
  ck_assert_int_eq(call(false, true), SKY_CODE_OK);
  SKY_CHECK_EVENTUALLY(shows("/metrics",
                             "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\","
                             "rpc_method=\"component.v1.GreeterService/Greet\",rpc_response_status_code=\"OK\"} 1\n"));
  SKY_CHECK_EVENTUALLY(shows("/metrics", "messaging_client_sent_messages_total{messaging_system=\"nats\","
                                         "messaging_destination_template=\"component.greeter.greeted.v1\"} 1\n"));
  SKY_CHECK_EVENTUALLY(shows("/metrics", "messaging_client_consumed_messages_total{messaging_system=\"nats\","
                                         "messaging_destination_template=\"component.greeter.greeted.v1\","
                                         "messaging_consumer_group_name=\"greeter\"} 1\n"));
  SKY_CHECK_EVENTUALLY(shows("/metrics", "db_client_operation_duration_seconds_count{db_system_name=\"sqlite\","
                                         "db_collection_name=\"greetings\",db_operation_name=\"insert\"} 1\n"));
  SKY_CHECK_EVENTUALLY(shows("/metrics", "skyhook_task_duration_seconds_count{skyhook_task_name=\"beat\"} "));
  ck_assert(shows("/metrics", "target_info{service_name=\"greeter\",service_namespace=\"skyhook\""));
  ck_assert(shows("/metrics", "process_resident_memory_bytes "));
}
END_TEST

START_TEST(settings_are_shown_without_secrets) {
  start_all((const char *const[]){"--secret-word=abracadabra", NULL});
  ck_assert(shows("/config", "\"SKY_LOG_LEVEL\":\"info\""));
  ck_assert(shows("/config", "\"GREETER_SECRET_WORD\":\"***\""));
  ck_assert(!shows("/config", "abracadabra"));
  ck_assert(shows("/config", "\"SKY_MAX_REQUEST_BYTES\":4194304"));
  ck_assert(shows("/config", "\"SKY_HANDSHAKE_TIMEOUT\":\"10s\""));
}
END_TEST

START_TEST(channelz_counts_calls) {
  start_all(NULL);
  ck_assert_int_eq(call(false, false), SKY_CODE_OK);
  ck_assert(shows("/channelz", "\"callsStarted\":\"1\""));
  const char *body;
  ck_assert_int_eq(process_get(&greeter, "/channelz", &body), 200);
  const char *id = strstr(body, "\"serverId\":\"");
  ck_assert_ptr_nonnull(id);
  char path[64];
  snprintf(path, sizeof(path), "/channelz?sockets=%d", atoi(id + 12));
  ck_assert(shows(path, "socketRef"));
  snprintf(path, sizeof(path), "/channelz?server=%d", atoi(id + 12));
  ck_assert(shows(path, "\"callsSucceeded\":\"1\""));
  ck_assert_int_eq(process_get(&greeter, "/channelz?server=987654", NULL), 404);
  ck_assert_int_eq(process_get(&greeter, "/channelz?weather=1", NULL), 400);
  ck_assert_int_eq(process_get(&greeter, "/channelz?server=x", NULL), 400);
}
END_TEST

/* --- TLS --- */

typedef struct Files {
  char ca[100], certificate[100], key[100];
} Files;

/* An authority's certificate and one signed by it, in the process's folder. */
static Files make_certificate(const char *name, int64_t valid_until_s) {
  Files files;
  Authority *authority = authority_create(name);
  snprintf(files.ca, sizeof(files.ca), "%s/%s.ca", greeter.directory, name);
  snprintf(files.certificate, sizeof(files.certificate), "%s/%s.crt", greeter.directory, name);
  snprintf(files.key, sizeof(files.key), "%s/%s.key", greeter.directory, name);
  authority_write(authority, files.ca);
  const CertificateOptions options = {
      .common_name = "a service", .names = "IP:127.0.0.1", .valid_from_s = -7200, .valid_until_s = valid_until_s};
  authority_issue(authority, &options, files.certificate, files.key);
  authority_destroy(authority);
  return files;
}

typedef struct Flags {
  char certificate[120], key[120], ca[120];
} Flags;

static Flags flags_of(const Files *files, const char *prefix) {
  Flags flags;
  snprintf(flags.certificate, sizeof(flags.certificate), "--tls-%scert=%s", prefix, files->certificate);
  snprintf(flags.key, sizeof(flags.key), "--tls-%skey=%s", prefix, files->key);
  snprintf(flags.ca, sizeof(flags.ca), "--tls-%sca=%s", prefix, files->ca);
  return flags;
}

START_TEST(services_talk_tls_when_told_to) {
  Process friend;
  char address[64];
  const Files files = make_certificate("mesh", 3600);
  const Flags own = flags_of(&files, ""), peer = flags_of(&files, "client-");
  process_init(&friend);
  process_start(&friend, (const char *const[]){own.certificate, own.key, own.ca, NULL});
  snprintf(address, sizeof(address), "--friend-address=127.0.0.1:%d", friend.listen_port);
  start_all((const char *const[]){address, peer.certificate, peer.key, peer.ca, NULL});
  SKY_CHECK_EVENTUALLY(call(true, false) == SKY_CODE_OK);        /* plain text to greeter, mutual TLS to its friend */
  ck_assert_int_eq(process_get(&friend, "/healthz", NULL), 200); /* also sees that a TLS server answers */
  ck_assert(shows("/tls", "\"client\":{\"expires_unix_s\":"));
  ck_assert(shows("/tls", "\"server\":null"));
  ck_assert(shows("/config", files.key)); /* the file's name is no secret */
  process_finish(&friend);
}
END_TEST

START_TEST(wrong_certificates_are_named) {
  const Files good = make_certificate("good", 3600), expired = make_certificate("expired", -60);
  const Flags good_flags = flags_of(&good, ""), expired_flags = flags_of(&expired, "");
  expect_failure((const char *const[]){"--tls-cert=/no/such.crt", good_flags.key, NULL}, 2, "SKY_TLS_CERT");
  expect_failure((const char *const[]){"--tls-cert=/no/such.crt", good_flags.key, NULL}, 2, "/no/such.crt");
  expect_failure((const char *const[]){good_flags.certificate, expired_flags.key, NULL}, 2,
                 "is not the one of the certificate");
  expect_failure((const char *const[]){good_flags.certificate, NULL}, 2, "belong together");
  expect_failure((const char *const[]){expired_flags.certificate, expired_flags.key, NULL}, 1, "expired at");
  expect_failure((const char *const[]){"--tls-client-ca=/no/such.ca", NULL}, 2, "SKY_TLS_CLIENT_CA");
}
END_TEST

/* --- descriptors --- */

enum { MAX_DESCRIPTORS = 96, CONNECTIONS = 120 };

static void connect_all(int sockets[CONNECTIONS]) {
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((in_port_t)greeter.listen_port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < CONNECTIONS; i++) {
    sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(sockets[i], (const struct sockaddr *)&address, sizeof(address)), 0);
  }
}

START_TEST(without_descriptors_it_is_unhealthy_and_says_how_many_there_are) {
  int sockets[CONNECTIONS];
  const char *body;
  greeter.max_descriptors = MAX_DESCRIPTORS;
  start_all(NULL);
  ck_assert_int_eq(call(false, false), SKY_CODE_OK);
  ck_assert_int_eq(process_get(&greeter, "/healthz", &body), 200);
  connect_all(sockets);
  SKY_CHECK_EVENTUALLY(process_get(&greeter, "/healthz", &body) == 503 && strstr(body, " of 96 are in use\n") != NULL);
  ck_assert_ptr_nonnull(strstr(body, "descriptors: "));
  for (int i = 0; i < CONNECTIONS; i++)
    close(sockets[i]);
  /* This core's listener has given up for good, and only the probe can know. */
  SKY_CHECK_EVENTUALLY(process_get(&greeter, "/healthz", &body) == 503 &&
                       strstr(body, "does not answer on port") != NULL);
}
END_TEST

START_TEST(errors_are_logged_with_their_trace_and_successes_are_not) {
  start_all(NULL);
  ck_assert_int_eq(call(false, true), SKY_CODE_OK);
  ck_assert_int_eq(call(true, false), SKY_CODE_UNAVAILABLE); /* dns:///friend is nowhere */
  SKY_CHECK_EVENTUALLY(strstr(process_output(&greeter), "\"event_name\":\"rpc.served\"") != NULL);
  const char *line = strstr(process_output(&greeter), "GreeterService/Relay: UNAVAILABLE");
  ck_assert_ptr_nonnull(line);
  ck_assert_ptr_nonnull(strstr(line, "\"trace_id\":\""));
  ck_assert_ptr_null(strstr(process_output(&greeter), "GreeterService/Greet"));
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static int64_t start_to_ready_ms(void) {
  int64_t begun = now_ms();
  start_greeter(NULL);
  SKY_CHECK_EVENTUALLY(process_is_ready(&greeter));
  return now_ms() - begun;
}

START_TEST(it_is_ready_soon_and_small) {
  nats_server_start(&nats);
  int64_t best_ms = INT64_MAX;
  size_t resident_kb = 0;
  for (int i = 0; i < 5; i++) { /* the machine may be busy with others */
    int64_t took_ms = start_to_ready_ms();
    best_ms = took_ms < best_ms ? took_ms : best_ms;
    resident_kb = process_resident_kb(&greeter);
    process_signal(&greeter, SIGTERM);
    ck_assert_int_eq(process_wait(&greeter), 0);
  }
  printf("ready in %d ms, %zu KiB resident\n", (int)best_ms, resident_kb);
  ck_assert_int_le(best_ms, 150);
  ck_assert_uint_le(resident_kb, 25 * 1024);
}
END_TEST
#else
START_TEST(it_is_ready_soon_and_small) {
  printf("skipped: sanitizers change what is measured\n");
}
END_TEST
#endif

SKY_CHECK_MAIN_WITH("component/service", setup, teardown, it_starts_alone_says_what_is_missing_and_becomes_ready,
                    a_server_without_jetstream_is_named_in_the_probe, a_peer_that_is_away_is_unavailable_until_it_comes,
                    sigterm_lets_calls_end_and_takes_no_more, draining_ends_at_its_timeout,
                    a_second_signal_ends_it_at_once, a_port_in_use_is_one_clear_line, wrong_settings_are_named,
                    help_lists_every_setting, calls_messages_and_operations_are_measured,
                    settings_are_shown_without_secrets, channelz_counts_calls, services_talk_tls_when_told_to,
                    wrong_certificates_are_named, without_descriptors_it_is_unhealthy_and_says_how_many_there_are,
                    errors_are_logged_with_their_trace_and_successes_are_not, it_is_ready_soon_and_small)
