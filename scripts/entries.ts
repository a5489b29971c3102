/** Every subpath of the package and the file it is built from: the one list that build, tests and manifest follow. */
export const entries: Readonly<Record<string, string>> = {
  index: 'src/index.ts',
  express: 'src/adapters/express.ts',
  fastify: 'src/adapters/fastify.ts',
  fetch: 'src/adapters/fetch.ts',
  'read-model': 'src/read-model/index.ts',
  worker: 'src/worker/index.ts',
  client: 'src/client/index.ts',
  testing: 'src/testing/index.ts',
  memory: 'src/memory.ts',
  amqp: 'src/transports/amqp/index.ts',
  kafka: 'src/transports/kafka/index.ts',
  redis: 'src/stores/redis/index.ts',
  postgres: 'src/stores/postgres/index.ts',
}

/** The name a user imports for an entry. */
export function specifierOf(entry: string): string {
  return entry === 'index' ? 'respond-async' : `respond-async/${entry}`
}
