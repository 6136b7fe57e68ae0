/*
 * Call: one RPC on the server, as its handler sees it.
 *
 * Request, response and everything a handler allocates with sky_call_arena() live as long as the call; a handler frees
 * nothing.
 *
 * A handler returns the call's status. Or it returns sky_call_defer(call): then the call stays open, may be used from
 * any thread, and is ended by exactly one sky_call_finish(), also after a cancellation. Until then the call is not
 * freed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <sky/codec/service.h>
#include <sky/core/arena.h>
#include <sky/core/context.h>
#include <sky/core/status.h>
#include <sky/core/str.h>
#include <sky/rpc/compression.h>

typedef struct SkyCall SkyCall;

/* Deadline, cancellation, trace and principal of the call; valid as long as the call. Child calls take it and inherit.
 */
const SkyContext *sky_call_context(const SkyCall *call);
SkyArena *sky_call_arena(SkyCall *call);
const SkyMethodDescriptor *sky_call_method(const SkyCall *call);
const char *sky_call_peer(const SkyCall *call); /* "ipv4:127.0.0.1:5123" */

/* Request metadata, keys in lower case; *-bin values decoded. False when absent. The value lives as long as the call.
 */
bool sky_call_metadata(const SkyCall *call, const char *key, SkyStr *ret_value);
/* Response metadata; RESOURCE_EXHAUSTED past 8 KiB. Initial only before the first message. */
SKY_MUST_USE SkyStatus sky_call_add_initial_metadata(SkyCall *call, const char *key, SkyStr value);
SKY_MUST_USE SkyStatus sky_call_add_trailing_metadata(SkyCall *call, const char *key, SkyStr value);

/*
 * Compresses what this call sends, as far as its client takes that algorithm (else another that it takes, else none);
 * instead of SkyServerOptions.compression. FAILED_PRECONDITION after the first message.
 */
SKY_MUST_USE SkyStatus sky_call_set_compression(SkyCall *call, SkyCompression compression);
/* Of a call that compresses: whether the messages sent from now on are (at first they are), the response among them. */
void sky_call_compress_messages(SkyCall *call, bool compress);
/* The request, or of a stream the message last read, came compressed. */
bool sky_call_message_was_compressed(const SkyCall *call);

/* printf into the call's arena; for strings of the response. NULL only when the arena's budget is spent. */
char *sky_call_printf(SkyCall *call, const char *format, ...) SKY_PRINTF(2, 3);
/* A copy in the call's arena. */
char *sky_call_strdup(SkyCall *call, const char *text);

/* Returned by a handler that will finish the call later. */
SKY_MUST_USE SkyStatus sky_call_defer(SkyCall *call);
/* The response message of a unary or client-streaming call, to be filled before sky_call_finish(call, SKY_OK). */
ProtobufCMessage *sky_call_response(SkyCall *call);
/*
 * Ends a deferred call; takes the status. Thread-safe; once. The call must not be touched afterwards. Waits for a
 * callback of the call (cancelled, writable) that is just running, so that none uses what belongs to it any more: hold
 * no lock that such a callback takes.
 */
void sky_call_finish(SkyCall *call, SkyStatus status);

/* Calls the function once, on the I/O thread, when the client cancels, goes away or the deadline passes; never after
 * finish. */
void sky_call_on_cancel(SkyCall *call, void (*cancelled)(void *user, SkyCall *call), void *user);
bool sky_call_is_cancelled(const SkyCall *call);

/*
 * Server and bidi streaming: sends one message. The message is packed before it returns. Thread-safe against itself.
 * Messages wait in a queue bounded by bytes: RESOURCE_EXHAUSTED when it is full (the message was not taken), CANCELLED
 * when the client is gone.
 */
SKY_MUST_USE SkyStatus sky_call_write(SkyCall *call, const ProtobufCMessage *message);
/*
 * The same for handlers on workers (asserted): waits for room in the queue. CANCELLED when the client is gone. A thread
 * that waits is one worker less: use it where streams are few and short, else write as sky_call_on_writable() tells.
 */
SKY_MUST_USE SkyStatus sky_call_write_blocking(SkyCall *call, const ProtobufCMessage *message);
/* Bytes waiting to be sent. */
size_t sky_call_write_queued_bytes(const SkyCall *call);
/* Calls the function once, on the I/O thread, as soon as at most half of the queue is filled. For producers that wait
 * for room. */
void sky_call_on_writable(SkyCall *call, void (*writable)(void *user, SkyCall *call), void *user);

/*
 * Client and bidi streaming: asks for the next message; one request at a time. The function runs on the I/O thread (or
 * on a worker when the method is not inline) with the message, or with NULL when the client has half-closed (status
 * SKY_OK) or the call failed (an error, which the function owns). The message lives in an arena of its own until the
 * next sky_call_read() or the end.
 */
typedef void (*SkyOnMessage)(void *user, SkyCall *call, SkyStatus status, const ProtobufCMessage *message);
void sky_call_read(SkyCall *call, SkyOnMessage on_message, void *user);
/*
 * The same for handlers on workers (asserted): waits for the next message; *ret is NULL when the client has
 * half-closed. An error when the message is bad or the call was cancelled, by whomever.
 */
SKY_MUST_USE SkyStatus sky_call_read_blocking(SkyCall *call, const ProtobufCMessage **ret);

/*
 * For generated code: the same with a typed function, which invoke casts back, so that no call allocates for the sake
 * of its types.
 */
typedef void (*SkyOnMessageInvoke)(SkyFunction on_message, void *user, SkyCall *call, SkyStatus status,
                                   const ProtobufCMessage *message);
void sky_call_read_typed(SkyCall *call, SkyOnMessageInvoke invoke, SkyFunction on_message, void *user);
