/*
 * Detail: any generated message as a detail of an error, in google.rpc.Status.details. For messages that status.h has
 * no functions of its own for: google.rpc.QuotaFailure and Help, or what a contract defines for itself.
 *
 *     return sky_status_with_message(SKY_RESOURCE_EXHAUSTED("no more today"), &quota.base);
 *
 *     ProtobufCMessage *found;
 *     if (sky_status_find_message(status, &google__rpc__quota_failure__descriptor, arena, &found)) ...
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>

/* Packs the message; within the bounds of sky_status_with_detail(). Returns the status it was given. */
SKY_MUST_USE SkyStatus sky_status_with_message(SkyStatus status, const ProtobufCMessage *message);
/* The first detail of this type, unpacked into the arena; false when there is none that can be read. */
bool sky_status_find_message(const SkyError *status, const ProtobufCMessageDescriptor *type, SkyArena *arena,
                             ProtobufCMessage **ret);
