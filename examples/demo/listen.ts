import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Listening } from './demo.js'

// Streams and slow readers end by then; what is left is cut off.
const CLOSE_MS = 3000

/** Listens on the port, or on a free one for 0. */
export async function listen(server: Server, port: number): Promise<Listening> {
  server.listen(port)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close')
      const cut = setTimeout(() => server.closeAllConnections(), CLOSE_MS)
      server.close()
      await closed
      clearTimeout(cut)
    },
  }
}
