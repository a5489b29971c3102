import { KINDS, type Kind } from './kinds.js'
import { which } from './shell.js'

/** A package manager: its command, and what the servers are called there. */
interface Manager {
  readonly command: string
  readonly install: string
  readonly packages: Readonly<Record<Kind, string>>
}

// Kafka is no package: its jars come from Maven Central.
const MANAGERS: readonly Manager[] = [
  {
    command: 'apt-get',
    install: 'apt-get install -y --no-install-recommends',
    packages: {
      amqp: 'rabbitmq-server',
      kafka: 'openjdk-17-jdk-headless maven',
      redis: 'redis-server',
      postgres: 'postgresql',
    },
  },
  {
    command: 'dnf',
    install: 'dnf install -y',
    packages: {
      amqp: 'rabbitmq-server',
      kafka: 'java-17-openjdk-headless maven',
      redis: 'redis',
      postgres: 'postgresql-server',
    },
  },
  {
    command: 'apk',
    install: 'apk add',
    packages: {
      amqp: 'rabbitmq-server',
      kafka: 'openjdk17-jre-headless maven',
      redis: 'redis',
      postgres: 'postgresql',
    },
  },
  {
    command: 'brew',
    install: 'brew install',
    packages: { amqp: 'rabbitmq', kafka: 'openjdk@17 maven', redis: 'redis', postgres: 'postgresql' },
  },
]

/** The command that installs these servers; undefined where no package manager is known. */
export function installCommand(kinds: readonly Kind[], has: (name: string) => boolean = isThere): string | undefined {
  const manager = MANAGERS.find(({ command }) => has(command))
  if (manager === undefined || kinds.length === 0) return undefined
  // Homebrew refuses to run as root, the others need it.
  const asRoot = process.getuid?.() === 0 || manager.command === 'brew' ? '' : 'sudo '
  return `${asRoot}${manager.install} ${kinds.map((kind) => manager.packages[kind]).join(' ')}`
}

/** What to do where there is no package manager that we know. */
export function installByHand(kinds: readonly Kind[]): string {
  const names = kinds.map((kind) => `${KINDS[kind].title} (or set ${KINDS[kind].variable})`)
  return `install ${names.join(', ')}`
}

function isThere(name: string): boolean {
  return which(name) !== undefined
}
