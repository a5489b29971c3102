import { KIND_NAMES, type Kind } from '../../scripts/brokers/kinds.js'
import type { Block } from './markdown.js'

/** The code blocks of a page that belong together, and the transcripts that speak to them. */
export interface Example {
  readonly name: string
  readonly blocks: Block[]
  readonly transcripts: Block[]
}

const CODE = ['ts', 'js', 'typescript', 'javascript', 'tsx', 'jsx', 'mjs']

/** A block is a module of its own unless it says `continue`; transcripts belong to the module before them. */
export function examplesOf(ofPage: readonly Block[]): Example[] {
  const found: Example[] = []
  for (const block of ofPage) {
    if (CODE.includes(block.language)) {
      const last = block.flags.includes('continue') ? found.at(-1) : undefined
      if (last) last.blocks.push(block)
      else found.push({ name: `${block.page}:${block.line}`, blocks: [block], transcripts: [] })
    }
    if (block.language === 'http') found.at(-1)?.transcripts.push(block)
  }
  return found
}

/** The whole text of an example. */
export function codeOf({ blocks: parts }: Example): string {
  return parts.map(({ code }) => code).join('\n\n')
}

/** The kind of server that an example speaks to, which its first block names behind the language. */
export function serverOf({ blocks: [first] }: Example): Kind | undefined {
  return KIND_NAMES.find((kind) => first?.flags.includes(kind))
}

/** What the page says is printed: the comments `// -> …` in their order. */
export function printedOf(code: string): string[] {
  return [...code.matchAll(/\/\/ -> (.*)$/gm)].map(([, text = '']) => text)
}

/** Pages listen on 3000, as readers will; each example gets a port of its own. */
export function withPort(code: string, port: number): string {
  return code.replace(/(localhost:|listen\(|port: |\?\? )3000\b/g, `$1${port}`)
}
