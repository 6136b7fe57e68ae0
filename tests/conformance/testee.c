/*
 * The testee of protobuf's conformance suite: lib/sky/transcode behind the suite's pipe.
 *
 * Binary and JSON, both ways; what else the suite asks for (text format, JSPB, editions) is answered as skipped.
 * SKY_TEST_DESCRIPTORS: descriptor set with the test messages; an environment variable, because the runner hands on no
 * arguments.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sky/transcode/canonical.h>
#include <sky/transcode/json.h>

#include "pipe.h"

/* The payload as canonical wire bytes. */
static SkyStatus parse(const SkyContracts *contracts, const SkyMessageType *type, const Request *request,
                       SkyArena *arena, SkyBuf *ret_wire) {
  if (request->payload_kind == REQUEST_PROTOBUF)
    return sky_wire_canonical(contracts, type, request->payload.data, request->payload.size, arena, ret_wire);
  const SkyJsonReadOptions options = {.ignore_unknown = request->category == CATEGORY_JSON_IGNORE_UNKNOWN,
                                      .allow_nul = true};
  return sky_json_to_wire(contracts, type, request->payload, &options, arena, ret_wire);
}

static void respond_with(const SkyContracts *contracts, const SkyMessageType *type, const Request *request,
                         SkyArena *arena, SkyBuf *wire, SkyBuf *json, SkyBuf *out) {
  SkyStatus status = parse(contracts, type, request, arena, wire);
  if (status != SKY_OK) {
    answer_error(out, RESPONSE_PARSE_ERROR, status);
    return;
  }
  if (request->output == FORMAT_PROTOBUF) {
    answer(out, RESPONSE_PROTOBUF, sky_buf_str(wire));
    return;
  }
  status = sky_json_from_wire(contracts, type, wire->data, wire->size, NULL, arena, json);
  if (status != SKY_OK)
    answer_error(out, RESPONSE_SERIALIZE_ERROR, status);
  else
    answer(out, RESPONSE_JSON, sky_buf_str(json));
}

static void respond(void *user, const Request *request, SkyBuf *out) {
  const SkyContracts *contracts = user;
  const SkyMessageType *type = sky_contracts_message(contracts, request->type);
  const bool known_format =
      request->payload_kind == REQUEST_PROTOBUF || request->payload_kind == REQUEST_JSON || request->payload_kind == 0;
  const bool known_output = request->output == FORMAT_PROTOBUF || request->output == FORMAT_JSON;
  if (type == NULL || !known_format || !known_output) {
    answer(out, RESPONSE_SKIPPED, SKY_STR("binary and JSON of proto2 and proto3 only"));
    return;
  }
  SkyArena arena;
  SkyBuf wire, json;
  sky_arena_init(&arena, MAX_MESSAGE);
  sky_buf_init(&wire, MAX_MESSAGE);
  sky_buf_init(&json, MAX_MESSAGE);
  respond_with(contracts, type, request, &arena, &wire, &json, out);
  sky_buf_finish(&json);
  sky_buf_finish(&wire);
  sky_arena_finish(&arena);
}

int main(void) {
  SkyContracts *contracts = NULL;
  const char *path = getenv("SKY_TEST_DESCRIPTORS");
  SkyStatus status = sky_contracts_load_file(path == NULL ? "" : path, NULL, &contracts);
  if (status != SKY_OK) {
    fprintf(stderr, "%s\n", sky_status_message(status));
    sky_status_free(status);
    return EXIT_FAILURE;
  }
  serve(respond, contracts);
  sky_contracts_destroy(contracts);
  return EXIT_SUCCESS;
}
