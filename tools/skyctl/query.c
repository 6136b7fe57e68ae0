/* skyctl get, list, cancel. */
#include "skyctl/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/core/time.h>

#include "skyctl/api.h"
#include "skyctl/status_line.h"

enum { ARENA_BYTES = 64 << 20, PATH_SIZE = 2048, PAGE = 500 };

/* ---- get ---- */

static int run_get(Http *http, int argc, char **argv) {
  char path[PATH_SIZE];
  HttpAnswer answer;
  if (argc != 1 || argv[0][0] == '-') {
    fputs("skyctl get: which ID? See skyctl get --help\n", stderr);
    return EXIT_CALLED_WRONGLY;
  }
  snprintf(path, sizeof(path), "/api/v1/deliveryrequests/%s", http_escaped(argv[0]));
  SkyStatus status = http_request(http, "GET", path, NULL, &answer);
  if (status != SKY_OK)
    return command_failed(status, "get");
  printf("%.*s\n", SKY_STR_ARGS(sky_buf_str(&answer.body)));
  http_answer_finish(&answer);
  snprintf(path, sizeof(path), "/api/v1/deliveries/%s", http_escaped(argv[0]));
  status = http_request(http, "GET", path, NULL, &answer);
  if (sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return EXIT_SUCCESS; /* not scheduled, or never will be */
  if (status != SKY_OK)
    return command_failed(status, "get");
  printf("%.*s\n", SKY_STR_ARGS(sky_buf_str(&answer.body)));
  http_answer_finish(&answer);
  return EXIT_SUCCESS;
}

const Command command_get = {
    .name = "get",
    .arguments = "ID",
    .summary = "a delivery request and its delivery, as JSON",
    .help = "Prints the request on one line and, once it is scheduled, the delivery on the next.\n",
    .run = run_get};

/* ---- list ---- */

static void print_delivery(const delivery_Delivery *delivery) {
  const delivery_DeliveryStatus *status = delivery->status;
  char created[SKY_RFC3339_SIZE] = "";
  if (delivery->create_time != NULL)
    sky_time_format_rfc3339(delivery->create_time->seconds, 0, created);
  printf("%-36s  %-18s  %-20s  %-20s  %7.2f km\n", delivery->id, status_stage_name(status == NULL ? 0 : status->stage),
         delivery->drone_id, created, delivery->distance_m / 1000);
}

/* Prints a page; *token gets the next one's. */
static SkyStatus print_page(Http *http, const char *owner, const char *stage, char token[PATH_SIZE / 2],
                            size_t *count) {
  char path[PATH_SIZE];
  int size = snprintf(path, sizeof(path), "/api/v1/deliveries?ownerId=%s&pageSize=%d", http_escaped(owner), PAGE);
  if (stage != NULL)
    size += snprintf(path + size, sizeof(path) - (size_t)size, "&status=%s", http_escaped(stage));
  if (token[0] != '\0')
    snprintf(path + size, sizeof(path) - (size_t)size, "&pageToken=%s", http_escaped(token));
  HttpAnswer answer;
  SKY_TRY(http_request(http, "GET", path, NULL, &answer));
  SkyArena arena;
  ProtobufCMessage *message;
  sky_arena_init(&arena, ARENA_BYTES);
  SkyStatus status =
      api_from_json(delivery_ListDeliveriesResponse_descriptor, sky_buf_str(&answer.body), &arena, &message);
  if (status == SKY_OK) {
    const delivery_ListDeliveriesResponse *page = (const delivery_ListDeliveriesResponse *)message;
    for (size_t i = 0; i < page->n_deliveries; i++)
      print_delivery(page->deliveries[i]);
    *count += page->n_deliveries;
    snprintf(token, PATH_SIZE / 2, "%s", page->next_page_token);
  }
  sky_arena_finish(&arena);
  http_answer_finish(&answer);
  return status;
}

static int run_list(Http *http, int argc, char **argv) {
  char token[PATH_SIZE / 2] = "", stage[64] = "";
  const char *owner = NULL;
  size_t count = 0;
  for (int i = 0; i < argc; i++) {
    if (strncmp(argv[i], "--stage=", 8) == 0)
      snprintf(stage, sizeof(stage), "DELIVERY_STAGE_%s", argv[i] + 8);
    else if (argv[i][0] != '-' && owner == NULL)
      owner = argv[i];
    else {
      fprintf(stderr, "skyctl list: unexpected \"%s\"; see skyctl list --help\n", argv[i]);
      return EXIT_CALLED_WRONGLY;
    }
  }
  if (owner == NULL) {
    fputs("skyctl list: of which OWNER? See skyctl list --help\n", stderr);
    return EXIT_CALLED_WRONGLY;
  }
  SkyStatus status = SKY_OK;
  do
    status = print_page(http, owner, stage[0] == '\0' ? NULL : stage, token, &count);
  while (status == SKY_OK && token[0] != '\0');
  if (status != SKY_OK)
    return command_failed(status, "list");
  fprintf(stderr, "%zu deliveries\n", count);
  return EXIT_SUCCESS;
}

const Command command_list = {.name = "list",
                              .arguments = "OWNER",
                              .summary = "the deliveries of an owner, newest first",
                              .help =
                                  "One line each: id, stage, drone, time of creation, distance.\n\n"
                                  "  --stage=STAGE    only those in this stage: CREATED, HEADED_TO_PICKUP,\n"
                                  "                   HEADED_TO_DROPOFF, COMPLETED, CANCELLED, RESCHEDULED or FAILED\n",
                              .run = run_list};

/* ---- cancel ---- */

static int run_cancel(Http *http, int argc, char **argv) {
  char path[PATH_SIZE];
  HttpAnswer answer;
  if (argc != 1 || argv[0][0] == '-') {
    fputs("skyctl cancel: which ID? See skyctl cancel --help\n", stderr);
    return EXIT_CALLED_WRONGLY;
  }
  snprintf(path, sizeof(path), "/api/v1/deliveryrequests/%s", http_escaped(argv[0]));
  SkyStatus status = http_request(http, "DELETE", path, NULL, &answer);
  if (status != SKY_OK)
    return command_failed(status, "cancel");
  printf("%.*s\n", SKY_STR_ARGS(sky_buf_str(&answer.body)));
  http_answer_finish(&answer);
  return EXIT_SUCCESS;
}

const Command command_cancel = {
    .name = "cancel",
    .arguments = "ID",
    .summary = "cancel a delivery that was not picked up yet",
    .help = "Asks for the cancellation; skyctl watch ID shows when it is done. Refused after pickup.\n",
    .run = run_cancel};
