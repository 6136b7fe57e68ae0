/*
 * Output: the responses that a StreamingOutputCallRequest asks for, written as fast as the client takes them, with the
 * pauses it wants. Nothing blocks: a full queue and a pause both mean to be called again.
 */
#pragma once

#include <sky/core/timer.h>

#include "testing.rpc.h"

enum { OUTPUT_MAX_PAYLOAD = 4 << 20 };

/* Turns gzip on for the call when the request names the compression of any response. */
SKY_MUST_USE SkyStatus output_choose_compression(SkyCall *call, const testing_StreamingOutputCallRequest *request);
/* Calls done once, from any thread; the request must stay until then. The call must be deferred. */
void output_begin(SkyTimers *timers, SkyCall *call, const testing_StreamingOutputCallRequest *request,
                  void (*done)(SkyCall *call, SkyStatus status));
