/*
 * What the handlers of drones, bases and zones share.
 */
#include <stdlib.h>
#include <string.h>

#include <sky/codec/message.h>
#include <sky/service/resource.h>

#include "scheduler.h"

bool resource_is_repeat(const char *key, const ProtobufCMessage *wanted, const char *key_then,
                        const ProtobufCMessage *requested) {
  return key[0] != '\0' && strcmp(key, key_then) == 0 && requested != NULL && sky_message_same(wanted, requested);
}

char *resource_id(Scheduler *self, SkyCall *call, const char *id, const char *idempotency_key) {
  if (id[0] != '\0')
    return sky_call_strdup(call, id);
  static const SkyUuid name_space = {
      {0x3d, 0x1c, 0x41, 0x7e, 0x52, 0x0b, 0x4f, 0x0e, 0x9f, 0x66, 0x0a, 0x8a, 0x61, 0x2c, 0x5d, 0x10}};
  char text[SKY_UUID_TEXT_SIZE];
  sky_resource_id(&name_space, NULL, idempotency_key, scheduler_now_ms(self), self->random, text);
  return sky_call_strdup(call, text);
}

SkyStatus resource_set_text(char **field, const char *text) {
  char *copy = strdup(text);
  if (copy == NULL)
    return sky_status_no_memory();
  free(*field);
  *field = copy;
  return SKY_OK;
}
