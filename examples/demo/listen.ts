import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Listening } from './demo.js'

// By then the last answers are read; what is left is cut off.
const CUT_AFTER_MS = 2000
const SWEEP_EVERY_MS = 50

/**
 * Connections that the kernel keeps while the process is too busy to accept them. Node asks for 511; those beyond are
 * told nothing until they try again, and are reset when the server closes before. Linux has `net.core.somaxconn` at most.
 */
export const BACKLOG = 4096

/** Listens on the port, or on a free one for 0. */
export async function listen(server: Server, port: number): Promise<Listening> {
  server.listen({ port, backlog: BACKLOG })
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      // Connections that were busy a moment ago would otherwise be kept open for the next request.
      const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_EVERY_MS)
      const cut = setTimeout(() => server.closeAllConnections(), CUT_AFTER_MS)
      await closed
      clearInterval(sweep)
      clearTimeout(cut)
    },
  }
}
