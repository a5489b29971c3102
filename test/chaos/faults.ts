import { rabbitmqctl } from '../../scripts/brokers/rabbitmq.js'
import type { Manner, Part } from './history.js'
import type { Site, World } from './world.js'

/** Something that goes wrong, and is put right again. */
export interface Fault {
  readonly name: string
  readonly part: Part
  readonly manner: Manner
  readonly lastsMs: number
  /** Resolves when it is complete. */
  begin(): Promise<void>
  /** Resolves when the part can be reached again. */
  end(): Promise<void>
}

const SHORT_MS = 3000
const none = () => Promise.resolve()

/** All faults that this world can have, those first that break most. */
export function faultsOf(world: World, random: () => number): Fault[] {
  const { broker, store } = world
  const parts = [broker && sited('broker', broker), store && sited('store', store), owned(world, random)]
  const faults = parts.map((list) => list ?? [])
  // One of each part in turn, so that a short run has some of all.
  const most = Math.max(...faults.map(({ length }) => length))
  const inTurn = Array.from({ length: most }, (_, index) => faults.map((list) => list[index])).flat()
  return inTurn.filter((fault): fault is Fault => fault !== undefined)
}

function sited(part: 'broker' | 'store', site: Site): Fault[] {
  const alarm = site.server.kind === 'amqp' ? [memoryAlarm(site)] : []
  return [killed(part, site), frozen(part, site), ...alarm, ...lines(part, site), restarted(part, site)]
}

function killed(part: Part, { server, proxy }: Site): Fault {
  return {
    ...{ name: `${part} killed`, part, manner: 'refused', lastsMs: 1500 },
    async begin() {
      await server.kill()
      await proxy.refuse()
    },
    async end() {
      await server.start()
      await proxy.heal()
    },
  }
}

function restarted(part: Part, { server, proxy }: Site): Fault {
  return {
    ...{ name: `${part} restarted`, part, manner: 'refused', lastsMs: 0 },
    async begin() {
      await server.stop()
      await proxy.refuse()
    },
    async end() {
      await server.start()
      await proxy.heal()
    },
  }
}

function frozen(part: Part, { server }: Site): Fault {
  const thaw = async () => server.resume()
  const begin = async () => server.pause()
  return { name: `${part} frozen`, part, manner: 'silent', lastsMs: SHORT_MS, begin, end: thaw }
}

function memoryAlarm({ server }: Site): Fault {
  const setLimit = async (...limit: readonly string[]) => {
    const { ok, output } = await rabbitmqctl(server.prepared, ['set_vm_memory_high_watermark', ...limit])
    if (!ok) throw new Error(`rabbitmqctl has failed: ${output}`)
  }
  return {
    ...{ name: 'broker memory alarm', part: 'broker', manner: 'blocked', lastsMs: SHORT_MS },
    begin: () => setLimit('absolute', '1MB'),
    end: () => setLimit('0.4'),
  }
}

/** Faults of the line between the gateways and a server. */
function lines(part: Part, { proxy }: Site): Fault[] {
  const heal = () => proxy.heal()
  const set =
    (...given: Parameters<typeof proxy.set>) =>
    async () =>
      proxy.set(...given)
  const silent = { part, manner: 'silent', lastsMs: SHORT_MS, end: heal } as const
  const slow = { part, manner: 'slow', lastsMs: SHORT_MS, end: heal } as const
  return [
    { name: `${part} reset`, part, manner: 'cut', lastsMs: 0, begin: async () => proxy.reset(), end: none },
    { ...silent, name: `${part} silent both ways`, begin: set({ silent: true }, 'both') },
    { ...silent, name: `${part} refused`, manner: 'refused', begin: () => proxy.refuse() },
    { ...silent, name: `${part} silent down`, begin: set({ silent: true }, 'down') },
    { ...silent, name: `${part} silent up`, begin: set({ silent: true }, 'up') },
    { ...slow, name: `${part} far away`, manner: 'late', begin: set({ latencyMs: 100 }) },
    { ...slow, name: `${part} on a slow line`, begin: set({ bytesPerSecond: 20_000 }) },
    halfOpen(part, proxy),
  ]
}

function halfOpen(part: Part, proxy: Site['proxy']): Fault {
  const begin = async () => proxy.halfOpen('server')
  return {
    name: `${part} half open`,
    part,
    manner: 'half-open',
    lastsMs: SHORT_MS,
    begin,
    end: async () => proxy.reset(),
  }
}

/** Faults of the processes of ours. */
function owned({ gateways, workers, broker, store }: World, random: () => number): Fault[] {
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  let hit = pick(gateways)
  const freeze: Fault = {
    ...{ name: 'gateway frozen', part: 'gateway', manner: 'silent', lastsMs: SHORT_MS },
    async begin() {
      hit = pick(gateways)
      hit?.freeze(true)
    },
    end: async () => hit?.freeze(false),
  }
  const ended = (
    name: string,
    members: typeof gateways,
    end: (member: (typeof gateways)[number]) => unknown,
  ): Fault => ({
    ...{ name, part: members === gateways ? 'gateway' : 'worker', manner: 'ended', lastsMs: 500 },
    async begin() {
      hit = pick(members)
      if (hit) await end(hit)
    },
    end: async () => void (hit && !hit.isUp && (await hit.start())),
  })
  if (!broker && !store) return [...inMemory(gateways), freeze]
  const ofWorkers = ended('worker killed', workers, (member) => member.kill())
  // What a store in memory holds ends with its gateway, as its durability says.
  if (!store) return [freeze, ofWorkers]
  return [
    ended('gateway killed', gateways, (member) => member.kill()),
    freeze,
    ofWorkers,
    ended('gateway drained', gateways, (member) => member.stop()),
  ]
}

/** Broker and store in memory fail as their gateway is told. */
function inMemory([gateway]: World['gateways']): Fault[] {
  const fault = (part: 'broker' | 'store', manner: 'refused' | 'silent'): Fault => ({
    ...{ name: `${part} ${manner}`, part, manner, lastsMs: SHORT_MS },
    begin: async () => gateway?.send({ part, manner }),
    end: async () => gateway?.send({ part }),
  })
  return (['broker', 'store'] as const).flatMap((part) => [fault(part, 'refused'), fault(part, 'silent')])
}
