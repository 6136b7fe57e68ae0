/*
 * Fuzz target: hostile bytes to the decoder, then to what comes after it in a call: validation, packing, copying. The
 * first byte picks the type. Memory stays within the arena's budget, and what was accepted survives being packed and
 * unpacked.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <sky/codec/message.h>
#include <sky/codec/rules.h>

#include "torture.sky.h"

#define M(name) plugin_v1beta1_##name

enum { BUDGET_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const SkyPayloadType *type, ProtobufCMessage *message, SkyArena *arena) {
  SkyBuf wire;
  ProtobufCMessage *copy = NULL;
  sky_buf_init(&wire, 16 << 20);
  sky_status_free(sky_message_validate(message, type->rules));
  if (sky_message_pack(message, &wire) != SKY_OK)
    abort();
  SkyStatus status = sky_message_unpack(type->descriptor, sky_buf_str(&wire), arena, &copy);
  if (status != SKY_OK && sky_status_code(status) != SKY_CODE_RESOURCE_EXHAUSTED)
    abort();
  sky_status_free(status);
  sky_buf_finish(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const SkyPayloadType *const types[] = {&M(Scalars_type), &M(Optionals_type), &M(Repeateds_type), &M(Maps_type),
                                         &M(Choice_type),  &M(Tree_type),      &M(Rules_type),     &M(WellKnown_type),
                                         &M(Holder_type),  &deep_Behind_type};
  if (size == 0)
    return 0;
  const SkyPayloadType *type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
  SkyArena arena;
  ProtobufCMessage *message = NULL;
  sky_arena_init(&arena, BUDGET_BYTES);
  SkyStatus status = sky_message_unpack(type->descriptor, (SkyStr){(const char *)data + 1, size - 1}, &arena, &message);
  if (status == SKY_OK)
    check(type, message, &arena);
  if (arena.used_bytes > BUDGET_BYTES)
    abort();
  sky_status_free(status);
  sky_arena_finish(&arena);
  return 0;
}
