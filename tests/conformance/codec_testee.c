/*
 * The testee of protobuf's conformance suite for lib/sky/codec and protoc-gen-sky: binary proto3, unpacked into
 * generated structures and packed again. JSON is the transcoder's (testee.c), and proto2's test messages have groups,
 * which the plugin refuses.
 */
#include <sky/codec/message.h>

#include "google/protobuf/test_messages_proto3.sky.h"
#include "pipe.h"

static void respond_with(const Request *request, SkyArena *arena, SkyBuf *wire, SkyBuf *out) {
  proto3_TestAllTypesProto3 *message = NULL;
  SkyStatus status = proto3_TestAllTypesProto3_unpack(request->payload, arena, &message);
  if (status != SKY_OK) {
    answer_error(out, RESPONSE_PARSE_ERROR, status);
    return;
  }
  status = proto3_TestAllTypesProto3_pack(message, wire);
  if (status != SKY_OK)
    answer_error(out, RESPONSE_SERIALIZE_ERROR, status);
  else
    answer(out, RESPONSE_PROTOBUF, sky_buf_str(wire));
}

static void respond(void *user, const Request *request, SkyBuf *out) {
  if (!sky_str_is(request->type, proto3_TestAllTypesProto3_descriptor->name) ||
      (request->payload_kind != REQUEST_PROTOBUF && request->payload_kind != 0) || request->output != FORMAT_PROTOBUF) {
    answer(out, RESPONSE_SKIPPED, SKY_STR("binary proto3 only"));
    return;
  }
  SkyArena arena;
  SkyBuf wire;
  sky_arena_init(&arena, MAX_MESSAGE);
  sky_buf_init(&wire, MAX_MESSAGE);
  respond_with(request, &arena, &wire, out);
  sky_buf_finish(&wire);
  sky_arena_finish(&arena);
}

int main(void) {
  serve(respond, NULL);
  return 0;
}
