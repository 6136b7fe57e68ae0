/*
 * A service for tests in all four kinds, inline and on workers. What a handler does is told by the request's text.
 */
#pragma once

#include <pthread.h>

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

#include "echo.pb-c.h"

typedef enum EchoMethod {
  ECHO_INLINE, /* answers its request, on the I/O thread; marked as idempotent */
  ECHO_WORKER, /* the same on a worker */
  ECHO_DEFER,  /* inline, deferred: hands the call to the test */
  ECHO_COUNT,  /* server stream: 1 … number, then ends */
  ECHO_SUM,    /* client stream: the sum of the numbers */
  ECHO_CHAT,   /* bidi, inline: each message back */
  ECHO_CHAT_WORKER,
  ECHO_WATCH,         /* server stream that never ends by itself: hands the call to the test */
  ECHO_CAPPED,        /* deferred, with the longest deadline of 50 ms */
  ECHO_GUARDED,       /* public, needs the scope echo.read */
  ECHO_RULED,         /* its text has at most 8 characters */
  ECHO_CAPPED_WORKER, /* as ECHO_WORKER, with the longest deadline of 500 ms */
  ECHO_METHODS,
} EchoMethod;

extern const SkyMethodDescriptor echo_methods[ECHO_METHODS];

enum { ECHO_MAX_DEFERRED = 2048 };

/* What the test sees of the handlers. */
typedef struct EchoService {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  SkyCall *deferred[ECHO_MAX_DEFERRED]; /* calls handed to the test; NULL once they are taken */
  size_t deferred_count;
  size_t cancelled_count;
  size_t handled;      /* calls that reached the echo handler */
  size_t handled_late; /* of those, begun past their deadline */
  size_t running;      /* handlers that wait in "block" or "hold" */
  bool released;       /* "block" may go on; "hold" waits until its call is cancelled */
  char thread[16];     /* that ran the echo handler last */
  SkyContext context;  /* of the last call; the principal is copied into texts */
  char subject[64], owner[64], scopes[64], peer[64];
  SkyClient *upstream; /* "forward" calls it */
} EchoService;

void echo_service_init(EchoService *service);
void echo_service_finish(EchoService *service);
SkyServiceBinding echo_service_binding(EchoService *service);
void echo_service_release(EchoService *service); /* lets the blocked handlers go on */
void echo_service_block_again(EchoService *service);
void echo_service_set_upstream(EchoService *service, SkyClient *upstream);
/* What the handlers wrote before is the caller's to read: a socket between two threads orders nothing for the
 * sanitizer. */
void echo_service_synchronize(EchoService *service);
/* A deferred call, to be finished by the caller; NULL when there is none. */
SkyCall *echo_service_take_any(EchoService *service);
size_t echo_service_deferred(EchoService *service);
size_t echo_service_cancelled(EchoService *service);
size_t echo_service_running(EchoService *service);
size_t echo_service_handled(EchoService *service);
bool echo_service_ran_on(EchoService *service, const char *thread); /* the last call to the echo handler */
