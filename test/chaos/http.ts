import { Agent, type IncomingMessage, request } from 'node:http'
import { now } from './history.js'

/** An answer of a gateway; without status the connection broke, and `error` says how. */
export interface Answer {
  readonly status?: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly error?: string | undefined
  /** When it was sent: it may have waited for a connection here before. */
  readonly sentAt: number
}

/** What is asked. */
export interface Question {
  readonly port: number
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Longer than any answer may take. */
const TIMEOUT_MS = 30_000
/** To each gateway: beyond that it is this process that would be measured, until it has no files left. */
const MOST_SOCKETS = 1000
const agent = new Agent({ keepAlive: true, keepAliveMsecs: 1000, maxSockets: MOST_SOCKETS })

/** Asks a gateway. Never rejects; each question is sent once. */
export function ask({ port, path, method = 'GET', headers = {}, body }: Question): Promise<Answer> {
  return new Promise((resolve) => {
    let sentAt = now()
    const broken = (error: NodeJS.ErrnoException) =>
      resolve({ headers: {}, body: '', error: error.code ?? error.message, sentAt })
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', broken)
      response.on('end', () => {
        const { statusCode: status, headers } = response
        resolve({ status, headers, body: Buffer.concat(chunks).toString(), sentAt })
      })
    })
    sent.on('socket', () => {
      sentAt = now()
    })
    sent.setTimeout(TIMEOUT_MS, () => sent.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })))
    sent.on('error', broken)
    sent.end(body)
  })
}

/** Lets go of connections that are not in use. */
export function closeAgent(): void {
  agent.destroy()
}
