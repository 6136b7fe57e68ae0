/*
 * Fuzz target: hostile bytes to the transcoder. The first byte picks the way in: a body of JSON, a request line with
 * query, a response's bytes, a descriptor set, the details of an error. What was accepted can be read again and means
 * the same.
 *
 * SKY_TEST_DESCRIPTORS: descriptor set of tests/unit/transcode/library.proto.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sky/transcode/canonical.h>
#include <sky/transcode/json.h>
#include <sky/transcode/problem.h>
#include <sky/transcode/request.h>
#include <sky/transcode/response.h>

enum { BUDGET_BYTES = 4 << 20, MAX_OUT = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Work {
  SkyArena arena;
  SkyBuf wire, json, again;
} Work;

static const SkyContracts *library_borrow(void) {
  static SkyContracts *library;
  if (library == NULL && sky_contracts_load_file(getenv("SKY_TEST_DESCRIPTORS"), NULL, &library) != SKY_OK)
    abort();
  return library;
}

static const SkyMessageType *everything(void) {
  return sky_contracts_message(library_borrow(), SKY_STR("test.library.v1.Everything"));
}

/* JSON that we wrote ourselves must be read, and give the same bytes. */
static void read_back(Work *work) {
  const SkyJsonReadOptions options = {.allow_nul = true};
  SkyStatus status =
      sky_json_to_wire(library_borrow(), everything(), sky_buf_str(&work->json), &options, &work->arena, &work->again);
  if (status != SKY_OK && sky_status_code(status) != SKY_CODE_RESOURCE_EXHAUSTED)
    abort();
  sky_status_free(status);
}

static void try_wire(Work *work, SkyStr bytes) {
  sky_buf_clear(&work->wire);
  SkyStatus status =
      sky_wire_canonical(library_borrow(), everything(), bytes.data, bytes.size, &work->arena, &work->wire);
  if (status == SKY_OK) {
    status = sky_json_from_wire(library_borrow(), everything(), work->wire.data, work->wire.size, NULL, &work->arena,
                                &work->json);
    if (status == SKY_OK)
      read_back(work);
  }
  sky_status_free(status);
}

static void try_json(Work *work, SkyStr text) {
  SkyStatus status = sky_json_to_wire(library_borrow(), everything(), text, NULL, &work->arena, &work->wire);
  if (status == SKY_OK) {
    SkyBuf copy;
    sky_buf_init(&copy, MAX_OUT);
    sky_buf_append_str(&copy, sky_buf_str(&work->wire));
    try_wire(work, sky_buf_str(&copy));
    sky_buf_finish(&copy);
  }
  sky_status_free(status);
}

static void write_problem(Work *work, const SkyError *status, const SkyRoute *route) {
  sky_problem_write(status, &(SkyProblemContext){.route = route}, &work->json);
  if (!sky_utf8_valid(work->json.data, work->json.size))
    abort();
}

/* "METHOD path?query body", without the spaces in between: three lines. */
static void try_request(Work *work, SkyStr text) {
  SkyStr method, path, query = SKY_STR("");
  SkyRoute route;
  if (!sky_str_cut(&text, '\n', &method) || !sky_str_cut(&text, '\n', &path))
    return;
  SkyStr target = path;
  if (sky_str_cut(&target, '?', &path))
    query = target;
  SkyStatus status = sky_transcode_route(library_borrow(), method, path, &route);
  if (status == SKY_OK && route.outcome == SKY_ROUTE_FOUND) {
    const SkyHttpRequest request = {.query = query, .body = text};
    status = sky_transcode_request(library_borrow(), &route, &request, NULL, &work->arena, &work->wire);
    if (status == SKY_OK && sky_wire_canonical(library_borrow(), route.method->request, work->wire.data,
                                               work->wire.size, &work->arena, &work->again) != SKY_OK)
      abort();
  }
  if (status != SKY_OK)
    write_problem(work, status, route.outcome == SKY_ROUTE_FOUND ? &route : NULL);
  sky_status_free(status);
}

static void try_contracts(Work *work, SkyStr bytes) {
  SkyContracts *contracts = NULL;
  const SkyContractsOptions options = {.route_internal = true};
  SkyStatus status = sky_contracts_load(bytes.data, bytes.size, &options, &contracts);
  if (status == SKY_OK)
    sky_contracts_destroy(contracts);
  sky_status_free(status);
  (void)work;
}

static void try_status(Work *work, SkyStr bytes) {
  SkyStatus status = sky_status_from_grpc(3, bytes, bytes.data, bytes.size);
  write_problem(work, status, NULL);
  sky_status_free(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static void (*const ways[])(Work *, SkyStr) = {try_json, try_wire, try_request, try_contracts, try_status};
  Work work;
  if (size == 0)
    return 0;
  sky_arena_init(&work.arena, BUDGET_BYTES);
  sky_buf_init(&work.wire, MAX_OUT);
  sky_buf_init(&work.json, MAX_OUT);
  sky_buf_init(&work.again, MAX_OUT);
  ways[data[0] % (sizeof(ways) / sizeof(*ways))](&work, (SkyStr){.data = (const char *)data + 1, .size = size - 1});
  if (work.arena.used_bytes > BUDGET_BYTES)
    abort();
  sky_buf_finish(&work.again);
  sky_buf_finish(&work.json);
  sky_buf_finish(&work.wire);
  sky_arena_finish(&work.arena);
  return 0;
}
