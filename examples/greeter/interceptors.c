#include "interceptors.h"

#include <stdio.h>

#include <sky/core/time.h>

enum { STARTED_SLOT = 0 }; /* of the slots that a call has for its interceptors */

/* --- server --- */

static SkyStatus demand_token(void *self, SkyCall *call, const ProtobufCMessage *request) {
  const char *token = self;
  SkyStr given;
  if (sky_call_metadata(call, "authorization", &given) && sky_str_is(given, token))
    return SKY_OK;
  return SKY_UNAUTHENTICATED("the call brings no token, or a wrong one"); /* no handler runs */
}

static int64_t now_us(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) / 1000;
}

static SkyStatus note_start(void *self, SkyCall *call, const ProtobufCMessage *request) {
  *sky_call_slot(call, STARTED_SLOT) = (void *)(intptr_t)now_us();
  return SKY_OK;
}

/* Runs for every call that note_start() let through, also when a later interceptor or the handler refused it. */
static void print_end(void *self, SkyCall *call, SkyStatus *status) {
  const int64_t started_us = (intptr_t)*sky_call_slot(call, STARTED_SLOT);
  fprintf(stderr, "%s from %s: %s after %lld us\n", sky_call_method(call)->path, sky_call_peer(call),
          sky_code_name(sky_status_code(*status)), (long long)(now_us() - started_us));
}

SkyStatus add_server_interceptors(SkyServer *server, const char *token) {
  SKY_TRY(sky_server_intercept(server, (SkyServerInterceptor){.begin = note_start, .end = print_end}));
  if (token == NULL)
    return SKY_OK;
  return sky_server_intercept(server, (SkyServerInterceptor){.begin = demand_token, .self = (void *)(uintptr_t)token});
}

/* --- client --- */

static SkyStatus bring_token(void *self, SkyClientCall *call) {
  return sky_client_call_add_metadata(call, "authorization", sky_str(self));
}

SkyStatus add_client_interceptors(SkyClient *client, const char *token) {
  if (token == NULL)
    return SKY_OK;
  return sky_client_intercept(client, (SkyClientInterceptor){.begin = bring_token, .self = (void *)(uintptr_t)token});
}
