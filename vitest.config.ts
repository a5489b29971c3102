import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { entries, specifierOf } from './scripts/entries.js'

// Tests and examples import the package by its name and get the sources, so that no build stands between edit and test.
const alias = Object.entries(entries).map(([entry, file]) => ({
  find: new RegExp(`^${specifierOf(entry)}$`),
  replacement: fileURLToPath(new URL(file, import.meta.url)),
}))

/** Finds the brokers and stores to test with, or says why not, and starts those that are asked for. */
const SERVERS = 'test/support/servers/setup.ts'

/** Integration tests on brokers and stores. */
const ON_SERVERS = [
  'test/integration/{amqp,kafka,postgres,redis,interop,servers}/**/*.test.ts',
  'test/integration/{two-instances,demo-processes,demo-drain}.test.ts',
]

/** Those that take their time: brokers that are killed and started again, workers of other stacks. */
const LONG_ON_SERVERS = [
  'test/integration/amqp/{alarm,node,shared-copy}.test.ts',
  'test/integration/kafka/{groups,restart,release-4,start}.test.ts',
  'test/integration/{postgres,redis}/growth.test.ts',
  'test/integration/redis/start.test.ts',
  'test/integration/interop/{nest-kafka,spring-kafka,spring-rabbitmq}.test.ts',
  'test/integration/servers/own-servers.test.ts',
]

interface ProjectOptions {
  include?: string[]
  exclude?: string[]
  testTimeout?: number
  globalSetup?: string
}

function project(name: string, options: ProjectOptions = {}) {
  return {
    extends: true as const,
    test: { name, include: [`test/${name}/**/*.test.ts`], hookTimeout: 30_000, ...options },
  }
}

// With TEST_RESULTS_DIR each run leaves a report there, for a summary over several runs.
const results = process.env.TEST_RESULTS_DIR
const reportFile = results && join(results, `${Date.now()}-${process.pid}.json`)

const forServers = { testTimeout: 30_000, globalSetup: SERVERS }

export default defineConfig(({ mode }) => {
  const deep = mode === 'deep' || process.env.DEEP === '1'
  return {
    resolve: { alias },
    test: {
      // The deep run is a few long files: they run side by side.
      ...(deep && { env: { DEEP: '1' }, maxWorkers: 2 }),
      reporters: reportFile ? ['default', ['json', { outputFile: reportFile }]] : ['default'],
      projects: [
        project('unit'),
        project('property', { testTimeout: 30_000, globalSetup: SERVERS }),
        project('contract', { testTimeout: 30_000, globalSetup: SERVERS }),
        project('race', { testTimeout: deep ? 600_000 : 120_000 }),
        project('integration', { testTimeout: 30_000, exclude: ON_SERVERS }),
        project('servers', { ...forServers, include: ON_SERVERS, exclude: LONG_ON_SERVERS }),
        ...(mode === 'long' ? [project('long', { ...forServers, include: LONG_ON_SERVERS })] : []),
        project('packaging', { testTimeout: 120_000, globalSetup: 'test/packaging/setup.ts' }),
        project('repo', { testTimeout: 60_000 }),
      ],
      coverage: {
        provider: 'v8',
        include: ['src/**/*.ts'],
        reporter: ['text-summary', 'json-summary', 'html'],
        thresholds: {
          'src/core/**': { branches: 95 },
          'src/http/**': { branches: 95 },
        },
      },
    },
  }
})
