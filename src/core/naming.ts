import type { CommandPlan } from './definition.js'
import { type EventMessage, textOf, toEvent } from './event.js'

/**
 * Gives an answer the declared type that it stands for: the one that the command's `resultType` says, the one that has
 * the name of its Java class, or what its profile makes of it. Undefined when it is no result of the command.
 * @throws whatever `resultType` throws, such as a SyntaxError for data that are no JSON.
 */
export function nameResult(plan: CommandPlan, message: EventMessage): EventMessage | undefined {
  if (plan.outcomeOf(message.type) !== undefined) return message
  // Nothing could say that it is none, and whoever waits for its operation would wait for the deadline.
  if (message.isUnreadable && message.type === '') throw new SyntaxError('The answer cannot be read.')
  const { reply } = message
  // What has no value says nothing that could be looked at.
  const asked = reply?.isEmpty ? undefined : plan.definition.resultType?.(toEvent(message), reply)
  const type = asked ?? typeByClass(plan, message.type) ?? typeByProfile(plan, message)
  if (type === undefined || plan.outcomeOf(type) === undefined) return undefined
  return type === failedType(plan) && asked === undefined ? asFailure(message, type) : { ...message, type }
}

/** The one declared type of a state, beside `<request type>::Failed`, which every command has. */
function only(plan: CommandPlan, state: 'succeeded' | 'failed'): string | undefined {
  const types = plan.resultTypes.filter((type) => type !== failedType(plan) && plan.outcomeOf(type)?.state === state)
  return types.length === 1 ? types[0] : undefined
}

function failedType({ name }: CommandPlan): string {
  return `${name}::Failed`
}

/** `com.example.UserCreated` and `com.example.Results$UserCreated` are `CreateUser::UserCreated`. */
function typeByClass(plan: CommandPlan, name: string): string | undefined {
  const simple = simpleName(name)
  if (simple === '' || simple === name) return undefined
  const types = plan.resultTypes.filter((type) => simpleName(type) === simple)
  return types.length === 1 ? types[0] : undefined
}

function simpleName(type: string): string {
  return type.slice(Math.max(...['.', '$', ':', '/'].map((separator) => type.lastIndexOf(separator))) + 1)
}

/** Only a worker of another kind answers without a type; from others, what has none is a mistake that must be seen. */
function typeByProfile(plan: CommandPlan, { reply }: EventMessage): string | undefined {
  const name = plan.definition.profile?.name ?? 'native'
  if (reply === undefined || name === 'native') return undefined
  if (reply.failure === undefined) return only(plan, 'succeeded')
  return reply.failure === 'refused' ? (only(plan, 'failed') ?? failedType(plan)) : failedType(plan)
}

/** Every failure without a type of its own has the same form; the worker's own words keep every digit. */
function asFailure(message: EventMessage, type: string): EventMessage {
  const { reply, body } = message
  const reason = JSON.stringify(reply?.failure ?? 'refused')
  const details = reply?.isEmpty ? '' : `,"details":${textOf(body)}`
  return { ...message, type, contentType: 'application/json', body: Buffer.from(`{"reason":${reason}${details}}`) }
}
