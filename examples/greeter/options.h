/* What the three programs are told on their command lines. */
#pragma once

#include <stdbool.h>

#include <sky/core/status.h>
#include <sky/rpc/tls.h>

typedef struct Options {
  char address[32];  /* --port=N: 127.0.0.1:N; without it a server takes a free port */
  const char *token; /* --token=SECRET: calls must bring it; NULL: none */
  SkyTls *tls;       /* --tls=DIRECTORY with server.pem, server.key, ca.pem; NULL: plain text */
} Options;

SKY_MUST_USE SkyStatus options_read(Options *options, int argc, char **argv, bool is_server);
void options_finish(Options *options);
/* Says on standard error what was wrong, takes the status; the exit code of the program. */
int options_exit_code(SkyStatus status);
