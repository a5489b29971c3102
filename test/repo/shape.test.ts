import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { readFiles } from './files.js'

const MAX_FILE_LINES = 300
const MAX_FUNCTION_LINES = 50
const MAX_ADAPTER_LINES = 60

const files = [...readFiles('src')]
const adapters = files.filter(([path]) => /^src\/adapters\/(?!(node|web)\.ts$)/.test(path))

/** Lines that hold code, so that comments and blank lines cost nothing. */
function codeLines(path: string, text: string): number {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const lines = new Set<number>()
  const visit = (node: ts.Node): void => {
    // A comment with tags has children of its own.
    if (ts.isJSDoc(node)) return
    for (const child of node.getChildren(file)) visit(child)
    if (node.getChildCount(file) > 0 || node.getWidth(file) === 0) return
    const from = file.getLineAndCharacterOfPosition(node.getStart(file)).line
    const to = file.getLineAndCharacterOfPosition(node.getEnd()).line
    for (let line = from; line <= to; line += 1) lines.add(line)
  }
  visit(file)
  return lines.size
}

/** Adapters get request and response beside their own; and Express knows error handlers by their four parameters. */
function maxParameters(path: string): number {
  return path.startsWith('src/adapters/') ? 4 : 3
}

/** Functions with more lines, or more parameters, than allowed. */
function outsized(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && !ts.isConstructSignatureDeclaration(node)) {
      const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1
      const lines = bodyLines(node, file)
      if (lines > MAX_FUNCTION_LINES) found.push(`${path}:${line} has ${lines} lines`)
      if (node.parameters.length > maxParameters(path))
        found.push(`${path}:${line} has ${node.parameters.length} parameters`)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** Lines between the braces; blank ones cost nothing, as for the linter. */
function bodyLines(node: ts.SignatureDeclaration, file: ts.SourceFile): number {
  const body = 'body' in node ? node.body : undefined
  if (body === undefined) return 0
  const text = body.getText(file).replace(/^\{\s*\n|\n\s*\}$/g, '')
  return text.split('\n').filter((line) => line.trim() !== '').length
}

function lineCount(text: string): number {
  return text.replace(/\n$/, '').split('\n').length
}

describe('the shape of the sources', () => {
  it.each(files)(`%s has at most ${MAX_FILE_LINES} lines`, (_path, text) => {
    expect(lineCount(text)).toBeLessThanOrEqual(MAX_FILE_LINES)
  })

  it.each(files)('every function of %s is small', (path, text) => {
    expect(outsized(path, text)).toEqual([])
  })

  it.each(adapters)(`the adapter %s has at most ${MAX_ADAPTER_LINES} lines of code`, (path, text) => {
    expect(codeLines(path, text)).toBeLessThanOrEqual(MAX_ADAPTER_LINES)
  })

  it('there is an adapter for each framework', () => {
    expect(adapters.map(([path]) => path)).toEqual(
      ['express', 'fastify', 'fetch'].map((name) => `src/adapters/${name}.ts`),
    )
  })

  it('what is too long, or takes too much, is found', () => {
    const body = '  void 0\n'.repeat(MAX_FUNCTION_LINES + 1)
    expect(outsized('a.ts', `function a() {\n${body}}\n`)).toEqual(['a.ts:1 has 51 lines'])
    expect(outsized('a.ts', 'const a = (b: 1, c: 2, d: 3, e: 4) => 5')).toEqual(['a.ts:1 has 4 parameters'])
  })

  it('only lines with code are counted', () => {
    expect(codeLines('a.ts', '// one\n/** two\n three */\nconst a = 1\n\nconst b = `x\ny`\n')).toBe(3)
  })
})
