import { channel } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../../src/core/errors.js'
import { Lifecycle } from '../../../src/core/lifecycle.js'

const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})

afterEach(() => {
  warn.mockClear()
})

describe('Lifecycle', () => {
  it('counts, and tells those who listen', () => {
    const lifecycle = new Lifecycle()
    const heard: unknown[] = []
    lifecycle.note('gone', { id: 'a' })
    lifecycle.emitter.on('gone', (payload) => heard.push(payload))
    lifecycle.note('gone', { id: 'b' })
    expect(heard).toEqual([{ id: 'b' }])
    expect(lifecycle.counters()).toMatchObject({ gone: 2, created: 0, error: 0 })
  })

  it('gives a copy of the counters', () => {
    const lifecycle = new Lifecycle()
    const before = lifecycle.counters()
    lifecycle.note('stopped', {})
    expect(before.stopped).toBe(0)
    expect(Object.keys(before).length).toBe(21)
  })

  it('FM-F12 has counters of fixed names, whatever ids and types come by', () => {
    const lifecycle = new Lifecycle()
    const before = Object.keys(lifecycle.counters())
    for (let n = 0; n < 100; n += 1) lifecycle.note('foreign', { id: `id ${n}`, type: `type ${n}` })
    expect(Object.keys(lifecycle.counters())).toEqual(before)
    expect(lifecycle.counters().foreign).toBe(100)
  })

  it('publishes each event on its diagnostics channel', () => {
    const lifecycle = new Lifecycle()
    const heard: unknown[] = []
    const listener = (payload: unknown) => heard.push(payload)
    channel('respond-async:late').subscribe(listener)
    lifecycle.note('late', { id: 'a', type: 'Done' })
    lifecycle.note('orphan', { id: 'a', type: 'Done' })
    channel('respond-async:late').unsubscribe(listener)
    lifecycle.note('late', { id: 'b', type: 'Done' })
    expect(heard).toEqual([{ id: 'a', type: 'Done' }])
  })

  it('an error that nobody hears becomes a warning, once per code', () => {
    const hint = 'Listen to "error" of the gateway to hear of all of them.'
    const lifecycle = new Lifecycle()
    lifecycle.error(new GatewayError('ERR_CONFIG', 'wrong path'))
    lifecycle.error(new GatewayError('ERR_CONFIG', 'wrong path again'))
    lifecycle.error(new Error('boom'))
    expect(warn.mock.calls).toEqual([
      [`wrong path ${hint}`, { type: 'RespondAsyncWarning', code: 'ERR_CONFIG' }],
      [
        `Something went wrong inside the gateway Cause: Error: boom. ${hint}`,
        { type: 'RespondAsyncWarning', code: 'ERR_INTERNAL' },
      ],
    ])
    expect(lifecycle.counters().error).toBe(3)
  })

  it('an error that somebody hears is no warning, and is always one of ours', () => {
    const lifecycle = new Lifecycle()
    const heard: GatewayError[] = []
    lifecycle.emitter.on('error', (error) => heard.push(error))
    const cause = new Error('boom')
    lifecycle.error(cause)
    expect(heard).toMatchObject([{ code: 'ERR_INTERNAL', cause }])
    expect(warn).not.toHaveBeenCalled()
  })

  it('a listener that throws becomes a warning and disturbs nothing', () => {
    const lifecycle = new Lifecycle()
    lifecycle.emitter.on('gone', () => {
      throw new Error('boom')
    })
    expect(() => lifecycle.note('gone', { id: 'a' })).not.toThrow()
    expect(warn.mock.calls).toEqual([['A listener of "gone" has thrown: Error: boom', 'RespondAsyncWarning']])
  })
})
