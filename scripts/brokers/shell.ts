import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The path of a program; undefined when it is not on the PATH. */
export function which(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Finished {
  const given = { encoding: 'utf8', timeout: options.timeoutMs ?? 60_000 } as const
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    ...given,
    env: { ...process.env, ...options.env },
  })
  return { ok: status === 0, output: `${stdout ?? ''}${stderr ?? ''}${error ? String(error) : ''}` }
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

/** How a program ended. */
export interface Finished {
  readonly ok: boolean
  readonly output: string
}

interface BesideOptions extends RunOptions {
  readonly cwd?: string
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
}

/** Runs a program to its end while this process goes on. */
export function runBeside(command: string, args: readonly string[], options: BesideOptions = {}): Promise<Finished> {
  const { timeoutMs = 60_000, env, cwd, user } = options
  const given = { timeout: timeoutMs, env: { ...process.env, ...env }, cwd, ...user }
  return new Promise((resolve) => {
    execFile(command, args, given, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: `${stdout}${stderr}${error ?? ''}` })
    })
  })
}
