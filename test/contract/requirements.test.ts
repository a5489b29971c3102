import { describe, expect, it } from 'vitest'
import { listFiles, readText } from '../repo/files.js'
import { requirementsOf, titlesOf } from '../repo/titles.js'
import { EVENT_REQUIREMENTS } from './event-requirements.js'
import { HTTP_REQUIREMENTS } from './requirements.js'

/** How many requirements each part of the contract has. */
const PARTS = { A: 32, B: 28, C: 20, D: 28, E: 20, F: 22, G: 15, H: 21, L: 13, M: 17, N: 29, P: 16, Q: 16 }

const REQUIREMENTS = { ...HTTP_REQUIREMENTS, ...EVENT_REQUIREMENTS }

const files = [...listFiles('test'), ...listFiles('src/testing')].filter((path) => path.endsWith('.ts'))
const found = files.flatMap((path) =>
  titlesOf(path, readText(path)).flatMap((title) => requirementsOf(title).map((id) => ({ id, path, title }))),
)
const entries = Object.entries(REQUIREMENTS)

describe('the contract of HTTP and events', () => {
  it('every requirement is listed', () => {
    const ids = Object.entries(PARTS).flatMap(([part, count]) =>
      Array.from({ length: count }, (_, at) => `${part}${String(at + 1).padStart(2, '0')}`),
    )
    expect(Object.keys(REQUIREMENTS).sort()).toEqual(ids.sort())
  })

  it('every requirement that is ours has a test whose title begins with it, in the file that is named', () => {
    const missing = entries.filter(
      ([id, one]) => 'test' in one && !found.some((title) => title.id === id && title.path.startsWith(one.test)),
    )
    expect(missing.map(([id, { summary }]) => `${id} ${summary}`)).toEqual([])
  })

  it('no title names a requirement that does not exist', () => {
    expect(found.filter(({ id }) => !(id in REQUIREMENTS))).toEqual([])
  })

  it('what is not ours says why, and has no test', () => {
    const notOurs = entries.filter(([, one]) => 'notOurs' in one)
    expect(notOurs.filter(([, one]) => 'notOurs' in one && one.notOurs.length < 10)).toEqual([])
    expect(notOurs.filter(([id]) => found.some((title) => title.id === id)).map(([id]) => id)).toEqual([])
  })

  it('ids are read from the beginnings of titles', () => {
    expect(requirementsOf('D13 FM-H26 D14 other methods')).toEqual(['D13', 'D14'])
    expect(requirementsOf('A01, A02: any case')).toEqual(['A01', 'A02'])
    expect(requirementsOf('FM-E17 nothing')).toEqual([])
    expect(requirementsOf('as in A01')).toEqual([])
    const source = "it('A01 x', run); it(`A02 $" + '{x}`, run); const cases = { "A03 y": run }'
    expect(titlesOf('a.ts', source)).toEqual(['A01 x', 'A02 ', 'A03 y'])
  })
})
