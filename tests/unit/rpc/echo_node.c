/*
 * A server of EchoService as a process of its own, for tests that restart and kill it.
 *
 *     echo-node PORT DRAIN_MS
 *
 * Says "up" on stdout when it serves. SIGTERM drains and ends it; then it says how many calls it has handled.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "echo_service.h"

static EchoService service;

static SkyServer *start(SkyRpc *rpc, const char *port) {
  SkyServer *server = NULL;
  char listen[64];
  snprintf(listen, sizeof(listen), "127.0.0.1:%s", port);
  SkyStatus status = sky_server_create(rpc, &(SkyServerOptions){.listen = listen}, &server);
  if (status == SKY_OK)
    status = sky_server_add(server, echo_service_binding(&service));
  if (status == SKY_OK)
    status = sky_server_start(server);
  if (status != SKY_OK) {
    fprintf(stderr, "echo-node: %s\n", sky_status_message(status));
    exit(EXIT_FAILURE);
  }
  sky_server_set_serving(server, true);
  return server;
}

int main(int argc, char **argv) {
  sigset_t signals;
  SkyRpc *rpc = NULL;
  int number = 0;
  if (argc != 3)
    return EXIT_FAILURE;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  echo_service_init(&service);
  sky_status_free(sky_rpc_create(NULL, &rpc));
  SkyServer *server = start(rpc, argv[1]);
  printf("up\n");
  fflush(stdout);
  sigwait(&signals, &number);
  sky_server_drain(server, strtol(argv[2], NULL, 10));
  sky_server_destroy(server);
  sky_rpc_destroy(rpc);
  echo_service_synchronize(&service);
  printf("%zu\n", service.handled);
  echo_service_finish(&service);
  return EXIT_SUCCESS;
}
