import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { Lifecycle } from '../../src/core/lifecycle.js'
import { listFiles, ROOT, readText } from './files.js'
import { type Table, tablesOf } from './markdown.js'
import { titlesOf } from './titles.js'

const PAGES = ['README.md', 'docs/guarantees.md']

function tableUnder(page: string, heading: string): Table {
  const table = tablesOf(readText(page)).find((one) => one.heading === heading)
  if (table === undefined) throw new Error(`${page} has no table under "${heading}"`)
  return table
}

function firstColumn({ rows }: Table): string[] {
  return rows.flatMap(([first = '']) => [...first.matchAll(/`(\w+)`/g)].map(([, name = '']) => name))
}

/** The names of an interface's own members. */
function membersOf(path: string, name: string): string[] {
  const file = ts.createSourceFile(path, readText(path), ts.ScriptTarget.Latest, true)
  const found = file.statements.filter(ts.isInterfaceDeclaration).find((one) => one.name.text === name)
  return found?.members.map((member) => member.name?.getText() ?? '') ?? []
}

/** Promises with the tests that a page names for them: `file` "beginning of the title". */
const promises = PAGES.flatMap((page) =>
  tablesOf(readText(page))
    .filter(({ columns }) => columns.at(-1) === 'test')
    .flatMap(({ rows }) => rows.map((row) => ({ page, promise: row[0] ?? '', tests: row.at(-1) ?? '' }))),
)

describe('what the pages promise', () => {
  it.each(promises)('$page: $promise', ({ tests }) => {
    const named = [...tests.matchAll(/`([^`]+)` "([^"]+)"/g)].map(([, file = '', title = '']) => ({ file, title }))
    expect(named.length).toBeGreaterThan(0)
    const missing = named.filter(({ file, title }) => {
      return !listFiles().includes(file) || !titlesOf(file, readText(file)).some((one) => one.startsWith(title))
    })
    expect(missing).toEqual([])
  })

  it('both pages have promises', () => {
    for (const page of PAGES) expect(promises.filter((one) => one.page === page).length).toBeGreaterThan(5)
  })

  it('the README names the versions that are tested', () => {
    const text = readText('README.md')
    const versionOf = (name: string) =>
      JSON.parse(readFileSync(`${ROOT}node_modules/${name}/package.json`, 'utf8')).version
    const missing = ['express', 'express4', 'fastify', 'fastify50', 'hono'].filter((name) => {
      const [major, minor] = String(versionOf(name)).split('.')
      return !text.includes(`${major}.${minor}`)
    })
    expect(missing).toEqual([])
  })
})

describe('tables of names', () => {
  it('docs/observability.md has every lifecycle event, and no other', () => {
    const named = firstColumn(tableUnder('docs/observability.md', 'Lifecycle events'))
    expect(named.sort()).toEqual(Object.keys(new Lifecycle().counters()).sort())
  })

  it('docs/observability.md has every event of the worker', () => {
    const named = firstColumn(tableUnder('docs/observability.md', 'Worker events'))
    expect(named.sort()).toEqual(membersOf('src/worker/types.ts', 'WorkerEvents').sort())
  })

  it('docs/events.md has every field of the envelope', () => {
    const named = firstColumn(tableUnder('docs/events.md', 'The envelope'))
    const fields = ['Envelope', 'EventMessage'].flatMap((name) => membersOf('src/core/event.ts', name))
    expect(named.sort()).toEqual(fields.sort())
  })

  it('docs/client.md has every option of follow', () => {
    const named = firstColumn(tableUnder('docs/client.md', 'Options'))
    const options = ['FollowOptions', 'ResumeOptions'].flatMap((name) => membersOf('src/client/follow.ts', name))
    expect([...new Set(named)].sort()).toEqual(options.sort())
  })

  it('docs/custom-store.md has every method of a store', () => {
    const [table] = tablesOf(readText('docs/custom-store.md'))
    const named = (table?.rows ?? []).map(([first = '']) => first.replace(/^`(\w+).*$/, '$1'))
    const methods = membersOf('src/core/store.ts', 'Store').filter(
      (name) => !/^(name|durability|skippedChecks|start|close)$/.test(name),
    )
    expect(named.sort()).toEqual(methods.sort())
  })

  it('docs/options.md has every option of a request without HTTP', () => {
    const named = firstColumn(tableUnder('docs/options.md', 'Request without HTTP'))
    const path = listFiles('src/core').find((file) => readText(file).includes('interface RequestOptions')) ?? ''
    const known = membersOf(path, 'RequestOptions').filter((name) => !/^(onGone|startedAt)$/.test(name))
    expect(named.sort()).toEqual(known.sort())
  })
})
