import { describe, expect, it } from 'vitest'
import { listFiles, readText } from './files.js'

// Written in halves, so that this file does not find itself.
const FORBIDDEN: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['an open end', new RegExp(`\\b(TO${'DO'}|FIX${'ME'}|X{3}|HA${'CK'})\\b`)],
  ['a path of one machine', new RegExp(`(?<![\\w.@/-])/(wo${'rk'}|ho${'me'}|Us${'ers'}|ro${'ot'})/(?!\\{)[\\w.-]`)],
  ['a note that is not in the repository', new RegExp(`\\b(des${'ign'}|http-con${'tract'}|failure-mo${'des'})\\.md\\b|\\.\\./sha${'red'}\\b`)],
  ['a private registry', new RegExp(`(?<!//)\\bregis${'try'}\\.(?!npmjs\\.org)[\\w-]+\\.|_auth${'Token'}|verda${'ccio'}`, 'i')],
  ['a tool of whoever wrote it', new RegExp(`\\b(Cla${'ude'}|Chat${'GPT'}|Copi${'lot'}|An${'thropic'}|Open${'AI'})\\b`, 'i')],
]

const paths = listFiles().filter((path) => !/\.(png|ico|woff2)$/.test(path))

function findings(path: string, text: string): string[] {
  return FORBIDDEN.flatMap(([what, pattern]) => {
    const hit = pattern.exec(text)
    return hit ? [`${path}:${text.slice(0, hit.index).split('\n').length} names ${what}: ${hit[0]}`] : []
  })
}

describe('the words of the repository', () => {
  it('no file names what is not the business of its readers', () => {
    expect(paths.flatMap((path) => findings(path, readText(path)))).toEqual([])
    expect(paths.length).toBeGreaterThan(80)
  })

  it.each([
    `// TO${'DO'} later`,
    `see /wo${'rk'}/main/src`,
    `see /ho${'me'}/me/src`,
    `as des${'ign'}.md says`,
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
