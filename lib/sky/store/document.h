/*
 * What a document must be to be read again: sky_message_unpack() and BSON refuse text that is not UTF-8 and nesting
 * without end, so it is refused before it is stored. Private to lib/sky/store.
 */
#pragma once

#include <sky/store/store.h>

/* INVALID_ARGUMENT names the field. */
SKY_MUST_USE SkyStatus sky_document_check(const ProtobufCMessage *document);
