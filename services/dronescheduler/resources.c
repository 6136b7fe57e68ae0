/*
 * What the handlers of drones, bases and zones share.
 */
#include <stdlib.h>
#include <string.h>

#include <sky/codec/message.h>

#include "scheduler.h"

char *resource_id(Scheduler *self, SkyCall *call, const char *id, const char *idempotency_key) {
  if (id[0] != '\0')
    return sky_call_strdup(call, id);
  static const SkyUuid name_space = {
      {0x3d, 0x1c, 0x41, 0x7e, 0x52, 0x0b, 0x4f, 0x0e, 0x9f, 0x66, 0x0a, 0x8a, 0x61, 0x2c, 0x5d, 0x10}};
  char text[SKY_UUID_TEXT_SIZE];
  const SkyUuid uuid = idempotency_key[0] != '\0' ? sky_uuid_v5(&name_space, sky_str(idempotency_key))
                                                  : sky_uuid_v7(scheduler_now_ms(self), self->random);
  sky_uuid_format(&uuid, text);
  return sky_call_strdup(call, text);
}

bool resource_same(const ProtobufCMessage *a, const ProtobufCMessage *b) {
  enum { MAX_BYTES = 1 << 20 };
  SkyBuf left, right;
  sky_buf_init(&left, MAX_BYTES);
  sky_buf_init(&right, MAX_BYTES);
  SkyStatus status = sky_message_pack(a, &left);
  if (status == SKY_OK)
    status = sky_message_pack(b, &right);
  const bool same = status == SKY_OK && sky_str_equal(sky_buf_str(&left), sky_buf_str(&right));
  sky_status_free(status); /* too large to be compared: not the same */
  sky_buf_finish(&left);
  sky_buf_finish(&right);
  return same;
}

SkyStatus resource_set_text(char **field, const char *text) {
  char *copy = strdup(text);
  if (copy == NULL)
    return sky_status_no_memory();
  free(*field);
  *field = copy;
  return SKY_OK;
}
