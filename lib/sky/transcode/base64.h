/*
 * Base64 of RFC 4648, as proto3 JSON has it: written in the standard alphabet with padding, read in both alphabets with
 * or without. Private to the transcoder.
 */
#pragma once

#include <stdbool.h>

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/str.h>

void base64_write(SkyStr bytes, SkyBuf *out);
/* Size of the decoded bytes of a text of that size at most. */
size_t base64_room(size_t text_size);
/* Decodes into memory of base64_room() bytes; false at anything that is no base64. */
bool base64_read(SkyStr text, uint8_t *to, size_t *ret_size);
