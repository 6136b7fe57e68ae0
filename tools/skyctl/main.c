/* skyctl: the operator's command line, through the gateway's REST API. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/str.h>
#include <sky/core/time.h>
#include <sky/core/version.h>

#include "skyctl/api.h"
#include "skyctl/commands.h"
#include "skyctl/problem.h"

static const Command *const commands[] = {&command_submit, &command_watch, &command_get, &command_list,
                                          &command_cancel};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

typedef struct Options {
  const char *gateway;
  int64_t timeout_ms;
  bool help;
} Options;

int command_failed(SkyStatus status, const char *what) {
  fprintf(stderr, "skyctl %s: %s", what, sky_status_message(status));
  if (sky_status_reason(status) != NULL)
    fprintf(stderr, " (%s)", sky_status_reason(status));
  fputc('\n', stderr);
  problem_print_violations(stderr, "  ", status);
  sky_status_free(status);
  return EXIT_FAILURE;
}

static void print_options(void) {
  puts("\nOptions, before or after the command:\n"
       "  --gateway=URL    where the gateway is; SKY_GATEWAY, or http://127.0.0.1:8080\n"
       "  --timeout=TIME   how long a request may take, with its repeats; 30s\n"
       "  --help, -h       print this and exit\n"
       "  --version        print the version and exit");
}

static int print_help(const Command *command) {
  if (command != NULL) {
    printf("Usage: skyctl %s %s\n\n%s", command->name, command->arguments, command->help);
  } else {
    puts("Usage: skyctl COMMAND …\nSubmits, follows and cancels deliveries through Skyhook's gateway.\n");
    for (size_t i = 0; i < COMMANDS; i++)
      printf("  %-7s %-6s %s\n", commands[i]->name, commands[i]->arguments, commands[i]->summary);
  }
  print_options();
  return EXIT_SUCCESS;
}

static int called_wrongly(const char *what, const char *word) {
  fprintf(stderr, "skyctl: %s \"%s\"; see skyctl --help\n", what, word);
  return EXIT_CALLED_WRONGLY;
}

/* Takes the common options out of argv. False when one has a wrong value. */
static bool take_options(int *argc, char **argv, Options *options) {
  int kept = 0;
  for (int i = 0; i < *argc; i++) {
    int64_t timeout_ns;
    if (strncmp(argv[i], "--gateway=", 10) == 0) {
      options->gateway = argv[i] + 10;
    } else if (strncmp(argv[i], "--timeout=", 10) == 0) {
      if (!sky_str_to_duration_ns(sky_str(argv[i] + 10), &timeout_ns) || timeout_ns < SKY_NS_PER_MS)
        return false;
      options->timeout_ms = timeout_ns / SKY_NS_PER_MS;
    } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      options->help = true;
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  return true;
}

static const Command *find_command(const char *name) {
  for (size_t i = 0; i < COMMANDS; i++)
    if (strcmp(commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}

static int run(const Command *command, const Options *options, int argc, char **argv) {
  Http *http = NULL;
  SkyStatus status = api_load();
  if (status == SKY_OK)
    status = http_create(options->gateway, options->timeout_ms, &http);
  const int code = status == SKY_OK ? command->run(http, argc, argv) : command_failed(status, command->name);
  http_destroy(http);
  api_unload();
  return code;
}

int main(int argc, char **argv) {
  const char *gateway = getenv("SKY_GATEWAY");
  Options options = {.gateway = gateway == NULL || gateway[0] == '\0' ? "http://127.0.0.1:8080" : gateway,
                     .timeout_ms = 30000};
  argc--;
  argv++;
  if (!take_options(&argc, argv, &options))
    return called_wrongly("not a time (such as 500ms or 30s)", "--timeout");
  if (argc > 0 && strcmp(argv[0], "--version") == 0) {
    printf("skyctl %s\n", sky_version_borrow());
    return EXIT_SUCCESS;
  }
  const Command *command = argc == 0 ? NULL : find_command(argv[0]);
  if (argc > 0 && command == NULL)
    return called_wrongly("there is no command", argv[0]);
  if (options.help)
    return print_help(command);
  if (command == NULL) {
    print_help(NULL);
    return EXIT_CALLED_WRONGLY;
  }
  return run(command, &options, argc - 1, argv + 1);
}
