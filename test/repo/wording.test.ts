import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listFiles, readText } from './files.js'

// Written in halves, so that this file does not find itself.
const FORBIDDEN: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['an open end', new RegExp(`\\b(TO${'DO'}|FIX${'ME'}|X{3}|HA${'CK'})\\b`)],
  ['a path of one machine', new RegExp(`(?<![\\w.@/-])/(wo${'rk'}|ho${'me'}|Us${'ers'}|ro${'ot'})/[\\w.-]`)],
  ['a folder beside the repository', new RegExp(`\\.\\./sha${'red'}\\b`)],
  ['a private registry', new RegExp(`//(?!regis${'try'}\\.npmjs\\.org)[\\w.-]*regis${'try'}[\\w-]*[.:]`, 'i')],
  ['a secret', new RegExp(`_auth${'Token'}|BEGIN [A-Z ]*PRIVATE ${'KEY'}`)],
]

const paths = listFiles().filter((path) => !/\.(png|ico|woff2)$/.test(path))
const names = new Set(paths.map((path) => posix.basename(path)))

function findings(path: string, text: string): string[] {
  const at = (index: number) => `${path}:${text.slice(0, index).split('\n').length}`
  const words = FORBIDDEN.flatMap(([what, pattern]) => {
    const hit = pattern.exec(text)
    return hit ? [`${at(hit.index)} names ${what}: ${hit[0]}`] : []
  })
  const notes = [...text.matchAll(/\b[\w-]+\.md\b/g)].filter(([name]) => !names.has(name))
  return [...words, ...notes.map(({ 0: name, index }) => `${at(index)} names ${name}, which is not here`)]
}

describe('the words of the repository', () => {
  it('no file names what is not the business of its readers', () => {
    const texts = paths.filter((path) => !/^(package-lock\.json|test\/repo\/[\w-]+\.test\.ts)$/.test(path))
    expect(texts.flatMap((path) => findings(path, readText(path)))).toEqual([])
    expect(texts.length).toBeGreaterThan(80)
  })

  it('the lock file names no private registry and no secret', () => {
    expect(FORBIDDEN.slice(3).filter(([, pattern]) => pattern.test(readText('package-lock.json')))).toEqual([])
  })

  it.each([
    `// TO${'DO'} later`,
    `see /wo${'rk'}/main/src`,
    `see /ho${'me'}/me/src`,
    `see ../sha${'red'}/notes`,
    `as notes-of-mine.${'md'} says`,
    `https://regis${'try'}.example.com/x`,
    `//regis${'try'}.npmjs.org/:_auth${'Token'}=x`,
  ])('planted, it is found: %s', (line) => {
    expect(findings('planted.md', `first\n${line}\n`)).toHaveLength(1)
  })

  it('every file ends with a line break, and has no tabs or trailing spaces', () => {
    const texts = paths.filter((path) => /\.(ts|md|json)$/.test(path) && path !== 'package-lock.json')
    expect(texts.filter((path) => !readText(path).endsWith('\n') || /\t|[ \t]\n/.test(readText(path)))).toEqual([])
  })
})
