#include <sky/codec/detail.h>

#include <string.h>

#include <sky/codec/message.h>

enum { MAX_DETAIL_BYTES = 4096 };

SkyStatus sky_status_with_message(SkyStatus status, const ProtobufCMessage *message) {
  SkyBuf bytes;
  sky_buf_init(&bytes, MAX_DETAIL_BYTES);
  SkyStatus packed = sky_message_pack(message, &bytes);
  if (packed == SKY_OK)
    status = sky_status_with_detail(status, message->descriptor->name, sky_buf_str(&bytes));
  sky_status_free(packed); /* a detail that does not fit is left out */
  sky_buf_finish(&bytes);
  return status;
}

bool sky_status_find_message(const SkyError *status, const ProtobufCMessageDescriptor *type, SkyArena *arena,
                             ProtobufCMessage **ret) {
  const char *name;
  SkyStr bytes;
  for (size_t i = 0; sky_status_detail_at(status, i, &name, &bytes); i++) {
    if (strcmp(name, type->name) != 0)
      continue;
    SkyStatus unpacked = sky_message_unpack(type, bytes, arena, ret);
    if (unpacked == SKY_OK)
      return true;
    sky_status_free(unpacked);
  }
  return false;
}
