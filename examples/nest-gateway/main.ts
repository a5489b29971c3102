import 'reflect-metadata'
import { BadRequestException, Body, Controller, Inject, Module, Post, Req, Res } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, Response } from 'express'
import { type Command, created, createGateway, memoryTransport, problem } from 'respond-async'
import { operations, respond } from 'respond-async/express'
import { createWorker } from 'respond-async/worker'

interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string; username: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' }
}

const transport = memoryTransport()
const taken = new Map<string, string>()
const worker = createWorker<Events>({ transport }).handle('CreateUser::Requested', ({ id, data: { username } }) => {
  const owner = taken.get(username) ?? id
  if (owner !== id) return { type: 'CreateUser::UserNotCreated', data: { reason: 'duplicate' } }
  taken.set(username, id)
  return { type: 'CreateUser::UserCreated', data: { id, username } }
})

const gateway = createGateway<Events>({ transport })
const createUser = gateway.command({
  publish: 'CreateUser::Requested',
  outcomes: {
    'CreateUser::UserCreated': created(({ data }) => `/users/${data.id}`),
    'CreateUser::UserNotCreated': problem(409),
  },
})

const CREATE_USER = Symbol('the command that creates a user')

@Controller('users')
class UsersController {
  constructor(@Inject(CREATE_USER) private readonly command: Command<Events['CreateUser::Requested']>) {}

  // Guards, pipes and interceptors of the application run before; the answer is written by the gateway.
  @Post()
  create(
    @Req() req: Request,
    @Res() res: Response,
    @Body() body?: Partial<Events['CreateUser::Requested']>,
  ): Promise<void> {
    if (typeof body?.username !== 'string') throw new BadRequestException('username is missing')
    return respond(this.command, req, res, { username: body.username })
  }
}

@Module({ controllers: [UsersController], providers: [{ provide: CREATE_USER, useValue: createUser }] })
class AppModule {}

await worker.start()
await gateway.start()
const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ['error'] })
app.use('/operations', operations(gateway))
await app.listen(Number(process.env.PORT ?? 3000))

process.on('SIGTERM', async () => {
  await gateway.close()
  await app.close()
  await worker.close()
})
