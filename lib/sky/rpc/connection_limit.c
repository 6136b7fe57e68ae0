#include "connection_limit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <grpc/support/sync.h>

#include <sky/core/time.h>
#include <sky/rpc/core_version.h>

/* A flood of refused connections must not have the whole table looked through each time. */
enum { LOOK_EVERY_MS = 20, FIRST_PLACES = 64 };

/* ---- the mutator as gRPC 1.51 lays it out ---- */

typedef struct Mutator Mutator;
typedef struct SocketInfo {
  int fd;
  enum { OF_CLIENT, OF_LISTENER, OF_SERVER } usage;
} SocketInfo;
typedef struct MutatorTable {
  bool (*mutate_any)(int fd, Mutator *mutator); /* for older users */
  int (*compare)(Mutator *a, Mutator *b);
  void (*destroy)(Mutator *mutator);
  bool (*mutate)(const SocketInfo *info, Mutator *mutator); /* false ends the listener for good */
} MutatorTable;
struct Mutator {
  const MutatorTable *table;
  gpr_refcount refs;
};

/* ---- the limit ---- */

struct SkyConnectionLimit {
  Mutator mutator; /* first, so that it may be cast back */
  size_t max_connections;
  pthread_mutex_t lock; /* guards what follows */
  ino_t *sockets;       /* by descriptor; 0: not one of ours */
  size_t places;
  size_t count; /* places that are taken, some perhaps by connections that have ended */
  int64_t looked_ns;
};

static ino_t socket_of(int fd) {
  struct stat file;
  return fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode) ? file.st_ino : 0;
}

static void forget_ended(SkyConnectionLimit *limit) {
  const int64_t now_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  if (now_ns - limit->looked_ns < (int64_t)LOOK_EVERY_MS * SKY_NS_PER_MS)
    return;
  limit->looked_ns = now_ns;
  for (size_t fd = 0; fd < limit->places; fd++) {
    if (limit->sockets[fd] == 0 || limit->sockets[fd] == socket_of((int)fd))
      continue;
    limit->sockets[fd] = 0;
    limit->count--;
  }
}

static bool reserve(SkyConnectionLimit *limit, size_t fd) {
  if (fd < limit->places)
    return true;
  size_t places = limit->places != 0 ? limit->places : FIRST_PLACES;
  while (places <= fd)
    places *= 2;
  ino_t *sockets = reallocarray(limit->sockets, places, sizeof(*sockets));
  if (sockets == NULL)
    return false;
  memset(sockets + limit->places, 0, (places - limit->places) * sizeof(*sockets));
  limit->sockets = sockets;
  limit->places = places;
  return true;
}

/* With the lock held. */
static bool take_place(SkyConnectionLimit *limit, int fd) {
  if (!reserve(limit, (size_t)fd))
    return false;
  limit->count -= limit->sockets[fd] != 0; /* the descriptor is new, so what it was has ended */
  limit->sockets[fd] = 0;
  if (limit->count >= limit->max_connections)
    forget_ended(limit);
  if (limit->count >= limit->max_connections)
    return false;
  limit->sockets[fd] = socket_of(fd);
  limit->count++;
  return true;
}

static bool mutate(const SocketInfo *info, Mutator *mutator) {
  SkyConnectionLimit *limit = (SkyConnectionLimit *)(void *)mutator;
  if (info->usage != OF_SERVER)
    return true;
  pthread_mutex_lock(&limit->lock);
  const bool taken = take_place(limit, info->fd);
  pthread_mutex_unlock(&limit->lock);
  if (!taken)
    shutdown(info->fd, SHUT_RDWR);
  return true;
}

static int compare(Mutator *a, Mutator *b) {
  return a == b ? 0 : a < b ? -1 : 1;
}

static void destroy(Mutator *mutator) {
  SkyConnectionLimit *limit = (SkyConnectionLimit *)(void *)mutator;
  pthread_mutex_destroy(&limit->lock);
  free(limit->sockets);
  free(limit);
}

static const MutatorTable table = {.compare = compare, .destroy = destroy, .mutate = mutate};

SkyStatus sky_connection_limit_create(size_t max_connections, SkyConnectionLimit **ret) {
  if (!sky_core_is_known())
    return SKY_UNIMPLEMENTED("connections cannot be limited with version %s of the gRPC core", grpc_version_string());
  SkyConnectionLimit *limit = calloc(1, sizeof(*limit));
  if (limit == NULL)
    return sky_status_no_memory();
  limit->mutator.table = &table;
  gpr_ref_init(&limit->mutator.refs, 1);
  limit->max_connections = max_connections;
  pthread_mutex_init(&limit->lock, NULL);
  *ret = limit;
  return SKY_OK;
}

void sky_connection_limit_unref(SkyConnectionLimit *limit) {
  if (limit != NULL && gpr_unref(&limit->mutator.refs) != 0)
    destroy(&limit->mutator);
}

static void *arg_copy(void *limit) {
  gpr_ref(&((SkyConnectionLimit *)limit)->mutator.refs);
  return limit;
}

static void arg_destroy(void *limit) {
  sky_connection_limit_unref(limit);
}

static int arg_compare(void *a, void *b) {
  return compare(a, b);
}

grpc_arg sky_connection_limit_arg(SkyConnectionLimit *limit) {
  static const grpc_arg_pointer_vtable vtable = {.copy = arg_copy, .destroy = arg_destroy, .cmp = arg_compare};
  return (grpc_arg){.type = GRPC_ARG_POINTER,
                    .key = (char *)GRPC_ARG_SOCKET_MUTATOR,
                    .value.pointer = {.p = limit, .vtable = &vtable}};
}
