import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { readFiles } from './files.js'

// Time and chance come from the injected clock and from the ids alone, so that tests can decide both.
const HOMES = ['src/core/clock.ts', 'src/core/ids.ts']
const GLOBALS = /^(setTimeout|setInterval|setImmediate|queueMicrotask|performance|console)$/
const MEMBERS = /^(Date\.now|Math\.random|process\.(hrtime|uptime|nextTick)|Promise\.race|crypto\.\w+)$/

/** What a file takes from its surroundings instead of from the clock. */
function impurities(path: string, text: string): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && MEMBERS.test(node.getText())) found.push(node.getText())
    if (ts.isIdentifier(node) && GLOBALS.test(node.text) && isReference(node)) found.push(node.text)
    if (ts.isNewExpression(node) && node.getText().match(/^new Date\(?\)?$/)) found.push('new Date()')
    if (ts.isCallExpression(node) && node.expression.getText() === 'Date') found.push('Date()')
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true))
  return found
}

/** Not the name of a member: `clock.setImmediate` is the injected one. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  const isName = ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) || ts.isMethodSignature(parent)
  return !((isName || ts.isPropertySignature(parent)) && parent.name === node)
}

const files = readFiles('src/core')

describe('time and chance in the core', () => {
  it.each([...files].filter(([path]) => !HOMES.includes(path)))('%s takes both from outside', (path, text) => {
    expect(impurities(path, text)).toEqual([])
  })

  it('the clock and the ids are where they come from', () => {
    expect(HOMES.filter((path) => files.has(path))).toEqual(HOMES)
    expect(impurities('clock.ts', files.get('src/core/clock.ts') ?? '')).toContain('Date.now')
  })

  it.each([
    'const at = Date.now()',
    'const at = new Date()',
    'const at = new Date',
    'const at = Date()',
    'setTimeout(() => {}, 1)',
    'const later = { later: setTimeout }',
    'const later = { setTimeout }',
    'globalThis.addEventListener("x", () => setImmediate(() => {}))',
    "import { performance } from 'node:perf_hooks'",
    'const at = performance.now()',
    'const at = process.hrtime.bigint()',
    'const chance = Math.random()',
    'const id = crypto.randomUUID()',
    'void Promise.race([])',
  ])('planted, it is found: %s', (line) => {
    expect(impurities('planted.ts', line)).not.toEqual([])
  })

  it.each([
    'clock.setImmediate(() => {})',
    'const timers = { setTimeout: wheel.add, clearTimeout: wheel.cancel }',
    'const text = new Date(0).toISOString()',
    'interface Clock { setImmediate(callback: () => void): void; setTimeout: number }',
    '// Date.now() in a comment',
  ])('allowed: %s', (line) => {
    expect(impurities('fine.ts', line)).toEqual([])
  })
})
