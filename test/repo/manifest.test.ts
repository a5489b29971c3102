import { describe, expect, it } from 'vitest'
import { entries, specifierOf } from '../../scripts/entries.js'
import tsup from '../../tsup.config.js'
import { listFiles, readText } from './files.js'
import { tablesOf } from './markdown.js'

const manifest = JSON.parse(readText('package.json')) as {
  exports: Record<string, unknown>
  scripts: Record<string, string>
  files: readonly string[]
  version: string
}
const subpaths = Object.keys(entries).map((entry) => (entry === 'index' ? '.' : `./${entry}`))

describe('the manifest', () => {
  it('exports what is built', () => {
    expect(Object.keys(manifest.exports).sort()).toEqual([...subpaths, './package.json'].sort())
    expect(tsup).toMatchObject({ entry: entries })
  })

  it('every subpath is in the table of the README, and nothing else is', () => {
    const rows = tablesOf(readText('README.md')).flatMap((table) =>
      table.rows.map(([first = '']) => first.replaceAll('`', '')),
    )
    const named = rows.filter((name) => /^respond-async(\/[\w-]+)?$/.test(name))
    expect(named.sort()).toEqual(Object.keys(entries).map(specifierOf).sort())
  })

  it('every path alias of the compiler is an entry', () => {
    const { compilerOptions } = JSON.parse(readText('tsconfig.json')) as {
      compilerOptions: { paths: Record<string, string[]> }
    }
    const expected = Object.entries(entries).map(([entry, file]) => [specifierOf(entry), [`./${file}`]])
    expect(compilerOptions.paths).toEqual(Object.fromEntries(expected))
  })

  it('every file that is published exists', () => {
    const isThere = (file: string) => listFiles().some((path) => path === file || path.startsWith(`${file}/`))
    const missing = manifest.files.filter((file) => file !== 'dist' && !isThere(file))
    expect(missing).toEqual([])
  })

  it('every npm script that a page names exists', () => {
    const pages = listFiles().filter((path) => path.endsWith('.md'))
    const named = pages.flatMap((path) =>
      [...readText(path).matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)].map(([, script = '']) => script),
    )
    expect(named.filter((script) => !(script in manifest.scripts))).toEqual([])
    expect(named.length).toBeGreaterThan(5)
  })
})

describe('the change log', () => {
  const headings = [...readText('CHANGELOG.md').matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)

  it('has its unreleased changes on top', () => {
    expect(headings[0]).toBe('[Unreleased]')
    expect(headings.slice(1).every((heading) => /^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/.test(heading ?? ''))).toBe(true)
  })

  it('has no section that Keep a Changelog does not know', () => {
    const known = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security']
    const sections = [...readText('CHANGELOG.md').matchAll(/^### (.*)$/gm)].map(([, section]) => section)
    expect(sections.filter((section) => !known.includes(section ?? ''))).toEqual([])
  })
})
