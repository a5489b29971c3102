import { existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Entry, Try } from '../../chaos/history.js'
import { Journal } from '../../chaos/journal.js'
import { attempt, fault, look } from './histories.js'

const opened: Journal[] = []
afterEach(async () => {
  for (const journal of opened.splice(0)) await journal.close()
})

function open(): Journal {
  const journal = new Journal()
  opened.push(journal)
  return journal
}

describe('the journal of a run', () => {
  it('gives back what was noted, in its order, also what was noted since the last time', async () => {
    const journal = open()
    const entries: Entry[] = Array.from({ length: 3000 }, (_, n) => (n % 2 ? attempt(n) : look(n)))
    for (const entry of entries) journal.note(entry)
    expect(await journal.read()).toEqual(entries)
    journal.note(fault())
    expect(await journal.read()).toEqual([...entries, fault()])
    expect(await journal.read(({ kind }) => kind === 'fault')).toEqual([fault()])
  })

  it('takes a broken connection for one, although it has no status', async () => {
    const journal = open()
    journal.note(attempt(1, { status: undefined, error: 'ECONNRESET', id: undefined, story: undefined }))
    const [entry] = (await journal.read()) as Try[]
    expect([entry?.status, entry?.error]).toEqual([undefined, 'ECONNRESET'])
  })

  it('leaves a copy that stays when it is closed', async () => {
    const journal = open()
    journal.note(attempt(1))
    const path = await journal.keep()
    await journal.close()
    opened.pop()
    expect(existsSync(path)).toBe(true)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(attempt(1))
    rmSync(dirname(path), { recursive: true })
  })
})
