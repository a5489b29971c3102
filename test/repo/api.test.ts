import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readApi } from './api.js'
import { ROOT, readText } from './files.js'

const SNAPSHOT = 'test/repo/api.snapshot.json'

describe('the public API', () => {
  it('is the one that was agreed on (UPDATE=1 writes down a wanted change)', () => {
    const api = readApi()
    if (process.env['UPDATE'] === '1') writeFileSync(`${ROOT}${SNAPSHOT}`, `${JSON.stringify(api, null, 2)}\n`)
    expect(api).toEqual(JSON.parse(readText(SNAPSHOT)))
    expect(api['respond-async']).toMatchObject({ createGateway: 'function', GatewayError: 'class', Store: 'interface' })
  }, 60_000)
})
