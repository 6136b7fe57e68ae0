#include "goaway.h"

#include <dlfcn.h>
#include <semaphore.h>

#include <sky/rpc/core_version.h>
#include <sky/rpc/tag.h>

typedef void (*ServerAction)(grpc_server *server);
typedef bool (*ServerQuestion)(grpc_server *server);

/* In the version known to us a grpc_server is the core's C++ object. */
static void *find(const char *symbol) {
  return sky_core_is_known() ? dlsym(RTLD_DEFAULT, symbol) : NULL;
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
