import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The root of the repository, with a slash at its end. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Files by their paths from the root, with forward slashes. */
export type Files = ReadonlyMap<string, string>

const IGNORED = new Set(['node_modules', 'dist', 'coverage', '.git', 'target'])

/** Reads a file by its path from the root. */
export function readText(path: string): string {
  return readFileSync(`${ROOT}${path}`, 'utf8')
}

/** All files below a folder (the whole repository by default) that are written by hand, in the order of their paths. */
export function listFiles(folder = ''): string[] {
  return readdirSync(`${ROOT}${folder}`, { withFileTypes: true })
    .filter(({ name }) => !IGNORED.has(name) && !/\.(log|tgz|tsbuildinfo)$/.test(name))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      return entry.isDirectory() ? listFiles(path) : [path]
    })
    .sort()
}

/** The files below a folder with their texts. */
export function readFiles(folder: string, ending = '.ts'): Files {
  const paths = listFiles(folder).filter((path) => path.endsWith(ending))
  return new Map(paths.map((path) => [path, readText(path)]))
}
