/* skyctl watch: a delivery live in the terminal, from its request to its end. */
#include "skyctl/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sky/core/time.h>

#include "skyctl/api.h"
#include "skyctl/status_line.h"

enum {
  ARENA_BYTES = 1 << 20,
  PATH_SIZE = 640,
  MAX_RESUMES = 30, /* in a row of streams that broke soon */
  SOON_MS = 30000,
  RESUME_PAUSE_US = 500000
};

typedef struct Watch {
  bool is_terminal;
  bool ended;
  bool scheduled; /* there is a delivery to watch */
  common_DeliveryStage stage;
  ingestion_DeliveryRequestState state;
  SkyStatus status; /* of the stream, as its last event says */
} Watch;

static void show(Watch *watch, const char *text, bool keep) {
  if (!watch->is_terminal)
    printf("%s\n", text);
  else
    printf("\r\033[K  %s%s", text, keep ? "\n" : "");
  fflush(stdout);
}

static void on_update(Watch *watch, const delivery_WatchDeliveryResponse *update) {
  char text[STATUS_LINE_SIZE];
  if (update->status == NULL)
    return;
  status_line(update->status, sky_clock_wall_ms(sky_clock_system_borrow()), text);
  const bool is_new_stage = update->status->stage != watch->stage;
  watch->stage = update->status->stage;
  show(watch, text, is_new_stage);
  if (update->reason != NULL && update->reason->code[0] != '\0' && is_new_stage)
    printf("  %s: %s\n", update->reason->code, update->reason->message);
}

static SkyStatus parse(SkyStr data, const ProtobufCMessageDescriptor *type,
                       void (*use)(Watch *, const ProtobufCMessage *), Watch *watch) {
  SkyArena arena;
  ProtobufCMessage *message;
  sky_arena_init(&arena, ARENA_BYTES);
  SkyStatus status = api_from_json(type, data, &arena, &message);
  if (status == SKY_OK)
    use(watch, message);
  sky_arena_finish(&arena);
  return status;
}

static void use_update(Watch *watch, const ProtobufCMessage *message) {
  on_update(watch, (const delivery_WatchDeliveryResponse *)message);
}

static void use_request(Watch *watch, const ProtobufCMessage *message) {
  const ingestion_DeliveryRequestStatus *request =
      ((const ingestion_WatchDeliveryRequestResponse *)message)->delivery_request;
  char text[STATUS_LINE_SIZE];
  if (request == NULL)
    return;
  watch->scheduled = request->state == ingestion_DELIVERY_REQUEST_STATE_SCHEDULED;
  snprintf(text, sizeof(text), "%-18s  %s%s%s", status_request_state_name(request->state),
           request->reason == NULL ? "" : request->reason->code, request->reason == NULL ? "" : ": ",
           request->reason == NULL ? "" : request->reason->message);
  show(watch, text, request->state != watch->state);
  watch->state = request->state;
}

/* The stream's own last words are "end" and "error"; all else is data. */
static bool take(Watch *watch, const char *event, SkyStr data, const ProtobufCMessageDescriptor *type,
                 void (*use)(Watch *, const ProtobufCMessage *)) {
  watch->ended = strcmp(event, "end") == 0;
  if (watch->ended)
    return false;
  if (strcmp(event, "error") == 0) {
    watch->status = SKY_UNAVAILABLE("the stream broke: %.*s", SKY_STR_ARGS(data));
    return false;
  }
  watch->status = parse(data, type, use, watch);
  return watch->status == SKY_OK;
}

static bool on_delivery_event(void *user, const char *event, SkyStr data) {
  return take(user, event, data, delivery_WatchDeliveryResponse_descriptor, use_update);
}

static bool on_request_event(void *user, const char *event, SkyStr data) {
  return take(user, event, data, ingestion_WatchDeliveryRequestResponse_descriptor, use_request) &&
         !((const Watch *)user)->scheduled;
}

static SkyStatus stream(Http *http, Watch *watch, const char *path,
                        bool (*on_event)(void *user, const char *event, SkyStr data)) {
  watch->status = SKY_OK;
  SkyStatus status = http_events(http, path, on_event, watch);
  if (status == SKY_OK)
    return watch->status;
  sky_status_free(watch->status);
  return status;
}

/* A stream that breaks is taken up again: its first event is the present state, so nothing is missed. */
static SkyStatus stream_to_end(Http *http, Watch *watch, const char *path,
                               bool (*on_event)(void *user, const char *event, SkyStr data)) {
  for (int i = 0;; i++) {
    const int64_t begun_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
    SkyStatus status = stream(http, watch, path, on_event);
    if (sky_clock_monotonic_ns(sky_clock_system_borrow()) - begun_ns > (int64_t)SOON_MS * SKY_NS_PER_MS)
      i = 0;
    if (watch->ended || watch->scheduled || i == MAX_RESUMES || (status != SKY_OK && !sky_status_is_retryable(status)))
      return status;
    sky_status_free(status);
    usleep(RESUME_PAUSE_US);
  }
}

static int run(Http *http, int argc, char **argv) {
  Watch watch = {.is_terminal = isatty(STDOUT_FILENO) == 1};
  char path[PATH_SIZE];
  if (argc != 1 || argv[0][0] == '-') {
    fputs("skyctl watch: which ID? See skyctl watch --help\n", stderr);
    return EXIT_CALLED_WRONGLY;
  }
  snprintf(path, sizeof(path), "/api/v1/deliveryrequests/%s:watch", http_escaped(argv[0]));
  SkyStatus status = stream_to_end(http, &watch, path, on_request_event);
  if (status == SKY_OK && watch.scheduled) {
    watch.ended = watch.scheduled = false;
    snprintf(path, sizeof(path), "/api/v1/deliveries/%s:watch", http_escaped(argv[0]));
    status = stream_to_end(http, &watch, path, on_delivery_event);
  }
  if (watch.is_terminal)
    putchar('\n');
  if (status != SKY_OK)
    return command_failed(status, "watch");
  return watch.stage == common_DELIVERY_STAGE_COMPLETED ? EXIT_SUCCESS : EXIT_FAILURE;
}

const Command command_watch = {
    .name = "watch",
    .arguments = "ID",
    .summary = "follow a delivery live: status, position, time of arrival",
    .help = "Shows each change of the delivery's request until it is scheduled, then where the drone is and when it\n"
            "arrives, until the delivery has ended. Exit code 0 when it was completed, 1 otherwise.\n",
    .run = run};
