/** A fenced block of a page. */
export interface Block {
  readonly page: string
  /** Of its first line of code, counted from 1. */
  readonly line: number
  readonly language: string
  /** Words behind the language, such as `continue`. */
  readonly flags: readonly string[]
  readonly code: string
}

/** A table of a page: cells without the spaces around them. */
export interface Table {
  /** The heading above it. */
  readonly heading: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** All fenced blocks of a page. */
export function blocksOf(page: string, text: string): Block[] {
  const blocks: Block[] = []
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; at += 1) {
    const fence = /^( *)```(.*)$/.exec(lines[at] ?? '')
    if (fence === null) continue
    const [, indent = '', info = ''] = fence
    const start = at + 1
    do at += 1
    while (at < lines.length && lines[at] !== `${indent}\`\`\``)
    const code = lines.slice(start, at).map((line) => line.slice(indent.length))
    const [language = '', ...flags] = info.trim().split(/\s+/)
    blocks.push({ page, line: start + 1, language, flags, code: code.join('\n') })
  }
  return blocks
}

/** The text without its fenced blocks, line for line. */
function proseOf(text: string): string {
  let fenced = false
  const keep = (line: string) => {
    const isFence = /^ *```/.test(line)
    if (isFence) fenced = !fenced
    return fenced || isFence ? '' : line
  }
  return text.split('\n').map(keep).join('\n')
}

/** All tables of a page. */
export function tablesOf(text: string): Table[] {
  const tables: { heading: string; columns: string[]; rows: string[][] }[] = []
  let heading = ''
  let isInside = false
  for (const line of proseOf(text).split('\n')) {
    heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading
    const cells = line.startsWith('|') ? cellsOf(line) : undefined
    if (cells === undefined) isInside = false
    else if (!isInside) {
      tables.push({ heading, columns: cells, rows: [] })
      isInside = true
    } else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) tables.at(-1)?.rows.push(cells)
  }
  return tables
}

// A bar inside a cell is written `\|`.
function cellsOf(line: string): string[] {
  const cells = line.split(/(?<!\\)\|/).slice(1, -1)
  return cells.map((cell) => cell.trim().replaceAll('\\|', '|'))
}

/** The headings of a page with the anchors that forges make of them. */
export function anchorsOf(text: string): { readonly heading: string; readonly anchor: string }[] {
  return [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => ({
    heading,
    anchor: heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  }))
}

/** The targets of a page's links, addresses of other sites left out. */
export function linksOf(text: string): string[] {
  const targets = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  return targets.filter((target) => !/^[a-z]+:/.test(target))
}
