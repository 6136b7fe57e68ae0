/*
 * Admin: a small HTTP/1.1 server on a port of its own for probes and operators: /healthz, /readyz, /metrics and what
 * else is added.
 *
 * GET and HEAD only. One thread serves one connection after another, so that it costs nothing when idle; a client that
 * is slow to ask or to read is cut off after two seconds. For the pod's network only, never for the public.
 */
#pragma once

#include <stdbool.h>

#include <sky/core/buf.h>
#include <sky/core/status.h>

typedef struct SkyAdmin SkyAdmin;

typedef struct SkyAdminRequest {
  SkyStr path;
  SkyStr query;  /* what follows '?' */
  SkyStr accept; /* the Accept header; empty when there is none */
} SkyAdminRequest;

/* Writes the body of an answer (at most 4 MiB) and returns the HTTP status. Runs on the admin thread; must not block
 * for long. */
typedef int (*SkyAdminHandler)(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type);

/* listen: "127.0.0.1:0" picks a free port. UNAVAILABLE naming the address when it cannot be bound. */
SKY_MUST_USE SkyStatus sky_admin_create(const char *listen, SkyAdmin **ret);
/* Before start. path and self must outlive the server; at most 16 paths. */
SKY_MUST_USE SkyStatus sky_admin_add(SkyAdmin *admin, const char *path, SkyAdminHandler handler, void *self);
SKY_MUST_USE SkyStatus sky_admin_start(SkyAdmin *admin);
int sky_admin_port(const SkyAdmin *admin);
/* Ends the thread. NULL-safe. */
void sky_admin_destroy(SkyAdmin *admin);
