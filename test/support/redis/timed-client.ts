import { Redis } from 'ioredis'
import type { IoredisClient } from '../../../src/stores/redis/index.js'
import { SCRIPTS } from '../../../src/stores/redis/scripts/index.js'

/** The line with which every script takes the time of the server. */
const TIME = "local time = redis.call('TIME')"

/**
 * A client whose scripts take their time from a test: each is sent with another first line, so what is tested is all of
 * it but that line. Keys that go by themselves do so by the clock of the server: times must lie well in the future.
 */
export function timedClient(
  url: string,
  now: () => number,
  mutate: (source: string) => string = (source) => source,
): IoredisClient & { end(): void } {
  const client = new Redis(url, { lazyConnect: true })
  const known = new Map(SCRIPTS.map(({ sha, source }) => [sha, withTime(mutate(source))]))
  const rewrite = (command: string, args: (string | Buffer)[]): [string, (string | Buffer)[]] => {
    if (command !== 'EVALSHA') return [command, args]
    const source = known.get(String(args[0]))
    if (source === undefined) throw new Error('This is none of the scripts of the store.')
    const seconds = Math.floor(now() / 1000)
    return ['EVAL', [source, ...args.slice(1), String(seconds), String((now() - seconds * 1000) * 1000)]]
  }
  return {
    get status() {
      return client.status
    },
    call: (command, args) => client.call(...rewrite(command, args)),
    callBuffer: (command, args) => client.callBuffer(...rewrite(command, args)),
    connect: () => client.connect(),
    disconnect: () => client.disconnect(),
    on: (event, listener) => client.on(event, listener),
    end: () => client.disconnect(),
  }
}

function withTime(source: string): string {
  if (!source.includes(TIME)) throw new Error('A script no longer takes its time as expected.')
  return source.replace(TIME, 'local time = {table.remove(ARGV, #ARGV - 1), table.remove(ARGV)}')
}
