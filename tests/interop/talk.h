/*
 * Talk: a client's stream as a conversation of one thread: say, hear, hang up. For tests; programs use the callbacks.
 *
 * A stream must be opened with a deadline: it is what ends every wait.
 */
#pragma once

#include <pthread.h>

#include "testing.rpc.h"

enum { TALK_MAX_HEARD = 16 };

/* What the tests look at in a response. */
typedef struct TalkHeard {
  size_t body_size;
  int32_t aggregated_size;
  bool was_compressed;
} TalkHeard;

typedef struct Talk {
  SkyClientStream *stream;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  TalkHeard heard[TALK_MAX_HEARD];
  size_t heard_count, taken_count;
  bool done;
  SkyStatus status;
} Talk;

/* On failure nothing is left to be ended. */
SKY_MUST_USE SkyStatus talk_open_duplex(Talk *talk, SkyClient *client, const SkyContext *context);
SKY_MUST_USE SkyStatus talk_open_input(Talk *talk, SkyClient *client, const SkyContext *context);
SKY_MUST_USE SkyStatus talk_open_output(Talk *talk, SkyClient *client, const SkyContext *context,
                                        const testing_StreamingOutputCallRequest *request);
/* The next response; the call's error, or FAILED_PRECONDITION, when there is none. */
SKY_MUST_USE SkyStatus talk_hear(Talk *talk, TalkHeard *ret);
/* Half-closes; then talk_end(). */
SKY_MUST_USE SkyStatus talk_hang_up(Talk *talk);
/* Waits for the end of the call, whose status it is; an error when there are responses that nobody has heard. */
SKY_MUST_USE SkyStatus talk_end(Talk *talk);
/* Cancels, then talk_end(), then gives up what was not heard. */
SKY_MUST_USE SkyStatus talk_cancel(Talk *talk);
/* For all ways out that are not the end: cancels and forgets. Returns the status that it was given. */
SKY_MUST_USE SkyStatus talk_drop(Talk *talk, SkyStatus status);
