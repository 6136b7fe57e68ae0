/*
 * Echo server on lib/sky/rpc, for ./dev bench. Usage: bench-echo-server HOST:PORT. Serves until SIGTERM.
 */
#include <signal.h>
#include <stdio.h>

#include <sky/rpc/server.h>

#include "echo.rpc.h"

static SkyStatus echo(void *self, SkyCall *call, const bench_EchoRequest *request, bench_EchoResponse *response) {
  response->text = request->text;
  return SKY_OK;
}

/* --- streams --- */

typedef struct Repeat {
  bench_EchoResponse message;
  uint32_t left;
} Repeat;

/* Writes until all is written or the queue is full; then it is called again when there is room. */
static void write_more(void *user, SkyCall *call) {
  Repeat *repeat = user;
  for (; repeat->left > 0; repeat->left--) {
    SkyStatus status = bench_EchoService_repeat_write(call, &repeat->message);
    if (sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED)) {
      sky_call_on_writable(call, write_more, repeat);
      return;
    }
    if (status != SKY_OK) {
      sky_call_finish(call, status);
      return;
    }
  }
  sky_call_finish(call, SKY_OK);
}

static SkyStatus repeat(void *self, SkyCall *call, const bench_RepeatRequest *request) {
  Repeat *repeat = sky_arena_alloc(sky_call_arena(call), sizeof(*repeat));
  if (repeat == NULL)
    return SKY_RESOURCE_EXHAUSTED("no memory for a stream");
  *repeat = (Repeat){.message = bench_EchoResponse_INIT, .left = request->count};
  repeat->message.text = request->text;
  const SkyStatus deferred = sky_call_defer(call);
  write_more(repeat, call);
  return deferred;
}

static const bench_EchoServiceHandlers handlers = {.echo = echo, .work = echo, .repeat = repeat};

static SkyStatus serve(SkyRpc *rpc, const char *listen, SkyServer **ret) {
  SkyServer *server = NULL;
  SkyStatus status = sky_server_create(rpc, &(SkyServerOptions){.listen = listen}, &server);
  if (!status)
    status = sky_server_add(server, bench_EchoService_bind(&handlers, NULL));
  if (!status)
    status = sky_server_start(server);
  if (status) {
    sky_server_destroy(server);
    return status;
  }
  *ret = server;
  return SKY_OK;
}

static int complain(SkyStatus status) {
  fprintf(stderr, "bench-echo-server: %s\n", sky_status_message(status));
  sky_status_free(status);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
    return 2;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before threads start: they inherit it */

  SkyRpc *rpc = NULL;
  SkyServer *server = NULL;
  SkyStatus status = sky_rpc_create(NULL, &rpc);
  if (!status)
    status = serve(rpc, argv[1], &server);
  if (status) {
    sky_rpc_destroy(rpc);
    return complain(status);
  }
  int signal_number = 0;
  sigwait(&ends, &signal_number);
  sky_server_destroy(server);
  sky_rpc_destroy(rpc);
  return 0;
}
