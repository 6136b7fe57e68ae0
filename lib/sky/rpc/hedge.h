/*
 * Hedge: one call made as several attempts, of which the first good answer counts. (internal)
 *
 * The core does not implement hedging, so this does, on top of ordinary calls: gRFC A6, with the delay between
 * attempts, the codes that are not final, the budget and the server's pushback (RetryInfo counts as such). Everything
 * but the start happens on the I/O thread.
 */
#pragma once

#include <sky/rpc/client_internal.h>

/* The client hedges calls of this method. */
bool sky_hedge_is_wanted(const SkyClient *client, const SkyMethodDescriptor *method);
/* As sky_client_call_async_typed(), but for how; the request is copied. */
void sky_hedge_call_async(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                          const ProtobufCMessage *request, SkyOnDoneInvoke invoke, SkyFunction done, void *user);
/* As sky_client_call(). */
SKY_MUST_USE SkyStatus sky_hedge_call(SkyClient *client, const SkyMethodDescriptor *method, const SkyContext *context,
                                      const ProtobufCMessage *request, SkyArena *arena,
                                      ProtobufCMessage **ret_response);
