import { describe, expect, it } from 'vitest'
import { explainConnect } from '../../../../src/transports/amqp/failures.js'

const coded = (code: string, message: string) => Object.assign(new Error(message), { code })
const UNAVAILABLE = 'ERR_TRANSPORT_UNAVAILABLE'

describe('why there is no connection', () => {
  it.each([
    [coded('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:40312'), '127.0.0.1:40312'],
    [coded('ENOTFOUND', 'getaddrinfo ENOTFOUND ssl.rabbit.invalid'), 'ssl.rabbit.invalid:5672'],
    [coded('ECONNRESET', 'connect ECONNRESET 127.0.0.1:40312'), '127.0.0.1:40312'],
    [coded('EAI_AGAIN', 'getaddrinfo EAI_AGAIN vhost1.invalid'), 'vhost1.invalid:5672'],
  ])('FM-H27 is not guessed from the name of a host or the number of a port: %s', (cause, address) => {
    const { code, message } = explainConnect(cause, { address, option: 'url' })
    expect([code, message]).toEqual([UNAVAILABLE, expect.stringContaining(`RabbitMQ at ${address} cannot be reached`)])
  })

  it.each([
    [
      'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "…"',
      'ERR_CONFIG',
      /user name or the password/,
    ],
    ['Expected ConnectionOpenOk; got <ConnectionClose channel:0>', 'ERR_CONFIG', /virtual host/],
    ['Socket closed abruptly during opening handshake', UNAVAILABLE, /ended the connection/],
    ['Invalid frame', 'ERR_CONFIG', /ended the connection/],
    ['self-signed certificate', 'ERR_CONFIG', /TLS with/],
  ] as const)('FM-H27 is said by the error: %s', (text, code, sentence) => {
    const error = explainConnect(new Error(text), { address: 'localhost:5672', option: 'url' })
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(sentence)])
    expect(error.message).toContain('option url')
  })
})
