import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import express from 'express'
import { handle, operations } from 'respond-async/express'
import { expect, it, onTestFinished } from 'vitest'
import { post, startGateway } from './support.js'

it('FM-F9 with maxConnections, one connection too many is closed and told of, and those that wait are answered', async () => {
  const { gateway, createUser } = await startGateway({ waitMs: 300 })
  const app = express().use(express.json()).post('/users', handle(createUser)).use('/operations', operations(gateway))
  const server = createServer(app)
  server.maxConnections = 2
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const accepted = new Promise<void>((resolve) => {
    let open = 0
    server.on('connection', () => {
      open += 1
      if (open === 2) resolve()
    })
  })
  const dropped = new Promise((resolve) => server.once('drop', resolve))

  const waiting = [1, 2].map(() => fetch(`http://127.0.0.1:${port}/users`, post('nobody', { connection: 'close' })))
  await accepted
  const surplus = connect(port, '127.0.0.1')
  const closed = new Promise<void>((resolve) => surplus.once('close', () => resolve()).resume())

  expect(await dropped).toMatchObject({ localPort: port })
  await closed
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([202, 202])
})
