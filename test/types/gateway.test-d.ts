import type { ServerResponse } from 'node:http'
import { created, createGateway, type Event, memoryTransport, ok, problem } from 'respond-async'
import { type ExpressRequest, respond } from 'respond-async/express'
import { z } from 'zod'

interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string; username: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' | 'outage' }
}

const gateway = createGateway<Events>({ transport: memoryTransport() })

const createUser = gateway.command({
  publish: 'CreateUser::Requested',
  outcomes: {
    'CreateUser::UserCreated': created(({ data }) => `/users/${data.id}`),
    'CreateUser::UserNotCreated': problem(({ data }) => (data.reason === 'duplicate' ? 409 : 503)),
  },
  key: (data) => data.username,
  input: (request) => ({ username: String(request.params.name) }),
})

export async function narrows(): Promise<string> {
  const reply = await createUser.request({ username: 'ada' })
  if (reply.kind !== 'completed') return reply.operation.id
  if (reply.event.type === 'CreateUser::UserCreated') return reply.event.data.id
  if (reply.event.type === 'CreateUser::UserNotCreated') {
    const reason: 'duplicate' | 'outage' = reply.event.data.reason
    return reason
  }
  return reply.event.data.reason
}

// @ts-expect-error the input lacks username
void createUser.request({ name: 'ada' })

gateway.command({
  // @ts-expect-error there is no such event
  publish: 'CreateUser::Wanted',
  outcomes: { 'CreateUser::UserCreated': ok() },
})

gateway.command({
  publish: 'CreateUser::Requested',
  // @ts-expect-error there is no such result event
  outcomes: { 'CreateUser::UserMade': ok() },
})

gateway.command({
  publish: 'CreateUser::Requested',
  outcomes: {
    // @ts-expect-error the event has no field uuid
    'CreateUser::UserCreated': created(({ data }) => `/users/${data.uuid}`),
  },
})

gateway.command({
  publish: 'CreateUser::Requested',
  outcomes: { 'CreateUser::UserCreated': 'succeeded' },
  // @ts-expect-error the input must be the data of the request event
  input: () => ({ user: 1 }),
})

// @ts-expect-error there is no such option
createGateway<Events>({ transport: memoryTransport(), waitSeconds: 5 })

const typed = createGateway({
  transport: memoryTransport(),
  events: {
    Asked: z.object({ question: z.string() }),
    Answered: z.object({ answer: z.number() }),
  },
})

const ask = typed.command({
  publish: 'Asked',
  outcomes: { Answered: ok({ body: ({ data }) => ({ twice: data.answer * 2 }) }) },
})

void ask.request({ question: '?' })
// @ts-expect-error the question is a string
void ask.request({ question: 1 })

export const event: Event<'Answered', { answer: number }> | undefined = undefined

export async function responds(req: ExpressRequest, res: ServerResponse, data: unknown): Promise<void> {
  await respond(createUser, req, res, { username: 'ada' })
  // @ts-expect-error what is not known is no data of the request event
  await respond(createUser, req, res, data)
  // @ts-expect-error nor is nothing
  await respond(createUser, req, res, null)
  const perhaps = { username: req.headers['x-user'] }
  // @ts-expect-error nor is a user without a name
  await respond(createUser, req, res, perhaps)
}
