import { createHash } from 'node:crypto'
import { GatewayError } from '../../core/errors.js'
import type { Argument, RedisConnection, SendOptions } from './connection.js'
import { isNoScript, toStoreError } from './errors.js'

/** A script with the name by which the server knows it, and how it is sent. */
export interface Script {
  readonly source: string
  readonly sha: string
  readonly options: SendOptions
}

/** Prepares a script. */
export function script(source: string, options: SendOptions = {}): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex'), options }
}

/** Runs scripts on a connection, all with the prefix of the keys and the name of this store in front. */
export class Scripts {
  readonly #connection: RedisConnection
  readonly #common: readonly [prefix: string, self: string]

  constructor(connection: RedisConnection, common: readonly [prefix: string, self: string]) {
    this.#connection = connection
    this.#common = common
  }

  /** Brings a script to the server. */
  async load({ source }: Script): Promise<void> {
    await this.#connection.sendCommand(['SCRIPT', 'LOAD', source])
  }

  /** @throws GatewayError ERR_INVALID_INPUT, or else ERR_STORE_*, which tells whether anything can have happened. */
  async run(script: Script, args: readonly Argument[]): Promise<unknown> {
    // Clients differ in when they notice, and what they break then.
    if (!args.every((argument) => typeof argument === 'string' || Buffer.isBuffer(argument)))
      throw new GatewayError('ERR_INVALID_INPUT', 'Redis takes texts and bytes only.')
    try {
      return await this.#run(script, args)
    } catch (error) {
      throw toStoreError(error)
    }
  }

  async #run({ source, sha, options }: Script, args: readonly Argument[]): Promise<unknown> {
    // No key is declared: they follow from the arguments, and there is no cluster to care. So a prefix that the client
    // was given does not change them either.
    const rest = ['0', ...this.#common, ...args]
    try {
      return await this.#connection.sendCommand(['EVALSHA', sha, ...rest], options)
    } catch (error) {
      // After a restart or a flush nothing has been run. With its source the script is run and known again in one step,
      // so that no second flush can come in between.
      if (!isNoScript(error)) throw error
      return this.#connection.sendCommand(['EVAL', source, ...rest], options)
    }
  }
}
