/*
 * Greeter: a client that waits for nothing but the end: many calls at once from one thread, and a stream by callbacks.
 * Usage: greeter-async-client --port=N [--token=SECRET] [--tls=DIRECTORY]
 *
 * Callbacks run on the I/O thread, one after the other, and must not block.
 */
#include <pthread.h>
#include <stdio.h>

#include <sky/rpc/client.h>

#include "greeter.rpc.h"
#include "interceptors.h"
#include "options.h"

enum { CALLS = 100, MESSAGES = 10, TIMEOUT_MS = 5000 };

/* What the main thread waits for. */
typedef struct Work {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  size_t left;
  size_t greetings;
  SkyStatus failure; /* the first one */
} Work;

static void note_failure_locked(Work *work, SkyStatus status) {
  if (work->failure == SKY_OK)
    work->failure = status;
  else
    sky_status_free(status);
}

static void note_failure(Work *work, SkyStatus status) {
  pthread_mutex_lock(&work->lock);
  note_failure_locked(work, status);
  pthread_mutex_unlock(&work->lock);
}

static void end_one(Work *work, SkyStatus status) {
  pthread_mutex_lock(&work->lock);
  note_failure_locked(work, status);
  work->left--;
  pthread_cond_signal(&work->changed);
  pthread_mutex_unlock(&work->lock);
}

static void count_greeting(Work *work) {
  pthread_mutex_lock(&work->lock);
  work->greetings++;
  pthread_mutex_unlock(&work->lock);
}

/* Ends, as every call has a deadline. */
static SkyStatus wait_for_all(Work *work) {
  pthread_mutex_lock(&work->lock);
  while (work->left > 0)
    pthread_cond_wait(&work->changed, &work->lock);
  pthread_mutex_unlock(&work->lock);
  return work->failure;
}

/* --- unary --- */

static void on_greeted(void *user, SkyStatus status, const greeter_v1_GreetResponse *response) {
  if (status == SKY_OK) /* the response lives as long as this function runs */
    count_greeting(user);
  end_one(user, status);
}

/* The request is packed before the call returns, so that it may be used again at once. */
static void start_calls(SkyClient *client, const SkyContext *context, Work *work) {
  greeter_v1_GreetRequest request = greeter_v1_GreetRequest_INIT;
  char name[32];
  request.name = name;
  for (int i = 0; i < CALLS; i++) {
    snprintf(name, sizeof(name), "caller %d", i);
    greeter_v1_Greeter_greet_async(client, context, &request, on_greeted, work);
  }
}

/* --- a stream both ways --- */

static void on_message(void *user, SkyClientStream *stream, const greeter_v1_GreetResponse *response) {
  count_greeting(user);
}

static void on_done(void *user, SkyStatus status) { /* the last callback */
  end_one(user, status);
}

/* Never waits: a queue of 256 KiB takes them, or RESOURCE_EXHAUSTED; then on_writable says when there is room. */
static SkyStatus write_all(SkyClientStream *stream) {
  greeter_v1_GreetRequest request = greeter_v1_GreetRequest_INIT;
  request.name = "stranger";
  for (int i = 0; i < MESSAGES; i++)
    SKY_TRY(greeter_v1_Greeter_greet_each_write(stream, &request));
  return SKY_OK;
}

static void start_stream(SkyClient *client, const SkyContext *context, Work *work) {
  const greeter_v1_Greeter_greet_each_handler handler = {.on_message = on_message, .on_done = on_done, .user = work};
  SkyClientStream *stream = NULL;
  SkyStatus status = greeter_v1_Greeter_greet_each_open(client, context, handler, &stream);
  if (status != SKY_OK) { /* there will be no on_done */
    end_one(work, status);
    return;
  }
  status = write_all(stream);
  if (status == SKY_OK) {
    sky_client_stream_close_send(stream);
  } else if (!sky_status_take(&status, SKY_CODE_CANCELLED)) { /* CANCELLED: it has ended, and on_done says why */
    note_failure(work, status);
    sky_client_stream_cancel(stream);
  }
  sky_client_stream_unref(stream); /* it goes on without us, to on_done */
}

static SkyStatus run(SkyClient *client) {
  Work work = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .left = CALLS + 1};
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, TIMEOUT_MS);
  start_calls(client, &context, &work);
  start_stream(client, &context, &work);
  SKY_TRY(wait_for_all(&work));
  printf("%zu greetings\n", work.greetings);
  return SKY_OK;
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
    status = add_client_interceptors(client, options.token);
  if (status == SKY_OK)
    status = run(client);
  sky_client_destroy(client);
  sky_rpc_destroy(rpc);
  options_finish(&options);
  return options_exit_code(status);
}
