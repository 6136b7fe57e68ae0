/*
 * Emit: the files we write beside protoc-gen-c's. One function per kind of file, each appends the whole file to a
 * buffer.
 */
#pragma once

#include "model.h"

enum { MAX_FILE_BYTES = 64 << 20 };

void sky_emit_message_header(Model *model, File *file, SkyBuf *out); /* <stem>.sky.h */
void sky_emit_message_source(Model *model, File *file, SkyBuf *out); /* <stem>.sky.c */
void sky_emit_rpc_header(Model *model, File *file, SkyBuf *out);     /* <stem>.rpc.h */
void sky_emit_rpc_source(Model *model, File *file, SkyBuf *out);     /* <stem>.rpc.c */
void sky_emit_event_header(Model *model, File *file, SkyBuf *out);   /* <stem>.event.h */
void sky_emit_event_source(Model *model, File *file, SkyBuf *out);   /* <stem>.event.c */

/* Decides which messages need rule tables; before anything is emitted. */
void sky_rules_prepare(Model *model);
/* The tables of a file's messages, for <stem>.sky.c. */
void sky_emit_rules(Model *model, const File *file, SkyBuf *out);
/* Expression for a `const SkyMessageRules *`: "&..." or "NULL". */
const char *sky_emit_rules_of(const Model *model, const Message *message);

/* "Written by protoc-gen-sky from ..."; and for a header `#pragma once`. */
void sky_emit_preamble(const File *file, bool is_header, SkyBuf *out);
/* A comment of the contract as a C comment. NULL: nothing. */
void sky_emit_comment(const char *comment, const char *indent, SkyBuf *out);
/* A C string literal, quotes included. */
void sky_emit_string(SkyStr text, SkyBuf *out);
