/*
 * A real nats-server for tests, on a free port of 127.0.0.1, with JetStream in a directory of its own. It dies with the
 * test process. $NATS_SERVER names the program.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

typedef struct NatsServer {
  pid_t pid; /* 0: not running */
  int port;
  bool jetstream;
  char url[40];
  char directory[64];
} NatsServer;

/* Picks the port and the directory, starts nothing. */
void nats_server_init(NatsServer *server);
/* Starts it and waits until it accepts connections. */
void nats_server_start(NatsServer *server);
/* kill -9; what it stored stays. */
void nats_server_kill(NatsServer *server);
/* Asks it to end: all it knows is on disk then. */
void nats_server_stop(NatsServer *server);
void nats_server_pause(NatsServer *server);
void nats_server_resume(NatsServer *server);
/* Removes what it stored; it is not running. */
void nats_server_wipe(NatsServer *server);
/* Keeps a copy of a stream's messages, or puts them back: what consumers know of them stays. It is not running. */
void nats_server_save(NatsServer *server, const char *stream);
void nats_server_restore(NatsServer *server, const char *stream);
/* Kills and wipes. */
void nats_server_finish(NatsServer *server);
