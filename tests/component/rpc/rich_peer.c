/*
 * Rich peer: for tests against other implementations of gRPC.
 *
 *     rich-peer --serve PORT    /test.rich.v1.Rich/Fail fails with every kind of detail
 *     rich-peer --call PORT     calls Fail there and prints what it says, a line each
 *
 * The server also has the greeter's contract, for reflection, with nothing behind it. With three more arguments, files
 * of a certificate, its key and a CA, both speak mutual TLS.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/codec/detail.h>
#include <sky/rpc/client.h>
#include <sky/rpc/raw.h>
#include <sky/rpc/server.h>

#include "error_details.sky.h"
#include "greeter.rpc.h"

enum { ARENA_BYTES = 1 << 20, DRAIN_MS = 1000 };

static const SkyMethodDescriptor fail_method = {.name = "Fail",
                                                .path = "/test.rich.v1.Rich/Fail",
                                                .kind = SKY_UNARY,
                                                .request.descriptor = &sky_raw_message_descriptor,
                                                .response.descriptor = &sky_raw_message_descriptor,
                                                .deadline_ms = 10000,
                                                .inline_handler = true};
static const SkyServiceDescriptor rich_service = {
    .name = "test.rich.v1.Rich", .methods = &fail_method, .method_count = 1};

static SkyStatus with_quota(SkyStatus status) {
  rpc_QuotaFailure quota = rpc_QuotaFailure_INIT;
  rpc_QuotaFailure_Violation violation = rpc_QuotaFailure_Violation_INIT;
  rpc_QuotaFailure_Violation *violations[] = {&violation};
  violation.subject = (char *)"project:1";
  violation.description = (char *)"daily limit";
  quota.violations = violations;
  quota.n_violations = 1;
  return sky_status_with_message(status, &quota.base);
}

static SkyStatus fail(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                      ProtobufCMessage *response) {
  SkyStatus status = SKY_FAILED_PRECONDITION("not now: caf\xc3\xa9 closed");
  status = sky_status_with_domain(sky_status_with_reason(status, "CLOSED"), "test.example");
  status = sky_status_with_metadata(status, "until", "monday");
  status = sky_status_with_retry_after_ms(status, 1250);
  status = sky_status_with_violation(status, "place.name", "must be open");
  status = sky_status_with_precondition(
      status, (SkyPrecondition){.type = "HOURS", .subject = "places/7", .description = "closed on sundays"});
  status = sky_status_with_resource(
      status, (SkyResourceInfo){.type = "place", .name = "places/7", .owner = "ada", .description = "her place"});
  return with_quota(status);
}

static const SkyInvoke invoke[] = {fail};

static void must(SkyStatus status) {
  if (status == SKY_OK)
    return;
  fprintf(stderr, "%s: %s\n", sky_code_name(sky_status_code(status)), sky_status_message(status));
  exit(EXIT_FAILURE);
}

static void serve(SkyRpc *rpc, SkyTls *tls, const char *port, const sigset_t *ends) {
  static const component_GreeterServiceHandlers greeter = {0};
  char listen[64];
  int number;
  SkyServer *server = NULL;
  snprintf(listen, sizeof(listen), "127.0.0.1:%s", port);
  must(sky_server_create(rpc, &(SkyServerOptions){.listen = listen, .tls = tls}, &server));
  must(sky_server_add(server, (SkyServiceBinding){.service = &rich_service, .invoke = invoke}));
  must(sky_server_add(server, component_GreeterService_bind(&greeter, NULL)));
  must(sky_server_start(server));
  sky_server_set_serving(server, true);
  while (sigwait(ends, &number) != 0)
    continue;
  sky_server_drain(server, DRAIN_MS);
  sky_server_destroy(server);
}

static void print_quota(const SkyError *status) {
  SkyArena arena;
  ProtobufCMessage *message = NULL;
  sky_arena_init(&arena, ARENA_BYTES);
  if (sky_status_find_message(status, rpc_QuotaFailure_descriptor, &arena, &message)) {
    const rpc_QuotaFailure *quota = (const rpc_QuotaFailure *)(const void *)message;
    for (size_t i = 0; i < quota->n_violations; i++)
      printf("quota %s: %s\n", quota->violations[i]->subject, quota->violations[i]->description);
  }
  sky_arena_finish(&arena);
}

static void print_details(const SkyError *status) {
  const char *key, *value, *reason = sky_status_reason(status), *domain = sky_status_domain(status);
  SkyPrecondition precondition;
  SkyResourceInfo resource;
  printf("status %s: %s\n", sky_code_name(sky_status_code(status)), sky_status_message(status));
  printf("info %s %s\n", reason != NULL ? reason : "-", domain != NULL ? domain : "-");
  for (size_t i = 0; sky_status_metadata_at(status, i, &key, &value); i++)
    printf("metadata %s=%s\n", key, value);
  printf("retry %" PRId64 " ms\n", sky_status_retry_after_ms(status));
  for (size_t i = 0; i < sky_status_violation_count(status); i++)
    printf("violation %s: %s\n", sky_status_violation(status, i)->field, sky_status_violation(status, i)->description);
  for (size_t i = 0; sky_status_precondition_at(status, i, &precondition); i++)
    printf("precondition %s %s: %s\n", precondition.type, precondition.subject, precondition.description);
  if (sky_status_resource(status, &resource))
    printf("resource %s %s of %s: %s\n", resource.type, resource.name, resource.owner, resource.description);
  print_quota(status);
}

static void call(SkyRpc *rpc, SkyTls *tls, const char *port) {
  const SkyRawMessage request = SKY_RAW_MESSAGE_INIT(SKY_STR(""));
  char target[64];
  SkyClient *client = NULL;
  SkyArena arena;
  ProtobufCMessage *response = NULL;
  sky_arena_init(&arena, ARENA_BYTES);
  snprintf(target, sizeof(target), "127.0.0.1:%s", port);
  must(sky_client_create(rpc, &(SkyClientOptions){.target = target, .service_name = "rich-peer", .tls = tls}, &client));
  SkyStatus status = sky_client_call(client, &fail_method, NULL, &request.base, &arena, &response);
  print_details(status);
  sky_status_free(status);
  sky_client_destroy(client);
  sky_arena_finish(&arena);
}

int main(int argc, char **argv) {
  SkyRpc *rpc = NULL;
  SkyTls *tls = NULL;
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, NULL);
  if ((argc != 3 && argc != 6) || (strcmp(argv[1], "--serve") != 0 && strcmp(argv[1], "--call") != 0)) {
    fprintf(stderr, "usage: rich-peer --serve|--call PORT [CERTIFICATE KEY CA]\n");
    return EXIT_FAILURE;
  }
  must(sky_rpc_create(&(SkyRpcOptions){.workers = 2}, &rpc));
  if (argc == 6)
    must(sky_tls_create(&(SkyTlsOptions){.certificate = argv[3], .key = argv[4], .ca = argv[5]}, &tls));
  if (strcmp(argv[1], "--serve") == 0)
    serve(rpc, tls, argv[2], &ends);
  else
    call(rpc, tls, argv[2]);
  sky_tls_unref(tls);
  sky_rpc_destroy(rpc);
  return EXIT_SUCCESS;
}
