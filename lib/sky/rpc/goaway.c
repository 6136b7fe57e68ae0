#include "goaway.h"

#include <dlfcn.h>
#include <semaphore.h>
#include <string.h>

#include <sky/rpc/tag.h>

/* The core's interface version of gRPC 1.51, whose grpc_server is its C++ object. */
static const char known_version[] = "29.";

typedef void (*ServerAction)(grpc_server *server);
typedef bool (*ServerQuestion)(grpc_server *server);

static void *find(const char *symbol) {
  if (strncmp(grpc_version_string(), known_version, sizeof(known_version) - 1) != 0)
    return NULL;
  return dlsym(RTLD_DEFAULT, symbol);
}

static ServerAction find_action(const char *symbol) {
  union {
    void *symbol;
    ServerAction action;
  } found = {.symbol = find(symbol)};
  return found.action;
}

/* ---- on a thread of the core ---- */

typedef struct Work {
  grpc_completion_queue_functor functor;
  grpc_server *server;
  ServerAction stop_listening, send_goaways;
  sem_t done;
} Work;

static void run(grpc_completion_queue_functor *functor, int ok) {
  Work *work = SKY_CONTAINER(functor, Work, functor);
  work->stop_listening(work->server);
  work->send_goaways(work->server);
  sem_post(&work->done);
}

/*
 * These functions want a thread that runs the core's closures afterwards. The core calls the functor of a callback
 * queue that has shut down on such a thread of its own.
 */
static void run_in_core(Work *work) {
  sem_init(&work->done, 0, 0);
  grpc_completion_queue *queue = grpc_completion_queue_create_for_callback(&work->functor, NULL);
  grpc_completion_queue_shutdown(queue);
  while (sem_wait(&work->done) != 0)
    continue;
  grpc_completion_queue_destroy(queue);
  sem_destroy(&work->done);
}

bool sky_goaway_begin(grpc_server *server) {
  Work work = {.functor.functor_run = run,
               .server = server,
               .stop_listening = find_action("_ZN9grpc_core6Server13StopListeningEv"),
               .send_goaways = find_action("_ZN9grpc_core6Server11SendGoawaysEv")};
  if (work.stop_listening == NULL || work.send_goaways == NULL ||
      find("_ZN9grpc_core6Server18HasOpenConnectionsEv") == NULL)
    return false;
  run_in_core(&work);
  return true;
}

bool sky_goaway_has_connections(grpc_server *server) {
  union {
    void *symbol;
    ServerQuestion question;
  } found = {.symbol = find("_ZN9grpc_core6Server18HasOpenConnectionsEv")};
  return found.question != NULL && found.question(server);
}
