import type { DocumentedRequest, Scenario } from './requests.js'

/** The scenarios as lines for a shell, in which Locations are kept in variables. */
export function toShell(scenarios: readonly Scenario[], origin: string): string {
  const parts = scenarios.map(({ title, requests }, index) =>
    [`# ${index + 1}. ${title}`, ...requests.map((request) => toCurl(request, origin))].join('\n'),
  )
  return parts.join('\n\n')
}

function toCurl(request: DocumentedRequest, origin: string): string {
  const { method, path, body, expect, save, againWhile } = request
  const json = body === undefined ? {} : { 'Content-Type': 'application/json' }
  const headers = Object.entries({ ...json, ...request.headers }).map(([name, value]) => `-H '${name}: ${value}'`)
  const url = `${origin}${path.replace(/\{(\w+)\}/g, '$$$1')}`
  const parts = [
    // The line break keeps answers apart.
    `curl -si${expect.text ? 'N' : ''} -w '\\n'`,
    ...(method === 'DELETE' ? ['-X DELETE'] : []),
    path.includes('{') ? `"${url}"` : url,
    ...headers,
    ...(body === undefined ? [] : [`-d '${JSON.stringify(body)}'`]),
  ]
  const curl = parts.join(' ')
  if (save !== undefined) return `${save}=$(${curl} | ${show('tolower($1) == "location:" { print $2 }')})`
  const isOver = show(`/^HTTP.* ${expect.status}/ { over = 1 } END { exit !over }`)
  return againWhile === undefined ? curl : `until ${curl} | ${isOver}; do sleep 1; done`
}

/** Shows an answer that a variable, or a condition, takes. */
function show(program: string): string {
  return `tr -d '\\r' | awk '{ print > "/dev/stderr" } ${program}'`
}
