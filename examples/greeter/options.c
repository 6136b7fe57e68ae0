#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024 };

/* The value of --name=value; NULL when the argument is another. */
static const char *value_of(const char *argument, const char *name) {
  const size_t length = strlen(name);
  return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

/* A server shows its certificate; a client knows whom to believe. Changed files are taken up while the program runs. */
static SkyStatus read_tls(const char *directory, bool is_server, SkyTls **ret) {
  char certificate[PATH_BYTES], key[PATH_BYTES], ca[PATH_BYTES];
  snprintf(certificate, sizeof(certificate), "%s/server.pem", directory);
  snprintf(key, sizeof(key), "%s/server.key", directory);
  snprintf(ca, sizeof(ca), "%s/ca.pem", directory);
  const SkyTlsOptions server = {.certificate = certificate, .key = key}, client = {.ca = ca};
  return sky_tls_create(is_server ? &server : &client, ret);
}

static SkyStatus read_argument(Options *options, const char *argument, bool is_server) {
  const char *value;
  if ((value = value_of(argument, "--port=")) != NULL)
    snprintf(options->address, sizeof(options->address), "127.0.0.1:%s", value);
  else if ((value = value_of(argument, "--token=")) != NULL)
    options->token = value;
  else if ((value = value_of(argument, "--tls=")) != NULL)
    return read_tls(value, is_server, &options->tls);
  else
    return SKY_INVALID_ARGUMENT("%s? Known are --port=N, --token=SECRET and --tls=DIRECTORY", argument);
  return SKY_OK;
}

SkyStatus options_read(Options *options, int argc, char **argv, bool is_server) {
  *options = (Options){.address = "127.0.0.1:0"};
  for (int i = 1; i < argc; i++)
    SKY_TRY(read_argument(options, argv[i], is_server));
  return SKY_OK;
}

void options_finish(Options *options) {
  sky_tls_unref(options->tls);
}

int options_exit_code(SkyStatus status) {
  if (status == SKY_OK)
    return EXIT_SUCCESS;
  fprintf(stderr, "%s: %s\n", sky_code_name(sky_status_code(status)), sky_status_message(status));
  for (size_t i = 0; i < sky_status_violation_count(status); i++)
    fprintf(stderr, "  %s %s\n", sky_status_violation(status, i)->field, sky_status_violation(status, i)->description);
  sky_status_free(status);
  return EXIT_FAILURE;
}
