/*
 * Greeter: a server in all four kinds of call. Usage: greeter-server [--port=N] [--token=SECRET] [--tls=DIRECTORY]
 *
 * Handlers run on worker threads and may block, so each kind is a plain loop. What a handler allocates lives in the
 * call's arena: there is nothing to free.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <sky/core/time.h>
#include <sky/rpc/server.h>

#include "greeter.rpc.h"
#include "interceptors.h"
#include "options.h"

static const char *const hello[] = {"Hello", "Hallo", "Bonjour", "Hola", "Ciao", "Hej", "Ahoj", "Olá"};
enum { LANGUAGES = sizeof(hello) / sizeof(hello[0]), MAX_NAMES_BYTES = 4000, DRAIN_MS = 5000 };

/* The name of a request, or what is wrong with it; BadRequest details go to the client with the status. */
static SkyStatus check_name(const greeter_v1_GreetRequest *request) {
  if (request->name[0] != '\0')
    return SKY_OK;
  return sky_status_with_violation(SKY_INVALID_ARGUMENT("nobody to greet"), "name", "must not be empty");
}

static SkyStatus fill(SkyCall *call, const char *greeting, const char *name, greeter_v1_GreetResponse *response) {
  const int64_t now_ms = sky_clock_wall_ms(sky_clock_system_borrow());
  response->text = sky_call_printf(call, "%s, %s!", greeting, name);
  response->said_at = protobuf_Timestamp_create(sky_call_arena(call));
  if (response->text == NULL || response->said_at == NULL)
    return SKY_RESOURCE_EXHAUSTED("no memory");
  response->said_at->seconds = now_ms / SKY_MS_PER_S;
  return SKY_OK;
}

static SkyStatus greet(void *self, SkyCall *call, const greeter_v1_GreetRequest *request,
                       greeter_v1_GreetResponse *response) {
  SKY_TRY(check_name(request));
  return fill(call, hello[0], request->name, response);
}

static SkyStatus greet_in_all_languages(void *self, SkyCall *call, const greeter_v1_GreetRequest *request) {
  SKY_TRY(check_name(request));
  for (size_t i = 0; i < LANGUAGES; i++) {
    greeter_v1_GreetResponse response = greeter_v1_GreetResponse_INIT;
    SKY_TRY(fill(call, hello[i], request->name, &response));
    SKY_TRY(greeter_v1_Greeter_greet_in_all_languages_write_blocking(call, &response));
  }
  return SKY_OK;
}

static SkyStatus greet_everybody(void *self, SkyCall *call, greeter_v1_GreetResponse *response) {
  const greeter_v1_GreetRequest *request;
  const char *names = "";
  for (;;) {
    SKY_TRY(greeter_v1_Greeter_greet_everybody_read_blocking(call, &request));
    if (request == NULL) /* the client has said all */
      return fill(call, hello[0], names, response);
    SKY_TRY(check_name(request));
    names = sky_call_printf(call, "%.*s%s%s", MAX_NAMES_BYTES, names, names[0] != '\0' ? " and " : "", request->name);
    if (names == NULL)
      return SKY_RESOURCE_EXHAUSTED("more names than one greeting can hold");
  }
}

static SkyStatus greet_each(void *self, SkyCall *call) {
  const greeter_v1_GreetRequest *request;
  for (size_t i = 0;; i++) {
    greeter_v1_GreetResponse response = greeter_v1_GreetResponse_INIT;
    SKY_TRY(greeter_v1_Greeter_greet_each_read_blocking(call, &request));
    if (request == NULL)
      return SKY_OK;
    SKY_TRY(check_name(request));
    SKY_TRY(fill(call, hello[i % LANGUAGES], request->name, &response));
    SKY_TRY(greeter_v1_Greeter_greet_each_send_blocking(call, &response));
  }
}

static const greeter_v1_GreeterHandlers handlers = {
    .greet = greet,
    .greet_in_all_languages = greet_in_all_languages,
    .greet_everybody = greet_everybody,
    .greet_each = greet_each,
};

static SkyStatus serve(const Options *options, SkyRpc *rpc, const sigset_t *ends) {
  SkyServer *server = NULL;
  int number;
  SKY_TRY(sky_server_create(rpc, &(SkyServerOptions){.listen = options->address, .tls = options->tls}, &server));
  SkyStatus status = sky_server_add(server, greeter_v1_Greeter_bind(&handlers, NULL));
  if (status == SKY_OK)
    status = add_server_interceptors(server, options->token);
  if (status == SKY_OK)
    status = sky_server_start(server);
  if (status == SKY_OK) {
    sky_server_set_serving(server, true);
    printf("listening on port %d\n", sky_server_port(server));
    fflush(stdout);
    sigwait(ends, &number);
    sky_server_drain(server, DRAIN_MS); /* open calls may end */
  }
  sky_server_destroy(server);
  return status;
}

int main(int argc, char **argv) {
  Options options;
  SkyRpc *rpc = NULL;
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before threads start: they inherit it */
  SkyStatus status = options_read(&options, argc, argv, true);
  if (status == SKY_OK)
    status = sky_rpc_create(NULL, &rpc);
  if (status == SKY_OK)
    status = serve(&options, rpc, &ends);
  sky_rpc_destroy(rpc);
  options_finish(&options);
  return options_exit_code(status);
}
