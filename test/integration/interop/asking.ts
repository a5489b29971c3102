import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createGateway, type Gateway, type GatewayOptions, type Operation } from 'respond-async'
import { handle, operations } from 'respond-async/express'

/** A gateway behind HTTP, whose commands a worker of another stack carries out. */
export interface Asking {
  readonly gateway: Gateway<Record<string, unknown>>
  readonly errors: string[]
  /** What an HTTP client gets. */
  post(command: string, data: unknown, prefer?: string): Promise<{ status: number; body: string; headers: Headers }>
  /** The operation of a request without HTTP, once it has ended. */
  ended(command: string, data: unknown): Promise<Operation>
  close(): Promise<void>
}

type Definition = Parameters<Gateway<Record<string, unknown>>['command']>[0]

/** Opens a gateway for commands of whichever profiles; each is served at `/<its number in the list>`. */
export async function openAsking(options: GatewayOptions, commands: readonly Definition[]): Promise<Asking> {
  const gateway = createGateway(options)
  const errors: string[] = []
  gateway.on('error', (error) => errors.push(`${error.code} ${error.message}`))
  const app = express()
  const made = new Map(commands.map((definition) => [definition.publish, gateway.command(definition)]))
  for (const [name, command] of made) app.post(`/${encodeURIComponent(name)}`, handle(command))
  app.use('/operations', operations(gateway))
  await gateway.start()
  const server = await new Promise<Server>((resolve) => {
    const listening: Server = app.listen(0, '127.0.0.1', () => resolve(listening))
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    gateway,
    errors,
    async post(command, data, prefer = 'wait=20') {
      const response = await fetch(`${base}/${encodeURIComponent(command)}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer },
        body: typeof data === 'string' ? data : JSON.stringify(data),
      })
      return { status: response.status, body: await response.text(), headers: response.headers }
    },
    async ended(command, data) {
      const reply = await made.get(command)?.request(data as never, { waitMs: 0 })
      const operation = reply && (await gateway.operations.wait(reply.operation.id, { waitMs: 20_000 }))
      if (operation === undefined) throw new Error(`There is no command ${command}.`)
      return operation
    },
    async close() {
      await gateway.close({ drainMs: 0 })
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
