import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listFiles, readText } from './files.js'
import { anchorsOf, linksOf } from './markdown.js'

const files = listFiles()
const pages = files.filter((path) => path.endsWith('.md'))

/** The links of a page that lead nowhere. */
function brokenLinks(page: string, text: string): string[] {
  return linksOf(text).filter((link) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : posix.join(posix.dirname(page), path)
    const isFolder = files.some((file) => file.startsWith(`${target.replace(/\/$/, '')}/`))
    if (target !== page && !files.includes(target)) return !isFolder || anchor !== undefined
    if (anchor === undefined) return false
    return !anchorsOf(target === page ? text : readText(target)).some((one) => one.anchor === anchor)
  })
}

describe('links between the pages', () => {
  it.each(pages)('%s leads to pages and headings that exist', (page) => {
    expect(brokenLinks(page, readText(page))).toEqual([])
  })

  it('a link that leads nowhere is found', () => {
    const text =
      '# One\n[a](b.md) [b](#two) [c](README.md) [d](#one) [e](README.md#nothing-there) [f](https://example.com)'
    expect(brokenLinks('new.md', text)).toEqual(['b.md', '#two', 'README.md#nothing-there'])
  })

  it('every page in docs can be reached from the README', () => {
    const seen = new Set(['README.md'])
    for (const page of seen) {
      for (const link of linksOf(readText(page))) {
        const target = posix.join(posix.dirname(page), link.split('#')[0] ?? '')
        if (pages.includes(target)) seen.add(target)
      }
    }
    expect(pages.filter((page) => page.startsWith('docs/') && !seen.has(page))).toEqual([])
  })
})
