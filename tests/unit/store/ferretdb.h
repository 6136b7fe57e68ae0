/* A MongoDB-wire server for one test program: FerretDB on a free loopback port, with its files in a folder of its own.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

typedef struct Ferretdb {
  pid_t pid;
  int port;
  char uri[64];
  char folder[64];
} Ferretdb;

/* False, with a word on why, when the program (environment SKY_FERRETDB) is not there or does not answer in time. */
bool ferretdb_start(Ferretdb *server);
/* Ends it, keeping its files, and starts it again at the same port. */
void ferretdb_pause(Ferretdb *server);
bool ferretdb_resume(Ferretdb *server);
void ferretdb_stop(Ferretdb *server); /* ends it by its pid and removes its files */
