import ts from 'typescript'

/**
 * What may be the title of a test in a file: every text, the beginning of every template, and every quoted key, as
 * contract suites hold their cases in tables.
 */
export function titlesOf(path: string, text: string): string[] {
  const titles: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) titles.push(node.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true))
  return titles
}

const REQUIREMENT = /^[A-HLMNPQ]\d\d$/
const OTHER_ID = /^(?:FM-[A-Z]\d+|[IJKO]\d\d)$/

/** The requirements with which a title begins: `D13 FM-H26 D14 …` has two. */
export function requirementsOf(title: string): string[] {
  const ids: string[] = []
  for (const word of title.split(/[\s,:]+/)) {
    if (REQUIREMENT.test(word)) ids.push(word)
    else if (!OTHER_ID.test(word)) break
  }
  return ids
}
