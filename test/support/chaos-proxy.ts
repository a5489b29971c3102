import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Pipe } from './chaos-pipe.js'

/** Which way: `up` is what clients send, `down` is what they get. */
export type Way = 'up' | 'down' | 'both'

/** How a way of the line is; what is not named is as on a good line. */
export interface LineState {
  /** Nothing passes, and nobody is told; what is sent meanwhile is held, as TCP would send it again later. */
  readonly silent?: boolean
  readonly latencyMs?: number
  /** Bytes in a second, over each connection. */
  readonly bytesPerSecond?: number
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  readonly pipes: { readonly up: Pipe; readonly down: Pipe }
  /** One side is gone, and the other is not to know. */
  isHalfOpen: boolean
}

/** A TCP proxy in front of a broker or store that makes its line as bad as a test wants it. */
export class ChaosProxy {
  readonly port: number
  readonly #target: { readonly host: string; readonly port: number }
  readonly #links = new Set<Link>()
  readonly #state = { up: {} as LineState, down: {} as LineState }
  #server: Server | undefined

  private constructor(server: Server, target: { readonly host: string; readonly port: number }) {
    const address = server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : 0
    this.#target = target
    this.#serve(server)
  }

  /** Listens on the loopback address, at a free port by default. */
  static async to(target: { readonly host: string; readonly port: number }, port = 0): Promise<ChaosProxy> {
    return new ChaosProxy(await listen(port), target)
  }

  /** How many clients are connected. */
  get size(): number {
    return this.#links.size
  }

  /** Sets the line, or one way of it; connections made later get it too. */
  set(state: LineState, way: Way = 'both'): void {
    if (way !== 'down') this.#state.up = state
    if (way !== 'up') this.#state.down = state
    for (const link of this.#links) this.#apply(link)
  }

  /** Ends all connections by a reset, on both sides; what is on its way is lost. */
  reset(): void {
    for (const { client, server } of this.#links) for (const socket of [client, server]) socket.resetAndDestroy()
  }

  /** Connects nobody any more, and resets those that are connected. */
  async refuse(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    this.reset()
    await closed
  }

  /** Ends the connections of one side by a reset; the other side is never told, and gets nothing any more. */
  halfOpen(lost: 'clients' | 'server'): void {
    for (const link of this.#links) {
      const { client, server, pipes } = link
      for (const pipe of Object.values(pipes)) pipe.stop()
      link.isHalfOpen = true
      const socket = lost === 'clients' ? client : server
      socket.resetAndDestroy()
    }
  }

  /** A good line again, for those that are connected and for new ones. */
  async heal(): Promise<void> {
    this.set({})
    if (this.#server === undefined) this.#serve(await listen(this.port))
  }

  /** Ends everything. */
  async close(): Promise<void> {
    await this.refuse()
  }

  #serve(server: Server): void {
    this.#server = server
    server.on('connection', (client) => this.#connected(client))
  }

  #connected(client: Socket): void {
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    client.setNoDelay(true)
    const pipes = { up: new Pipe(client, server), down: new Pipe(server, client) }
    const link: Link = { client, server, pipes, isHalfOpen: false }
    this.#links.add(link)
    this.#apply(link)
    for (const socket of [client, server]) {
      // Errors are what a proxy is for: the other side gets a reset, as it would without one.
      socket.on('error', () => this.#tellOther(link))
      socket.on('close', () => client.destroyed && server.destroyed && this.#links.delete(link))
    }
  }

  #apply(link: Link): void {
    link.pipes.up.set(this.#state.up)
    link.pipes.down.set(this.#state.down)
    this.#tellOther(link)
  }

  /** Whoever is left gets a reset, but over a silent line only when that is healed. */
  #tellOther({ client, server, isHalfOpen }: Link): void {
    if (isHalfOpen) return
    if (server.errored && !this.#state.down.silent) client.resetAndDestroy()
    if (client.errored && !this.#state.up.silent) server.resetAndDestroy()
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
