#include "skyctl/api.h"

#include <sky/codec/message.h>
#include <sky/transcode/json.h>

#include "embedded.h"

enum { ARENA_BYTES = 16 << 20, WIRE_BYTES = 64 << 20 };

static SkyContracts *contracts;

SkyStatus api_load(void) {
  return sky_contracts_load(skyctl_contracts, sizeof(skyctl_contracts), NULL, &contracts);
}

void api_unload(void) {
  sky_contracts_destroy(contracts);
  contracts = NULL;
}

static SkyStatus to_wire(const char *type, SkyStr json, bool ignore_unknown, SkyArena *arena, SkyBuf *wire) {
  const SkyJsonReadOptions options = {.ignore_unknown = ignore_unknown};
  return sky_json_to_wire(contracts, sky_contracts_message(contracts, sky_str(type)), json, &options, arena, wire);
}

SkyStatus api_from_json(const ProtobufCMessageDescriptor *type, SkyStr json, SkyArena *arena, ProtobufCMessage **ret) {
  SkyBuf wire;
  sky_buf_init(&wire, WIRE_BYTES);
  SkyStatus status = to_wire(type->name, json, true, arena, &wire);
  if (status == SKY_OK)
    status = sky_message_unpack(type, sky_buf_str(&wire), arena, ret);
  sky_buf_finish(&wire);
  return status;
}

SkyStatus api_check_json(const char *type, SkyStr json) {
  SkyArena arena;
  SkyBuf wire;
  sky_arena_init(&arena, ARENA_BYTES);
  sky_buf_init(&wire, WIRE_BYTES);
  SkyStatus status = to_wire(type, json, false, &arena, &wire);
  sky_buf_finish(&wire);
  sky_arena_finish(&arena);
  return status;
}
