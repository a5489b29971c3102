import { readFileSync } from 'node:fs'
import { transportContract } from 'respond-async/testing'
import { describe, expect, it } from 'vitest'
import { eventBusTransport } from '../../examples/custom-transport/event-bus-transport.js'

const FILE = 'examples/custom-transport/event-bus-transport.ts'

describe('the transport of examples/custom-transport', () => {
  for (const { name, run } of transportContract(() => eventBusTransport())) it(name, run)

  it('has at most 120 lines', () => {
    expect(readFileSync(FILE, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(120)
  })

  it('is in docs/custom-transport.md word for word', () => {
    const page = readFileSync('docs/custom-transport.md', 'utf8')
    const blocks = [...page.matchAll(/```ts[^\n]*\n(.*?)\n```/gs)].map(([, code]) => code)
    expect(`${blocks.slice(0, 2).join('\n\n')}\n`).toBe(readFileSync(FILE, 'utf8'))
  })
})
