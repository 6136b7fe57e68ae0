/*
 * The bare core: an echo server on one NEXT queue and one thread with nothing around it, answering the payload it got
 * without looking into it. What the runtime's cost is measured against.
 */
#pragma once

/* Listens on a free port, writes it to *ret_port before serving; serves until the process is ended. */
void bare_server_run(const char *method, void (*ready)(int port, void *user), void *user);
