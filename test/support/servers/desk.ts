import { once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { type Found, findServer, isNamed } from '../../../scripts/brokers/find.js'
import { KIND_NAMES, KINDS, type Kind } from '../../../scripts/brokers/kinds.js'
import { PROGRAMS } from '../../../scripts/brokers/programs.js'
import { whyNoProcessTable } from './process-table.mjs'
import { createServer, type Server } from './server.js'

/** Hands out servers to all test files of a run: those that are there, and others that it starts for the first to ask. */
export class Desk {
  readonly #find: typeof findServer
  readonly #started: Server[] = []
  readonly #found = new Map<Kind, Promise<Found>>()
  readonly #tcp = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', async (bytes) => socket.end(JSON.stringify(await this.#get(bytes.toString() as Kind))))
  })

  constructor(find = findServer) {
    this.#find = find
  }

  /** Begins to answer test files; gives the port where. */
  async open(): Promise<number> {
    this.#tcp.listen(0, '127.0.0.1')
    await once(this.#tcp, 'listening')
    return (this.#tcp.address() as AddressInfo).port
  }

  /** What there is of each kind: found, ready to be started, or missing. Starts nothing. */
  async survey(): Promise<readonly (Found & { readonly canStart: boolean })[]> {
    const found = await Promise.all(KIND_NAMES.map((kind) => this.#find(kind)))
    return found.map((each) => {
      if (each.address !== undefined) return { ...each, canStart: false }
      const missing = this.#whyNoStart(each.kind)
      return missing === undefined
        ? { ...each, canStart: true }
        : { ...each, reason: `${each.reason}; ${missing}`, canStart: false }
    })
  }

  /** Ends what it started. */
  async close(): Promise<void> {
    this.#tcp.close()
    await Promise.allSettled(this.#found.values())
    await Promise.all(this.#started.map((server) => server.close()))
  }

  #get(kind: Kind): Promise<Found> {
    const known = this.#found.get(kind) ?? this.#findOrStart(kind)
    this.#found.set(kind, known)
    return known
  }

  async #findOrStart(kind: Kind): Promise<Found> {
    const found = await this.#find(kind)
    if (found.address !== undefined) return found
    const missing = this.#whyNoStart(kind)
    if (missing !== undefined) return { kind, reason: `${found.reason}; ${missing}` }
    try {
      const server = await createServer(kind)
      this.#started.push(server)
      await server.start()
      return { kind, address: server.address, how: 'started for the tests' }
    } catch (error) {
      return { kind, reason: error instanceof Error ? error.message : String(error) }
    }
  }

  #whyNoStart(kind: Kind): string | undefined {
    if (isNamed(kind)) return `${KINDS[kind].variable} names it, so none is started`
    return PROGRAMS[kind].missing() ?? whyNoProcessTable()
  }
}
