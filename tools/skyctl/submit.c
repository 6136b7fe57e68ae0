/* skyctl submit: sends the delivery requests of a file, and says what became of each. */
#include "skyctl/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sky/core/id.h>
#include <sky/core/time.h>

#include "fabrikam/ingestion/v1/ingestion.sky.h"
#include "skyctl/api.h"
#include "skyctl/problem.h"
#include "skyctl/rows.h"

enum { AT_ONCE = 16, BAR_WIDTH = 30, MAX_SHOWN_FAILURES = 20, ARENA_BYTES = 1 << 20 };

typedef struct Submit {
  Rows rows;
  size_t sent, accepted, failed;
  bool is_terminal, print_ids;
  int64_t begin_ns;
  char (*keys)[SKY_UUID_TEXT_SIZE];
} Submit;

static void show_progress(const Submit *submit) {
  const size_t done = submit->accepted + submit->failed, full = done * BAR_WIDTH / submit->rows.count;
  if (!submit->is_terminal)
    return;
  fprintf(stderr, "\r  [");
  for (size_t i = 0; i < BAR_WIDTH; i++)
    fputs(i < full ? "█" : "·", stderr);
  fprintf(stderr, "] %zu/%zu", done, submit->rows.count);
  if (submit->failed > 0)
    fprintf(stderr, ", %zu failed", submit->failed);
  fflush(stderr);
}

/* A key for each row of this run: a repeated request is the same request, the same file tomorrow is a new one. */
static bool next(void *user, HttpPost *ret) {
  Submit *submit = user;
  if (submit->sent == submit->rows.count)
    return false;
  const SkyUuid uuid = sky_uuid_v7(sky_clock_wall_ms(sky_clock_system_borrow()), sky_random_system_borrow());
  sky_uuid_format(&uuid, submit->keys[submit->sent]);
  *ret = (HttpPost){.body = submit->rows.rows[submit->sent].json,
                    .idempotency_key = submit->keys[submit->sent],
                    .user = &submit->rows.rows[submit->sent]};
  submit->sent++;
  return true;
}

static void show_failure(Submit *submit, const Row *row, const SkyError *status) {
  if (submit->failed > MAX_SHOWN_FAILURES)
    return;
  fprintf(stderr, "%s  line %zu: %s\n", submit->is_terminal ? "\r\033[K" : "", row->line, sky_status_message(status));
  problem_print_violations(stderr, "    ", status);
}

static void print_id(SkyStr body) {
  SkyArena arena;
  ProtobufCMessage *message;
  sky_arena_init(&arena, ARENA_BYTES);
  SkyStatus status = api_from_json(ingestion_DeliveryRequestStatus_descriptor, body, &arena, &message);
  if (status == SKY_OK)
    puts(((const ingestion_DeliveryRequestStatus *)message)->id);
  sky_status_free(status);
  sky_arena_finish(&arena);
}

static void done(void *user, const HttpPost *post, SkyStatus status, SkyStr body) {
  Submit *submit = user;
  if (status == SKY_OK) {
    submit->accepted++;
    if (submit->print_ids)
      print_id(body);
  } else {
    submit->failed++;
    show_failure(submit, post->user, status);
  }
  sky_status_free(status);
  show_progress(submit);
}

static void show_summary(const Submit *submit) {
  const double seconds = (double)(sky_clock_monotonic_ns(sky_clock_system_borrow()) - submit->begin_ns) / 1e9;
  if (submit->is_terminal)
    fputs("\r\033[K", stderr);
  fprintf(stderr, "  %-10s %8zu\n  %-10s %8zu\n  %-10s %8zu\n  %-10s %8.2f s (%.0f/s)\n", "requests",
          submit->rows.count, "accepted", submit->accepted, "failed", submit->failed, "time", seconds,
          (double)submit->rows.count / (seconds > 0 ? seconds : 1));
}

static int submit_all(Http *http, Submit *submit) {
  submit->keys = calloc(submit->rows.count, sizeof(*submit->keys));
  if (submit->keys == NULL)
    return command_failed(sky_status_no_memory(), "submit");
  submit->begin_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  show_progress(submit);
  SkyStatus status = http_post_all(http, "/api/v1/deliveryrequests", AT_ONCE, next, done, submit);
  free(submit->keys);
  if (status != SKY_OK)
    return command_failed(status, "submit");
  show_summary(submit);
  return submit->failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(Http *http, int argc, char **argv) {
  Submit submit = {.is_terminal = isatty(STDERR_FILENO) == 1};
  const char *path = NULL;
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--ids") == 0)
      submit.print_ids = true;
    else if (path == NULL && (argv[i][0] != '-' || argv[i][1] == '\0'))
      path = argv[i];
    else {
      fprintf(stderr, "skyctl submit: unexpected \"%s\"; see skyctl submit --help\n", argv[i]);
      return EXIT_CALLED_WRONGLY;
    }
  }
  if (path == NULL) {
    fputs("skyctl submit: which FILE? See skyctl submit --help\n", stderr);
    return EXIT_CALLED_WRONGLY;
  }
  SkyStatus status = rows_load(path, &submit.rows);
  if (status != SKY_OK)
    return command_failed(status, "submit");
  const int code = submit_all(http, &submit);
  rows_finish(&submit.rows);
  return code;
}

const Command command_submit = {
    .name = "submit",
    .arguments = "FILE",
    .summary = "send the delivery requests of a file",
    .help = "FILE holds delivery requests: JSON lines, or CSV (*.csv) whose header names fields by their path in the\n"
            "JSON (ownerId,pickupLocation.latitude,…); - reads JSON lines from standard input. Requests that meet a\n"
            "busy or absent server are repeated under the same Idempotency-Key until --timeout is over. Ends with a\n"
            "summary, and with exit code 1 when any request failed.\n\n"
            "  --ids    print the id of each accepted request on standard output\n",
    .run = run};
