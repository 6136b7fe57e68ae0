/*
 * Interceptors: what stands around every call, of any kind and service. Two on the server: one demands a token, one
 * says how each call ended and how long it took. One on the client: it brings the token.
 */
#pragma once

#include <sky/rpc/client.h>
#include <sky/rpc/server.h>

/* token must outlive server and client; NULL asks for and brings none. */
SKY_MUST_USE SkyStatus add_server_interceptors(SkyServer *server, const char *token);
SKY_MUST_USE SkyStatus add_client_interceptors(SkyClient *client, const char *token);
