import { describe, expect, it } from 'vitest'
import { explainStart } from '../../../../src/stores/postgres/starting.js'

function errorOf(code: string | undefined, message: string): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}

describe('the error of a start on Postgres', () => {
  it.each([
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND ssl.db.invalid', 'PostgreSQL cannot be used'],
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND sasl.invalid', 'PostgreSQL cannot be used'],
    ['ECONNREFUSED', 'connect ECONNREFUSED /run/certificate/.s.PGSQL.5432', 'PostgreSQL cannot be used'],
    [undefined, 'the server tls.db.invalid has not answered within 20 ms', 'PostgreSQL cannot be used'],
    ['28P01', 'password authentication failed for user "ssl"', 'PostgreSQL refuses the user name or the password'],
    ['28000', 'role "tls" does not exist', 'PostgreSQL refuses the user name or the password'],
    [
      undefined,
      'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string',
      'PostgreSQL refuses the user name',
    ],
    ['3D000', 'database "ssl" does not exist', 'there is no such database'],
    ['42501', 'permission denied for schema tls', 'the user lacks a right'],
    [undefined, 'The server does not support SSL connections', 'TLS with PostgreSQL fails'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', 'TLS with PostgreSQL fails'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate', 'TLS with PostgreSQL fails'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', "Hostname/IP does not match certificate's altnames", 'TLS with PostgreSQL fails'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version number', 'TLS with PostgreSQL fails'],
  ])('%s: %s', (code, text, expected) => {
    const { message, ...rest } = explainStart(errorOf(code, text))
    expect(message).toContain(`postgres: ${expected}`)
    const isConfig = expected !== 'PostgreSQL cannot be used'
    expect(rest.code).toBe(isConfig ? 'ERR_CONFIG' : 'ERR_STORE_UNAVAILABLE')
  })
})
