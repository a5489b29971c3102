import { connect } from 'node:net'
import { inject } from 'vitest'
import type { Found } from '../../../scripts/brokers/find.js'
import { KINDS, type Kind } from '../../../scripts/brokers/kinds.js'

/**
 * The server of this kind that the tests of this run share, or the reason why there is none; started when nobody has
 * asked before. Only names of one's own may be touched there.
 * @example const redis = await serverFor('redis')
 * describe.skipIf(redis.address === undefined)(`on Redis (${redis.address ?? redis.reason})`, () => {})
 */
export async function serverFor(kind: Kind, desk = inject('serverDesk')): Promise<Found> {
  const found = await ask(kind, desk)
  if (found.address === undefined && process.env.REQUIRE_BROKERS === '1')
    throw new Error(`REQUIRE_BROKERS=1, but there is no ${kind} server: ${found.reason}`)
  return found
}

/**
 * The same for support files, which give its address to many test files: a reason why there is none is printed, and the
 * address is then one that nothing is to be asked at.
 */
export async function sharedServer(kind: Kind): Promise<{ readonly address: string; readonly missing?: string }> {
  const found = await serverFor(kind)
  if (found.address !== undefined) return { address: found.address }
  const { title, port, address } = KINDS[kind]
  const missing = `no ${title}: ${found.reason}`
  process.stderr.write(`skipped: ${missing}\n`)
  return { address: address(`127.0.0.1:${port}`), missing }
}

function ask(kind: Kind, port: number): Promise<Found> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(kind))
    let answer = ''
    socket.on('data', (bytes) => (answer += bytes))
    socket.on('error', reject)
    socket.on('end', () => {
      socket.end()
      resolve(JSON.parse(answer) as Found)
    })
  })
}
