/*
 * Echo server on the bare core, for ./dev bench. Usage: bench-bare-server HOST:PORT. Serves until SIGTERM.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rpc_echo/bare.h"

static void ready(int port, void *user) {
  if (port > 0)
    return;
  fprintf(stderr, "bench-bare-server: cannot listen on %s\n", (const char *)user);
  exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
    return 2;
  }
  bare_server_run("/bench.v1.EchoService/Echo", "/bench.v1.EchoService/Repeat", argv[1], ready, argv[1]);
  return 0;
}
