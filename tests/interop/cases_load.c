#include "client.h"

#include <pthread.h>

#include <sky/core/time.h>

enum { CONCURRENT = 1000, SOAK_ROUNDS = 30, SOAK_CHANNELS = 10, SOAK_MAX_MS = 1000 };

/* --- many at once --- */

typedef struct Crowd {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  size_t left;
  SkyStatus failure; /* the first */
} Crowd;

static void on_done(void *user, SkyStatus status, const testing_SimpleResponse *response) {
  Crowd *crowd = user;
  if (status == SKY_OK && (response->payload == NULL || response->payload->body.len != LARGE_RESPONSE))
    status = SKY_DATA_LOSS("a response of another size");
  pthread_mutex_lock(&crowd->lock);
  if (crowd->failure == SKY_OK)
    crowd->failure = status;
  else
    sky_status_free(status);
  if (--crowd->left == 0)
    pthread_cond_signal(&crowd->changed);
  pthread_mutex_unlock(&crowd->lock);
}

SkyStatus concurrent_large_unary(Interop *interop) {
  Crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .left = CONCURRENT};
  const SkyContext background = sky_context_background();
  const SkyContext context = sky_context_with_timeout_ms(&background, 2 * CALL_TIMEOUT_MS);
  testing_Payload payload = payload_of(LARGE_REQUEST);
  testing_SimpleRequest request = testing_SimpleRequest_INIT;
  request.payload = &payload;
  request.response_size = LARGE_RESPONSE;
  for (size_t i = 0; i < CONCURRENT; i++)
    testing_TestService_unary_call_async(interop->client, &context, &request, on_done, &crowd);
  pthread_mutex_lock(&crowd.lock);
  while (crowd.left > 0)
    pthread_cond_wait(&crowd.changed, &crowd.lock);
  pthread_mutex_unlock(&crowd.lock);
  return crowd.failure;
}

/* --- one after the other --- */

static int64_t now_ms(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) / SKY_NS_PER_MS;
}

static SkyStatus soak_once(Interop *interop, SkyClient *client) {
  const int64_t start_ms = now_ms();
  sky_arena_reset(&interop->arena);
  SKY_TRY(call_large_unary(interop, client));
  const int64_t took_ms = now_ms() - start_ms;
  EXPECT(took_ms <= SOAK_MAX_MS, "a call took %lld ms", (long long)took_ms);
  return SKY_OK;
}

SkyStatus rpc_soak(Interop *interop) {
  for (int i = 0; i < SOAK_ROUNDS; i++)
    SKY_TRY(soak_once(interop, interop->client));
  return SKY_OK;
}

SkyStatus channel_soak(Interop *interop) {
  for (int i = 0; i < SOAK_CHANNELS; i++) {
    SkyClient *client = NULL;
    SKY_TRY(sky_client_create(interop->rpc, &interop->options, &client));
    SkyStatus status = soak_once(interop, client);
    sky_client_destroy(client);
    if (status != SKY_OK)
      return status;
  }
  return SKY_OK;
}
