/*
 * Greeter: a client that waits for each answer. Usage: greeter-client --port=N [--token=SECRET] [--tls=DIRECTORY]
 */
#include <stdio.h>

#include <sky/rpc/client.h>

#include "greeter.rpc.h"
#include "interceptors.h"
#include "options.h"

enum { TIMEOUT_MS = 5000, ARENA_BYTES = 1 << 20 };

static const char *const names[] = {"Ada", "Grace", "Edsger"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static greeter_v1_GreetRequest request_for(const char *name) {
  greeter_v1_GreetRequest request = greeter_v1_GreetRequest_INIT;
  request.name = name;
  return request;
}

static SkyStatus one_to_one(SkyClient *client, const SkyContext *context, SkyArena *arena) {
  const greeter_v1_GreetRequest request = request_for(names[0]);
  greeter_v1_GreetResponse *response = NULL;
  SKY_TRY(greeter_v1_Greeter_greet(client, context, &request, arena, &response));
  printf("Greet: %s\n", response->text);
  return SKY_OK;
}

static SkyStatus one_to_many(SkyClient *client, const SkyContext *context, SkyArena *arena) {
  const greeter_v1_GreetRequest request = request_for(names[1]);
  greeter_v1_GreetResponse *response = NULL;
  SkyClientReader *reader = NULL;
  SKY_TRY(greeter_v1_Greeter_greet_in_all_languages_reader_open(client, context, &request, &reader));
  SkyStatus status;
  while ((status = greeter_v1_Greeter_greet_in_all_languages_reader_next(reader, arena, &response)) == SKY_OK &&
         response != NULL)
    printf("GreetInAllLanguages: %s\n", response->text);
  sky_client_reader_close(reader);
  return status;
}

static SkyStatus many_to_one(SkyClient *client, const SkyContext *context, SkyArena *arena) {
  greeter_v1_GreetResponse *response = NULL;
  SkyClientReader *reader = NULL;
  SKY_TRY(greeter_v1_Greeter_greet_everybody_reader_open(client, context, &reader));
  for (size_t i = 0; i < NAMES; i++) {
    const greeter_v1_GreetRequest request = request_for(names[i]);
    /* An error only says that the call is over; why, comes with the end. */
    sky_status_free(greeter_v1_Greeter_greet_everybody_reader_write(reader, &request));
  }
  SKY_TRY(greeter_v1_Greeter_greet_everybody_reader_finish(reader, arena, &response));
  printf("GreetEverybody: %s\n", response->text);
  return SKY_OK;
}

static SkyStatus converse(SkyClientReader *reader, SkyArena *arena) {
  greeter_v1_GreetResponse *response = NULL;
  for (size_t i = 0; i < NAMES; i++) {
    const greeter_v1_GreetRequest request = request_for(names[i]);
    SKY_TRY(greeter_v1_Greeter_greet_each_reader_write(reader, &request));
    SKY_TRY(greeter_v1_Greeter_greet_each_reader_next(reader, arena, &response));
    printf("GreetEach: %s\n", response->text);
  }
  sky_client_reader_close_send(reader);
  return greeter_v1_Greeter_greet_each_reader_next(reader, arena, &response); /* the end */
}

static SkyStatus many_to_many(SkyClient *client, const SkyContext *context, SkyArena *arena) {
  SkyClientReader *reader = NULL;
  SKY_TRY(greeter_v1_Greeter_greet_each_reader_open(client, context, &reader));
  const SkyStatus status = converse(reader, arena);
  sky_client_reader_close(reader);
  return status;
}

static SkyStatus call_all(SkyClient *client, const char *token) {
  static SkyStatus (*const kinds[])(SkyClient *, const SkyContext *, SkyArena *) = {one_to_one, one_to_many,
                                                                                    many_to_one, many_to_many};
  SkyStatus status = add_client_interceptors(client, token);
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && status == SKY_OK; i++) {
    const SkyContext background = sky_context_background();
    const SkyContext context = sky_context_with_timeout_ms(&background, TIMEOUT_MS);
    SkyArena arena; /* what comes back lives here */
    sky_arena_init(&arena, ARENA_BYTES);
    status = kinds[i](client, &context, &arena);
    sky_arena_finish(&arena);
  }
  return status;
}

int main(int argc, char **argv) {
  Options options;
  SkyRpc *rpc = NULL;
  SkyClient *client = NULL;
  SkyStatus status = options_read(&options, argc, argv, false);
  if (status == SKY_OK)
    status = sky_rpc_create(NULL, &rpc);
  if (status == SKY_OK)
    status = sky_client_create(
        rpc, &(SkyClientOptions){.target = options.address, .tls = options.tls, .tls_server_name = "localhost"},
        &client);
  if (status == SKY_OK)
    status = call_all(client, options.token);
  sky_client_destroy(client);
  sky_rpc_destroy(rpc);
  options_finish(&options);
  return options_exit_code(status);
}
