import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anchorsOf, blocksOf, linksOf, tablesOf } from './markdown.js'
import { matches, parseTranscript, replay } from './transcript.js'

const ID = '01M81DPBSDM7F2D4RB58QPP5XC'
const OTHER = '01M81DPBTMBHJ9E1DJX65TF70K'

const PAGE = `POST /users
Content-Type: application/json

{"name": "ada"}

HTTP/1.1 201 Created
Location: /users/${ID}

{"id": "${ID}", "at": "2026-11-22T10:44:08.678Z", "more": "…"}

GET /users/${ID}

HTTP/1.1 204 No Content`

describe('transcripts of the pages', () => {
  const server = createServer((request, response) => {
    if (request.method === 'GET') return void response.writeHead(request.url === `/users/${OTHER}` ? 204 : 404).end()
    response.writeHead(201, { location: `/users/${OTHER}`, vary: 'Prefer' })
    response.end(JSON.stringify({ id: OTHER, at: '2027-01-01T00:00:00.000Z', more: 'or less' }))
  })
  beforeAll(() => new Promise<void>((resolve) => void server.listen(0, resolve)))
  afterAll(() => void server.close())

  async function faultsOf(page: string): Promise<string[]> {
    const ids = new Map<string, string>()
    const faults: string[] = []
    for (const one of parseTranscript(page))
      faults.push(...(await replay(one, (server.address() as AddressInfo).port, ids)))
    return faults
  }

  it('are read as requests with their answers', () => {
    const [first, second] = parseTranscript(PAGE)
    expect(first).toMatchObject({ method: 'POST', path: '/users', body: '{"name": "ada"}' })
    expect(first?.answer).toMatchObject({ status: 201, headers: [['location', `/users/${ID}`]] })
    expect(second).toMatchObject({ method: 'GET', path: `/users/${ID}`, answer: { status: 204, body: '' } })
    expect(() => parseTranscript('GET /users')).toThrow('not an exchange')
  })

  it('hold when the answers are as shown, with ids and times of this run', async () => {
    expect(await faultsOf(PAGE)).toEqual([])
  })

  it.each([
    ['201 Created', '200 OK'],
    [`Location: /users/${ID}`, `Location: /people/${ID}`],
    [`Location: /users/${ID}`, `Vary: Accept\nLocation: /users/${ID}`],
    [`"id": "${ID}"`, `"id": "${ID}x"`],
    ['"more": "…"', '"more": "nothing"'],
    [', "more": "…"', ''],
    ['204 No Content', '200 OK'],
  ])('fail when %s is shown as %s', async (shown, wrong) => {
    expect(await faultsOf(PAGE.replace(shown, wrong))).toHaveLength(1)
  })

  it('bind an id where it first appears', () => {
    const ids = new Map<string, string>()
    expect(matches(`/a/${ID}/${ID}`, `/a/${OTHER}/${ID}`, ids)).toBe(false)
    expect(matches(`/a/${ID}/${ID}`, `/a/${OTHER}/${OTHER}`, ids)).toBe(true)
    expect(matches(`/b/${ID}`, `/b/${ID}`, ids)).toBe(false)
    expect(matches('a.b', 'axb', ids)).toBe(false)
    expect(matches('Sun, 22 Nov 2026 11:44:08 GMT', 'Mon, 01 Mar 2027 00:00:00 GMT', ids)).toBe(true)
  })
})

describe('pages', () => {
  const page =
    '# The A-B, c\n\n```ts continue\nconst a = `|`\n```\n\n| x | y |\n|---|--:|\n| `a\\|b` | [c](d.md#e) |\n\ntext\n'

  it('are read as blocks, tables, links and anchors', () => {
    expect(blocksOf('p.md', page)).toEqual([
      { page: 'p.md', line: 4, language: 'ts', flags: ['continue'], code: 'const a = `|`' },
    ])
    expect(tablesOf(page)).toEqual([{ heading: 'The A-B, c', columns: ['x', 'y'], rows: [['`a|b`', '[c](d.md#e)']] }])
    expect(linksOf(page)).toEqual(['d.md#e'])
    expect(anchorsOf(page)).toEqual([{ heading: 'The A-B, c', anchor: 'the-a-b-c' }])
  })
})
