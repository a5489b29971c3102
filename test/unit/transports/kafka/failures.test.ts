import { describe, expect, it } from 'vitest'
import { explainStart } from '../../../../src/transports/kafka/failures.js'

const names = { brokers: 'brokers', tls: 'tls', sasl: 'sasl' }
const withCode = (message: string, code: string) => Object.assign(new Error(message), { code })

describe('a start of Kafka that fails', () => {
  it.each([
    withCode('getaddrinfo ENOTFOUND ssl.kafka.invalid', 'ENOTFOUND'),
    withCode('Connection error: getaddrinfo ENOTFOUND tls', 'ENOTFOUND'),
    new Error('getaddrinfo ENOTFOUND sasl'),
    new Error('getaddrinfo EAI_AGAIN kafka-authentication.invalid'),
    new Error('connect ECONNREFUSED ssl.kafka.invalid:9093'),
    new Error('Connection to sasl-credentials:9092 timed out.'),
    new Error('Connection to certificate.authorization.example:9092 failed.', {
      cause: withCode('connect ETIMEDOUT 10.0.0.1:9092', 'ETIMEDOUT'),
    }),
  ])('is not explained by what its broker is called: %s', (cause) => {
    expect(explainStart(cause, names)).toMatchObject({
      code: 'ERR_TRANSPORT_UNAVAILABLE',
      message: expect.stringContaining('No Kafka broker can be reached'),
    })
  })

  const away = withCode('connect ECONNREFUSED ssl.kafka.invalid:9093', 'ECONNREFUSED')

  it.each([
    ['TLS with Kafka fails', withCode('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT')],
    ['TLS with Kafka fails', withCode('disconnected before secure TLS connection was established', 'ECONNRESET')],
    ['TLS with Kafka fails', withCode('it was closed', 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR')],
    ['TLS with Kafka fails', withCode('write EPROTO 40:error:0A00010B:SSL routines::wrong version number', 'EPROTO')],
    [
      'TLS with Kafka fails',
      new AggregateError([away, new Error('certificate is not for kafka.invalid')], 'all failed'),
    ],
    ['does not take the credentials', new Error('SASL PLAIN authentication failed')],
    ['does not take the credentials', withCode('Malformed parameter: x', 'PLT_KFK_AUTHENTICATION')],
    ['denies this to the user', new Error('Cluster authorization failed')],
  ])('%s: %s', (why, cause) => {
    const message = expect.stringContaining(why)
    expect(explainStart(cause, names)).toMatchObject({ code: 'ERR_CONFIG', message })
  })

  it('says what every innermost error says, hosts included, each once', () => {
    const again = new Error('tried again', { cause: away })
    expect(explainStart(new AggregateError([away, again, 'gone.'], 'all failed'), names).message).toContain(
      'connect ECONNREFUSED ssl.kafka.invalid:9093; gone (option brokers',
    )
  })
})
