import { setTimeout as sleep } from 'node:timers/promises'

/** What was reserved. */
export interface Reservation {
  readonly item: string
  readonly customer: string
  readonly shelf: number
}

/** Business logic that exists already: sometimes fast, sometimes slow, undefined when nothing is left. */
export async function reserve(item: string, customer: string): Promise<Reservation | undefined> {
  await sleep(item.startsWith('slow') ? 1500 : 5)
  return item === 'unicorn' ? undefined : { item, customer, shelf: item.length }
}
