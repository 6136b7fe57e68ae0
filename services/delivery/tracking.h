/*
 * Tracking keys: what lets a recipient see a delivery without an account. HMAC-SHA-256 of the delivery's id under a
 * secret that all replicas share, as base64url; so no key has to be stored, and none can be guessed.
 */
#pragma once

#include <stdbool.h>

#include <sky/core/id.h>
#include <sky/store/store.h>

enum { TRACKING_SECRET_BYTES = 32, TRACKING_KEY_SIZE = 44 /* with the NUL */ };

typedef struct Tracking {
  uint8_t secret[TRACKING_SECRET_BYTES];
} Tracking;

/* Takes the secret from the store, where the first replica has put it. */
SKY_MUST_USE SkyStatus tracking_load(Tracking *tracking, SkyStore *store, const SkyContext *context,
                                     const SkyRandom *random);

void tracking_key(const Tracking *tracking, const char *delivery_id, char key[TRACKING_KEY_SIZE]);
/* In constant time. */
bool tracking_key_is_valid(const Tracking *tracking, const char *delivery_id, const char *key);
