import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between client and broker, and lets a test cut or silence what goes through. */
export class TcpProxy {
  readonly port: number
  readonly #server: Server
  readonly #pairs: Set<readonly [client: Socket, broker: Socket]>
  /** True: what the broker says is thrown away. */
  isDeaf = false

  private constructor(server: Server, target: { host: string; port: number }) {
    const address = server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : 0
    this.#server = server
    this.#pairs = new Set()
    server.on('connection', (client) => this.#join(client, connect(target)))
  }

  static async start(url: string): Promise<TcpProxy> {
    const { hostname, port } = new URL(url)
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpProxy(server, { host: hostname, port: Number(port || 5672) })
  }

  /** The URL of the broker through this proxy. */
  through(url: string): string {
    const target = new URL(url)
    target.hostname = '127.0.0.1'
    target.port = String(this.port)
    return target.href
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** Resets every connection, as a crashed host does. */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
  }

  async stop(): Promise<void> {
    this.reset()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Takes connections again after a stop. */
  async listen(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  #join(client: Socket, broker: Socket): void {
    const pair = [client, broker] as const
    this.#pairs.add(pair)
    client.on('data', (chunk) => broker.write(chunk))
    broker.on('data', (chunk) => {
      if (!this.isDeaf) client.write(chunk)
    })
    for (const [one, other] of [pair, [broker, client] as const]) {
      one.setNoDelay(true)
      // A reset of one side is passed on by the end of the other.
      one.on('error', () => other.destroy())
      one.on('close', () => {
        other.destroy()
        this.#pairs.delete(pair)
      })
    }
  }
}
