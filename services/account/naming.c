#include "account/naming.h"

#include <stdio.h>

/* The contract bounds account ids (64) and keys (255) in characters, of up to 4 bytes each. */
enum { NAME_BYTES = 4 * (64 + 255) + 2 };

/* Namespace of the ids that come from keys: version 5 UUIDs of scope and key. */
static const SkyUuid names = {
    {0x71, 0x0e, 0x4d, 0x95, 0x3a, 0xc8, 0x4f, 0x02, 0x86, 0x5b, 0xd1, 0x37, 0x2c, 0x9f, 0x60, 0xea}};

void account_name(const char *scope, const char *idempotency_key, int64_t now_ms, const SkyRandom *random,
                  char id[SKY_UUID_TEXT_SIZE]) {
  char name[NAME_BYTES];
  SkyUuid uuid;
  if (idempotency_key[0] == '\0') {
    uuid = sky_uuid_v7(now_ms, random);
  } else {
    snprintf(name, sizeof(name), "%s\n%s", scope, idempotency_key); /* no scope holds a newline */
    uuid = sky_uuid_v5(&names, sky_str(name));
  }
  sky_uuid_format(&uuid, id);
}
