/** The events of the orders that are placed under faults. */
export type Events = {
  'Order::Requested': { readonly n: number }
  'Order::Placed': Answer
  'Order::Rejected': Answer
}

/** Each execution is told apart, so that a second one with another result does not go unnoticed. */
export interface Answer {
  readonly id: string
  readonly n: number
  readonly execution: string
}
