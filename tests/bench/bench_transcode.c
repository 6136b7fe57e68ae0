/*
 * What the transcoder costs: CPU ns per operation of routing, of a typical request and of typical responses, with the
 * real contracts.
 *
 *     bench_transcode DESCRIPTOR_SET [SECONDS_PER_CASE]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sky/transcode/request.h>
#include <sky/transcode/response.h>
#include <sky/transcode/route.h>

static const char order_json[] =
    "{\"ownerId\": \"owner-42\", \"pickupLocation\": {\"latitude\": 47.60621, \"longitude\": -122.33207, \"altitude\": "
    "56.2},"
    " \"dropoffLocation\": {\"latitude\": 47.6205, \"longitude\": -122.3493}, \"pickupTime\": \"2026-11-21T09:30:00Z\","
    " \"deadline\": \"2026-11-21T11:00:00Z\", \"expedited\": true, \"confirmationRequired\": "
    "\"CONFIRMATION_TYPE_SIGNATURE\","
    " \"packageInfo\": {\"packageId\": \"pkg-20261121-0001\", \"size\": \"PACKAGE_SIZE_SMALL\", \"weightKg\": 1.25, "
    "\"tag\": \"fragile\"},"
    " \"notify\": {\"email\": \"someone@example.org\"}}";

static const char delivery_json[] =
    "{\"delivery\": {\"id\": \"0194d3c2-7f60-7c11-9d4b-2f6a3f0c1b77\", \"ownerId\": \"owner-42\", \"order\": ORDER,"
    " \"status\": STATUS, \"droneId\": \"drone-17\", \"packageId\": \"pkg-20261121-0001\", \"distanceM\": "
    "2871.4402913451,"
    " \"pickupTime\": \"2026-11-21T09:41:12.350Z\", \"createTime\": \"2026-11-21T09:28:03.120Z\","
    " \"updateTime\": \"2026-11-21T09:44:55.871Z\", \"etag\": \"7\"}}";

static const char status_json[] =
    "{\"deliveryId\": \"0194d3c2-7f60-7c11-9d4b-2f6a3f0c1b77\", \"stage\": \"DELIVERY_STAGE_HEADED_TO_DROPOFF\","
    " \"phase\": \"MISSION_PHASE_TO_DROPOFF\", \"lastKnownLocation\": {\"latitude\": 47.612345678901, \"longitude\": "
    "-122.34012345678901},"
    " \"locationTime\": \"2026-11-21T09:44:55.871Z\", \"deliveryEta\": {\"time\": \"2026-11-21T09:49:30Z\", "
    "\"confidence\": 0.87},"
    " \"speedMps\": 15.5, \"remainingDistanceM\": 1204.7719834, \"batteryFraction\": 0.6631, \"version\": \"19\"}";

typedef struct Bench {
  SkyContracts *contracts;
  SkyRoute get_route, post_route;
  SkyBuf wire, out;
  SkyArena arena;
  SkyBuf delivery, status; /* responses */
} Bench;

static void must(SkyStatus status, const char *what) {
  if (status == SKY_OK)
    return;
  fprintf(stderr, "%s: %s\n", what, sky_status_message(status));
  for (size_t i = 0; i < sky_status_violation_count(status); i++)
    fprintf(stderr, "  %s: %s\n", sky_status_violation(status, i)->field, sky_status_violation(status, i)->description);
  exit(EXIT_FAILURE);
}

static double cpu_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run(Bench *bench, const char *name, void (*once)(Bench *bench), double seconds) {
  size_t count = 0;
  for (int i = 0; i < 1000; i++)
    once(bench);
  const double start = cpu_s();
  double spent = 0;
  while (spent < seconds) {
    for (int i = 0; i < 1000; i++)
      once(bench);
    count += 1000;
    spent = cpu_s() - start;
  }
  printf("%-46s %8.0f ns/op   %6zu bytes out\n", name, spent / (double)count * 1e9, bench->out.size);
}

static void route_get(Bench *bench) {
  must(sky_transcode_route(bench->contracts, SKY_STR("GET"),
                           SKY_STR("/api/v1/deliveries/0194d3c2-7f60-7c11-9d4b-2f6a3f0c1b77"), &bench->get_route),
       "route");
}

static void post_request(Bench *bench) {
  const SkyHttpRequest request = {.content_type = SKY_STR("application/json"),
                                  .body = {order_json, sizeof(order_json) - 1},
                                  .idempotency_key = SKY_STR("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")};
  sky_buf_clear(&bench->out);
  sky_arena_reset(&bench->arena);
  must(sky_transcode_request(bench->contracts, &bench->post_route, &request, NULL, &bench->arena, &bench->out),
       "request");
}

static void get_request(Bench *bench) {
  const SkyHttpRequest request = {.query = SKY_STR("")};
  sky_buf_clear(&bench->out);
  sky_arena_reset(&bench->arena);
  must(sky_transcode_request(bench->contracts, &bench->get_route, &request, NULL, &bench->arena, &bench->out),
       "request");
}

static void get_response(Bench *bench) {
  SkyHttpAnswer answer;
  sky_buf_clear(&bench->out);
  sky_arena_reset(&bench->arena);
  must(sky_transcode_response(bench->contracts, &bench->get_route, bench->delivery.data, bench->delivery.size, NULL,
                              &bench->arena, &bench->out, &answer),
       "response");
}

static void status_response(Bench *bench) {
  sky_buf_clear(&bench->out);
  sky_arena_reset(&bench->arena);
  must(sky_json_from_wire(bench->contracts,
                          sky_contracts_message(bench->contracts, SKY_STR("fabrikam.delivery.v1.DeliveryStatus")),
                          bench->status.data, bench->status.size, NULL, &bench->arena, &bench->out),
       "status");
}

/* The response of GetDelivery: its JSON with the two parts put in, as wire bytes. */
static void make_delivery(Bench *bench) {
  SkyBuf json;
  sky_buf_init(&json, 1 << 16);
  for (const char *at = delivery_json; *at != '\0'; at++) {
    if (strncmp(at, "ORDER", 5) == 0) {
      sky_buf_append_text(&json, order_json);
      at += 4;
    } else if (strncmp(at, "STATUS", 6) == 0) {
      sky_buf_append_text(&json, status_json);
      at += 5;
    } else {
      sky_buf_append_byte(&json, (uint8_t)*at);
    }
  }
  must(sky_json_to_wire(bench->contracts, bench->get_route.method->response, sky_buf_str(&json), NULL, &bench->arena,
                        &bench->delivery),
       "delivery");
  sky_buf_finish(&json);
}

int main(int argc, char **argv) {
  Bench bench = {.contracts = NULL};
  if (argc < 2) {
    fprintf(stderr, "usage: %s DESCRIPTOR_SET [SECONDS_PER_CASE]\n", argv[0]);
    return EXIT_FAILURE;
  }
  const double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;
  const double before_load = cpu_s();
  must(sky_contracts_load_file(argv[1], NULL, &bench.contracts), "contracts");
  printf("%-46s %8.0f us\n", "loading the contracts", (cpu_s() - before_load) * 1e6);
  sky_arena_init(&bench.arena, 1 << 20);
  sky_buf_init(&bench.out, 1 << 20);
  sky_buf_init(&bench.delivery, 1 << 16);
  sky_buf_init(&bench.status, 1 << 16);
  route_get(&bench);
  must(sky_transcode_route(bench.contracts, SKY_STR("POST"), SKY_STR("/api/v1/deliveryrequests"), &bench.post_route),
       "route");
  make_delivery(&bench);
  must(sky_json_to_wire(bench.contracts,
                        sky_contracts_message(bench.contracts, SKY_STR("fabrikam.delivery.v1.DeliveryStatus")),
                        (SkyStr){status_json, sizeof(status_json) - 1}, NULL, &bench.arena, &bench.status),
       "status");
  run(&bench, "route GET /api/v1/deliveries/{id}", route_get, seconds);
  run(&bench, "request GET /api/v1/deliveries/{id}", get_request, seconds);
  run(&bench, "response GET /api/v1/deliveries/{id}", get_response, seconds);
  run(&bench, "request POST /api/v1/deliveryrequests", post_request, seconds);
  run(&bench, "one DeliveryStatus of a stream", status_response, seconds);
  sky_buf_finish(&bench.out);
  sky_buf_finish(&bench.delivery);
  sky_buf_finish(&bench.status);
  sky_arena_finish(&bench.arena);
  sky_contracts_destroy(bench.contracts);
  return EXIT_SUCCESS;
}
