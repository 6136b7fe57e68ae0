/*
 * The bare core: an echo server on one NEXT queue and one thread with nothing around it, answering the payload it got
 * without looking into it. What the runtime's cost is measured against.
 */
#pragma once

/*
 * Tells ready() the port (0 when listen cannot be bound), then serves until the process is ended. repeat: a method that
 * answers bench.v1.RepeatRequest with a stream; NULL for none.
 */
void bare_server_run(const char *echo, const char *repeat, const char *listen, void (*ready)(int port, void *user),
                     void *user);
