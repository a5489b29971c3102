import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Listening } from './demo.js'

// By then the last answers are read; what is left is cut off.
const CUT_AFTER_MS = 2000
const SWEEP_EVERY_MS = 50

/** Listens on the port, or on a free one for 0. */
export async function listen(server: Server, port: number): Promise<Listening> {
  server.listen(port)
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
