/*
 * gRPC's interoperability tests as a client on lib/sky/rpc. Usage:
 *   interop-client --server_host=127.0.0.1 --server_port=N --test_case=NAME[,NAME...] [--ca_file=PEM
 * --server_host_override=NAME] Says of each case how it went; exits with 1 when any has failed.
 *
 * https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 64 << 20, ADDRESS_BYTES = 128 };

static const struct {
  const char *name;
  InteropCase run;
} cases[] = {
#define CASE(function)                                                                                                 \
  { #function, function }
    CASE(empty_unary),
    CASE(large_unary),
    CASE(client_compressed_unary),
    CASE(server_compressed_unary),
    CASE(client_streaming),
    CASE(client_compressed_streaming),
    CASE(server_streaming),
    CASE(server_compressed_streaming),
    CASE(ping_pong),
    CASE(empty_stream),
    CASE(custom_metadata),
    CASE(status_code_and_message),
    CASE(special_status_message),
    CASE(unimplemented_method),
    CASE(unimplemented_service),
    CASE(cancel_after_begin),
    CASE(cancel_after_first_response),
    CASE(timeout_on_sleeping_server),
    CASE(concurrent_large_unary),
    CASE(rpc_soak),
    CASE(channel_soak),
};

static InteropCase find_case(SkyStr name) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    if (sky_str_is(name, cases[i].name))
      return cases[i].run;
  }
  return NULL;
}

SkyStatus expect_code(SkyStatus status, SkyCode code) {
  if (sky_status_code(status) == code) {
    sky_status_free(status);
    return SKY_OK;
  }
  const SkyStatus failure = SKY_DATA_LOSS("%s instead of %s: %s", sky_code_name(sky_status_code(status)),
                                          sky_code_name(code), sky_status_message(status));
  sky_status_free(status);
  return failure;
}

SkyContext call_context(void) {
  const SkyContext background = sky_context_background();
  return sky_context_with_timeout_ms(&background, CALL_TIMEOUT_MS);
}

testing_Payload payload_of(size_t size) {
  static uint8_t zeros[LARGE_REQUEST];
  testing_Payload payload = testing_Payload_INIT;
  payload.body = (ProtobufCBinaryData){.data = zeros, .len = size};
  return payload;
}

static bool run_case(Interop *interop, SkyStr name) {
  const InteropCase run = find_case(name);
  sky_arena_reset(&interop->arena);
  SkyStatus status = run != NULL ? run(interop) : SKY_UNIMPLEMENTED("no such case");
  printf("%.*s: ", (int)name.size, name.data);
  if (status == SKY_OK)
    printf("passed\n");
  else
    printf("FAILED: %s\n  %s\n", sky_code_name(sky_status_code(status)), sky_status_message(status));
  fflush(stdout);
  const bool passed = status == SKY_OK;
  sky_status_free(status);
  return passed;
}

static bool run_cases(Interop *interop, const char *names) {
  SkyStr rest = sky_str(names), name;
  bool passed = true;
  while (sky_str_cut(&rest, ',', &name))
    passed &= run_case(interop, name);
  return run_case(interop, rest) && passed;
}

static SkyStatus run(SkyClientOptions options, const char *ca, const char *names, bool *ret_passed) {
  Interop interop = {.options = options};
  sky_arena_init(&interop.arena, ARENA_BYTES);
  SkyStatus status = sky_rpc_create(NULL, &interop.rpc);
  if (status == SKY_OK && *ca != '\0')
    status = sky_tls_create(&(SkyTlsOptions){.ca = ca}, &interop.options.tls);
  if (status == SKY_OK)
    status = sky_client_create(interop.rpc, &interop.options, &interop.client);
  if (status == SKY_OK)
    *ret_passed = run_cases(&interop, names);
  sky_client_destroy(interop.client);
  sky_tls_unref(interop.options.tls);
  sky_rpc_destroy(interop.rpc);
  sky_arena_finish(&interop.arena);
  return status;
}

/* The value of --name=value; "" when it is not there. */
static const char *option(int argc, char **argv, const char *name) {
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], name, strlen(name)) == 0)
      return argv[i] + strlen(name);
  }
  return "";
}

int main(int argc, char **argv) {
  char target[ADDRESS_BYTES];
  bool passed = false;
  snprintf(target, sizeof(target), "%s:%s", option(argc, argv, "--server_host="), option(argc, argv, "--server_port="));
  const char *name = option(argc, argv, "--server_host_override=");
  const SkyClientOptions options = {.target = target, .tls_server_name = *name != '\0' ? name : NULL};
  SkyStatus status = run(options, option(argc, argv, "--ca_file="), option(argc, argv, "--test_case="), &passed);
  if (status != SKY_OK)
    fprintf(stderr, "interop-client: %s\n", sky_status_message(status));
  sky_status_free(status);
  return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
