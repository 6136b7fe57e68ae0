/*
 * A service as a process under test: started with its own ports and store, asked over HTTP, ended by its pid. It dies
 * with the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PROCESS_MAX_ARGUMENTS = 16 };

typedef struct Process {
  pid_t pid; /* 0: not running */
  int listen_port;
  int admin_port;
  size_t max_descriptors; /* 0: as many as we may have */
  char directory[64];     /* store and log */
  char log[80];
} Process;

/* Picks ports and directory, starts nothing. */
void process_init(Process *process);
/* Starts the program with --listen, --admin and --store, and more arguments (NULL-terminated; a later one does not
 * replace these). */
void process_start(Process *process, const char *const *more);
/* The same without any of ours. */
void process_start_bare(Process *process, const char *const *arguments);
void process_signal(Process *process, int number);
/* Waits until it has ended; the exit code, or minus the signal that killed it. */
int process_wait(Process *process);
/* Kills it and removes its files. */
void process_finish(Process *process);

/* GET on the admin port: the status (0: nobody answers) and the body, which lives until the next call. */
int process_get(const Process *process, const char *path, const char **ret_body);
bool process_is_ready(const Process *process);
/* What it wrote on stdout and stderr so far; lives until the next call. */
const char *process_output(const Process *process);
size_t process_resident_kb(const Process *process);
