/*
 * Rewrite: makes of a request one that protoc-gen-c understands and answers in our way:
 *   - proto3 `optional` becomes the one-member oneof that protoc has already put around it (protoc-gen-c 1.4.1 refuses
 * the mark);
 *   - services and extensions go, we write our own;
 *   - imports that only bring options go, so that no C of them is needed;
 *   - strings become const char *, names of fields stay in the descriptors (optimize_for), a field may be called
 * "base".
 */
#pragma once

#include "model.h"

/* What the first member of a message is called whose contract has a field "base". */
#define SKY_BASE_MEMBER "message_"

/* Changes the request in place. It must be another copy than the model's. */
void sky_rewrite_request(const Model *model, PluginRequest *request);

/* Does the file need the import for the types of its fields? */
bool sky_rewrite_keeps_import(const Model *model, const File *file, const char *import);
