/*
 * Commands of skyctl, one file each. Each gets the words after its name and returns the exit code: 0 done, 1 failed, 2
 * called wrongly.
 */
#pragma once

#include "skyctl/http.h"

typedef struct Command {
  const char *name;
  const char *arguments; /* "FILE" */
  const char *summary;
  const char *help; /* the whole story, for `skyctl NAME --help` */
  int (*run)(Http *http, int argc, char **argv);
} Command;

extern const Command command_submit;
extern const Command command_watch;
extern const Command command_get;
extern const Command command_list;
extern const Command command_cancel;

enum { EXIT_CALLED_WRONGLY = 2 };

/* Says on stderr what went wrong, with every bad field on a line of its own, and takes the status. Returns
 * EXIT_FAILURE. */
int command_failed(SkyStatus status, const char *what);
