import { describe, expect, it } from 'vitest'
import { entries } from '../../scripts/entries.js'
import { type Files, readFiles, readText } from './files.js'
import { findCycles, findViolations, packagesOf } from './imports.js'

const files = readFiles('src')
const manifest = JSON.parse(readText('package.json')) as { peerDependencies: Record<string, string> }
const PEERS = Object.keys(manifest.peerDependencies)
/** The peers of entries that are called after a broker or a database, not after a package. */
const CLIENTS: Readonly<Record<string, readonly string[]>> = { amqp: ['amqplib'], kafka: ['@platformatic/kafka'] }

/** The sources with one more line in one of them. */
function plant(path: string, line: string): Files {
  return new Map([...files, [path, `${line}\n${files.get(path) ?? ''}`]])
}

describe('import direction', () => {
  it('every import in src is allowed', () => {
    expect(findViolations(files)).toEqual([])
    expect(files.size).toBeGreaterThan(40)
  })

  it.each([
    ['src/core/gateway.ts', "import '../http/prefer.js'"],
    ['src/core/gateway.ts', "import type { HttpReply } from '../http/types.js'"],
    ['src/core/store.ts', "export { memoryStore } from '../stores/memory/index.js'"],
    ['src/core/clock.ts', "import express from 'express'"],
    ['src/core/clock.ts', "type App = import('express').Application"],
    ['src/core/clock.ts', "const load = () => import('fastify')"],
    ['src/core/clock.ts', "import load = require('fastify')"],
    ['src/http/prefer.ts', "import { handle } from '../adapters/express.js'"],
    ['src/http/prefer.ts', "import pTimeout from 'p-timeout'"],
    ['src/adapters/express.ts', "import { createGateway } from '../index.js'"],
    ['src/adapters/express.ts', "import { GatewayError } from '../core/errors.js'"],
    ['src/adapters/fastify.ts', "import express from 'express'"],
    ['src/adapters/node.ts', "import { fastify } from 'fastify'"],
    ['src/transports/memory/index.ts', "import '../../stores/memory/index.js'"],
    ['src/transports/nats/index.ts', "import '../memory/index.js'"],
    ['src/stores/memory/index.ts', "import '../../http/types.js'"],
    ['src/worker/worker.ts', "import type { HttpReply } from '../http/types.js'"],
    ['src/worker/worker.ts', "import { memoryTransport } from '../transports/memory/index.js'"],
    ['src/testing/index.ts', "import '../adapters/fetch.js'"],
    ['src/client/follow.ts', "import type { ErrorCode } from '../core/errors.js'"],
    ['src/client/follow.ts', "import { setTimeout } from 'node:timers/promises'"],
    ['src/index.ts', "export { handle } from './adapters/fetch.js'"],
    ['src/extra/index.ts', "import '../core/clock.js'"],
  ])('a planted violation in %s is found: %s', (path, line) => {
    expect(findViolations(plant(path, line))).toHaveLength(1)
  })

  it('types of the root may be used by adapters', () => {
    expect(findViolations(plant('src/adapters/express.ts', "import type { Command } from '../index.js'"))).toEqual([])
    expect(findViolations(plant('src/adapters/express.ts', "import { type Command } from '../index.js'"))).toEqual([])
  })

  it('no files import one another in a circle', () => {
    expect(findCycles(files)).toEqual([])
  })

  it('a planted circle is found', () => {
    const [cycle] = findCycles(plant('src/core/clock.ts', "import './gateway.js'"))
    expect(cycle?.[0]).toBe(cycle?.at(-1))
    expect(cycle).toContain('src/core/clock.ts')
  })

  it.each(Object.entries(entries))('the entry %s reaches no peer but its own', (name, path) => {
    const reached = [...packagesOf(path, files)].filter((one) => PEERS.includes(one))
    expect(reached.filter((peer) => peer !== name && !CLIENTS[name]?.includes(peer))).toEqual([])
  })

  it('a planted peer is found behind an entry', () => {
    const planted = plant('src/core/clock.ts', "import type { Application } from 'express'")
    expect([...packagesOf('src/index.ts', planted)]).toContain('express')
  })

  it('the client reaches no package at all', () => {
    expect([...packagesOf('src/client/index.ts', files)]).toEqual([])
  })
})
