#include "delivery/tracking.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "delivery/store.h"

enum { DIGEST_BYTES = 32, ARENA_BYTES = 64 * 1024 };
static const char secret_id[] = "tracking";

static SkyStatus get(Tracking *tracking, SkyStore *store, const SkyContext *context) {
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  ProtobufCMessage *message;
  SkyStatus status = sky_store_get(store, context, &delivery_secrets, secret_id, &arena, &message, NULL);
  if (status == SKY_OK) {
    const ProtobufCBinaryData *value = &((delivery_store_SecretDocument *)message)->value;
    if (value->len == sizeof(tracking->secret))
      memcpy(tracking->secret, value->data, value->len);
    else
      status = SKY_DATA_LOSS("the stored tracking secret has %zu bytes, not %d", value->len, TRACKING_SECRET_BYTES);
  }
  sky_arena_finish(&arena);
  return status;
}

SkyStatus tracking_load(Tracking *tracking, SkyStore *store, const SkyContext *context, const SkyRandom *random) {
  SkyStatus status = get(tracking, store, context);
  if (!sky_status_take(&status, SKY_CODE_NOT_FOUND))
    return status;
  uint8_t fresh[TRACKING_SECRET_BYTES];
  random->fill(random->self, fresh, sizeof(fresh));
  delivery_store_SecretDocument document = delivery_store_SecretDocument_INIT;
  document.id = secret_id;
  document.value = (ProtobufCBinaryData){sizeof(fresh), fresh};
  status = sky_store_insert(store, context, &delivery_secrets, &document.base);
  if (status != SKY_OK && !sky_status_take(&status, SKY_CODE_ALREADY_EXISTS)) /* another replica was first: take its */
    return status;
  return get(tracking, store, context);
}

void tracking_key(const Tracking *tracking, const char *delivery_id, char key[TRACKING_KEY_SIZE]) {
  uint8_t digest[DIGEST_BYTES];
  uint8_t text[4 * ((DIGEST_BYTES + 2) / 3) + 1];
  unsigned size = sizeof(digest);
  HMAC(EVP_sha256(), tracking->secret, sizeof(tracking->secret), (const uint8_t *)delivery_id, strlen(delivery_id),
       digest, &size);
  EVP_EncodeBlock(text, digest, sizeof(digest));
  for (size_t i = 0; i + 1 < TRACKING_KEY_SIZE; i++) /* 43 characters and one "=", which a URL can do without */
    key[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : (char)text[i];
  key[TRACKING_KEY_SIZE - 1] = '\0';
}

bool tracking_key_is_valid(const Tracking *tracking, const char *delivery_id, const char *key) {
  char right[TRACKING_KEY_SIZE];
  tracking_key(tracking, delivery_id, right);
  return strlen(key) == TRACKING_KEY_SIZE - 1 && CRYPTO_memcmp(key, right, TRACKING_KEY_SIZE - 1) == 0;
}
