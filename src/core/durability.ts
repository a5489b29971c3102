import type { CommandPlan } from './definition.js'
import { GatewayError } from './errors.js'
import type { GatewayParts } from './parts.js'
import type { Durability, ReplyAddress } from './transport.js'

/** What those parts of a gateway say that decide where answers go and how long they last. */
type Given = Pick<GatewayParts, 'transport' | 'bareStore' | 'storeKind' | 'settings'>

/**
 * Refuses a command whose worker would be told of no address for its answer, which it would then drop.
 * @throws GatewayError ERR_CONFIG that names the options.
 */
export function checkReplyAddress(plan: CommandPlan, parts: Given): void {
  const { profile } = plan.definition
  const isNeeded = profile?.answers === 'reply' && (profile.name === 'spring' || profile.name === 'nest')
  const address = isNeeded ? addressOf(parts) : undefined
  if (address === undefined || 'durability' in address) return
  const text = `The requests of ${plan.name} would say no address for the answer: ${address.missing}`
  throw new GatewayError('ERR_CONFIG', `${text} Or its worker publishes an event: answers: 'event' of its profile.`)
}

/** What transport and store promise about the operations of one command. */
export function durabilityOf(plan: CommandPlan, parts: Given): Durability {
  const { transport, bareStore } = parts
  const address = plan.definition.profile?.answers === 'reply' ? addressOf(parts) : undefined
  const replies = address !== undefined && 'durability' in address ? [address.durability] : []
  return weakest([transport.durability, bareStore.durability, ...replies])
}

/** What several parts promise together. */
export function weakest(parts: readonly Durability[]): Durability {
  if (parts.some((part) => part.class === 'process')) return { class: 'process' }
  const mayLoseMs = Math.max(...parts.map((part) => part.mayLoseMs ?? 0))
  return mayLoseMs > 0 ? { class: 'durable', mayLoseMs } : { class: 'durable' }
}

/** The address that requests will have, once the readers of results are there. */
function addressOf({ transport, storeKind, settings }: Given): ReplyAddress | undefined {
  return transport.replyAddress?.({ own: settings.wake === 'transport', shared: storeKind === 'given' })
}
