import { connect } from 'node:net'
import type { Endpoint, Kind } from './kinds.js'

/** What a client says first, and how the right server answers; a server of another kind is not taken for it. */
interface Greeting {
  readonly hello: Buffer
  isAnswer(answer: Buffer): boolean
}

const GREETINGS: Readonly<Record<Kind, Greeting>> = {
  // The protocol header of AMQP 0-9-1 is answered with a method frame (type 1, channel 0): connection.start.
  amqp: {
    hello: Buffer.from('AMQP\u0000\u0000\u0009\u0001', 'latin1'),
    isAnswer: (answer) => answer[0] === 1 && answer[1] === 0 && answer[2] === 0,
  },
  // A server with a password answers -NOAUTH, one that reads its file first -LOADING: that one is not ready.
  redis: {
    hello: Buffer.from('PING\r\n'),
    isAnswer: (answer) => /^(\+PONG|-NOAUTH)/.test(answer.toString('latin1')),
  },
  // A start-up packet, as an SSL request is answered before the server takes connections. R wants or grants
  // authentication; the error 28xxx refuses this user, 3D000 the database: the server is there all the same.
  postgres: {
    hello: startup({ user: 'postgres', database: 'postgres' }),
    isAnswer: (answer) => answer[0] === 0x52 || /C(28|3D)\w{3}/.test(answer.toString('latin1')),
  },
  // ApiVersions v0 with correlation id 7: length, the id, no error.
  kafka: {
    hello: Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0, 0]),
    isAnswer: (answer) => answer.length >= 10 && answer.readInt32BE(4) === 7 && answer.readInt16BE(8) === 0,
  },
}

function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).map(([name, value]) => `${name}\u0000${value}\u0000`)
  const body = Buffer.from(`${pairs.join('')}\u0000`)
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8, 0)
  head.writeInt32BE(3 << 16, 4)
  return Buffer.concat([head, body])
}

/** Why no server of this kind answers there; undefined when one does. Never rejects. */
export function probe(kind: Kind, { host, port }: Endpoint, timeoutMs = 2000): Promise<string | undefined> {
  const { hello, isAnswer } = GREETINGS[kind]
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    let answer = Buffer.alloc(0)
    const finish = (reason?: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(reason)
    }
    const late = () => finish(`no answer of ${host}:${port} within ${timeoutMs} ms`)
    // One turn later: behind a long synchronous call the answer may be there, and unread.
    const timer = setTimeout(() => setImmediate(late), timeoutMs)
    socket.on('connect', () => socket.write(hello))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      if (isAnswer(answer)) finish()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => finish(`${host}:${port} ${error.code ?? error.message}`))
    socket.on('close', () => finish(`${host}:${port} is no ${kind} server, or is not ready`))
  })
}
