/** What the environment and the command line say. */
export interface Settings {
  readonly framework: Framework
  readonly port: number
  readonly waitMs: number
  /** Run the documented requests against a server of their own, and end. */
  readonly once: boolean
}

/** The adapters to choose from. */
export type Framework = 'express' | 'fastify' | 'fetch'

const FRAMEWORKS: readonly string[] = ['express', 'fastify', 'fetch'] satisfies readonly Framework[]

/**
 * Reads PORT, GATEWAY_WAIT_MS, FRAMEWORK and --once.
 * @throws Error that says what was given and what is allowed.
 */
export function readSettings(env: NodeJS.ProcessEnv, args: readonly string[]): Settings {
  const framework = env.FRAMEWORK || 'fastify'
  if (!FRAMEWORKS.includes(framework)) {
    throw new Error(`FRAMEWORK is "${framework}"; allowed is ${FRAMEWORKS.join(', ')}.`)
  }
  const unknown = args.find((arg) => arg !== '--once')
  if (unknown !== undefined) throw new Error(`The demo does not know "${unknown}"; allowed is --once.`)
  return {
    framework: framework as Framework,
    port: readNumber('PORT', env.PORT || '3000', 65_535),
    waitMs: readNumber('GATEWAY_WAIT_MS', env.GATEWAY_WAIT_MS || '2000', 240_000),
    once: args.includes('--once'),
  }
}

function readNumber(name: string, text: string, greatest: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= greatest) return value
  throw new Error(`${name} is "${text}"; allowed is a whole number from 0 to ${greatest}.`)
}
