import { z } from 'zod'

/**
 * What a client may have the worker do, so that every kind of answer can be seen. A typo here would go unnoticed, so
 * unknown members are refused; at the top level they are ignored and do not reach the worker.
 */
const Simulate = z.strictObject({
  delayMs: z.number().min(0).max(3_600_000).optional(),
  outcome: z.enum(['created', 'duplicate', 'outage', 'never', 'garbage', 'twice']).optional(),
})

const User = z.object({
  username: z.string().min(1).max(100),
  age: z.int().min(0).optional(),
})

/** One schema per event: types are inferred from it, and both ways are checked against it. */
export const events = {
  'CreateUser::Requested': User.extend({ simulate: Simulate.optional() }),
  'CreateUser::UserCreated': z.object({ id: z.string(), ...User.shape }),
  'CreateUser::UserNotCreated': z.object({ reason: z.enum(['duplicate', 'outage']), username: z.string() }),
  'CreateUser::CancelRequested': z.object({ id: z.string() }),
}

/** Data of the request event. */
export type CreateUser = z.infer<(typeof events)['CreateUser::Requested']>

/** A user as clients see it. */
export type UserCreated = z.infer<(typeof events)['CreateUser::UserCreated']>
