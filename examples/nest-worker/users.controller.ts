import { Controller } from '@nestjs/common'
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices'
import { concat, from, map, type Observable, throwError, timer } from 'rxjs'
import type { Context } from './events.js'
import { publish } from './events.js'
import { named } from './settings.js'

interface NewUser {
  username: string
}

interface ListOptions {
  count: number
  fails?: boolean
  /** Every second value is none. */
  gaps?: boolean
}

/** A worker as it may have been there before any gateway: what a username makes it do stands for what may happen. */
@Controller()
export class UsersController {
  /** Answers to the sender. */
  @MessagePattern(named('create'))
  create({ username }: NewUser): unknown {
    if (username === 'taken') throw new RpcException({ reason: 'duplicate', username })
    if (username === 'boom') throw new Error('The password of the database is hunter2.')
    if (username === 'nothing') return undefined
    if (username === 'refused') return { reason: 'refused' }
    return { id: `user-${username}`, username }
  }

  /** Answers with several values, and with an error or an end behind them. */
  @MessagePattern(named('list'))
  list({ count, fails = false, gaps = false }: ListOptions): Observable<unknown> {
    const values = from(Array.from({ length: count }, (_, n) => n % 2)).pipe(
      map((n) => (gaps && n === 1 ? undefined : { n, username: 'same' })),
    )
    return fails
      ? concat(
          values,
          throwError(() => new RpcException({ reason: 'interrupted' })),
        )
      : values
  }

  /** The same, with time between the values. */
  @MessagePattern(named('trickle'))
  trickle({ count }: { count: number }): Observable<unknown> {
    return concat(...Array.from({ length: count }, (_, n) => timer(20).pipe(map(() => ({ n })))))
  }

  /** Answers nobody: publishes what has happened. */
  @EventPattern(named('import'))
  async import(@Payload() { username }: NewUser, @Ctx() context: Context): Promise<void> {
    if (username === 'boom') throw new Error('The password of the database is hunter2.')
    if (username === 'nothing') return
    if (username === 'taken') await publish(named('not-imported'), { reason: 'duplicate' }, context)
    else await publish(named('imported'), { id: `user-${username}`, username }, context)
  }
}
