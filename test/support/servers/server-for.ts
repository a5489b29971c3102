import { connect } from 'node:net'
import { inject } from 'vitest'
import type { Found } from '../../../scripts/brokers/find.js'
import type { Kind } from '../../../scripts/brokers/kinds.js'

/**
 * The server of this kind that the tests of this run share, or the reason why there is none; started when nobody has
 * asked before. Only names of one's own may be touched there.
 * @example const redis = await serverFor('redis')
 * describe.skipIf(redis.address === undefined)(`on Redis (${redis.address ?? redis.reason})`, () => {})
 */
export async function serverFor(kind: Kind): Promise<Found> {
  const found = await ask(kind)
  if (found.address === undefined && process.env.REQUIRE_BROKERS === '1')
    throw new Error(`REQUIRE_BROKERS=1, but there is no ${kind} server: ${found.reason}`)
  return found
}

function ask(kind: Kind): Promise<Found> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: inject('serverDesk') }, () => socket.write(kind))
    let answer = ''
    socket.on('data', (bytes) => (answer += bytes))
    socket.on('error', reject)
    socket.on('end', () => {
      socket.end()
      resolve(JSON.parse(answer) as Found)
    })
  })
}
