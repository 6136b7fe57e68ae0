/*
 * A free TCP port of 127.0.0.1 for a server under test, nobody else's as long as this process lives (also while the
 * server is down): below the kernel's ephemeral range, and reserved by a lock as tools/dev/ports.py does and explains.
 * Aborts when there is none.
 */
#pragma once

int free_port(void);
