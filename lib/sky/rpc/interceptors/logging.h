/*
 * Logging: one line for every call, with method, code, duration and peer. Served calls: OK at debug, the caller's
 * errors at info, the server's own at warn. Calls made: at debug, for whoever made them decides what a failure means.
 */
#pragma once

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

/* For sky_server_intercept() and sky_client_intercept(). Lines go where sky_log_init() has said. */
SkyServerInterceptor sky_logging_server(void);
SkyClientInterceptor sky_logging_client(void);
