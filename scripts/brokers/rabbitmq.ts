import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place, Prepared, Program } from './program.js'
import { type Finished, runBeside, which } from './shell.js'

const START_MS = 60_000
/** The wrapper of the same name in /usr/sbin changes the user and drops the settings. */
const BIN = '/usr/lib/rabbitmq/bin'

function binOf(): string | undefined {
  if (existsSync(join(BIN, 'rabbitmq-server'))) return BIN
  const found = which('rabbitmq-server')
  return found === undefined || found.startsWith('/usr/sbin/') ? undefined : join(found, '..')
}

/** A RabbitMQ node of its own, with its own port mapper, so that it meets no other node of the machine. */
export const rabbitmq: Program = {
  missing() {
    if (binOf() === undefined) return 'rabbitmq-server is not installed'
    return which('epmd') === undefined ? 'epmd, which comes with Erlang, is not on the PATH' : undefined
  },
  async prepare({ folder, port, freePort }: Place): Promise<Prepared> {
    const epmdPort = await freePort()
    const env = environment(folder, port, { epmd: epmdPort, distribution: await freePort() })
    writeFileSync(env.RABBITMQ_CONFIG_FILE, settings(port))
    writeFileSync(env.RABBITMQ_ENABLED_PLUGINS_FILE, '[].\n')
    const server = { command: join(binOf() ?? '', 'rabbitmq-server'), args: [], env }
    const mapper = ['-port', String(epmdPort), '-address', '127.0.0.1']
    const companion = { command: which('epmd') ?? 'epmd', args: mapper, env, port: epmdPort }
    return { kind: 'amqp', port, server, companion, stopSignal: 'SIGTERM', startMs: START_MS }
  },
}

/** Runs `rabbitmqctl` on a node that was prepared here. */
export function rabbitmqctl({ server }: Prepared, args: readonly string[]): Promise<Finished> {
  return runBeside(join(binOf() ?? '', 'rabbitmqctl'), args, { env: server.env ?? {}, timeoutMs: 30_000 })
}

function environment(folder: string, port: number, ports: { readonly epmd: number; readonly distribution: number }) {
  return {
    // Erlang keeps its cookie in the home folder.
    HOME: folder,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `respond-async-${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'node.pid'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    // A node that does nothing is to use nothing.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +sbwtdcpu none +sbwtdio none',
  }
}

function settings(port: number): string {
  const lines = [`listeners.tcp.1 = 127.0.0.1:${port}`, 'log.console = false', 'log.file.level = warning']
  // The limit of free disk is for machines of its own.
  return `${[...lines, 'disk_free_limit.absolute = 50MB', 'loopback_users.guest = true'].join('\n')}\n`
}
